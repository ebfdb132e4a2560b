// The data of the page, and how times and numbers are written.

const D = JSON.parse(document.getElementById("data").textContent);
D.events.forEach((event, id) => {
  event.id = id;
  event.duration = event.end - event.start;
});
const hasLabels = D.series.some((series) => series.labels);
const isClock = D.is_time || D.is_span; // durations are seconds

const $ = (id) => document.getElementById(id);
function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}
function showFacts(list, facts) {
  list.replaceChildren(...facts.map(([name, value]) => {
    const fact = element("div"), text = element("dd");
    text.append(value);
    fact.append(element("dt", name), text);
    return fact;
  }));
}

const pad = (n) => String(n).padStart(2, "0");
function timeText(value) {
  if (value === null) return "";
  if (!D.is_time) return String(+value.toPrecision(12));
  const d = new Date(Math.round(value * 1000));
  const day = `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())}`;
  return `${day} ${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}` + (d.getUTCSeconds() ? ":" + pad(d.getUTCSeconds()) : "");
}
const UNITS = [["s", 1], ["min", 60], ["h", 3600], ["d", 86400]];
function durationText(value) {
  if (value === 0) return "one row";
  if (!isClock) return String(+value.toPrecision(6));
  const [unit, size] = UNITS.findLast(([, seconds]) => value >= 1.5 * seconds) || UNITS[0];
  return `${+(value / size).toPrecision(3)} ${unit}`;
}
function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1).replace(".0e", "e");
  return String(+value.toPrecision(4));
}
const percent = (share) => `${Math.round(share * 100)} %`;

// Keys of legends that need something this page does not have are hidden.
function showKey(need, isThere) {
  for (const key of document.querySelectorAll(`[data-needs=${need}]`)) key.hidden = !isThere;
}
