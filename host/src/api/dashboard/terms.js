// The timeline: terms, as transitions tell them.

import { add, at, clock, list, moment, span, write } from "/dashboard/page.js";

/** So many are shown. */
const SHOWN = 30;

/** The terms that the transitions tell of, the latest first. */
export function terms(transitions, status) {
  const found = new Map();
  for (const { event, at, host, group, fencing_token: token, cause } of transitions) {
    if (token == null) continue;
    const key = `${group}/${token}`;
    const term = found.get(key) ?? { key, group, token, host, from: null, to: null, cause: null };
    found.set(key, term);
    if (event === "leading" || event === "following") term.from = at;
    else if (event === "draining" || event === "stopping") {
      term.cause ??= cause;
      term.to = at;
    } else if (event === "resigning") term.to = at;
    else if (event === "ended") [term.to, term.cause] = [at, cause];
  }
  for (const [name, group] of Object.entries(status?.groups ?? {})) {
    const term = found.get(`${name}/${group.fencing_token}`);
    // It may have begun before anybody here looked.
    if (term && group.leading_since) term.from = group.leading_since;
  }
  return [...found.values()].sort((one, other) => (one.token < other.token ? 1 : -1));
}

export function draw(transitions, status) {
  const all = terms(transitions, status).slice(0, SHOWN);
  at("terms").nextElementSibling.hidden = all.length > 0;
  list(at("terms"), all, (term) => term.key, "li", (element) => {
    const box = add(element, "div");
    const head = add(box, "div");
    const who = add(head, "span", "who");
    const [token, time] = [add(head, "span", "when"), add(head, "span", "when")];
    const why = add(box, "div", "why");
    return (term) => {
      element.className = term.to ? (isLost(term.cause) ? "lost" : "over") : "now";
      element.dataset.term = term.key;
      write(who, `${term.host} ${term.to ? "led" : "leads"} ${term.group}`);
      write(token, ` · fencing token ${term.token} · `);
      if (term.to) {
        delete time.dataset.time;
        const length = term.from ? `for ${span(Date.parse(term.to) - Date.parse(term.from))}, ` : "";
        write(time, `${length}until ${clock(term.to)}`);
      } else moment(time, term.from, "for");
      write(why, term.to ? (term.cause ?? "") : "");
    };
  });
}

/** Whether a term ended because something was lost, and not because somebody wanted it. */
const isLost = (cause) => /lease|key was deleted|keeps failing|session (has )?ended/.test(cause ?? "");
