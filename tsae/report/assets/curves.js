// Calibration and training of the detector.

function showCalibration() {
  const c = D.calibration;
  $("calibration-section").hidden = !c;
  if (!c) return;
  makeChart($("calibration"), "", [c.score, c.normal, c.p_value, c.observed], {
    height: 260, xLog: true, yLog: true, label: "calibration",
    series: [{ ink: "score", width: 2 }, { ink: "reconstruction", dash: [6, 4] }, { ink: "observed" }],
    plugins: [shading(() => (D.threshold === null ? [] : [[D.threshold, D.threshold, "soft", 1]]))],
    read: (u, i) => `score ${short(u.data[0][i])}: normal ${short(u.data[1][i])}, this data ${short(u.data[3][i])}`,
  });
}
function showHistory() {
  const h = D.history;
  $("history-section").hidden = !h;
  if (!h) return;
  showKey("validation", h.val_loss);
  const lines = [h.loss, ...(h.val_loss ? [h.val_loss] : [])];
  makeChart($("history"), "", [h.epoch, ...lines], {
    height: 260, whole: true, yLog: lines.every((line) => line.every((v) => v === null || v > 0)), label: "losses by epoch",
    series: [{ ink: "score", width: 2 }, { ink: "observed", width: 2 }].slice(0, lines.length),
    read: (u, i) => `epoch ${u.data[0][i]}: ` + lines.map((_, k) => short(u.data[k + 1][i])).join(" / "),
  });
}
