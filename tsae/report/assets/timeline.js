// Score, labels and channels of one series over time.

let current = null, shown = [], full = [0, 1], range = [0, 1];

function view(min, max) {
  const whole = full[1] - full[0];
  const span = Math.min(Math.max(max - min, whole * 1e-5), whole);
  min = Math.min(Math.max(min, full[0]), full[1] - span);
  range = [min, min + span];
  for (const chart of shown) chart.setScale("x", { min: range[0], max: range[1] });
}
function zoom(factor) {
  const middle = (range[0] + range[1]) / 2, half = ((range[1] - range[0]) / 2) * factor;
  view(middle - half, middle + half);
}
function shift(share) {
  const by = (range[1] - range[0]) * share;
  view(range[0] + by, range[1] + by);
}
$("in").onclick = () => zoom(0.5);
$("out").onclick = () => zoom(2);
$("left").onclick = () => shift(-0.4);
$("right").onclick = () => shift(0.4);
$("all").onclick = () => view(full[0], full[1]);

// Of many channels those are drawn that most events of the series come from, until all are asked for.
const FEW_CHANNELS = 8;
let allChannels = false;
function channelsOf(name) {
  const all = [...D.channels.keys()];
  if (allChannels || all.length <= FEW_CHANNELS) return all;
  const counts = D.channels.map(() => 0);
  for (const event of D.events) if (event.series === name) for (const channel of event.channels) counts[D.channels.indexOf(channel)]++;
  return all.sort((a, b) => counts[b] - counts[a] || a - b).slice(0, FEW_CHANNELS).sort((a, b) => a - b);
}
$("channels").hidden = D.channels.length <= FEW_CHANNELS;
function nameChannelButton() {
  $("channels").textContent = allChannels ? `Show ${FEW_CHANNELS} channels` : `Show all ${D.channels.length} channels`;
}
$("channels").onclick = () => {
  allChannels = !allChannels;
  nameChannelButton();
  const name = current && current.name, kept = range;
  current = null;
  if (name === null) return;
  showSeries(name);
  view(kept[0], kept[1]);
};
nameChannelButton();

function showSeries(name) {
  const row = D.overview.series.find((s) => s.name === name);
  overview.choose(row || null);
  const series = D.series.find((s) => s.name === name);
  if (series && series === current) return;
  current = series || null;
  discard($("timeline"));
  shown = [];
  $("series").value = series ? name : "";
  $("thinned").textContent = series && series.thinned > 1 ? `Lines show the lowest and highest of every ${series.thinned} rows.` : "";
  if (!series) {
    $("timeline").append(element("p", `The page has no curves of ${name}.`, "empty"));
    return;
  }
  full = [series.time[0], series.time[series.time.length - 1]];
  if (full[0] === full[1]) full[1] += 1;
  range = full.slice();
  const own = D.events.filter((e) => e.series === name).map((e) => [e.start, e.end, "event", 0.25]);
  const common = {
    time: D.is_time, sync: "timeline", view, range: () => range, plugins: [shading(() => own), touchZoom(view)],
  };
  const lines = [series.time, series.score], pens = [{ ink: "score" }];
  if (D.threshold !== null) {
    lines.push(series.time.map(() => D.threshold));
    pens.push({ ink: "soft", dash: [5, 4], width: 1 });
  }
  shown.push(makeChart($("timeline"), "anomaly score", lines, {
    ...common, height: 190, yLog: true, series: pens,
    read: (u, i) => `${timeText(u.data[0][i])}  ${short(u.data[1][i])}`,
  }));
  if (series.labels) shown.push(labelBar(series, common));
  const drawn = channelsOf(name);
  drawn.forEach((channel, i) => {
    const last = i === drawn.length - 1;
    shown.push(makeChart($("timeline"), D.channels[channel], [series.time, series.values[channel]], {
      ...common, height: last ? 132 : 96, hideX: !last, series: [{ ink: "ink", width: 1 }],
      read: (u, k) => short(u.data[1][k]),
    }));
  });
}
function labelBar(series, common) {
  return makeChart($("timeline"), "labelled", [series.time, series.time.map(() => null)], {
    ...common, height: 24, hideX: true, hideY: true, series: [{ ink: "label" }], read: () => "",
    plugins: [shading(() => series.labels.map(([a, b]) => [a, b, "label", 1])), touchZoom(common.view)],
    label: "labelled stretches",
  });
}

for (const series of D.series) $("series").append(new Option(series.name, series.name));
$("series").onchange = () => {
  setAddress("series-" + encodeURIComponent($("series").value));
  showSeries($("series").value);
};
