// What every part of the page is made of.

export const at = (id) => document.getElementById(id);

/** Sets a text, if it is another one. */
export function show(id, text) {
  write(typeof id === "string" ? at(id) : id, text);
}

/** Sets the text of an element, if it is another one: whoever has it read out hears it once. */
export function write(element, text) {
  const words = text ?? "";
  if (element.textContent !== String(words)) element.textContent = words;
}

/** Tells those who do not see the page. */
export function announce(text) {
  at("news").textContent = text;
}

/** An element with a class, within `parent`. */
export function add(parent, tag, className = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  parent.append(element);
  return element;
}

export function button(parent, words, press) {
  const element = add(parent, "button");
  element.type = "button";
  element.textContent = words;
  element.addEventListener("click", press);
  return element;
}

/**
 * Brings a list into line with `items`: each keeps its element as long as it has its key, so
 * that focus and what was opened stay. `make` fills an element, and returns what updates it.
 */
export function list(parent, items, key, tag, make) {
  const known = (parent.known ??= new Map());
  const wanted = new Set(items.map(key));
  for (const [name, { element }] of known) {
    if (!wanted.has(name)) {
      element.remove();
      known.delete(name);
    }
  }
  items.forEach((item, place) => {
    const name = key(item);
    if (!known.has(name)) {
      const element = document.createElement(tag);
      known.set(name, { element, update: make(element, item) });
    }
    const { element, update } = known.get(name);
    if (parent.children[place] !== element) parent.insertBefore(element, parent.children[place] ?? null);
    update(item);
  });
}

/** Opens a dialog; `submit` is called when its form is sent. Esc and its button close it. */
export function openDialog(dialog, submit) {
  const form = dialog.querySelector("form");
  form.onsubmit = (event) => {
    event.preventDefault();
    submit();
  };
  dialog.querySelector("[data-close]").onclick = () => dialog.close();
  if (!dialog.open) dialog.showModal();
}

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** A span in words, by its two greatest units. */
export function span(ms) {
  let seconds = Math.max(0, Math.round(ms / 1000));
  const words = [];
  for (const [size, unit] of UNITS) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count) words.push(`${count} ${unit}`);
    if (words.length === 2) break;
  }
  return words.join(" ") || "0 s";
}

/** A moment by the clock on the wall, with its day if that is another one. */
export function clock(time) {
  const when = new Date(time);
  const words = when.toLocaleTimeString([], { hourCycle: "h23" });
  const today = when.toDateString() === new Date().toDateString();
  return today ? words : `${when.toLocaleDateString()} ${words}`;
}

/** Shows a moment that time alone makes other words of. */
export function moment(element, time, words) {
  element.dataset.time = time ?? "";
  element.dataset.words = words;
  if (time) element.title = new Date(time).toLocaleString();
  tell(element);
}

/** Brings all of them up to date. */
export function moments() {
  document.querySelectorAll("[data-time]").forEach(tell);
}

function tell(element) {
  const { time, words } = element.dataset;
  if (!time) return write(element, "–");
  const ago = Date.now() - Date.parse(time);
  if (words === "for") return write(element, span(ago));
  // A run that is due is reported again; until then its time is not in the past.
  if (words === "due" && ago >= -500) return write(element, "now");
  return write(element, ago >= -500 ? `${span(ago)} ago` : `in ${span(-ago)}`);
}
