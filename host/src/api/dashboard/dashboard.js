// The dashboard: takes events in, shows what they say.
//
// Invariants:
// - Text that comes from anywhere is set as text, never as HTML.
// - What the page shows while it is cut off is marked as old.

import { ask, listen } from "/dashboard/line.js";
import { order } from "/dashboard/order.js";
import { announce, at, clock, moments, show } from "/dashboard/page.js";
import { actions, groups, hosts, jobs, leases, tasks, warnings, who } from "/dashboard/parts.js";
import { draw } from "/dashboard/terms.js";

const state = { status: null, transitions: [], jobs: [], up: true };
/** How often the jobs are asked for, in milliseconds; they are not part of the status. */
const JOBS = 4000;

function take(event, data) {
  if (event === "status") {
    tellLeaders(state.status, data);
    state.status = data;
    state.at = performance.now();
    render();
  } else if (event === "transition") {
    // After a new start of the host the numbers begin again.
    if (state.transitions.some((known) => known.id >= data.id)) return;
    state.transitions = [...state.transitions.slice(-199), data];
    draw(state.transitions, state.status);
  }
}

function tellLeaders(before, now) {
  for (const [name, group] of Object.entries(now.groups)) {
    const was = before?.groups[name]?.leader;
    // Of what is not known nothing is told.
    if (before && before.store.current && now.store.current && was !== group.leader) {
      announce(group.leader ? `${group.leader} leads ${name}` : `nobody leads ${name}`);
    }
  }
}

function render() {
  const { status } = state;
  const leader = Object.values(status.groups).map((group) => who(group, status.store));
  document.title = `${leader.join(", ")} · ${status.cluster} · soloist`;
  show("cluster", status.cluster);
  const how = { lost: ": lost", unwritable: ": takes no writes" }[status.store.state] ?? "";
  const store = status.store.label + how;
  show("seen", `seen by ${status.host.name}, ${status.host.version}; store ${store}`);
  warnings(status.host);
  groups(status, state.at, order);
  hosts(status, order);
  actions(status, lineIsUp);
  tasks(status);
  draw(state.transitions, status);
}

const lineIsUp = () => state.up;

function line(up, why, heard) {
  document.body.classList.toggle("is-cut-off", !up && state.status !== null);
  at("line").dataset.line = up ? "live" : "cut-off";
  show("line-words", up ? "live" : "cut off");
  const box = at("cut-off");
  if (up) {
    if (!state.up) announce("connected again");
    state.up = true;
    state.transitions = [];
    box.hidden = true;
    return;
  }
  state.up = false;
  const [words, elsewhere] = box.children;
  const old = state.status ? ` What you see is from ${clock(heard)}.` : "";
  const text = `Cut off from ${state.status?.host.name ?? "this host"}: ${why}.${old} Trying again.`;
  if (words.textContent !== text) words.textContent = text;
  const others = (state.status?.hosts ?? []).filter(
    (host) => host.live && host.name !== state.status.host.name,
  );
  // Whoever is about to follow one keeps it under the finger.
  if (box.hidden) elsewhere.replaceChildren(...(others.length ? ["Or open the dashboard of ", ...links(others), "."] : []));
  box.hidden = false;
}

function links(hosts) {
  return hosts.flatMap((host, index) => {
    const link = document.createElement("a");
    link.textContent = host.name;
    // An address is what a host says of itself: nothing but a web page may come of it.
    if (/^https?:/.test(host.url)) link.href = host.url;
    return index ? [", ", link] : [link];
  });
}

async function askForJobs() {
  const scheduled = state.status?.actions.some((action) => action.kind.includes("job"));
  if (scheduled && lineIsUp() && !document.hidden) {
    const answer = await ask("GET", "/v1/jobs").catch(() => null);
    if (answer?.ok) state.jobs = answer.data.jobs;
  }
  jobs(scheduled ? state.jobs : [], order);
}

/** Changes what is due to the time alone. */
function tick() {
  leases(lineIsUp());
  moments();
}

/** Asks for the jobs again, soon after one was asked to run. */
document.addEventListener("soloist:done", () => setTimeout(askForJobs, 300));
setInterval(tick, 200);
setInterval(askForJobs, JOBS);
listen("/v1/events", { take, line, begun: () => setTimeout(askForJobs, 300) });
