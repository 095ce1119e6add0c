"use strict";
/** How charts look and are drawn, by plotly: of the report's page and of the dashboard. */
globalThis.Plots = (() => {
  const COARSE = matchMedia("(pointer: coarse)");
  const OUTLINES = {
    circle: "M8 3.5a4.5 4.5 0 1 0 .01 0z",
    square: "M4 4h8v8h-8z",
    "triangle-up": "M8 3l5 9h-10z",
    diamond: "M8 2.5l5 5.5-5 5.5-5-5.5z",
    "triangle-down": "M8 13l5-9h-10z",
    cross: "M6.2 3h3.6v3.2h3.2v3.6h-3.2v3.2h-3.6v-3.2h-3.2v-3.6h3.2z",
  };
  const STROKES = { solid: "", dash: "7 4", dot: "2 3", dashdot: "7 3 2 3" };

  /** The sign of an entry of a legend. */
  function swatch({ colour, symbol, dash }) {
    const wide = dash ? 30 : 16;
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("width", wide);
    svg.setAttribute("height", 16);
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", dash ? "M1 8h28" : OUTLINES[symbol] ?? OUTLINES.circle);
    if (dash) {
      path.setAttribute("stroke", colour);
      path.setAttribute("stroke-width", 3);
      path.setAttribute("stroke-dasharray", STROKES[dash] ?? "");
    } else path.setAttribute("fill", colour);
    svg.append(path);
    return svg;
  }

  /** Draw a panel with these of its traces, or draw it anew; `height` in pixels, unless it has rows. */
  function draw(div, panel, traces, height = 300) {
    const layout = merged(look(), structuredClone(panel.layout));
    layout.height = height;
    if (panel.rows.length) layOutRows(layout, panel, traces);
    Plotly.react(div, traces, layout, {
      responsive: true,
      displaylogo: false,
      displayModeBar: COARSE.matches ? false : "hover",
      modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
    });
  }

  /** Only the rows that are shown, with room for their markers. */
  function layOutRows(layout, panel, traces) {
    const present = new Set(traces.flatMap((trace) => trace.y));
    const groups = new Set(traces.map((trace) => trace.offsetgroup)).size;
    const rows = panel.rows.filter((row) => present.has(row));
    layout.yaxis.categoryarray = rows;
    layout.yaxis.range = [rows.length - 0.5, -0.5];
    layout.height = 64 + Math.max(rows.length, 1) * Math.max(24, 13 * groups + 8);
    const shaded = panel.shaded
      .filter((row) => present.has(row))
      .map((row) => ({
        type: "rect",
        xref: "x domain",
        x0: 0,
        x1: 1,
        y0: rows.indexOf(row) - 0.48,
        y1: rows.indexOf(row) + 0.48,
        fillcolor: colour("shade"),
        line: { width: 0 },
        layer: "below",
      }));
    layout.shapes = [...(layout.shapes ?? []), ...shaded];
  }

  function merged(base, over) {
    for (const [key, value] of Object.entries(over))
      base[key] = value && typeof value === "object" && !Array.isArray(value) ? merged(base[key] ?? {}, value) : value;
    return base;
  }

  const probe = Object.assign(document.createElement("span"), { className: "unseen" });
  probe.setAttribute("aria-hidden", "true");
  document.body.append(probe);

  function colour(name) {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  }

  function look() {
    const ink = colour("ink");
    const axis = () => ({
      gridcolor: colour("line"),
      linecolor: colour("soft"),
      zerolinecolor: colour("line"),
      automargin: true,
      title: { standoff: 8, font: { size: 13 } },
    });
    return {
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: ink },
      paper_bgcolor: colour("paper"),
      plot_bgcolor: colour("paper"),
      hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("soft"), font: { color: ink }, align: "left" },
      margin: { l: 10, r: 14, t: 8, b: 44 },
      showlegend: false,
      hovermode: "closest",
      // A finger on a chart scrolls the page.
      dragmode: COARSE.matches ? false : "zoom",
      xaxis: axis(),
      yaxis: axis(),
    };
  }

  return { draw, swatch };
})();
