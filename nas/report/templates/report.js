"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // The front, or those of several runs (data.runs) over each other. All positions, texts and ticks come from the
  // runs; only colours and layout are decided here.
  const plot = document.getElementById("plot");
  const data = JSON.parse(document.getElementById("picture").textContent);
  const axis = (name, index) => (index ? name + (index + 1) : name);

  let printing = false;

  const looks = () => ({
    rejected: { name: "rejected", symbol: "x-thin-open", size: 7, color: colour("--dot"), opacity: 0.75 },
    evaluated: { name: "evaluated", symbol: "circle", size: 7, color: colour("--dot"), opacity: 0.8 },
    front: { name: "on the front", symbol: "diamond", size: 10, color: colour("--accent"), opacity: 1 },
    chosen: { name: "chosen", symbol: "star", size: 17, color: colour("--strong"), opacity: 1 },
  });

  function overlaid() {
    const found = [];
    data.panels.forEach((panel, index) => {
      const at = { xaxis: axis("x", index), yaxis: axis("y", index) };
      for (const run of data.runs) {
        const points = panel.points[run.letter], steps = panel.lines[run.letter], color = colour(run.colour);
        found.push({
          ...at, type: "scatter", mode: "lines", x: steps.map((p) => p[0]), y: steps.map((p) => p[1]),
          line: { shape: "hv", color, width: 1.5 }, opacity: 0.55, hoverinfo: "skip", showlegend: false, legendgroup: run.letter,
        });
        found.push({
          ...at, type: "scatter", mode: "markers", legendgroup: run.letter, showlegend: false,
          x: points.x, y: points.y, text: points.text, hovertemplate: "%{text}<extra></extra>", cliponaxis: false,
          marker: {
            symbol: points.star.map((star) => (star ? "star" : run.symbol)), size: points.star.map((star) => (star ? 17 : 9)),
            color, opacity: 0.9, line: { width: 1, color: colour("--card") },
          },
        });
      }
    });
    // The legend shows each run by its own symbol, also where its first model is the chosen one.
    for (const run of data.runs) {
      found.push({
        type: "scatter", mode: "markers", name: run.name, legendgroup: run.letter, x: [null], y: [null],
        marker: { symbol: run.symbol, size: 9, color: colour(run.colour) },
      });
    }
    return found;
  }

  function traces() {
    if (data.runs) return overlaid();
    const found = [];
    data.panels.forEach((panel, index) => {
      const at = { xaxis: axis("x", index), yaxis: axis("y", index) };
      found.push({
        ...at, type: "scatter", mode: "lines", x: panel.stairs.map((p) => p[0]), y: panel.stairs.map((p) => p[1]),
        line: { shape: "hv", color: colour("--accent-soft"), width: 2 }, hoverinfo: "skip", showlegend: false,
      });
      for (const [kind, look] of Object.entries(looks())) {
        const points = panel.points[kind];
        const used = data.panels.some((p) => p.points[kind].x.length);
        if (!used) continue;
        found.push({
          ...at, type: "scatter", mode: "markers", name: look.name, legendgroup: kind, showlegend: index === 0,
          x: points.x, y: points.y, text: points.text, customdata: points.n, hovertemplate: "%{text}<extra></extra>",
          cliponaxis: false,
          marker: {
            symbol: look.symbol, size: look.size, color: look.color, opacity: look.opacity,
            line: { width: kind === "rejected" ? 1.5 : 1, color: kind === "rejected" ? look.color : colour("--card") },
          },
        });
      }
    });
    return found;
  }

  const limits = (panel) => panel.limits ?? (panel.limit === null ? [] : [{ at: panel.limit, text: panel.limit_text, line: 0 }]);
  // A text at the end of an axis would reach beyond the page.
  const anchor = (at, [low, high]) => ((Math.log10(at) - low) / (high - low) > 0.8 ? "right" : "center");
  const beyond = (panel) => panel.beyond ?? (panel.limit_beyond ? `${panel.limit_text}, outside` : "");

  function layout() {
    const width = printing ? 680 : plot.clientWidth;
    const wide = printing || width >= 760;
    const count = data.panels.length;
    const soft = colour("--soft"), line = colour("--line");
    const height = (data.y.trained ? 420 : 240) * (wide ? 1 : count) + (wide ? 60 : 0);
    // Texts of several limits stand over each other, and the legend above them.
    const lifted = 14 * Math.max(0, ...limits(data.panels[0]).map((limit) => limit.line), ...(wide ? data.panels.flatMap(limits).map((limit) => limit.line) : []));
    // A legend of many runs takes its room from the page and not from the panels.
    const runs = data.runs?.length ?? 0;
    const legend = 26 * Math.max(0, (wide ? Math.ceil(runs / 4) : runs) - 2);
    const made = {
      width, height: height + lifted + legend,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: soft },
      margin: { l: 78, r: 16, t: 64 + lifted, b: 84 }, hovermode: "closest", dragmode: "zoom",
      hoverlabel: { bgcolor: colour("--card"), bordercolor: line, font: { color: colour("--ink"), size: 12, family: getComputedStyle(document.body).fontFamily }, align: "left" },
      legend: { orientation: "h", x: 0, xanchor: "left", y: (wide ? 1.08 : 1.025) + lifted / (height - 148), yanchor: "bottom", font: { size: 13 } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: colour("--accent") },
      shapes: [], annotations: [],
    };
    data.panels.forEach((panel, index) => {
      const gap = wide ? 0.045 : 0.1;
      const size = (1 - gap * (count - 1)) / count;
      const start = index * (size + gap);
      const place = wide ? [start, start + size] : [1 - start - size, 1 - start];
      made["xaxis" + (index ? index + 1 : "")] = {
        type: "log", domain: wide ? place : [0, 1], anchor: axis("y", index), range: panel.range,
        tickvals: panel.values, ticktext: panel.texts, tickangle: 0, gridcolor: line, zeroline: false, linecolor: line,
        title: { text: `<b>${panel.title}</b><br>${panel.basis}${beyond(panel) ? `<br>${beyond(panel)}` : ""}`, standoff: 8, font: { size: 12 } },
      };
      made["yaxis" + (index ? index + 1 : "")] = {
        domain: wide ? [0, 1] : place, anchor: axis("x", index), range: data.y.range, gridcolor: line, zeroline: false,
        tickvals: data.y.values, ticktext: data.y.texts, showticklabels: !wide || index === 0,
        title: data.y.trained && (!wide || index === 0) ? { text: `int8 ${data.metric}, validation`, standoff: 6 } : { text: "" },
        ...(index ? { matches: "y" } : {}),
      };
      const xref = axis("x", index), yref = axis("y", index);
      if (data.y.lane !== null) {
        made.shapes.push({ type: "rect", layer: "below", xref: xref + " domain", yref, x0: 0, x1: 1, y0: data.y.range[0], y1: data.y.lane, fillcolor: colour("--track"), opacity: 0.5, line: { width: 0 } });
      }
      for (const limit of limits(panel)) {
        made.shapes.push({ type: "line", xref, yref: yref + " domain", x0: limit.at, x1: limit.at, y0: 0, y1: 1, line: { color: colour("--bad"), width: 1.5, dash: "dash" } });
        made.annotations.push({ xref, yref: yref + " domain", x: Math.log10(limit.at), y: 1, yshift: 14 * limit.line, xanchor: anchor(limit.at, panel.range), yanchor: "bottom", showarrow: false, text: limit.text, font: { size: 12, color: colour("--bad") } });
      }
    });
    return made;
  }

  function draw() {
    if (!plot || !data) return;
    Plotly.react(plot, traces(), layout(), {
      displaylogo: false, displayModeBar: !printing && plot.clientWidth >= 760, modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]], doubleClick: "reset",
    });
  }

  if (plot && data) {
    draw();
    if (!data.runs) plot.on("plotly_click", (event) => { location.hash = "t" + event.points[0].customdata; });
    let waiting = 0;
    addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(draw, 120); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    addEventListener("beforeprint", () => { printing = true; root.dataset.theme = "light"; draw(); });
    addEventListener("afterprint", () => { printing = false; delete root.dataset.theme; draw(); });
  }

  // The table of trials: headings sort, the boxes filter.
  const table = document.getElementById("all");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];

  function value(row, index) {
    const cell = row.cells[index];
    return cell.dataset.v === undefined ? cell.textContent : cell.dataset.v;
  }
  function compare(a, b, sign) {
    if (a === "" || b === "") return (a === "") - (b === ""); // what is not known comes last, both ways
    const difference = Number(a) - Number(b);
    return sign * (Number.isNaN(difference) ? a.localeCompare(b) : difference);
  }
  heads.forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const order = [...rows].sort((a, b) => compare(value(a, index), value(b, index), up ? 1 : -1));
      body.append(...order);
    });
  });

  const find = document.getElementById("find");
  const states = [...document.querySelectorAll("input.state")];
  const shown = document.getElementById("shown");
  function filter() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(states.filter((box) => box.checked).map((box) => box.value));
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.has(row.dataset.state) || !words.every((word) => text.includes(word));
      count += row.hidden ? 0 : 1;
    }
    shown.textContent = count === rows.length ? `${count} trials` : `${count} of ${rows.length} trials`;
  }
  find.addEventListener("input", filter);
  states.forEach((box) => box.addEventListener("change", filter));
  addEventListener("hashchange", () => {
    const row = rows.find((one) => "#" + one.id === location.hash);
    if (row && row.hidden) { find.value = ""; states.forEach((box) => { box.checked = true; }); filter(); row.scrollIntoView({ block: "center" }); }
  });
})();
