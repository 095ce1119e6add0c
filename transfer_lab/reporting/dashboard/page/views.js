/** The views: what each asks for, and how it is drawn. */

import { chart, sparkline } from "/charts.js";
import { clock, duration, make, number, table } from "/elements.js";
import { parallel } from "/parallel.js";
import { drawRuns, loadRuns } from "/runs.js";

export const VIEWS = {
  live: { title: "Live", load: loadLive, draw: drawLive, tick: tickLive },
  compare: { title: "Compare", load: loadComparison, draw: drawComparison },
  differences: { title: "Differences", load: (state, ask) => ask("/api/differences", state.query(["first", "second"])), draw: drawDifferences },
  runs: { title: "Runs", load: loadRuns, draw: (main, content, state) => drawRuns(main, content, state, parallel) },
};

const block = (key) => (one) => {
  if (one.kind === "chart") return chart(`${key} ${one.name}`, one);
  if (one.kind === "table") return table(one);
  if (one.kind === "fold") return make("details", {}, make("summary", {}, one.title), ...one.blocks.map(block(key)));
  return make("p", { className: one.warning ? "warning" : "" }, one.text);
};

const section = (title, ...children) => make("section", { "aria-label": title }, make("h2", {}, title), ...children);

// ---- Live: what runs, and the matrix filling.

async function loadLive(state, ask) {
  const content = await ask("/api/matrix", state.query());
  return { ...content, ask };
}

function drawLive(main, content, state) {
  const running = make("div", { className: "running" });
  const parts = [running, ...content.studies.map(filled)];
  if (content.failures.length) parts.push(section("Failures", ...content.failures.map((one) => failures(one, content.ask))));
  main.replaceChildren(...parts);
  tickLive(main, state);
}

function tickLive(main, state) {
  const place = main.querySelector(".running");
  if (!place) return;
  if (!state.live.running.length) {
    const told = make("p", { className: "quiet" }, `No grid is running on ${state.known.runs}. One that is started with `, make("code", {}, "transfer-lab run EXPERIMENT.yaml"), " on the same store shows here by itself.");
    place.replaceChildren(told);
    return;
  }
  const open = new Set([...place.querySelectorAll("details[open]")].map((box) => box.dataset.id));
  place.replaceChildren(...state.live.running.map(grid));
  for (const box of place.querySelectorAll("details")) box.open = open.has(box.dataset.id);
}

function grid(one) {
  const left = one.left === null ? "" : `, about ${duration(one.left)} left`;
  const set = one.set.length ? make("p", { className: "note" }, one.set.map((value) => `--set ${value}`).join(" ")) : null;
  const bar = make("progress", { max: one.total || 1, value: one.ended, "aria-label": `runs of ${one.experiment}` });
  const told = make("p", { className: "count" }, make("strong", {}, `${number(one.ended)} of ${number(one.total)} runs`), `, ${clock(one.seconds)}${left}`);
  const refused = one.refused ? make("p", { className: "warning" }, `Its experiment cannot be read from here, so that its matrix is not shown: ${one.refused}`) : null;
  const failed = one.failed.length ? make("details", { className: "failed" }, make("summary", {}, `${one.failed.length} failed`), ...one.failed.map((run) => make("p", {}, make("strong", {}, run.name), `: ${run.error}`))) : null;
  if (failed) failed.dataset.id = `failed ${one.id}`;
  return make(
    "article",
    { className: "grid", "aria-label": `running: ${one.experiment}` },
    make("h2", {}, one.experiment, " ", make("span", { className: "note" }, `on ${one.host}, since ${one.started_at.slice(0, 16).replace("T", " ")} UTC`)),
    set,
    told,
    bar,
    one.phase ? make("p", { className: "quiet" }, one.phase) : null,
    refused,
    make("div", { className: "works" }, ...one.working.map(work)),
    failed,
  );
}

function work(one) {
  const share = make("progress", { max: 1, "aria-label": one.name });
  if (one.share !== null) share.value = one.share;
  const parts = [make("p", { className: "name" }, one.name), make("p", { className: "note" }, `${one.doing}, ${clock(one.seconds)}`), share];
  if (one.curves) {
    if (one.curves.parts > 1) parts.push(make("p", { className: "note" }, `fit ${one.curves.part} of ${one.curves.parts}`));
    parts.push(sparkline("training loss", one.curves, "train_loss"), sparkline("validation accuracy", one.curves, "val_accuracy", { percent: true }) ?? sparkline("training accuracy", one.curves, "train_accuracy", { percent: true }));
  }
  return make("div", { className: "work" }, ...parts);
}

/** How far each place of the matrix is, and its mean so far. */
function filled(study) {
  const places = new Map(study.places.map(([scenario, backbone, regime, counts, mean]) => [`${scenario}\n${backbone}\n${regime}`, { counts, mean }]));
  const top = make("tr", {}, make("th", { rowSpan: 2, scope: "col" }, "regime"), ...study.scenarios.map((name) => make("th", { colSpan: study.backbones.length, scope: "colgroup" }, name)));
  const second = make("tr", {}, ...study.scenarios.flatMap(() => study.backbones.map((name) => make("th", { scope: "col" }, name))));
  const rows = study.regimes.map((regime) =>
    make("tr", {}, make("th", { scope: "row" }, regime), ...study.scenarios.flatMap((scenario) => study.backbones.map((backbone) => place(places.get(`${scenario}\n${backbone}\n${regime}`))))),
  );
  const counts = ["done", "working", "failed", "blocked", "missing", "waiting", "not needed"].filter((state) => study.counts[state]).map((state) => `${number(study.counts[state])} ${state === "working" ? "in work" : state}`);
  const caption = `${study.name}: ${counts.join(", ")}`;
  const grid = make("table", { className: "filling" }, make("caption", {}, caption), make("thead", {}, top, second), make("tbody", {}, ...rows));
  return section(study.name, make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": caption }, grid), make("p", { className: "note" }, "Mean test accuracy of the finished seeds (%) and how many of the planned ones are finished; intervals are under Compare."));
}

function place(known) {
  if (!known) return make("td", { className: "none" }, "–");
  const { counts, mean } = known;
  const { "not needed": spared, ...asked } = counts;
  const total = Object.values(asked).reduce((sum, count) => sum + count, 0);
  if (!total) return make("td", { className: "none" }, "–", make("span", { className: "unseen" }, "not needed"));
  const done = counts.done ?? 0;
  const broken = (counts.failed ?? 0) + (counts.blocked ?? 0);
  const state = counts.working ? "working" : broken ? "broken" : done === total ? "done" : done ? "part" : "missing";
  const told = Object.entries(counts).map(([name, count]) => `${count} ${name === "working" ? "in work" : name}`).join(", ");
  const cell = make("td", { className: state, title: told }, make("span", {}, mean || (counts.working ? "…" : broken ? "✗" : "·")), make("small", {}, `${done}/${total}`), make("span", { className: "unseen" }, `, ${told}`));
  cell.style.setProperty("--share", `${(100 * done) / total}%`);
  return cell;
}

/** Failures by error, with the log of each run a click away. */
function failures(one, ask) {
  const found = table(one);
  const rows = [...found.querySelectorAll("tbody tr")];
  one.rows.forEach((row, at) => {
    const cell = rows[at].lastElementChild;
    cell.replaceChildren(...row[2].map(([name, run]) => logOf(name, run, ask)));
  });
  return found;
}

function logOf(name, run, ask) {
  const text = make("pre", { tabIndex: 0 }, "…");
  const box = make("details", {}, make("summary", {}, name), text);
  box.addEventListener("toggle", async () => {
    if (!box.open || text.dataset.read) return;
    text.dataset.read = "true";
    const { log } = await ask("/api/log", new URLSearchParams({ run }));
    text.textContent = log || "It has left no log.";
  });
  return box;
}

// ---- Compare: experiments side by side.

async function loadComparison(state, ask) {
  const query = state.query();
  const content = await ask("/api/comparison", query);
  // Decisions take longer than the rest, and come after it.
  return { ...content, cards: ask("/api/cards", query) };
}

async function drawComparison(main, content) {
  const columns = content.columns.map(({ title, blocks }) => {
    const answer = make("div", { className: "answers" });
    answer.dataset.of = title;
    return make("section", { className: "column", "aria-label": title }, make("h2", {}, title), answer, ...blocks.map(block(`compare ${title}`)));
  });
  const before = new Map([...main.querySelectorAll(".answers")].map((box) => [box.dataset.of, [...box.childNodes]]));
  const parts = [make("p", { className: "legend" }, content.legend), make("div", { className: `columns${columns.length > 1 ? " several" : ""}` }, ...columns)];
  if (content.unrun.length) parts.push(make("p", { className: "quiet" }, `Nothing has finished of: ${content.unrun.join(", ")}.`));
  if (!columns.length) parts.splice(0, 2, ...(content.unrun.length ? [] : [make("p", { className: "quiet" }, "Nothing is left by the filters.")]));
  main.replaceChildren(...parts);
  for (const box of main.querySelectorAll(".answers")) box.replaceChildren(...(before.get(box.dataset.of) ?? []));
  const cards = await content.cards;
  for (const box of main.querySelectorAll(".answers")) box.replaceChildren(...(cards[box.dataset.of] ?? []).map(card));
}

/** What to do in one scenario, as the report says it. */
function card(one) {
  const [mean, low, high] = one.expect ?? [];
  const range = one.expect ? (low === high ? `${mean.toFixed(1)} %` : `${mean.toFixed(1)} % (${low.toFixed(1)} to ${high.toFixed(1)})`) : "";
  const others = one.as_good.length ? `as good: ${one.as_good.slice(0, 3).join(", ")}${one.as_good.length > 3 ? ` and ${one.as_good.length - 3} more` : ""}` : "";
  const lines = [[range, one.time].filter(Boolean).join(", "), one.bound, others, one.rule].filter(Boolean).map((text) => make("p", { className: "note" }, text));
  const mark = make("span", { className: "mark" });
  mark.style.background = one.colour;
  return make("article", { className: "answer", "aria-label": one.scenario }, make("p", { className: "case" }, one.scenario), make("p", { className: "choice-of" }, mark, make("strong", {}, one.words), " ", make("span", { className: "note" }, one.name)), ...lines);
}

// ---- Differences of two arms.

function drawDifferences(main, content, state) {
  if (!content.arms.length) {
    main.replaceChildren(make("p", { className: "quiet" }, "No arm of what is looked at has finished a run."));
    return;
  }
  const choice = (name, title, chosen, none) => {
    const options = (none ? [make("option", { value: "" }, none)] : []).concat(content.arms.map((arm) => make("option", { value: arm }, arm)));
    const select = make("select", { id: `arm-${name}` }, ...options);
    select.value = chosen;
    select.addEventListener("change", () => state.go({ [name]: select.value ? [select.value] : [] }));
    return make("div", {}, make("label", { for: `arm-${name}` }, title), select);
  };
  const choices = make("div", { className: "choice" }, choice("first", "How far is", content.first, "every arm"), choice("second", "ahead of", content.second, ""));
  const focused = document.activeElement?.id;
  main.replaceChildren(make("p", { className: "legend" }, content.legend), choices, ...content.blocks.map(block("differences")));
  if (focused?.startsWith("arm-")) document.getElementById(focused)?.focus();
}
