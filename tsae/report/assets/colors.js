// Colours come from the style sheet, for the light page, the dark one and print.

let styles = getComputedStyle(document.documentElement);
const color = (name) => styles.getPropertyValue("--" + name).trim();
const repaints = []; // functions that draw again with the colours of now
const repaint = () => repaints.forEach((draw) => draw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

// Paper is white, and has its own width.
const PAPER_WIDTH = 700;
addEventListener("beforeprint", () => {
  document.documentElement.dataset.print = "yes";
  resizeCharts(PAPER_WIDTH);
  repaint();
});
addEventListener("afterprint", () => {
  delete document.documentElement.dataset.print;
  resizeCharts(null);
  repaint();
});
