/** Parallel coordinates: an axis for each option in which runs differ, and for what came out. */

import { drawn, make, number } from "/elements.js";
import { titled } from "/runs.js";

const [HEIGHT, TOP, BOTTOM, SIDE] = [300, 46, 18, 70];
const MOST_LINES = 1500;
const RESULTS = ["val_accuracy", "fit_seconds", "test_accuracy"];

/** `restrict(name, range)`: keep what lies between, or is one of several; null lets go. */
export function parallel(content, kept, ranges, restrict) {
  const axes = axesOf(content);
  if (axes.length < 2 || !content.rows.length) return make("p", { className: "quiet" }, "There is nothing in which the runs differ.");
  const room = document.getElementById("main").clientWidth - 48;
  const width = Math.max(Math.min(room, 1800), 2 * SIDE + 110 * (axes.length - 1));
  const step = (width - 2 * SIDE) / (axes.length - 1);
  axes.forEach((axis, at) => (axis.x = SIDE + at * step));
  const colours = axes.at(-1).name === "test_accuracy" ? axes.at(-1) : null;
  const order = content.rows.map((_, at) => at).sort((a, b) => kept.has(a) - kept.has(b));
  const thinned = order.slice(-MOST_LINES);
  const lines = thinned.map((at) => line(content.rows[at], axes, colours, kept.has(at)));
  const drawing = drawn(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, class: "parallel", role: "group", "aria-label": `Parallel coordinates of ${kept.size} runs over ${axes.map(({ name }) => titled(name)).join(", ")}` },
    drawn("g", { class: "lines" }, ...lines.filter(Boolean)),
    ...axes.map((axis) => upright(axis, ranges.find(({ name }) => name === axis.name), restrict)),
  );
  const note = order.length > thinned.length ? make("p", { className: "note" }, `${number(thinned.length)} of ${number(order.length)} lines are drawn.`) : null;
  return make("div", {}, make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Parallel coordinates" }, drawing), note);
}

function axesOf(content) {
  const { places, options, results } = content.columns;
  const wanted = [...places.filter((name) => name !== "status" && name !== "seed"), ...options, ...RESULTS.filter((name) => results.includes(name))];
  return wanted.map((name) => axisOf(name, content)).filter(Boolean);
}

function axisOf(name, content) {
  const column = content.names.indexOf(name);
  const values = content.rows.map((row) => row[column]).filter((value) => value !== null);
  const distinct = [...new Set(values)];
  if (distinct.length < 2) return null;
  const numeric = values.every((value) => typeof value === "number");
  if (!numeric) return { name, column, names: numbersFirst(distinct) };
  const [low, high] = [Math.min(...distinct), Math.max(...distinct)];
  const log = low > 0 && high / low > 30;
  return { name, column, low, high, log };
}

const numbersFirst = (values) => [...values].sort((a, b) => (typeof a === typeof b ? (typeof a === "number" ? a - b : 0) : typeof a === "number" ? -1 : 1));

const span = HEIGHT - TOP - BOTTOM;

function share(axis, value) {
  if (axis.names) return axis.names.length < 2 ? 0.5 : 1 - axis.names.indexOf(value) / (axis.names.length - 1);
  const scaled = (number) => (axis.log ? Math.log(number) : number);
  return (scaled(value) - scaled(axis.low)) / (scaled(axis.high) - scaled(axis.low));
}

const down = (axis, value) => TOP + span * (1 - share(axis, value));

function line(row, axes, colours, isKept) {
  const known = axes.filter(({ column }) => row[column] !== null);
  if (known.length < 2) return null;
  const path = known.map((axis) => `${axis.x.toFixed(0)},${down(axis, row[axis.column]).toFixed(1)}`).join(" ");
  const made = drawn("polyline", { points: path, class: isKept && row[colours?.column] !== null ? "kept" : "faded" });
  if (isKept && colours && row[colours.column] !== null) made.style.stroke = ramp(share(colours, row[colours.column]));
  return made;
}

/** From blue over green to yellow-orange: told apart with every common form of colour blindness. */
function ramp(part) {
  const stops = [[46, 76, 150], [0, 140, 140], [230, 150, 0]];
  const at = Math.min(0.999, Math.max(0, part)) * 2;
  const [one, other] = [stops[Math.floor(at)], stops[Math.floor(at) + 1]];
  const mixed = one.map((from, channel) => Math.round(from + (other[channel] - from) * (at - Math.floor(at))));
  return `rgb(${mixed.join(" ")})`;
}

function upright(axis, range, restrict) {
  const title = drawn("text", { x: axis.x, y: 14, "text-anchor": "middle", class: "title", tabindex: 0, role: "button", "aria-label": `${titled(axis.name)}: let go` }, titled(axis.name));
  title.addEventListener("click", () => restrict(axis.name, null));
  title.addEventListener("keydown", (event) => event.key === "Enter" && restrict(axis.name, null));
  const group = drawn("g", { class: "axis" }, title, drawn("line", { x1: axis.x, x2: axis.x, y1: TOP, y2: TOP + span }), ...ticks(axis), ...(range ? [held(axis, range)] : []));
  const touch = drawn("rect", { x: axis.x - 16, y: TOP - 8, width: 32, height: span + 16, class: "touch" });
  touch.addEventListener("pointerdown", (event) => drag(event, touch, axis, group, restrict));
  group.append(touch);
  return group;
}

function ticks(axis) {
  const short = (text) => (text.length > 16 ? `${text.slice(0, 15)}…` : text);
  const label = (value, y) => drawn("text", { x: axis.x + 6, y, "dominant-baseline": "central", class: "tick" }, short(typeof value === "number" ? number(value) : String(value)), drawn("title", {}, String(value)));
  if (!axis.names) return [label(axis.high, TOP - 8), label(axis.low, TOP + span + 10)];
  const every = Math.ceil(axis.names.length / 18);
  return axis.names.filter((_, at) => at % every === 0).map((value) => label(value, down(axis, value)));
}

function held(axis, { values }) {
  const ends = values[0] === "in" ? values.slice(1).map((value) => axis.names?.find((name) => String(name) === value)).filter((name) => name !== undefined) : values.slice(0, 2).map(Number);
  const at = ends.map((value) => down(axis, value));
  const [high, low] = [Math.min(...at) - 5, Math.max(...at) + 5];
  return drawn("rect", { x: axis.x - 5, y: high, width: 10, height: low - high, class: "held" });
}

function drag(event, touch, axis, group, restrict) {
  const svg = touch.ownerSVGElement;
  const at = ({ clientY }) => {
    const box = svg.getBoundingClientRect();
    return Math.min(TOP + span, Math.max(TOP, ((clientY - box.top) / box.height) * HEIGHT));
  };
  const begun = at(event);
  const shade = drawn("rect", { x: axis.x - 5, y: begun, width: 10, height: 0, class: "held" });
  group.append(shade);
  touch.setPointerCapture(event.pointerId);
  const move = (moved) => {
    shade.setAttribute("y", Math.min(begun, at(moved)));
    shade.setAttribute("height", Math.abs(begun - at(moved)));
  };
  touch.addEventListener("pointermove", move);
  touch.addEventListener("pointerup", (ended) => {
    const [high, low] = [Math.min(begun, at(ended)), Math.max(begun, at(ended))];
    restrict(axis.name, low - high < 4 && !axis.names ? null : between(axis, high, low));
  }, { once: true });
}

/** What lies between two heights: numbers from and to, or names. */
function between(axis, high, low) {
  if (axis.names) {
    const near = span / Math.max(1, axis.names.length - 1) / 2;
    const margin = low - high < 4 ? near : 3;
    const names = axis.names.filter((name) => down(axis, name) >= high - margin && down(axis, name) <= low + margin);
    return names.length ? ["in", ...names] : null;
  }
  const value = (y) => {
    const part = 1 - (y - TOP) / span;
    const scaled = (number) => (axis.log ? Math.log(number) : number);
    const found = scaled(axis.low) + part * (scaled(axis.high) - scaled(axis.low));
    return axis.log ? Math.exp(found) : found;
  };
  const slack = 1e-9 * Math.abs(axis.high);
  return [Number((value(low) - slack).toPrecision(6)), Number((value(high) + slack).toPrecision(6))];
}
