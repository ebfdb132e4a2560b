// Charts by uPlot, whose colours are read each time they are drawn.

const charts = new Map(); // uPlot -> its container
const narrow = () => window.innerWidth <= 700;
function fitChart(chart, width) {
  if (width > 0 && Math.abs(chart.width - width) >= 1) chart.setSize({ width: Math.floor(width), height: chart.height });
}
const resized = new ResizeObserver((entries) => {
  if (document.documentElement.dataset.print) return;
  for (const entry of entries)
    for (const [chart, box] of charts) if (box === entry.target) fitChart(chart, entry.contentRect.width);
});
// Give every chart this width, or that of its container; charts side by side get half.
function resizeCharts(width) {
  for (const [chart, box] of charts)
    fitChart(chart, width === null ? box.clientWidth : box.closest(".two") ? width / 2 : width);
}
repaints.push(() => {
  for (const chart of charts.keys()) chart.redraw(false);
});

function discard(parent) {
  for (const [chart, box] of [...charts])
    if (parent.contains(box)) {
      resized.unobserve(box);
      charts.delete(chart);
      chart.destroy();
    }
  parent.replaceChildren();
}

// uPlot's labels for ticks at least so many seconds apart; a second line shows changes of the year or day.
const CLOCK = [
  [31536000, "{YYYY}", null, null, null, null, null, null, 1],
  [2419200, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [86400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
];
// If there are many ticks, keep only powers of ten.
const isPower = (t) => Math.abs(Math.log10(t) - Math.round(Math.log10(t))) < 1e-9;
function fewer(u, ticks) {
  const few = ticks.filter((t) => t !== null).length <= 6;
  return ticks.map((t) => (t !== null && (few || isPower(t)) ? t : null));
}
const logText = (u, ticks) => fewer(u, ticks).map((t) => (t === null ? "" : short(t)));

// Shade stretches [from, to, name of the colour, opacity], at least two pixels wide.
function shading(stretches) {
  return {
    hooks: {
      drawClear: (u) => {
        const { ctx, bbox } = u;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        for (const [from, to, name, opacity] of stretches()) {
          if (to < u.scales.x.min || from > u.scales.x.max) continue;
          const a = u.valToPos(from, "x", true), b = u.valToPos(to, "x", true);
          const wide = Math.max(b - a, 2 * devicePixelRatio);
          ctx.globalAlpha = opacity;
          ctx.fillStyle = color(name);
          ctx.fillRect((a + b) / 2 - wide / 2, bbox.top, wide, bbox.height);
        }
        ctx.restore();
      },
    },
  };
}

function axesOf(options) {
  const axis = {
    stroke: () => color("soft"), grid: { stroke: () => color("line"), width: 1 },
    ticks: { stroke: () => color("line"), width: 1 }, font: "11px system-ui, sans-serif",
  };
  const log = { values: logText, grid: { ...axis.grid, filter: fewer }, ticks: { ...axis.ticks, filter: fewer } };
  const x = { ...axis, space: 64, size: options.hideX ? 6 : options.time ? 42 : 30 };
  if (options.hideX) x.values = () => [];
  else if (options.xLog) Object.assign(x, log);
  else if (options.time) x.values = CLOCK;
  if (options.whole) x.incrs = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
  const y = { ...axis, size: narrow() ? 46 : 58, space: 26, ...(options.yLog ? log : { values: (u, ticks) => ticks.map(short) }) };
  if (options.hideY) Object.assign(y, { values: () => [], grid: { show: false }, ticks: { show: false } });
  return [x, y];
}

// Values between missing ones have no line to be part of; they are drawn as points.
function lone(line) {
  const found = [];
  for (let i = 0; i < line.length; i++) if (line[i] !== null && (line[i - 1] ?? null) === null && (line[i + 1] ?? null) === null) found.push(i);
  return found.length ? found : null;
}
function penOf({ ink, ...more }, line) {
  const stroke = () => color(ink), points = lone(line);
  return { width: 1.2, spanGaps: false, stroke, points: { show: false, size: 4, stroke, fill: stroke, filter: () => points }, ...more };
}

function makeChart(parent, name, data, options) {
  if (data.length > 1 && !options.hideY && data.slice(1).every((line) => line.every((value) => value === null))) {
    name += " (no values)";
    options = { ...options, hideY: true, yLog: false };
  }
  const box = element("div", undefined, "panel"), readout = element("span", "", "readout");
  box.append(element("span", name, "name"), readout);
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", options.label || name);
  box.style.minHeight = options.height + "px"; // uPlot takes its room later, which would move what is below
  parent.append(box);
  const chart = new uPlot({
    width: Math.max(Math.floor(box.clientWidth), 120),
    height: options.height,
    legend: { show: false },
    padding: [6, 14, 0, 0],
    tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), "Etc/UTC"),
    cursor: {
      sync: options.sync ? { key: options.sync, scales: ["x", null] } : undefined,
      drag: { x: !!options.view, y: false, setScale: false },
      y: false,
      points: { size: 6 },
      ...(options.view ? { bind: { dblclick: () => () => options.view(-Infinity, Infinity) } } : {}),
    },
    scales: {
      x: { time: !!options.time, ...(options.xLog ? { distr: 3 } : {}), ...(options.range ? { range: options.range } : {}) },
      y: options.yLog ? { distr: 3 } : options.hideY ? { range: [0, 1] } : {},
    },
    axes: axesOf(options),
    series: [{}, ...options.series.map((pen, i) => penOf(pen, data[i + 1]))],
    plugins: options.plugins || [],
    hooks: {
      setCursor: [(u) => {
        const i = u.cursor.idx;
        readout.textContent = i === null || i === undefined || u.data[0][i] === undefined ? "" : options.read(u, i);
      }],
      setSelect: options.view ? [(u) => {
        if (u.select.width > 3) options.view(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
        u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      }] : [],
    },
  }, data, box);
  charts.set(chart, box);
  resized.observe(box);
  return chart;
}
