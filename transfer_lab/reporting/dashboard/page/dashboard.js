/** What is looked at, kept in the part of the address that is sent to nobody; and the clock. */

import { forget, redraw } from "/charts.js";
import { all, make, Menu, say } from "/elements.js";
import { VIEWS } from "/views.js";

const AXES = ["scenario", "backbone", "regime", "seed"];
const SECOND = 1000;
const root = document.documentElement;
const main = document.getElementById("main");

export const state = {
  address: new URLSearchParams(),
  known: { known: [], refused: [], default: null, runs: "" },
  live: { running: [], tokens: {} },

  get view() {
    const asked = this.address.get("view");
    return asked in VIEWS ? asked : this.live.running.length ? "live" : "compare";
  },
  list(name) {
    return this.address.getAll(name);
  },
  set(name, values) {
    this.address.delete(name);
    for (const value of values) this.address.append(name, value);
  },
  get experiments() {
    const named = this.list("experiment").filter((name) => this.known.known.some((one) => one.name === name));
    return named.length ? named : this.known.default === null ? [] : [this.known.default];
  },
  /** What the server is asked with: what is looked at, and what else a view needs. */
  query(more = []) {
    const asked = new URLSearchParams();
    for (const name of this.experiments) asked.append("experiment", name);
    for (const name of [...AXES, ...more]) for (const value of this.list(name)) asked.append(name, value);
    return asked;
  },
  go(changes, { visited = false } = {}) {
    for (const [name, values] of Object.entries(changes)) this.set(name, values);
    const text = this.address.toString();
    history[visited ? "pushState" : "replaceState"](null, "", text ? `#${text}` : location.pathname);
    show();
  },
};

export async function ask(path, query = new URLSearchParams()) {
  const answer = await fetch(`${path}?${query}`, { cache: "no-cache" });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error ?? answer.statusText);
  return told;
}

// ---- The bar.

const tabs = {};
const menus = {};
let reset;
let records;
let theme;

function buildBar() {
  for (const [name, view] of Object.entries(VIEWS)) {
    tabs[name] = make("a", { href: `#view=${name}` }, view.title);
    tabs[name].addEventListener("click", (event) => {
      event.preventDefault();
      state.go({ view: [name] }, { visited: true });
    });
    document.getElementById("views").append(tabs[name]);
  }
  const row = make("div");
  menus.experiment = new Menu("Experiments", (values) => state.go({ experiment: values }), { some: "experiments" });
  for (const axis of AXES) menus[axis] = new Menu(axis[0].toUpperCase() + axis.slice(1), (values) => state.go({ [axis]: values }));
  row.append(...Object.values(menus).map(({ box }) => box));
  reset = make("button", { type: "button" }, "Show everything");
  reset.addEventListener("click", () => state.go(Object.fromEntries(AXES.map((axis) => [axis, []]))));
  records = make("a", { className: "button", download: "records.csv" }, "Records as CSV");
  theme = make("button", { type: "button", id: "theme" });
  theme.addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
  row.append(reset, make("span", { className: "told" }), records, theme);
  document.getElementById("bar").append(row);
}

function showBar(facets) {
  for (const [name, tab] of Object.entries(tabs)) name === state.view ? tab.setAttribute("aria-current", "page") : tab.removeAttribute("aria-current");
  menus.experiment.show(state.known.known.map(({ name }) => name), state.experiments);
  for (const { box, values, inputs } of [menus.experiment]) {
    box.hidden = values.length < 2;
    inputs?.forEach((input, at) => input.closest(".option").classList.toggle("unbegun", !state.known.known[at].begun && !state.known.known[at].running));
  }
  if (facets) for (const axis of AXES) menus[axis].show(facets[axis], state.list(axis));
  reset.hidden = !AXES.some((axis) => state.list(axis).length);
  records.href = `/download/records.csv?${state.query()}`;
}

// ---- Light and dark.

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches);

function setTheme(name) {
  root.dataset.theme = name;
  try {
    localStorage.setItem("transfer-lab-theme", name);
  } catch {
    // Where nothing may be stored, the choice lasts as long as the page.
  }
  showTheme();
}

function showTheme() {
  theme.textContent = isDark() ? "Light colours" : "Dark colours";
  redraw();
}

// ---- What is shown: one view, asked for anew whenever there is something new.

let turn = 0;
let shownView = "";

async function show({ quiet = false } = {}) {
  const now = ++turn;
  root.dataset.ready = "false";
  showBar();
  const view = VIEWS[state.view];
  try {
    const asked = [ask("/api/facets", state.query()), view.load(state, ask)];
    const [facets, content] = await Promise.all(asked);
    if (now !== turn) return; // something else is looked at by now
    showBar(facets);
    if (shownView !== state.view) main.replaceChildren();
    shownView = state.view;
    view.draw(main, content, state);
    if (!quiet) say(`${view.title}: ${state.experiments.join(", ")}`);
  } catch (problem) {
    if (now === turn && !quiet) main.replaceChildren(make("p", { className: "warning", role: "alert" }, `${problem.message}`));
  }
  forget();
  root.dataset.ready = "true";
}

let seen = "";
let listed = "";
let failed = 0;

/** Every second, as long as somebody looks: what runs, and whether anything is new. */
async function tick() {
  if (!document.hidden) {
    try {
      state.live = await ask("/api/live", state.query());
      failed = 0;
      const running = state.live.running.map(({ id, name }) => `${id} ${name}`).join();
      if (running !== listed) {
        listed = running;
        state.known = await ask("/api/experiments");
        await show({ quiet: true });
      } else {
        const tokens = JSON.stringify(state.live.tokens);
        if (seen && tokens !== seen) await show({ quiet: true });
        seen = tokens;
      }
      VIEWS[state.view].tick?.(main, state);
    } catch {
      failed += 1;
    }
    root.classList.toggle("unreachable", failed > 2);
  }
  setTimeout(tick, SECOND);
}

function readAddress() {
  state.address = new URLSearchParams(location.hash.slice(1));
}

async function start() {
  try {
    const stored = localStorage.getItem("transfer-lab-theme");
    if (stored === "dark" || stored === "light") root.dataset.theme = stored;
  } catch {
    // As the system has it.
  }
  readAddress();
  buildBar();
  showTheme();
  prefersDark.addEventListener("change", showTheme);
  addEventListener("popstate", () => {
    readAddress();
    show();
  });
  [state.known, state.live] = await Promise.all([ask("/api/experiments"), ask("/api/live", state.query())]);
  listed = state.live.running.map(({ id, name }) => `${id} ${name}`).join();
  seen = JSON.stringify(state.live.tokens);
  await show();
  setTimeout(tick, SECOND);
}

for (const link of all("a.skip"))
  link.addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
start();
