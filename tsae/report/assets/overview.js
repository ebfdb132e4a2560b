// One strip of colours for each series: the highest scores of each stretch of time, and the labels below.

const STRIP_ROWS = 10, HEAT_ROWS = 7; // a gap of one row, and two rows of labels
const strips = []; // [canvas, series]
function paintStrip(canvas, series) {
  const rows = series.labels ? STRIP_ROWS : HEAT_ROWS, context = canvas.getContext("2d");
  canvas.width = series.strip.length;
  canvas.height = rows;
  const heat = Array.from({ length: 10 }, (_, level) => color("heat-" + level));
  [...series.strip].forEach((level, cell) => {
    if (level === ".") return;
    context.fillStyle = heat[level];
    context.fillRect(cell, 0, 1, HEAT_ROWS);
  });
  context.fillStyle = color("label");
  for (const [first, last] of series.labels || []) context.fillRect(first, HEAT_ROWS + 1, last - first + 1, 2);
}
const paintStrips = () => strips.forEach(([canvas, series]) => paintStrip(canvas, series));
repaints.push(paintStrips);

function makeStrip(series) {
  const canvas = element("canvas", undefined, "strip");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `scores of ${series.name} over time`);
  paintStrip(canvas, series);
  strips.push([canvas, series]);
  return canvas;
}

D.overview.series.forEach((series, id) => { series.id = id; });
const overview = makeTable($("overview"), {
  columns: [
    { name: "Series", value: (s) => s.name, className: "name-cell" },
    { name: stripHead(), value: () => 0, cell: makeStrip, isPlain: true, className: "strip-cell" },
    { name: "Events", value: (s) => s.events, isNumber: true, className: "number" },
    { name: "Highest", value: (s) => s.top, cell: (s) => short(s.top), isNumber: true, className: "number" },
  ],
  rows: () => {
    strips.length = 0;
    return D.overview.series;
  },
  order: [0, 1],
  open: openSeries,
  limit: Infinity,
});
function stripHead() {
  const head = element("span", undefined, "ends");
  head.append(element("span", "Scores over time", "unseen"), ...D.overview.range.map((end) => element("span", timeText(end))));
  return head;
}
function showOverview() {
  overview.fill();
  const hidden = D.overview.series.filter((series) => !series.shown).length;
  $("overview-range").textContent = `The strips run from ${D.overview.range.map(timeText).join(" to ")}.`;
  $("overview-hint").textContent =
    (D.overview.left_out ? `${D.overview.left_out} further series are not listed. ` : "") +
    (hidden ? `The page has the curves of the ${D.series.length} series with the highest events; the others are listed in grey.` : "");
  for (const row of $("overview").tBodies[0].rows) row.classList.toggle("without", !D.overview.series[row.dataset.id].shown);
}
function openSeries(series) {
  setAddress("series-" + encodeURIComponent(series.name));
  showSeries(series.name);
  $("h-timeline").scrollIntoView({ block: "start" });
}
