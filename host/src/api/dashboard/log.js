// What an action prints, while it is open. One is open at a time.

import { lines } from "/dashboard/line.js";
import { add, clock, write } from "/dashboard/page.js";

const LINES = 200;
const PAUSE = 1000;
let open = null;

/** Opens the log of an action within `element`, or closes it. */
export function opened(action, button, element, lineIsUp) {
  const again = open?.button === button;
  open?.close();
  if (again) return;
  const stop = new AbortController();
  const box = add(element, "div", "log");
  box.tabIndex = 0;
  box.setAttribute("role", "log");
  box.setAttribute("aria-label", `Log of ${action}`);
  button.setAttribute("aria-expanded", "true");
  write(button, "Close");
  const close = () => {
    stop.abort();
    box.remove();
    button.setAttribute("aria-expanded", "false");
    write(button, "Logs");
    open = null;
  };
  open = { button, close };
  follow(action, add(box, "ol"), stop, lineIsUp);
}

async function follow(action, box, stop, lineIsUp) {
  const { signal } = stop;
  // The action may go while it is open.
  const take = (line) => (box.isConnected ? line && put(box, line) : stop.abort());
  const path = `/v1/logs/${encodeURIComponent(action)}?format=json&follow=true&lines=${LINES}`;
  while (!signal.aborted) {
    if (lineIsUp()) {
      box.replaceChildren();
      write(add(box, "li", "when"), "waiting for output");
      await lines(path, { take, signal }).catch((error) => {
        if (!signal.aborted) write(add(box, "li", "bad"), error.message);
      });
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

function put(box, text) {
  const line = JSON.parse(text);
  if (box.firstChild?.className === "when") box.replaceChildren();
  const item = add(box, "li", line.stream === "stdout" ? "" : "stderr");
  const token = line.fencing_token == null ? "" : `/${line.fencing_token}`;
  write(add(item, "span", "when"), `${clock(line.time)} ${line.host}${token}`);
  item.append(line.text);
  while (box.children.length > LINES) box.firstChild.remove();
}
