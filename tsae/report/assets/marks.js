// What operators say of events, and files to save. Marks stay in the browser until they are saved.

const MARKS = ["normal", "fault", "unclear"];
const MARK_KEYS = { n: "normal", f: "fault", u: "unclear", Delete: null, Backspace: null };
const STORE = "tsae-marks-" + D.key;
let canStore = true;
const marks = new Map(readMarks()); // number of the event -> mark
const markOf = (event) => marks.get(event.id) || "";

function readMarks() {
  try {
    const stored = JSON.parse(localStorage.getItem(STORE) || "[]");
    return stored.filter(([id, mark]) => id < D.events.length && MARKS.includes(mark));
  } catch {
    canStore = false;
    return [];
  }
}
function setMark(event, mark) {
  if (mark) marks.set(event.id, mark);
  else marks.delete(event.id);
  try {
    localStorage.setItem(STORE, JSON.stringify([...marks]));
  } catch {
    canStore = false;
  }
  showMarks();
}
function showMarks() {
  $("save-marks").disabled = !marks.size;
  $("marks-hint").textContent = !marks.size ? "" : canStore
    ? `${marks.size} marked; this browser keeps the marks.`
    : `${marks.size} marked; this browser does not keep them, so save them before you close the page.`;
}

const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
const csv = (rows) => rows.map((row) => row.map((value) => quoted(String(value ?? ""))).join(",") + "\n").join("");
function save(name, rows) {
  const link = element("a");
  link.download = name;
  const address = URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv" }));
  link.href = address;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
// Names with a space or a quote are quoted, as in events.csv.
const joined = (names) => names.map((name) => (/[\s",]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name)).join(" ");
function saveEvents(events) {
  const head = ["series", "start", "end", "peak", "score", "p_value", "extrapolated_p_value", "channels", "raised_by", "mark"];
  save("events.csv", [head, ...events.map((e) => [e.series, ...e.text, e.score, e.p, e.extrapolated, joined(e.channels), e.raised_by, markOf(e)])]);
}
function saveMarks() {
  const marked = D.events.filter(markOf);
  save("marks.csv", [["series", "start", "end", "mark"], ...marked.map((e) => [e.series, e.text[0], e.text[1], markOf(e)])]);
}
