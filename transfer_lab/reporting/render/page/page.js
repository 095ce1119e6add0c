"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const FACETS = JSON.parse(document.getElementById("facets").textContent);
  const OFFERED = Object.keys(FACETS).filter((facet) => FACETS[facet].length > 1);
  const SELECTOR = OFFERED.map((facet) => `main [data-${facet}]`).join(",");

  // ---- State: what is chosen, kept in the part of the address that is sent to nobody.

  const state = { section: "", chosen: {}, sort: "" };

  function readAddress() {
    state.section = "";
    state.chosen = {};
    state.sort = "";
    for (const part of location.hash.slice(1).split("&")) {
      const [name, value] = part.split("=");
      if (value === undefined) state.section = name;
      else if (name === "sort") state.sort = value;
      else if (OFFERED.includes(name)) choose(name, value.split(",").map(decoded));
    }
  }

  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  }

  function choose(facet, values) {
    const known = FACETS[facet].filter((value) => values.includes(value));
    if (known.length && known.length < FACETS[facet].length) state.chosen[facet] = new Set(known);
    else delete state.chosen[facet];
  }

  function writeAddress() {
    const parts = state.section ? [state.section] : [];
    for (const [facet, values] of Object.entries(state.chosen))
      parts.push(`${facet}=${[...values].map(encodeURIComponent).join(",")}`);
    if (state.sort) parts.push(`sort=${state.sort}`);
    history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.pathname + location.search);
  }

  const allows = (facet, value) => !state.chosen[facet] || state.chosen[facet].has(String(value));

  // ---- The bar: which network, a menu for each other facet, and what is shown.

  const BOARDS = all(".board[data-network]");
  const bar = document.getElementById("bar");
  const told = make("span", { className: "told" });
  const spoken = make("div", { className: "unseen" });
  spoken.setAttribute("aria-live", "polite");
  const menus = {};
  const networks = [];
  let reset;

  function buildBar() {
    const row = make("div");
    for (const facet of OFFERED) row.append(facet === "backbone" ? networkSwitch() : menu(facet));
    reset = make("button", { type: "button", textContent: "Show everything" });
    reset.addEventListener("click", () => {
      state.chosen = {};
      changed();
    });
    row.append(reset, told);
    if (!bar) return;
    bar.className = "bar";
    bar.setAttribute("role", "region");
    bar.setAttribute("aria-label", "Network and filters");
    bar.append(row, spoken);
    document.addEventListener("click", (event) => closeMenus(event.target));
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      const open = Object.values(menus).find(({ box }) => box.open);
      if (open) open.summary.focus();
      closeMenus(null);
    });
  }

  /** Best of all, or one: moves cards, figures and tables alike. */
  function networkSwitch() {
    const box = make("fieldset", { className: "switch" }, make("legend", { textContent: "Network" }));
    for (const value of ["", ...FACETS.backbone]) {
      const input = make("input", { type: "radio", name: "network", value });
      input.addEventListener("change", () => {
        choose("backbone", value ? [value] : []);
        changed();
      });
      networks.push(input);
      box.append(make("label", {}, input, make("span", { textContent: value || "best of all" })));
    }
    return box;
  }

  function showNetwork() {
    const chosen = [...(state.chosen.backbone ?? [])];
    const one = chosen.length === 1 ? chosen[0] : "";
    for (const input of networks) input.checked = input.value === one && chosen.length < 2;
    const known = BOARDS.some((board) => board.dataset.network === one) ? one : "";
    for (const board of BOARDS) board.classList.toggle("off", board.dataset.network !== known);
  }

  function menu(facet) {
    const title = facet[0].toUpperCase() + facet.slice(1);
    const summary = make("summary");
    const list = make("fieldset", {}, make("legend", { textContent: title }));
    const inputs = FACETS[facet].map((value) => {
      const input = make("input", { type: "checkbox", value });
      input.addEventListener("change", () => {
        choose(facet, inputs.filter((i) => i.checked).map((i) => i.value));
        changed();
      });
      const only = make("button", { type: "button", textContent: "only" });
      only.setAttribute("aria-label", `only ${value}`);
      only.addEventListener("click", () => {
        choose(facet, [value]);
        changed();
      });
      const label = make("label", {}, input, make("span", { textContent: value }));
      list.append(make("div", { className: "option" }, label, only));
      return input;
    });
    const box = make("details", {}, summary, list);
    box.dataset.facet = facet;
    menus[facet] = { box, summary, inputs, title };
    return box;
  }

  function closeMenus(target) {
    for (const { box } of Object.values(menus)) if (!target || !box.contains(target)) box.open = false;
  }

  function showBar() {
    for (const [facet, { box, summary, inputs, title }] of Object.entries(menus)) {
      const values = state.chosen[facet];
      for (const input of inputs) input.checked = allows(facet, input.value);
      box.classList.toggle("active", Boolean(values));
      summary.textContent = values ? `${title}: ${values.size} of ${inputs.length}` : title;
    }
    reset.hidden = !Object.keys(state.chosen).length;
    showNetwork();
  }

  // ---- Tables: rows that do not match go, columns sort.

  const marked = SELECTOR ? all(SELECTOR) : [];
  const matches = (element) =>
    OFFERED.every((facet) => !(facet in element.dataset) || allows(facet, element.dataset[facet]));

  function filterTables() {
    for (const element of marked) element.classList.toggle("out", !matches(element));
    for (const table of all("main table.grouped")) spanGroups(table);
    let shown = 0;
    let total = 0;
    for (const box of all("main .scroll")) {
      const rows = all("tbody tr", box);
      const left = box.classList.contains("out") ? 0 : rows.filter((r) => !r.classList.contains("out")).length;
      const empty = !left && !box.classList.contains("out") && rows.length > 0;
      all(".unmatched", box).forEach((note) => note.remove());
      if (empty) box.append(make("p", { className: "unmatched", textContent: "No row matches the filter." }));
      if (!box.matches("[data-backbone], :has([data-backbone], tr[data-regime])")) continue;
      shown += left;
      total += rows.length;
    }
    for (const strip of all(".choices")) showChoice(strip);
    const seeds = state.chosen.seed ? "; seeds: single points only, means are over all" : "";
    told.textContent = Object.keys(state.chosen).length ? `${shown} of ${total} rows shown${seeds}` : "";
  }

  /** Titles over groups of columns are as wide as what is left of them. */
  function spanGroups(table) {
    const [groups, titles] = table.tHead.rows;
    const columns = [...titles.cells];
    for (const group of groups.cells) {
      group.dataset.width ??= group.colSpan;
      const left = columns.splice(0, Number(group.dataset.width)).filter((c) => !c.classList.contains("out"));
      group.classList.toggle("out", !left.length);
      group.colSpan = Math.max(left.length, 1);
    }
  }

  const titles = (table) => [...table.tHead.rows].at(-1).cells;

  function makeSortable() {
    all("main .scroll table").forEach((table, number) => {
      const rows = all("tbody tr", table);
      rows.forEach((row, index) => (row.dataset.place = index));
      if (rows.length < 3) return;
      [...titles(table)].forEach((head, column) => {
        const button = make("button", { type: "button" }, ...head.childNodes);
        button.addEventListener("click", () => {
          const now = head.getAttribute("aria-sort");
          const next = now === "ascending" ? "descending" : now === "descending" ? "none" : "ascending";
          state.sort = next === "none" ? "" : `${number}.${column}.${next}`;
          sortTable(table, column, next);
          writeAddress();
          spoken.textContent = next === "none" ? "Original order" : `Sorted by ${button.textContent}, ${next}`;
        });
        head.append(button);
        head.setAttribute("aria-sort", "none");
      });
    });
  }

  function sortTable(table, column, direction) {
    [...titles(table)].forEach((head, at) => head.setAttribute("aria-sort", at === column ? direction : "none"));
    const keyed = all("tbody tr", table).map((row) => ({ row, place: Number(row.dataset.place), key: sortKey(row.cells[column]) }));
    const sign = direction === "descending" ? -1 : 1;
    keyed.sort((a, b) => (direction === "none" ? 0 : compare(a.key, b.key, sign)) || a.place - b.place);
    table.tBodies[0].append(...keyed.map(({ row }) => row));
  }

  /** The number a cell begins with, else its text; null where it holds a dash. */
  function sortKey(cell) {
    const text = cell.textContent.replace(/^[†\s]+/, "").trim();
    if (text === "" || text.startsWith("–")) return null;
    const number = cell.classList.contains("number") ? /^[-+]?[\d,]*\.?\d+/.exec(text) : null;
    return number ? Number(number[0].replaceAll(",", "")) : text;
  }

  /** What is absent comes last in either direction. */
  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a).localeCompare(String(b), "en", { numeric: true });
  }

  function restoreSort() {
    all("main .scroll table:has([aria-sort$=ending])").forEach((table) => sortTable(table, 0, "none"));
    const [number, column, direction] = state.sort.split(".");
    const table = all("main .scroll table")[Number(number)];
    const known = table && titles(table)[Number(column)]?.hasAttribute("aria-sort");
    if (known && /^(a|de)scending$/.test(direction)) sortTable(table, Number(column), direction);
  }

  // ---- Several figures in a row: one at a time, the others a click away.

  function buildChoices() {
    const joins = (one, other) =>
      one?.tagName === other?.tagName && one?.className === other?.className && Boolean(one?.dataset.backbone && other?.dataset.backbone);
    for (const first of all("main figure[data-backbone]")) {
      if (joins(first.previousElementSibling, first)) continue;
      const group = [first];
      while (joins(first, group.at(-1).nextElementSibling)) group.push(group.at(-1).nextElementSibling);
      if (group.length < 2) continue;
      const strip = make("div", { className: "choices" });
      strip.setAttribute("role", "group");
      strip.setAttribute("aria-label", "Which one to show");
      strip.entries = group.map((box) => {
        const name = box.querySelector("figcaption").textContent.split(":")[0];
        const button = make("button", { type: "button", textContent: name });
        button.addEventListener("click", () => {
          strip.current = box;
          showChoice(strip);
        });
        strip.append(button);
        return { box, button };
      });
      strip.current = first;
      first.before(strip);
    }
  }

  function showChoice(strip) {
    const left = strip.entries.filter(({ box }) => !box.classList.contains("out"));
    const current = left.find(({ box }) => box === strip.current) ?? left[0];
    for (const entry of strip.entries) {
      entry.box.classList.toggle("off", entry !== current);
      entry.button.classList.toggle("out", !left.includes(entry));
      entry.button.setAttribute("aria-pressed", String(entry === current));
    }
  }

  // ---- Charts.

  const charts = [];
  function buildCharts() {
    if (!globalThis.Plotly) return;
    for (const script of all("script.chart")) {
      const figure = script.closest("figure");
      const chart = { ...JSON.parse(script.textContent), figure, hidden: new Set(), plots: [] };
      const name = figure.querySelector("img").alt;
      if (chart.keys.length) figure.insertBefore(legend(chart), script);
      // Four lie two by two, as the cards do.
      const panels = make("div", { className: chart.panels.length === 4 ? "panels two" : "panels" });
      for (const panel of chart.panels) {
        const div = make("div", { className: "plot" });
        div.setAttribute("role", "img");
        div.setAttribute("aria-label", `${panel.title}: ${name}`);
        chart.plots.push({ div, panel, near: false });
        panels.append(make("div", {}, make("p", { textContent: panel.title }), div));
      }
      figure.insertBefore(panels, script);
      figure.classList.add("live");
      charts.push(chart);
    }
    const watch = new IntersectionObserver(
      (entries) => {
        for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
          watch.unobserve(target);
          const chart = charts.find((c) => c.plots.some((p) => p.div === target));
          const plot = chart.plots.find((p) => p.div === target);
          plot.near = true;
          drawPlot(chart, plot);
        }
      },
      { rootMargin: "600px" },
    );
    for (const chart of charts) for (const { div } of chart.plots) watch.observe(div);
  }

  function legend(chart) {
    const keys = make("div", { className: "keys" });
    keys.setAttribute("role", "group");
    keys.setAttribute("aria-label", "Legend: shows and hides");
    chart.buttons = chart.keys.map((key) => {
      const button = make("button", { type: "button" }, Plots.swatch(key), make("span", { textContent: key.number === null ? key.value : `${key.number} ${key.value}` }));
      button.setAttribute("aria-pressed", "true");
      button.addEventListener("click", () => {
        const id = `${key.facet}=${key.value}`;
        if (!chart.hidden.delete(id)) chart.hidden.add(id);
        button.setAttribute("aria-pressed", String(!chart.hidden.has(id)));
        drawChart(chart);
      });
      keys.append(button);
      return { key, button };
    });
    return keys;
  }

  function drawChart(chart) {
    for (const { key, button } of chart.buttons ?? [])
      button.classList.toggle("out", !allows(key.facet, key.value));
    for (const plot of chart.plots) if (plot.near) drawPlot(chart, plot);
  }

  const shows = (chart, facet, value) =>
    (facet in FACETS ? allows(facet, value) : true) && !chart.hidden.has(`${facet}=${value}`);

  function picked(chart, trace) {
    let kept = structuredClone(trace);
    for (const [facet, value] of Object.entries(trace.meta ?? {})) {
      if (!Array.isArray(value)) {
        if (!shows(chart, facet, value)) return null;
        continue;
      }
      const keep = value.map((one) => shows(chart, facet, one));
      for (const column of ["x", "y", "text", "customdata"])
        if (Array.isArray(kept[column])) kept[column] = kept[column].filter((_, index) => keep[index]);
    }
    return kept;
  }

  function drawPlot(chart, { div, panel }) {
    Plots.draw(div, panel, panel.traces.map((trace) => picked(chart, trace)).filter(Boolean));
  }

  // ---- Light and dark.

  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches);

  function setTheme(name) {
    if (name) root.dataset.theme = name;
    try {
      if (name) localStorage.setItem("transfer-lab-theme", name);
    } catch {
      // Where nothing may be stored, the choice lasts as long as the page.
    }
    showTheme();
  }

  const theme = make("button", { type: "button", id: "theme" });

  function showTheme() {
    theme.textContent = isDark() ? "Light page" : "Dark page";
    for (const chart of charts) drawChart(chart);
  }

  function storedTheme() {
    try {
      return localStorage.getItem("transfer-lab-theme");
    } catch {
      return null;
    }
  }

  // ---- Details, print, and all together.

  const parts = all("main details.part");

  function goTo(id) {
    const place = id && document.getElementById(id);
    if (!place) return;
    for (let fold = place.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    place.scrollIntoView();
    place.focus({ preventScroll: true });
  }

  function followLinks() {
    for (const link of all('a[href^="#"]'))
      link.addEventListener("click", (event) => {
        event.preventDefault();
        state.section = link.getAttribute("href").slice(1);
        writeAddress();
        goTo(state.section);
      });
    for (const part of parts)
      part.querySelector("summary").addEventListener("click", () => {
        state.section = part.open ? "" : part.id;
        writeAddress();
      });
  }

  function buildUnfold() {
    if (!parts.length) return;
    const button = make("button", { type: "button", className: "all" });
    const show = () => (button.textContent = parts.every((part) => part.open) ? "Close all" : "Open all");
    button.addEventListener("click", () => {
      const open = !parts.every((part) => part.open);
      for (const part of parts) part.open = open;
    });
    for (const part of parts) part.addEventListener("toggle", show);
    show();
    document.getElementById("details").before(button);
  }

  function apply() {
    showBar();
    filterTables();
    for (const chart of charts) drawChart(chart);
  }

  function changed() {
    writeAddress();
    apply();
    spoken.textContent = told.textContent || "Everything is shown";
  }

  function readAndApply() {
    readAddress();
    apply();
    restoreSort();
    goTo(state.section);
  }

  const stored = storedTheme();
  if (stored === "dark" || stored === "light") root.dataset.theme = stored;
  document.querySelector("header").append(theme);
  theme.addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
  buildBar();
  buildUnfold();
  buildChoices();
  makeSortable();
  buildCharts();
  followLinks();
  showTheme();
  readAndApply();
  addEventListener("hashchange", readAndApply);
  prefersDark.addEventListener("change", showTheme);
  addEventListener("beforeprint", () => all("main details").forEach((fold) => (fold.open = true)));
  root.dataset.ready = "true";
})();
