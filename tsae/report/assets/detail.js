// One event: what is known of it, how it is marked, and its values with their reconstruction.

let chosen = null;

function choose(event, isAsked) {
  chosen = event;
  eventTable.choose(event);
  showSeries(event.series);
  if (current) {
    const around = Math.max((event.end - event.start) * 2, (full[1] - full[0]) / 60);
    if (isAsked) view(event.start - around, event.end + around);
  }
  showDetail(event);
  showStep();
  if (!isAsked) return;
  setAddress("event-" + event.id);
  if (narrow()) $("h-detail").scrollIntoView({ block: "start" });
}

function showDetail(event) {
  const box = $("detail"), detail = event.detail === null ? null : D.details[event.detail];
  discard(box);
  $("h-detail").textContent = `Event of ${event.series}, ${timeText(event.start)}`;
  const channels = detail && detail.channels.some((c) => c.share) ? detail.channels.filter((c) => c.share >= 0.005).map((c) => `${c.name} ${percent(c.share)}`) : event.channels;
  showFacts($("detail-facts"), [
    ["Start", timeText(event.start)], ["End", timeText(event.end)], ["Duration", durationText(event.duration)],
    ["Peak", timeText(event.peak)], ["Score", short(event.score)], ["p-value", short(event.p)],
    ...(event.extrapolated === null ? [] : [["p-value, extrapolated", short(event.extrapolated)]]),
    ...(event.raised_by ? [["Raised by", event.raised_by]] : []),
    ...(channels.length ? [["Channels, by share of the score", listed(channels)]] : []),
  ]);
  showMarking(event);
  const drawn = detail ? detail.channels.filter((channel) => channel.values) : [];
  $("detail-legend").hidden = !drawn.length;
  $("detail-hint").textContent = detail === null
    ? `Values are shown for the ${D.details.length} events with the highest scores only.`
    : detail.n_channels_left_out && drawn.length ? `${detail.n_channels_left_out} channels with smaller contributions are not shown.` : "";
  drawn.forEach((channel, i) => drawChannel(box, event, detail, channel, i === 0, i === drawn.length - 1));
}
function listed(names) {
  const list = element("span");
  names.forEach((name, i) => list.append(element("span", name + (i < names.length - 1 ? "," : ""), "whole"), " "));
  return list;
}
function drawChannel(box, event, detail, channel, isFirst, isLast) {
  const lines = [detail.time, channel.values], pens = [{ ink: "score", width: 1.4 }];
  if (channel.reconstruction) {
    lines.push(channel.reconstruction);
    pens.push({ ink: "reconstruction", width: 1.4 });
  }
  const name = channel.share === null ? channel.name : `${channel.name}: ${percent(channel.share)} of the score`;
  makeChart(box, name, lines, {
    time: D.is_time, sync: "detail", height: isLast ? 150 : 114, hideX: !isLast, series: pens,
    plugins: [shading(() => [[event.start, event.end, "event", 0.2]])],
    read: (u, k) => (isLast || isFirst ? timeText(u.data[0][k]) + "  " : "") + lines.slice(1).map((_, j) => short(u.data[j + 1][k])).join(" / "),
  });
}

// The form is made once, so that keys keep their place in it.
for (const [text, value] of [["not marked", ""], ...MARKS.map((m) => [m, m])]) {
  const label = element("label"), input = element("input");
  Object.assign(input, { type: "radio", name: "mark", value });
  input.onchange = () => mark(chosen, value);
  label.append(input, " " + text);
  $("marking").append(label);
}
function showMarking(event) {
  for (const input of $("marking").querySelectorAll("input")) input.checked = input.value === markOf(event);
}

// Previous and next in the order of the table.
function showStep() {
  const place = eventTable.shown().indexOf(chosen);
  $("previous").disabled = place <= 0;
  $("next").disabled = place >= eventTable.shown().length - 1;
}
const step = (by) => () => {
  const event = eventTable.shown()[eventTable.shown().indexOf(chosen) + by];
  if (event) choose(event, true);
};
$("previous").onclick = step(-1);
$("next").onclick = step(1);
