"use strict";
(() => {
  const D = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const css = getComputedStyle(document.documentElement);
  const color = (name) => css.getPropertyValue("--" + name).trim();
  const narrow = () => window.innerWidth <= 700;

  // ---------------------------------------------------------------- text and numbers

  const pad = (n) => String(n).padStart(2, "0");
  function timeText(value) {
    if (value === null) return "";
    if (!D.is_time) return String(+value.toPrecision(12));
    const d = new Date(Math.round(value * 1000));
    const day = `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())}`;
    return `${day} ${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}` + (d.getUTCSeconds() ? ":" + pad(d.getUTCSeconds()) : "");
  }
  // uPlot's labels for ticks at least so many seconds apart; a second line shows changes of the year or day.
  const CLOCK = [
    [31536000, "{YYYY}", null, null, null, null, null, null, 1],
    [2419200, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
    [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
  ];
  function short(value) {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1);
    return String(+value.toPrecision(4));
  }
  function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  // ---------------------------------------------------------------- charts

  const charts = new Map(); // uPlot -> its container
  const resize = new ResizeObserver((entries) => {
    for (const entry of entries)
      for (const [chart, box] of charts)
        if (box === entry.target && entry.contentRect.width > 0 && Math.abs(chart.width - entry.contentRect.width) >= 1)
          chart.setSize({ width: Math.floor(entry.contentRect.width), height: chart.height });
  });

  function discard(parent) {
    for (const [chart, box] of [...charts])
      if (parent.contains(box)) {
        resize.unobserve(box);
        charts.delete(chart);
        chart.destroy();
      }
    parent.replaceChildren();
  }

  // Shade time ranges: [[from, to, color], ...], at least two pixels wide.
  function shading(stretches) {
    return {
      hooks: {
        drawClear: (u) => {
          const { ctx, bbox } = u;
          ctx.save();
          ctx.beginPath();
          ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
          ctx.clip();
          for (const [from, to, fill] of stretches()) {
            if (to < u.scales.x.min || from > u.scales.x.max) continue;
            const a = u.valToPos(from, "x", true), b = u.valToPos(to, "x", true);
            const wide = Math.max(b - a, 2 * devicePixelRatio);
            ctx.fillStyle = fill;
            ctx.fillRect((a + b) / 2 - wide / 2, bbox.top, wide, bbox.height);
          }
          ctx.restore();
        },
      },
    };
  }

  // One finger moves, two fingers zoom; a vertical swipe still scrolls the page.
  function touchZoom(view) {
    return {
      hooks: {
        ready: (u) => {
          const over = u.over;
          over.classList.add("touch");
          let began = null;
          const at = (touch) => (touch.clientX - over.getBoundingClientRect().left) / over.clientWidth;
          const read = (event) => {
            const xs = [...event.touches].map(at);
            return { x: xs.reduce((a, b) => a + b) / xs.length, spread: xs.length > 1 ? Math.abs(xs[1] - xs[0]) : 0, n: xs.length };
          };
          const start = (event) => {
            began = event.touches.length ? { ...read(event), min: u.scales.x.min, max: u.scales.x.max } : null;
          };
          over.addEventListener("touchstart", start, { passive: true });
          over.addEventListener("touchend", start, { passive: true });
          over.addEventListener("touchmove", (event) => {
            if (!began) return;
            const now = read(event);
            if (now.n !== began.n) return start(event);
            const span = began.max - began.min;
            const factor = now.n > 1 && now.spread > 0.02 ? Math.min(Math.max(began.spread / now.spread, 0.05), 20) : 1;
            const min = began.min + began.x * span - now.x * span * factor;
            view(min, min + span * factor);
          }, { passive: true });
        },
      },
    };
  }

  function makeChart(parent, name, data, options) {
    const box = element("div", undefined, "panel");
    box.append(element("span", name, "name"));
    const readout = element("span", "", "readout");
    box.append(readout);
    parent.append(box);
    const width = Math.max(Math.floor(box.clientWidth), 120);
    const axis = { stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line"), width: 1 }, font: "11px system-ui, sans-serif" };
    const chart = new uPlot({
      width,
      height: options.height,
      legend: { show: false },
      padding: [6, 14, 0, 0],
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), "Etc/UTC"),
      cursor: { sync: options.sync ? { key: options.sync, scales: ["x", null] } : undefined, drag: { x: !!options.view, y: false, setScale: false }, y: false, points: { size: 6 }, ...(options.bind ? { bind: options.bind } : {}) },
      scales: { x: { time: !!options.time, ...(options.xLog ? { distr: 3 } : {}), ...(options.range ? { range: options.range } : {}) }, y: options.yLog ? { distr: 3 } : {} },
      axes: [
        { ...axis, size: options.hideX ? 6 : options.time ? 42 : 30, ...(options.hideX ? { values: () => [] } : {}), ...(options.xLog ? { values: logText } : {}), ...(options.time && !options.hideX ? { values: CLOCK } : {}), ...(options.whole ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] } : {}) },
        { ...axis, size: narrow() ? 46 : 58, space: 26, values: options.yLog ? logText : (u, ticks) => ticks.map(short) },
      ],
      series: [{}, ...options.series.map((s) => ({ width: 1.2, points: { show: false }, spanGaps: false, ...s }))],
      plugins: options.plugins || [],
      hooks: {
        setCursor: [(u) => {
          const i = u.cursor.idx;
          readout.textContent = i === null || i === undefined || u.data[0][i] === undefined ? "" :
            options.read(u, i);
        }],
        setSelect: options.view ? [(u) => {
          if (u.select.width > 3) options.view(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        }] : [],
      },
    }, data, box);
    charts.set(chart, box);
    resize.observe(box);
    return chart;
  }
  // If there are many ticks, label only powers of ten.
  function logText(u, ticks) {
    const few = ticks.filter((t) => t !== null).length <= 6;
    return ticks.map((t) => (t === null ? "" : few || Math.abs(Math.log10(t) - Math.round(Math.log10(t))) < 1e-9 ? short(t) : ""));
  }

  // ---------------------------------------------------------------- facts

  for (const [name, value] of D.facts) {
    const fact = element("div");
    fact.append(element("dt", name), element("dd", value));
    $("facts").append(fact);
  }

  // ---------------------------------------------------------------- timeline

  let current = null, shown = [], full = [0, 1], range = [0, 1];

  function view(min, max) {
    const whole = full[1] - full[0];
    const span = Math.min(Math.max(max - min, whole * 1e-5), whole);
    min = Math.min(Math.max(min, full[0]), full[1] - span);
    range = [min, min + span];
    for (const chart of shown) chart.setScale("x", { min: range[0], max: range[1] });
  }
  const zoom = (factor) => {
    const middle = (range[0] + range[1]) / 2, half = ((range[1] - range[0]) / 2) * factor;
    view(middle - half, middle + half);
  };
  const move = (share) => view(range[0] + share * (range[1] - range[0]), range[1] + share * (range[1] - range[0]));
  $("in").onclick = () => zoom(0.5);
  $("out").onclick = () => zoom(2);
  $("left").onclick = () => move(-0.5);
  $("right").onclick = () => move(0.5);
  $("all").onclick = () => view(full[0], full[1]);

  function showSeries(name) {
    const series = D.series.find((s) => s.name === name);
    if (!series || current === series) return;
    current = series;
    $("series").value = name;
    discard($("timeline"));
    $("thinned").textContent = series.thinned > 1 ? `Lines show the lowest and highest of every ${series.thinned} steps.` : "";
    full = [series.time[0], series.time[series.time.length - 1]];
    if (full[0] === full[1]) full[1] += 1;
    range = full.slice();
    const own = D.events.filter((e) => e.series === name).map((e) => [e.start, e.end, color("event") + "40"]);
    const known = (series.labels || []).map(([a, b]) => [a, b, color("label") + "45"]);
    const common = {
      time: D.is_time,
      sync: "timeline",
      view,
      range: () => range,
      plugins: [shading(() => known.concat(own)), touchZoom(view)],
      bind: { dblclick: () => () => view(full[0], full[1]) },
    };
    const threshold = series.time.map(() => D.threshold);
    shown = [makeChart($("timeline"), "anomaly score", [series.time, series.score, threshold], {
      ...common, height: 190, yLog: true, hideX: false,
      series: [{ stroke: color("score") }, { stroke: "#555", dash: [5, 4], width: 1 }],
      read: (u, i) => `${timeText(u.data[0][i])}  ${short(u.data[1][i])}`,
    })];
    D.channels.forEach((channel, i) => {
      const last = i === D.channels.length - 1;
      shown.push(makeChart($("timeline"), channel, [series.time, series.values[i]], {
        ...common, height: last ? 132 : 96, hideX: !last,
        series: [{ stroke: color("ink"), width: 1 }],
        read: (u, k) => short(u.data[1][k]),
      }));
    });
  }
  for (const series of D.series) $("series").append(new Option(series.name, series.name));
  $("series").onchange = () => showSeries($("series").value);
  $("series-box").hidden = D.series.length < 2;
  $("label-key").hidden = !D.series.some((s) => s.labels);

  // ---------------------------------------------------------------- events

  const columns = [
    ["Series", (e) => e.series, false], ["Start", (e) => e.start, false, timeText], ["End", (e) => e.end, false, timeText],
    ["Peak", (e) => e.peak, false, timeText], ["Score", (e) => e.score, true, short], ["p-value", (e) => e.p, true, short],
    ["Channels", (e) => e.channels.join(", "), false],
  ];
  let order = [4, -1], chosen = null;
  const sorted = () => {
    const [column, sign] = order, value = columns[column][1];
    return D.events.slice().sort((a, b) => sign * (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0));
  };
  function fillEvents() {
    const body = $("events").tBodies[0];
    body.replaceChildren();
    for (const event of sorted().slice(0, 500)) {
      const row = element("tr");
      row.tabIndex = 0;
      row.classList.toggle("chosen", event === chosen);
      for (const [, value, isNumber, text] of columns) row.append(element("td", text ? text(value(event)) : value(event), isNumber ? "number" : ""));
      row.onclick = () => choose(event, true);
      row.onkeydown = (key) => { if (key.key === "Enter") choose(event, true); };
      body.append(row);
    }
  }
  const head = element("tr");
  columns.forEach(([name, , isNumber], i) => {
    const cell = element("th", undefined, isNumber ? "number" : ""), button = element("button", name);
    button.onclick = () => { order = [i, order[0] === i ? -order[1] : i === 4 ? -1 : 1]; fillEvents(); };
    cell.append(button);
    head.append(cell);
  });
  $("events").tHead.append(head);
  $("events-hint").textContent = D.events.length === 0 ? "No timestamp is above the threshold." :
    "Select an event to show it in the timeline and below." + (D.events.length > 500 ? " The first 500 in this order are listed." : "");

  function choose(event, scroll) {
    chosen = event;
    fillEvents();
    showSeries(event.series);
    if (current && current.name === event.series) {
      const around = Math.max((event.end - event.start) * 2, (full[1] - full[0]) / 60);
      if (scroll) view(event.start - around, event.end + around);
    }
    showDetail(event);
  }

  const detailed = D.events.filter((e) => e.detail !== null).sort((a, b) => a.detail - b.detail);
  function showDetail(event) {
    const box = $("detail");
    discard(box);
    $("h-detail").textContent = `Event of ${event.series}, ${timeText(event.start)}`;
    const place = detailed.indexOf(event);
    $("previous").disabled = place <= 0;
    $("next").disabled = place < 0 ? !detailed.length : place >= detailed.length - 1;
    if (event.detail === null) {
      $("detail-hint").textContent = "";
      box.append(element("p", `The reconstruction is shown for the ${detailed.length} events with the highest scores only.`, "empty"));
      return;
    }
    const detail = D.details[event.detail];
    $("detail-hint").textContent = detail.n_channels_left_out ? `${detail.n_channels_left_out} channels with smaller contributions are not shown.` : "";
    detail.channels.forEach((channel, i) => {
      const last = i === detail.channels.length - 1;
      makeChart(box, `${channel.name}: ${Math.round(channel.share * 100)} % of the score`, [detail.time, channel.values, channel.reconstruction], {
        time: D.is_time, sync: "detail", height: last ? 150 : 114, hideX: !last,
        series: [{ stroke: color("score"), width: 1.4 }, { stroke: color("reconstruction"), width: 1.4 }],
        plugins: [shading(() => [[event.start, event.end, color("event") + "30"]])],
        read: (u, k) => `${last || i === 0 ? timeText(u.data[0][k]) + "  " : ""}${short(u.data[1][k])} / ${short(u.data[2][k])}`,
      });
    });
  }
  const step = (by) => () => {
    const place = detailed.indexOf(chosen);
    const event = detailed[place < 0 ? 0 : place + by];
    if (event) choose(event, true);
  };
  $("previous").onclick = step(-1);
  $("next").onclick = step(1);

  // ---------------------------------------------------------------- calibration, training

  function showCalibration() {
    const c = D.calibration;
    makeChart($("calibration"), "", [c.score, c.normal, c.p_value, c.observed], {
      height: 260, xLog: true, yLog: true,
      series: [{ stroke: color("score"), width: 2 }, { stroke: color("reconstruction"), dash: [6, 4] }, { stroke: color("observed") }],
      plugins: [shading(() => (D.threshold === null ? [] : [[D.threshold, D.threshold, "#555"]]))],
      read: (u, i) => `score ${short(u.data[0][i])}: normal ${short(u.data[1][i])}, this data ${short(u.data[3][i])}`,
    });
  }
  function showHistory() {
    const h = D.history;
    $("history-section").hidden = !h;
    if (!h) return;
    $("validation-key").hidden = !h.val_loss;
    const lines = [h.loss, ...(h.val_loss ? [h.val_loss] : [])];
    makeChart($("history"), "", [h.epoch, ...lines], {
      height: 260, whole: true, yLog: lines.every((line) => line.every((v) => v === null || v > 0)),
      series: [{ stroke: color("score"), width: 2, points: { show: h.epoch.length < 2 } }, { stroke: color("observed"), width: 2 }].slice(0, lines.length),
      read: (u, i) => `epoch ${u.data[0][i]}: ` + lines.map((_, k) => short(u.data[k + 1][i])).join(" / "),
    });
  }

  if (D.series.length) showSeries((detailed[0] || D.series[0]).series || D.series[0].name);
  if (detailed.length) choose(detailed[0], false);
  else {
    fillEvents();
    $("detail-section").hidden = true;
  }
  showCalibration();
  showHistory();
  document.body.dataset.ready = "yes";
})();
