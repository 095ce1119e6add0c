/** All runs in a table: searched, sorted, restricted; chosen ones beside each other. */

import { chart } from "/charts.js";
import { drawn, make, number, say, table } from "/elements.js";

const AT_ONCE = 100;
const MOST = 12;

export async function loadRuns(state, ask) {
  const chosen = state.list("run").slice(0, MOST);
  const details = chosen.length ? ask("/api/run", new URLSearchParams(chosen.map((id) => ["run", id]))) : null;
  const [runs, beside] = await Promise.all([ask("/api/runs", state.query()), details]);
  return { ...runs, beside };
}

/** Rows that hold every word of the search, and lie within what was drawn on each axis. */
function restricted(content, state) {
  const { names } = content;
  const words = (state.address.get("search") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const ranges = state.list("range").map(readRange).filter(({ name }) => names.includes(name));
  return content.rows
    .map((row, at) => ({ row, id: content.ids[at], at }))
    .filter(({ row, id }) => {
      const text = `${row.join(" ")} ${id}`.toLowerCase();
      return words.every((word) => text.includes(word)) && ranges.every((range) => within(row[names.indexOf(range.name)], range));
    });
}

export function readRange(text) {
  const [name, ...rest] = text.split("~");
  return { name, values: rest };
}

function within(value, { values }) {
  if (values[0] === "in") return values.slice(1).includes(String(value));
  return value !== null && value >= Number(values[0]) && value <= Number(values[1]);
}

function sorted(rows, content, state) {
  const [name, direction] = (state.address.get("sort") ?? "").split("~");
  const column = content.names.indexOf(name);
  if (column < 0) return rows;
  const sign = direction === "down" ? -1 : 1;
  return [...rows].sort((a, b) => compare(a.row[column], b.row[column], sign) || a.at - b.at);
}

function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}

export function drawRuns(main, content, state, parallel) {
  content.names = [...content.columns.places, ...content.columns.results, ...content.columns.options];
  if (!main.querySelector("#search")) main.replaceChildren(...frame(state));
  const search = main.querySelector("#search");
  if (document.activeElement !== search) search.value = state.address.get("search") ?? "";
  const redraw = () => {
    const rows = sorted(restricted(content, state), content, state);
    main.querySelector("#found").textContent = `${number(rows.length)} of ${number(content.rows.length)} runs`;
    const restrict = (name, range) => {
      const others = state.list("range").filter((one) => readRange(one).name !== name);
      state.go({ range: range ? [...others, [name, ...range].join("~")] : others });
    };
    main.querySelector("#axes").replaceChildren(parallel(content, new Set(rows.map(({ at }) => at)), state.list("range").map(readRange), restrict));
    main.querySelector("#rows").replaceChildren(listing(rows, content, state));
  };
  main.runsRedraw = redraw;
  redraw();
  main.querySelector("#beside").replaceChildren(...(content.beside ? beside(content.beside, state) : [make("p", { className: "quiet" }, `Choose up to ${MOST} runs to see them beside each other; one alone shows what it takes for what, and its log.`)]));
}

function frame(state) {
  const search = make("input", { type: "search", id: "search", placeholder: "words that a run must have" });
  let wait;
  search.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(() => {
      state.address.delete("search");
      if (search.value) state.address.set("search", search.value);
      history.replaceState(null, "", `#${state.address}`);
      document.getElementById("main").runsRedraw();
      say(document.getElementById("found").textContent);
    }, 120);
  });
  return [
    make("div", { className: "search" }, make("label", { for: "search" }, "Search"), search, make("span", { id: "found", className: "note" })),
    make("section", { "aria-label": "Options and results" }, make("h2", {}, "Options and results"), make("p", { className: "note" }, "One line a run, its colour its test accuracy. Draw along an axis to keep the runs between; a click on its name lets go."), make("div", { id: "axes" })),
    make("section", { "aria-label": "Runs" }, make("h2", {}, "Runs"), make("div", { id: "rows" })),
    make("section", { "aria-label": "Beside each other" }, make("h2", {}, "Beside each other"), make("div", { id: "beside" })),
  ];
}

let shownRows = AT_ONCE;

function listing(rows, content, state) {
  const [by, direction] = (state.address.get("sort") ?? "").split("~");
  const { names } = content;
  const numeric = names.map((_, at) => content.rows.some((row) => typeof row[at] === "number"));
  const chosen = new Set(state.list("run"));
  const heads = names.map((name, at) => {
    const button = make("button", { type: "button" }, titled(name));
    button.addEventListener("click", () => {
      const next = by !== name ? "down" : direction === "down" ? "up" : "";
      state.go({ sort: next ? [`${name}~${next}`] : [] });
      say(next ? `Sorted by ${titled(name)}` : "Original order");
    });
    const sort = by !== name ? "none" : direction === "down" ? "descending" : "ascending";
    return make("th", { scope: "col", className: numeric[at] ? "number" : "", "aria-sort": sort }, button);
  });
  const body = rows.slice(0, shownRows).map(({ row, id }) => {
    const box = make("input", { type: "checkbox", checked: chosen.has(id), "aria-label": `beside others: ${row.slice(0, content.columns.places.length).join(", ")}` });
    box.addEventListener("change", () => {
      const others = state.list("run").filter((one) => one !== id);
      state.go({ run: box.checked ? [...others, id].slice(-MOST) : others });
    });
    const only = make("button", { type: "button", className: "link" }, "details");
    only.addEventListener("click", () => {
      state.go({ run: [id] }, { visited: true });
      document.getElementById("beside").parentElement.scrollIntoView({ behavior: "smooth" });
    });
    return make("tr", { className: row[names.indexOf("status")] }, make("td", { className: "pick" }, box, only), ...row.map((value, at) => make("td", { className: numeric[at] ? "number" : "" }, number(names[at] === "seed" ? String(value) : value))));
  });
  const grid = make("table", { className: "figures runs" }, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, make("span", { className: "unseen" }, "choose")), ...heads)), make("tbody", {}, ...body));
  const parts = [make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Runs" }, grid)];
  if (rows.length > shownRows) {
    const more = make("button", { type: "button" }, `Show all ${number(rows.length)}`);
    more.addEventListener("click", () => {
      shownRows = Infinity;
      document.getElementById("main").runsRedraw();
    });
    parts.push(more);
  }
  return make("div", {}, ...parts);
}

const PERCENT = new Set(["test_accuracy", "val_accuracy", "train_accuracy", "test_macro_f1"]);

export const titled = (name) => name.replace(/^(backbone|regime|fit)\./, "$1 ").replaceAll("_", " ") + (PERCENT.has(name) ? " (%)" : name.endsWith("_seconds") ? " (s)" : "");

// ---- Chosen runs beside each other.

function beside(content, state) {
  const clear = make("button", { type: "button" }, "Choose none");
  clear.addEventListener("click", () => state.go({ run: [] }));
  const links = content.runs.filter(({ curve }) => curve).map(({ id, name }) => make("a", { href: `/download/curve.csv?run=${encodeURIComponent(id)}`, download: `${id}.csv` }, `curve of ${name}`));
  const parts = [make("p", {}, clear, " ", ...links.flatMap((link) => [link, " "]))];
  const charts = content.blocks.filter(({ kind }) => kind === "chart").map((one) => chart(`beside ${one.name}`, one));
  parts.push(make("div", { className: "charts" }, ...charts));
  parts.push(...content.blocks.filter(({ kind }) => kind === "table").map((one) => fold("Options and records", table(one))));
  if (content.confusion) parts.push(confusion(content.confusion));
  if (content.log) parts.push(fold("Log", make("pre", { tabIndex: 0 }, content.log), true));
  return parts;
}

function fold(title, inner, open = false) {
  return make("details", { open }, make("summary", {}, title), inner);
}

function confusion(one) {
  const pairs = make("ol", {}, ...one.pairs.map(([truth, answer, count, of]) => make("li", {}, make("strong", {}, truth), " taken for ", make("strong", {}, answer), `: ${number(count)} of ${number(of)}`)));
  const missed = make("div", { className: "missed" }, ...one.missed.map(missedImage));
  return make(
    "section",
    { "aria-label": "What it takes for what" },
    make("h3", {}, "What it takes for what"),
    make("p", { className: "note" }, `${number(one.wrong)} of ${number(one.images)} test images are missed.`),
    make("div", { className: "taken" }, one.matrix ? heat(one) : null, pairs),
    one.missed.length ? make("h3", {}, one.missed.length < one.wrong ? `The first ${one.missed.length} of the missed images` : "The missed images") : null,
    missed,
  );
}

function missedImage({ image, true: truth, answer, file }) {
  const picture = file ? make("img", { src: file, alt: `test image ${image}` }) : make("span", { className: "note" }, `image ${image}`);
  return make("figure", {}, picture, make("figcaption", {}, truth, " → ", make("strong", {}, answer)));
}

/** The confusion matrix: a row a true class, a column an answer, the fuller the larger its share. */
function heat({ classes, matrix }) {
  const count = classes.length;
  const named = count <= 40;
  const step = count <= 12 ? 28 : count <= 40 ? 14 : 6;
  const left = named ? 8 + 6.2 * Math.min(18, Math.max(...classes.map((name) => name.length))) : 4;
  const cells = [];
  matrix.forEach((row, truth) => {
    const total = row.reduce((sum, value) => sum + value, 0) || 1;
    row.forEach((value, answer) => {
      if (!value) return;
      const title = `${classes[truth]} → ${classes[answer]}: ${value} of ${total}`;
      cells.push(drawn("rect", { x: left + answer * step, y: truth * step, width: step - 1, height: step - 1, class: truth === answer ? "right" : "wrong", "fill-opacity": Math.max(0.12, value / total) }, drawn("title", {}, title)));
    });
  });
  const short = (name) => (name.length > 18 ? `${name.slice(0, 17)}…` : name);
  const names = named ? classes.map((name, at) => drawn("text", { x: left - 5, y: (at + 0.5) * step, "text-anchor": "end", "dominant-baseline": "central" }, short(name))) : [];
  const across = named ? classes.map((name, at) => drawn("text", { transform: `translate(${left + (at + 0.5) * step} ${count * step + 5}) rotate(-60)`, "text-anchor": "end", "dominant-baseline": "central" }, short(name))) : [];
  const [width, height] = [left + count * step, count * step + (named ? left : 0)];
  return drawn("svg", { viewBox: `0 0 ${width} ${height}`, width, height, class: "heat", role: "img", "aria-label": "Confusion matrix: rows are true classes, columns are answers" }, ...cells, ...names, ...across);
}
