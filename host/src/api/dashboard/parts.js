// The parts of the page: groups, hosts, actions, jobs, tasks.

import { opened } from "/dashboard/log.js";
import { add, at, button, clock, list, moment, write } from "/dashboard/page.js";

const named = (names) => (names.length ? names.join(", ") : "–");
const led = (status, host) =>
  Object.entries(status.groups).filter(([, group]) => group.leader === host).map(([name]) => name);

/** Who leads, if that is known. */
export const who = (group, store) => {
  if (group.leader || store.current) return group.leader ?? "nobody";
  return group.last_known_leader ? `unknown (last seen: ${group.last_known_leader})` : "unknown";
};

/** What people have ordered, and why. */
const ordered = (what, { by, reason }) => [`${what} by ${by}`, reason].filter(Boolean).join(": ");

/** Who would lead next, in their order. */
const queue = ([next, ...others]) => [next, others.join(", ")].filter(Boolean).join(", then ");

/** Why nobody leads, what hosts do not agree on, and what else stands in the queue that is no host's. */
const unled = ({ leaderless, unproclaimed, spread_differs: differs, strangers = [] }) => [
  leaderless && `Nobody leads since ${clock(leaderless.since)}: ${leaderless.why}.`,
  unproclaimed && `${unproclaimed}.`,
  differs && `Hosts have different settings of “spread”: ${differs}.`,
  ...strangers.map((it) => `${it.key} in the queue is no host's: ${it.remove}`),
].filter(Boolean).join(" ");

/** The bars of the leases, each with what it was told last. */
const bars = new Map();

export function groups(status, told, order) {
  const others = (leader) =>
    status.hosts.filter((host) => host.live && host.name !== leader).map((host) => host.name);
  const entries = Object.entries(status.groups).map(([name, group]) => (
    { name, ...group, who: who(group, status.store), others: others(group.leader), told }
  ));
  list(at("groups"), entries, (group) => group.name, "article", (element) => {
    element.className = "group";
    const leader = add(element, "div", "leader");
    const heading = add(leader, "h3");
    const name = add(heading, "span", "name");
    const leads = add(heading, "span");
    const bar = add(add(leader, "div", "lease"), "span");
    const words = add(leader, "p", "lease-words");
    const facts = add(element, "dl", "facts");
    const fact = (title) => {
      const box = add(facts, "div");
      write(add(box, "dt"), title);
      return add(box, "dd");
    };
    const [next, token, since, strategy] = ["Next in line", "Fencing token", "Leads for", "Strategy"].map(fact);
    const gap = add(element, "p", "note warn");
    const paused = add(element, "p", "note warn");
    const obstacle = add(element, "p", "note warn");
    const buttons = add(element, "p", "buttons");
    let now;
    const switchover = button(buttons, "Switch over", () => order({
      title: `Switch ${now.name} over`,
      what: `${now.leader} ends its term, and ${now.next_leader ?? "the next in line"} leads ${now.name}.`,
      verb: "Switch over", path: "/v1/switchover", body: { group: now.name },
    }));
    const choose = button(buttons, "Switch over to…", () => order({
      title: `Switch ${now.name} over to a host`,
      what: `${now.leader} ends its term when the host that you name is next in line, and that host leads.`,
      verb: "Switch over", path: "/v1/switchover", body: { group: now.name }, to: now.others,
    }));
    const pause = button(buttons, "Pause", () => order(now.paused ? {
      title: `Resume ${now.name}`,
      what: `Leadership of ${now.name} changes by itself again: by failover, and by preference.`,
      verb: "Resume", path: "/v1/resume", body: { group: now.name },
    } : {
      title: `Pause ${now.name}`,
      what: `Leadership of ${now.name} no longer changes by itself. A leader that dies is not replaced until you resume.`,
      verb: "Pause", path: "/v1/pause", body: { group: now.name },
    }));
    return (group) => {
      now = group;
      element.dataset.group = group.name;
      element.classList.toggle("nobody", !group.leader);
      write(name, group.who);
      write(leads, `leads ${group.name}${group.role === "leader" ? ", and serves this page" : ""}`);
      write(next, queue(group.standbys) || (group.leader ? "nobody" : "–"));
      write(token, group.fencing_token ?? "–");
      moment(since, group.leading_since, "for");
      write(strategy, group.strategy || "–");
      write(gap, unled(group));
      gap.hidden = !gap.textContent;
      write(paused, group.paused && ordered("paused", group.paused) + (group.paused.keep_failover ? " (failover goes on)" : ""));
      write(obstacle, group.obstacle && `This host cannot stand for election: ${group.obstacle}`);
      paused.hidden = !group.paused;
      obstacle.hidden = !group.obstacle;
      write(pause, group.paused ? "Resume" : "Pause");
      switchover.disabled = !group.leader || !group.next_leader;
      choose.disabled = !group.leader || group.others.length === 0;
      const left = group.deadline_in_ms;
      const full = Math.max(left ?? 0, bars.get(group.name)?.full ?? 1);
      bars.set(group.name, { bar, words, left, told: group.told, full, leader: group.leader });
    };
  });
  for (const name of bars.keys()) if (!status.groups[name]) bars.delete(name);
}

/** Lets the bars run down from what was told last. */
export function leases(up) {
  for (const { bar, words, left, told, full, leader } of bars.values()) {
    const unknown = left == null || !up;
    bar.parentElement.classList.toggle("unknown", unknown);
    if (unknown) {
      const known = leader && up ? `deadline: known on ${leader}` : "";
      write(words, known);
      continue;
    }
    const rest = Math.max(0, left - (performance.now() - told));
    bar.style.width = `${(100 * rest) / full}%`;
    write(words, `deadline in ${(rest / 1000).toFixed(1)} s without a renewal`);
  }
}

export function hosts(status, order) {
  const all = status.hosts.map((host) => ({ ...host, groups: led(status, host.name) }));
  for (const [name, removed] of Object.entries(status.removed ?? {})) {
    if (all.some((host) => host.name === name)) continue;
    all.push({ name, removed, live: false, groups: [], labels: {}, url: "", version: "" });
  }
  list(at("hosts"), all, (host) => host.name, "li", (element) => {
    const name = add(element, "div", "title");
    const state = add(add(element, "div"), "span", "state");
    const what = add(element, "div", "what");
    const [words, more] = [add(what, "span"), add(what, "small")];
    const buttons = add(element, "p", "buttons");
    let now;
    const drain = button(buttons, "Drain", () => order(now.removed ? {
      title: `Admit ${now.name}`, what: `${now.name} may join the cluster again.`,
      verb: "Admit", path: "/v1/admit", body: { host: now.name },
    } : now.drained ? {
      title: `Undrain ${now.name}`, what: `${now.name} stands for election again.`,
      verb: "Undrain", path: "/v1/undrain", body: { host: now.name },
    } : {
      title: `Drain ${now.name}`,
      what: `${now.name} hands everything over that it leads, and stays out until it is undrained.`,
      verb: "Drain", path: "/v1/drain", body: { host: now.name },
    }));
    return (host) => {
      now = host;
      const { groups } = host;
      element.dataset.host = host.name;
      element.classList.toggle("leads", groups.length > 0);
      element.classList.toggle("gone", !host.live);
      write(name, host.name);
      const draining = host.drained && groups.length ? "draining" : host.drained && "drained";
      const absent = host.removed ? "removed" : host.live === null ? "unknown" : "gone";
      write(state, host.live ? draining || "live" : absent);
      state.className = `state ${!host.live ? "" : host.drained ? "warn" : "up"}`;
      const labels = Object.entries(host.labels).map(([key, value]) => `${key}=${value}`);
      if (host.live) write(words, host.drained ? ordered("drained", host.drained) : (groups.length ? `leads ${named(groups)}` : "stands by"));
      else write(words, host.removed ? ordered("removed", host.removed) : (host.last_seen_at ? `last seen at ${clock(host.last_seen_at)}` : absent));
      write(more, [host.url, host.version, ...labels].filter(Boolean).join(" · "));
      write(drain, host.removed ? "Admit" : host.drained ? "Undrain" : "Drain");
    };
  });
}

const GOOD = ["running", "done"];
const BAD = ["failed", "parked", "refused"];
const mood = (state) => (GOOD.includes(state) ? "up" : BAD.includes(state) ? "bad" : state === "standby" ? "" : "warn");

/** Where a browser finds an action: at its address; at its leader's, if it listens at all of them. */
function addressOf({ listen, tls, group }, { groups, hosts }) {
  const [, host, port] = listen?.match(/^(.*):(\d+)$/) ?? [];
  const everywhere = host === "0.0.0.0" || host === "[::]";
  const leader = hosts.find((other) => other.name === groups[group]?.leader);
  const name = everywhere ? leader?.url.match(/^https?:\/\/([^/]*?)(:\d+)?(\/|$)/)?.[1] : host;
  return name ? `${tls ? "https" : "http"}://${name}:${port}` : "";
}

export function actions(status, lineIsUp) {
  at("actions").parentElement.querySelector(".none").hidden = status.actions.length > 0;
  const all = status.actions.map((action) => ({ ...action, address: addressOf(action, status) }));
  list(at("actions"), all, (action) => action.name, "li", (element, first) => {
    const title = add(element, "div", "title");
    const [name, kind] = [add(title, "span"), add(title, "small")];
    const state = add(add(element, "div"), "span", "state");
    const what = add(element, "div", "what");
    const [where, restarts] = [add(what, "a"), add(what, "small")];
    const buttons = add(element, "p", "buttons");
    const error = add(element, "p", "error");
    const log = button(buttons, "Logs", () => opened(first.name, log, element, lineIsUp));
    log.setAttribute("aria-expanded", "false");
    log.setAttribute("aria-label", `Logs of ${first.name}`);
    return (action) => {
      element.dataset.action = action.name;
      write(name, action.name);
      write(kind, [action.kind, action.group].filter(Boolean).join(" · "));
      write(state, action.state);
      state.className = `state ${mood(action.state)}`;
      const path = action.path && action.path !== "/" ? action.path : "";
      write(where, action.listen ? `${action.listen}${path}` : action.plugin);
      if (action.address) where.href = action.address + path;
      else where.removeAttribute("href");
      write(restarts, action.restarts ? `started again in this term: ${action.restarts}×` : "");
      write(error, action.last_error);
    };
  });
}

/** What is wrong without keeping the host from anything. */
export function warnings(host) {
  const all = [...(host.warnings ?? []), host.clock].filter(Boolean);
  at("warnings").hidden = all.length === 0;
  list(at("warnings"), all, (text) => text, "li", (element) => (text) => write(element, text));
}

export function jobs(all, order) {
  at("jobs").parentElement.hidden = all.length === 0;
  list(at("jobs"), all, (job) => job.name, "li", (element, first) => {
    const title = add(element, "div", "title");
    const [name, schedule] = [add(title, "span"), add(title, "small")];
    const next = add(element, "div", "when");
    add(next, "span").textContent = "next ";
    const due = add(next, "span");
    const what = add(element, "div", "what");
    const outcome = add(what, "span", "state");
    const last = add(what, "small");
    const buttons = add(element, "p", "buttons");
    let now = first;
    button(buttons, "Run now", () => order({
      title: `Run ${first.name} now`, what: `The leader of ${now.group} runs ${first.name} once, regardless of its schedule.`,
      verb: "Run now", path: `/v1/jobs/${encodeURIComponent(first.name)}/run`, reason: false,
    })).setAttribute("aria-label", `Run ${first.name} now`);
    const error = add(element, "p", "error");
    return (job) => {
      now = job;
      element.dataset.job = job.name;
      write(name, job.name);
      write(schedule, `${job.schedule} · ${job.group}`);
      moment(due, job.next_run_at, "due");
      const run = job.last_run;
      const good = run && ["done", "running"].includes(run.outcome);
      write(outcome, run ? run.outcome : "has not run yet");
      outcome.className = `state ${!run ? "" : good ? "up" : "bad"}`;
      last.hidden = !run;
      if (run) moment(last, run.started_at, "at");
      write(error, good ? "" : run?.error);
    };
  });
}

export function tasks(status) {
  const hosts = new Map();
  for (const host of status.hosts.filter((it) => it.live)) {
    for (const task of host.tasks ?? []) hosts.set(task, [...(hosts.get(task) ?? []), host.name]);
  }
  const all = [...hosts].sort().map(([name, by]) => ({ name, by }));
  at("tasks").parentElement.hidden = all.length === 0;
  list(at("tasks"), all, (task) => task.name, "li", (element) => {
    const [title, chips] = [add(element, "div", "title"), add(element, "div", "chips")];
    return (task) => {
      write(title, task.name);
      list(chips, task.by, (host) => host, "span", (chip, host) => {
        chip.className = "chip";
        write(chip, host);
        return () => {};
      });
    };
  });
}
