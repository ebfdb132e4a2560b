// Fill the page, and open what the address names, or the highest event.

showFacts($("facts"), D.facts);
showKey("labels", hasLabels);
showKey("threshold", D.threshold !== null);
showKey("reconstruction", D.details.some((detail) => detail.channels.some((channel) => channel.reconstruction)));
$("overview-section").hidden = D.overview.series.length < 2;
$("series-box").hidden = D.series.length < 2;
$("detail-section").hidden = !D.events.length;
showOverview();
showEvents();
showMarks();
const highest = D.events.reduce((best, event) => (best && best.score >= event.score ? best : event), null);
if (highest) choose(highest, false);
else showSeries(D.series[0].name);
openAddress();
addEventListener("hashchange", openAddress);
showCalibration();
showHistory();
document.body.dataset.ready = "yes";
