// The table of events: sorted, filtered, marked, saved; and the address of each event.

const PAGE_ROWS = 200, PRINT_ROWS = 100; // the latter also in print.css
const channelText = (event) => event.channels.join(", ");
function markTag(event) {
  const mark = markOf(event);
  return mark ? element("span", mark, "mark " + mark) : "";
}
function eventLink(event) {
  const link = element("a", event.series);
  link.href = `#event-${event.id}`;
  link.tabIndex = -1; // the row is what keys move to
  link.onclick = (click) => { if (!click.ctrlKey && !click.metaKey) click.preventDefault(); }; // the row opens the event
  return link;
}
// On a narrow screen the first three are seen without scrolling.
const EVENT_COLUMNS = [
  { name: "Series", value: (e) => e.series, cell: eventLink, className: "name-cell" },
  { name: "Start", value: (e) => e.start, cell: (e) => timeText(e.start) },
  { name: "Score", value: (e) => e.score, cell: (e) => short(e.score), isNumber: true, className: "number" },
  { name: "Duration", value: (e) => e.duration, cell: (e) => durationText(e.duration), isNumber: true, className: "number" },
  { name: "Mark", value: markOf, cell: markTag },
  { name: "Channels", value: channelText, className: "wide-cell" },
  ...(D.events.some((e) => e.raised_by) ? [{ name: "Raised by", value: (e) => e.raised_by || "" }] : []),
  { name: "p-value", value: (e) => e.p, cell: (e) => short(e.p), isNumber: true, className: "number" },
  { name: "Peak", value: (e) => e.peak, cell: (e) => timeText(e.peak), className: "peak-cell" },
  { name: "End", value: (e) => e.end, cell: (e) => timeText(e.end) },
];

function filtered() {
  const series = $("filter-series").value, mark = $("filter-mark").value;
  const score = +$("filter-score").value, duration = +$("filter-duration").value * (isClock ? +$("filter-unit").value : 1);
  return D.events.filter((event) =>
    (!series || event.series === series) && event.score >= score && event.duration >= duration &&
    (!mark || (mark === "none" ? !markOf(event) : markOf(event) === mark)));
}
const eventTable = makeTable($("events"), {
  columns: EVENT_COLUMNS,
  rows: filtered,
  order: [2, -1],
  open: (event) => choose(event, true),
  key: (event, key) => {
    const name = key.length === 1 ? key.toLowerCase() : key;
    if (!(name in MARK_KEYS)) return false;
    mark(event, MARK_KEYS[name]);
    return true;
  },
  limit: PAGE_ROWS,
});
let rowLimit = PAGE_ROWS;
function showEvents() {
  eventTable.fill();
  const n = eventTable.shown().length, all = D.events.length;
  const listed = Math.min(n, rowLimit);
  $("more").hidden = n <= rowLimit;
  $("save-events").disabled = !n;
  $("events-keys").hidden = !all;
  $("events-count").textContent = !all ? "There are no events."
    : (n === all ? `${all} event${all === 1 ? "" : "s"}.` : `${n} of ${all} events.`) + (listed < n ? ` The first ${listed} in this order are listed.` : "");
  $("events-printed").textContent = listed > PRINT_ROWS ? `The first ${PRINT_ROWS} are printed.` : "";
  showStep();
}
function mark(event, value) {
  setMark(event, value);
  eventTable.update(event);
  if (chosen === event) showMarking(event);
}

const withEvents = [...new Set(D.events.map((e) => e.series))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
for (const name of withEvents) $("filter-series").append(new Option(name, name));
for (const [text, value] of [["all", ""], ["not marked", "none"], ...MARKS.map((m) => [m, m])]) $("filter-mark").append(new Option(text, value));
for (const [unit, seconds] of UNITS) $("filter-unit").append(new Option(unit, seconds, unit === "min", unit === "min"));
$("filter-unit").hidden = !isClock;
$("filters").hidden = !D.events.length;
function filterAgain() {
  rowLimit = PAGE_ROWS;
  eventTable.limit(rowLimit);
  showEvents();
}
$("filters").oninput = filterAgain;
$("filters").onreset = () => setTimeout(filterAgain);
$("filters").onsubmit = (submit) => submit.preventDefault();
$("more").onclick = () => {
  rowLimit += PAGE_ROWS;
  eventTable.limit(rowLimit);
  showEvents();
};
$("save-events").onclick = () => saveEvents(eventTable.shown());
$("save-marks").onclick = saveMarks;

// The address names what is open, so that it can be sent to somebody.
function setAddress(name) {
  history.replaceState(null, "", "#" + name);
}
function openAddress() {
  const found = /^#(event|series)-(.*)$/.exec(location.hash);
  if (!found) return false;
  if (found[1] === "series") {
    const name = decodeURIComponent(found[2]);
    if (!D.overview.series.some((series) => series.name === name)) return false;
    showSeries(name);
    return true;
  }
  const event = D.events[+found[2]];
  if (!event) return false;
  choose(event, true);
  $("h-detail").scrollIntoView({ block: "start" });
  return true;
}
