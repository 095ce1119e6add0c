/** Elements of the page: text is always text, never markup. */

export const all = (selector, within = document) => [...within.querySelectorAll(selector)];

export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("aria-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function drawn(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function say(text) {
  document.getElementById("spoken").textContent = text;
}

/** A table of the report: cells of lines, each with its note and weight. */
export function table(block) {
  const words = block.texts >= block.head.length;
  const groups = block.groups.length ? make("tr", { className: "groups" }, ...block.groups.map(([title, columns]) => make("th", { scope: "colgroup", colSpan: columns }, title))) : null;
  const head = make("tr", {}, ...block.head.map((title, at) => make("th", { scope: "col", className: at < block.texts ? "" : "number" }, title)));
  const rows = block.rows.map((row) =>
    make("tr", {}, ...row.map((cell, at) => make(at ? "td" : "th", at ? { className: at < block.texts ? "" : "number" } : { scope: "row" }, ...lines(cell)))),
  );
  const grid = make("table", { className: words ? "words" : "figures" }, make("caption", {}, block.caption), make("thead", {}, groups, head), make("tbody", {}, ...rows));
  return make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": block.caption }, grid);
}

function lines(cell) {
  const found = [];
  for (const [text, note, weight] of cell) {
    if (found.length) found.push(make("br"));
    const word = weight === "strong" ? make("strong", {}, text) : weight === "emphasis" ? make("em", {}, text) : text;
    found.push(word);
    if (note) found.push(" ", make("span", { className: "note" }, note));
  }
  return found;
}

/** A menu of checkboxes: all of them are chosen where none is. */
export class Menu {
  constructor(title, changed, { some = "" } = {}) {
    this.title = title;
    this.some = some;
    this.changed = changed;
    this.summary = make("summary", {}, title);
    this.list = make("fieldset", {}, make("legend", {}, title));
    this.box = make("details", { className: "menu" }, this.summary, this.list);
    this.values = [];
  }

  show(values, chosen) {
    const wanted = new Set(chosen);
    if (values.join("\n") !== this.values.join("\n")) this.build(values);
    for (const input of this.inputs) input.checked = wanted.size ? wanted.has(input.value) : !this.some;
    const active = wanted.size > 0;
    this.box.classList.toggle("active", active && !this.some);
    this.box.hidden = values.length < 2;
    const count = this.inputs.filter((input) => input.checked);
    this.summary.textContent = this.some && count.length === 1 ? count[0].value : active ? `${this.title}: ${count.length} of ${values.length}` : this.title;
  }

  build(values) {
    this.values = values;
    this.list.replaceChildren(this.list.firstElementChild);
    this.inputs = values.map((value) => {
      const input = make("input", { type: "checkbox", value });
      input.addEventListener("change", () => this.choose(this.inputs.filter((one) => one.checked).map((one) => one.value)));
      const only = make("button", { type: "button", "aria-label": `only ${value}` }, "only");
      only.addEventListener("click", () => this.choose([value]));
      this.list.append(make("div", { className: "option" }, make("label", {}, input, make("span", {}, value)), only));
      return input;
    });
  }

  choose(values) {
    this.changed(values.length === this.values.length && !this.some ? [] : values);
  }
}

document.addEventListener("click", (event) => {
  for (const box of all("details.menu[open]")) if (!box.contains(event.target)) box.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const box of all("details.menu[open]")) {
    box.open = false;
    box.querySelector("summary").focus();
  }
});

export function duration(seconds) {
  if (seconds < 90) return `${Math.max(5, 5 * Math.round(seconds / 5))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  const hours = seconds / 3600;
  return hours < 36 ? `${hours.toFixed(1)} h` : `${(hours / 24).toFixed(1)} days`;
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (number) => String(number).padStart(2, "0");
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

export function number(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(4)));
}
