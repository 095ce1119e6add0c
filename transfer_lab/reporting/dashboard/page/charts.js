/** Charts of the report that answer to the mouse, by plotly; each keeps its place when it is new. */

import { all, drawn, make } from "/elements.js";

const charts = new Map();
const watch = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const chart = charts.get(target.dataset.key);
      if (!chart) continue;
      const plot = chart.plots.find(({ div }) => div === target);
      if (!plot) continue;
      plot.near = isIntersecting;
      if (isIntersecting) drawPlot(chart, plot);
    }
  },
  { rootMargin: "400px" },
);

/** The figure of a block; one of the same key is drawn anew in its place. */
export function chart(key, block) {
  const text = JSON.stringify(block);
  const known = charts.get(key);
  if (known && known.text === text) return known.figure;
  const same = known && known.block.panels.length === block.panels.length;
  const made = same ? known : { figure: make("figure", { className: "live" }), hidden: known?.hidden ?? new Set() };
  Object.assign(made, { key, block, text, version: (known?.version ?? 0) + 1 });
  charts.set(key, made);
  if (!same) build(made);
  made.legend.replaceChildren(...block.keys.map((entry) => legendButton(made, entry)));
  made.legend.hidden = !block.keys.length;
  block.panels.forEach((panel, at) => {
    const plot = made.plots[at];
    plot.panel = panel;
    plot.title.textContent = panel.title;
    plot.title.hidden = !panel.title;
    plot.div.setAttribute("aria-label", [panel.title, block.alt].filter(Boolean).join(": "));
    if (plot.near) drawPlot(made, plot);
  });
  return made.figure;
}

/** Charts that are not on the page any more give their memory back. */
export function forget() {
  for (const [key, { figure, plots }] of charts)
    if (!figure.isConnected) {
      for (const { div } of plots) {
        watch.unobserve(div);
        globalThis.Plotly?.purge(div);
      }
      charts.delete(key);
    }
}

export function redraw() {
  for (const found of charts.values())
    for (const plot of found.plots) {
      plot.version = 0;
      if (plot.near) drawPlot(found, plot);
    }
}

function build(made) {
  made.legend = make("div", { className: "keys", role: "group", "aria-label": "Legend: shows and hides" });
  made.plots = made.block.panels.map((panel) => {
    const div = make("div", { className: "plot", role: "img" });
    div.dataset.key = made.key;
    return { div, panel, near: false, title: make("p") };
  });
  const panels = make("div", { className: "panels" }, ...made.plots.map(({ div, title }) => make("div", {}, title, div)));
  made.figure.replaceChildren(make("figcaption", {}, made.block.caption), made.legend, panels);
  for (const { div } of made.plots) watch.observe(div);
}

function legendButton(made, key) {
  const id = `${key.facet}=${key.value}`;
  const name = key.number === null ? key.value : `${key.number} ${key.value}`;
  const button = make("button", { type: "button", "aria-pressed": String(!made.hidden.has(id)) }, Plots.swatch(key), make("span", {}, name));
  button.addEventListener("click", () => {
    if (!made.hidden.delete(id)) made.hidden.add(id);
    button.setAttribute("aria-pressed", String(!made.hidden.has(id)));
    made.version += 1;
    for (const plot of made.plots) if (plot.near) drawPlot(made, plot);
  });
  return button;
}

function drawPlot(made, plot) {
  if (!globalThis.Plotly || plot.version === made.version) return;
  plot.version = made.version;
  const { div, panel } = plot;
  const traces = panel.traces.filter((trace) => shows(made, trace)).map((trace) => structuredClone(trace));
  Plots.draw(div, panel, traces, made.block.height ?? 300);
  div.dataset.drawn = "true";
}

const shows = (made, trace) =>
  Object.entries(trace.meta ?? {}).every(([facet, value]) => Array.isArray(value) || !made.hidden.has(`${facet}=${value}`));

/** A small curve that grows while a run trains: lines of one column, with its last value. */
export function sparkline(title, curves, column, { percent = false } = {}) {
  const lines = curves.lines.map((line) => points(line, column, percent)).filter((line) => line.length);
  const flat = lines.flat();
  if (!flat.length) return null;
  const [width, height, left] = [300, 92, 4];
  const high = Math.max(...flat.map(([, y]) => y));
  const low = Math.min(0, ...flat.map(([, y]) => y));
  const most = Math.max(2, ...flat.map(([x]) => x));
  const across = (x) => left + ((width - 2 * left) * (x - 1)) / (most - 1);
  const up = (y) => height - 5 - ((height - 12) * (y - low)) / (high - low || 1);
  const drawing = drawn(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img" },
    drawn("line", { x1: 0, x2: width, y1: up(low), y2: up(low), class: "base" }),
    ...lines.map((line, at) => stroke(line, across, up, at)),
  );
  const [epoch, last] = lines[0].at(-1);
  const told = `${percent ? last.toFixed(1) : Number(last.toPrecision(3))}${percent ? " %" : ""}`;
  drawing.setAttribute("aria-label", `${title}: ${told} at epoch ${epoch}`);
  const range = `epochs 1–${most}, up to ${percent ? `${high.toFixed(1)} %` : Number(high.toPrecision(3))}`;
  return make("figure", { className: "spark" }, make("figcaption", {}, title, " ", make("strong", {}, told), " ", make("span", { className: "note" }, range)), drawing);
}

function points(line, column, percent) {
  const found = [];
  (line[column] ?? []).forEach((y, at) => {
    if (y !== null) found.push([line.epoch[at], percent ? 100 * y : y]);
  });
  return found;
}

function stroke(line, across, up, at) {
  if (line.length === 1) return drawn("circle", { cx: across(line[0][0]), cy: up(line[0][1]), r: 3, class: `dot line-${at % 4}` });
  return drawn("polyline", { points: line.map(([x, y]) => `${across(x).toFixed(1)},${up(y).toFixed(1)}`).join(" "), class: `line-${at % 4}` });
}

export const isDrawing = () => all(".plot").some((div) => !div.dataset.drawn);
