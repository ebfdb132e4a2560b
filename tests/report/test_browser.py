"""The report page in a real Chromium: drawn, driven by mouse and keys, on a phone, in the dark, on paper."""

from __future__ import annotations

import io
import re

import numpy as np
import pandas as pd
import pytest

from tests.report.browser import expect, start_chromium
from tsae import write_report
from tsae.data.series import GroupedSeries
from tsae.jobs.labels import Labels

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
N = 600  # rows of each series
NAMES = ["north", "south pump", "west, old"]
# Series, first and last row, score, and which score is the largest.
EVENTS = [
    (0, 100, 129, 3.0, "errors"),
    (0, 300, 300, 2.5, "subspace"),
    (1, 50, 169, 9.0, "errors"),
    (1, 400, 409, 4.0, "errors"),
    (2, 500, 519, 6.0, "subspace"),
]


def tables():
    """Three series of two channels, with five events, of which two are on labels."""
    rng = np.random.default_rng(0)
    times = pd.date_range("2024-03-01", periods=N, freq="min")
    timeline = pd.DataFrame({"series": np.repeat(NAMES, N), "time": np.tile(times, len(NAMES))})
    n = len(timeline)
    timeline = timeline.assign(
        score=rng.uniform(0.1, 0.9, n), p_value=rng.uniform(0.05, 1, n), contribution_load=0.6, contribution_heat=0.2
    )
    values = pd.DataFrame({"load": np.sin(np.arange(n) / 9), "heat": rng.normal(20, 1, n)})
    rows = []
    for number, first, last, score, raised_by in EVENTS:
        begin, end = number * N + first, number * N + last
        timeline.loc[begin:end, ["score", "p_value"]] = score, 10.0**-score
        rows.append(
            {
                "series": NAMES[number], "start": times[first], "end": times[last], "peak": times[first],
                "score": score, "p_value": 10.0**-score, "channels": ("load", "heat"), "raised_by": raised_by,
                "extrapolated_p_value": 10.0 ** -(2 * score) if score > 5 else np.nan,
            }
        )  # fmt: skip
    labels = np.zeros(n, dtype=bool)
    labels[[105, N + 60, N + 61, 2 * N + 10]] = True
    return timeline, pd.DataFrame(rows), values, labels


@pytest.fixture(scope="module")
def chromium():
    yield from start_chromium()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    timeline, events, values, labels = tables()
    path = tmp_path_factory.mktemp("page") / "report.html"
    return write_report(path, timeline, events, values=values, labels=labels, alpha=0.01, title="Plant").as_uri()


@pytest.fixture
def visit(chromium, address):
    """A function that opens the page in a new profile; afterwards no page may have had an error or a request."""
    contexts, troubles = [], []

    def open_page(part="", viewport=DESKTOP, **options):
        contexts.append(chromium.new_context(viewport=viewport, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: troubles.append(message.text))
        page.on("request", lambda request: request.url.startswith(("file:", "blob:")) or troubles.append(request.url))
        page.goto(address + part)
        page.wait_for_selector("body[data-ready=yes]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def column(page, number, table="events"):
    return page.locator(f"#{table} tbody tr td:nth-child({number})").all_inner_texts()


def focused(page):
    """Text of the first cell of the row that has the focus."""
    return page.evaluate("document.activeElement.closest('tbody tr')?.cells[0].innerText ?? null")


def saved(page, button, path=None):
    """The table that a button saves; its file is kept at `path`."""
    with page.expect_download() as download:
        page.click(button)
    text = download.value.path().read_bytes()
    if path is not None:
        path.write_bytes(text)
    return pd.read_csv(io.BytesIO(text))


def test_everything_is_drawn(visit):
    page = visit()
    assert page.locator("#overview canvas").count() == 3
    assert page.locator("#timeline canvas").count() == 1 + 1 + 2  # score, labels, channels
    assert page.locator("#detail canvas").count() == 2
    names, texts = (page.locator(f"#facts {tag}").all_inner_texts() for tag in ("dt", "dd"))
    facts = dict(zip(names, texts, strict=True))
    assert facts["Period"] == "2024-03-01 00:00 – 2024-03-01 09:59"
    assert facts["Alpha"] == "0.01"
    assert facts["Recall"].startswith("67%")
    assert facts["Precision"].startswith("40%")
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d UTC", facts["Created"])
    detail = page.locator("#detail-facts").inner_text()
    assert "Raised by\nerrors" in detail
    assert "load 75 %" in detail
    assert not page.locator("#calibration-section").is_visible()


def test_labels_are_a_bar_below_the_scores(visit):
    page = visit("#series-north")
    marked = page.evaluate("""() => {
      const canvas = document.querySelectorAll("#timeline canvas")[1];
      const { data } = canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1);
      const green = (i) => data[i] < 60 && data[i + 1] > 100 && data[i + 3] === 255;
      return [...Array(canvas.width).keys()].filter((x) => green(4 * x)).map((x) => x / canvas.width);
    }""")
    assert marked
    assert all(0.15 < place < 0.27 for place in marked)  # row 105 of 600, right of the axis


def test_the_overview_opens_series_by_mouse_and_by_keys(visit):
    page = visit()
    assert column(page, 1, "overview") == NAMES
    assert column(page, 3, "overview") == ["2", "2", "1"]
    page.click("#overview tbody tr:nth-child(3)")
    assert page.input_value("#series") == "west, old"
    assert page.url.endswith("#series-west%2C%20old")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert focused(page) == "north"
    page.keyboard.press("Enter")
    assert page.input_value("#series") == "north"
    assert focused(page) == "north"
    assert page.get_attribute("#overview tbody tr:nth-child(1)", "aria-current") == "true"


def test_heads_sort_and_say_so(visit):
    page = visit()
    head = page.locator("#events th", has_text="Start")
    assert head.get_attribute("aria-sort") == "none"
    assert page.locator("#events th", has_text="Score").get_attribute("aria-sort") == "descending"
    assert column(page, 3) == ["9", "6", "4", "3", "2.5"]
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, 2) == sorted(column(page, 2))
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, 2) == sorted(column(page, 2), reverse=True)
    page.click("#events th:has-text('Duration') button")
    assert column(page, 4)[0] == "1.98 h"
    assert column(page, 4)[-1] == "one row"


def test_filters_narrow_the_list_and_what_is_saved(visit):
    page = visit()
    page.fill("#filter-score", "3")
    page.fill("#filter-duration", "0.25")
    page.select_option("#filter-unit", label="h")
    assert column(page, 3) == ["9", "6", "3"]
    page.select_option("#filter-series", "south pump")
    assert column(page, 3) == ["9"]
    assert page.inner_text("#events-count") == "1 of 5 events."
    assert len(saved(page, "#save-events")) == 1
    page.click("#filter-reset")
    expect(page.locator("#events tbody tr")).to_have_count(5)


def test_saved_events_are_those_of_the_table(visit):
    _, events, _, _ = tables()
    table = saved(visit(), "#save-events")
    expected = events.sort_values("score", ascending=False, ignore_index=True)
    for name in ("start", "end", "peak"):
        assert pd.to_datetime(table[name]).tolist() == expected[name].tolist()
    assert table["series"].tolist() == expected["series"].tolist()
    numbers = ["score", "p_value", "extrapolated_p_value"]
    np.testing.assert_allclose(table[numbers], expected[numbers], rtol=1e-4)
    assert table["channels"].tolist() == ["load heat"] * 5
    assert table["raised_by"].tolist() == expected["raised_by"].tolist()


def test_the_table_is_walked_by_keys_and_the_focus_is_kept(visit):
    page = visit()
    page.focus("#events tbody tr:nth-child(1)")
    page.keyboard.press("ArrowDown")
    assert focused(page) == "west, old"
    page.keyboard.press("Enter")
    assert page.inner_text("#h-detail") == "Event of west, old, 2024-03-01 08:20"
    assert page.input_value("#series") == "west, old"
    assert focused(page) == "west, old"
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")  # there is none further down
    page.keyboard.press("Enter")
    assert page.inner_text("#h-detail") == "Event of north, 2024-03-01 05:00"
    page.keyboard.press("Home")
    assert focused(page) == "south pump"
    assert page.locator("#events tbody tr[tabindex='0']").count() == 1
    page.click("#previous")
    assert page.inner_text("#h-detail") == "Event of north, 2024-03-01 01:40"


def test_marks_are_set_kept_filtered_and_saved(visit, tmp_path):
    page = visit()
    assert page.is_disabled("#save-marks")
    page.focus("#events tbody tr:nth-child(1)")
    page.keyboard.press("f")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("n")
    assert focused(page) == "west, old"
    page.click("#events tbody tr:nth-child(3)")
    page.check("#marking input[value=unclear]")
    page.click("#events tbody tr:nth-child(4)")
    page.keyboard.press("u")
    page.keyboard.press("Delete")
    assert column(page, 5) == ["fault", "normal", "unclear", "", ""]
    page.reload()
    page.wait_for_selector("body[data-ready=yes]")
    assert column(page, 5) == ["fault", "normal", "unclear", "", ""]
    assert page.is_checked("#marking input[value='']")  # the address still names the event without a mark
    page.select_option("#filter-mark", "none")
    assert column(page, 3) == ["3", "2.5"]
    marks = saved(page, "#save-marks", tmp_path / "marks.csv")
    assert list(marks.columns) == ["series", "start", "end", "mark"]
    assert marks.astype(str).to_numpy().tolist() == [
        ["south pump", "2024-03-01 00:50:00", "2024-03-01 02:49:00", "fault"],
        ["south pump", "2024-03-01 06:40:00", "2024-03-01 06:49:00", "unclear"],
        ["west, old", "2024-03-01 08:20:00", "2024-03-01 08:39:00", "normal"],
    ]
    timeline, _, _, _ = tables()
    offsets, times = np.arange(4) * N, pd.Index(timeline["time"])
    series = GroupedSeries(np.zeros((3 * N, 1)), offsets, pd.Index(NAMES), ["load"], times)
    labels = Labels.of(str(tmp_path / "marks.csv")).of_rows(series, pd.DataFrame())
    assert np.flatnonzero(labels == 1).tolist() == list(range(N + 50, N + 170))
    assert np.flatnonzero(np.isnan(labels)).tolist() == list(range(N + 400, N + 410))


def test_the_address_names_what_is_open(visit):
    page = visit("#event-3")
    assert page.inner_text("#h-detail") == "Event of south pump, 2024-03-01 06:40"
    page.click("#events tbody tr:nth-child(2) a")
    assert page.url.endswith("#event-4")
    page.evaluate("location.hash = '#event-0'")
    expect(page.locator("#h-detail")).to_have_text("Event of north, 2024-03-01 01:40")
    unknown = visit("#event-77")
    assert unknown.inner_text("#h-detail") == "Event of south pump, 2024-03-01 00:50"  # the highest


def luminance(color):
    """Relative luminance of "#rrggbb", as WCAG 2 defines it."""
    parts = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_that_of_wcag_aa(visit, scheme):
    page = visit(color_scheme=scheme)
    grounds, texts = ("paper", "wash", "chosen"), ("ink", "soft", "normal-mark", "fault-mark", "unclear-mark")
    lines = ("score", "reconstruction", "event", "label", "observed", "border")
    pairs = {(text, ground): 4.5 for text in texts for ground in grounds} | {(line, "paper"): 3.0 for line in lines}
    names = [*grounds, *texts, *lines]
    read = "(names) => names.map((n) => getComputedStyle(document.documentElement).getPropertyValue('--' + n).trim())"
    light = dict(zip(names, map(luminance, page.evaluate(read, names)), strict=True))
    for (one, other), least in pairs.items():
        low, high = sorted((light[one], light[other]))
        assert (high + 0.05) / (low + 0.05) >= least, (one, other)


BRIGHTNESS = """() => {
  const copy = document.createElement("canvas").getContext("2d");
  copy.drawImage(document.querySelector("#overview canvas"), 0, 0);
  return [getComputedStyle(document.body).backgroundColor, copy.getImageData(0, 0, 1, 1).data[0]];
}"""


def test_the_page_turns_dark_while_it_is_open(visit):
    page = visit()
    ground, strip = page.evaluate(BRIGHTNESS)
    assert (ground, strip > 150) == ("rgb(244, 246, 249)", True)
    page.emulate_media(color_scheme="dark")
    for _ in range(100):  # what was drawn follows within a frame
        ground, strip = page.evaluate(BRIGHTNESS)
        if strip < 100:
            break
        page.wait_for_timeout(20)
    assert (ground, strip < 100) == ("rgb(15, 19, 25)", True)


def test_a_phone_shows_what_matters_first(visit):
    page = visit(viewport=PHONE, is_mobile=True, has_touch=True, device_scale_factor=2)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    heads = page.locator("#events th")
    assert heads.all_inner_texts()[:3] == ["Series", "Start", "Score"]
    for number in range(3):
        box = heads.nth(number).bounding_box()
        assert box["x"] + box["width"] <= PHONE["width"]
    assert page.evaluate("scrollY") == 0
    page.tap("#events tbody tr:nth-child(2)")
    expect(page.locator("#h-detail")).to_have_text("Event of west, old, 2024-03-01 08:20")
    assert 0 <= page.locator("#h-detail").bounding_box()["y"] < PHONE["height"] / 3


def test_paper_is_white_wide_and_without_buttons(visit):
    page = visit(color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(29, 36, 48)"
    assert page.evaluate("getComputedStyle(document.querySelector('.key'), '::before').printColorAdjust") == "exact"
    for hidden in ("button", "#filters", "#marking", ".screen", "#series"):
        assert not any(page.locator(hidden).nth(i).is_visible() for i in range(page.locator(hidden).count()))
    widths = page.evaluate("""() => [...document.querySelectorAll("main .panel canvas")].map(
      (canvas) => [canvas.clientWidth, canvas.closest("section").clientWidth])""")
    assert widths
    assert all(canvas == section for canvas, section in widths)
    whole = "(({ scrollHeight, clientHeight }) => scrollHeight === clientHeight)"
    assert page.evaluate(f"{whole}(document.querySelector('#events').closest('.scroll'))")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.print") is None
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_long_lists_come_in_pieces(chromium, tmp_path):
    n = 450
    times = pd.date_range("2024-03-01", periods=2 * n, freq="min")
    timeline = pd.DataFrame(
        {"series": 7, "time": times, "score": np.tile([0.5, 2.0], n), "p_value": np.tile([0.5, 0.001], n)}
    )
    flagged = timeline[1::2]
    events = pd.DataFrame({name: flagged["time"].to_numpy() for name in ("start", "end", "peak")})
    events = events.assign(series=7, score=2.0, p_value=0.001, channels=[()] * n)
    page = chromium.new_page()
    page.goto(write_report(tmp_path / "long.html", timeline, events, alpha=0.01).as_uri())
    page.wait_for_selector("body[data-ready=yes]")
    assert page.locator("#events tbody tr").count() == 200
    assert page.inner_text("#events-count") == "450 events. The first 200 in this order are listed."
    page.click("#more")
    page.click("#more")
    assert page.locator("#events tbody tr").count() == 450
    assert not page.is_visible("#more")
    assert not page.is_visible("#overview-section")  # one series needs none
    page.emulate_media(media="print")
    assert page.locator("#events tbody tr:visible").count() == 100
    assert page.is_visible("text=The first 100 are printed.")
    page.emulate_media(media="screen")
    assert len(saved(page, "#save-events")) == n
    page.context.close()


def test_of_many_channels_those_of_the_events_come_first(chromium, tmp_path):
    timeline, events, _, _ = tables()
    values = np.random.default_rng(1).normal(size=(len(timeline), 20))
    table = pd.DataFrame(values, columns=[f"c{number}" for number in range(20)])
    events = events.assign(channels=[("c17", "c12")] * len(events))
    page = chromium.new_page()
    page.goto(write_report(tmp_path / "wide.html", timeline, events, values=table, alpha=0.01).as_uri())
    page.wait_for_selector("body[data-ready=yes]")
    drawn = page.locator("#timeline .name")
    assert drawn.all_inner_texts() == ["anomaly score", "c0", "c1", "c2", "c3", "c4", "c5", "c12", "c17"]
    page.click("text=Show all 20 channels")
    assert drawn.all_inner_texts() == ["anomaly score", *table.columns]
    page.click("text=Show 8 channels")
    assert drawn.count() == 9
    page.context.close()


def test_odd_series_are_drawn_as_far_as_they_go(chromium, tmp_path):
    """No score at all, a single row, a channel without values, one with a value now and then."""
    timeline, events, _, _ = tables()
    timeline = timeline[: 2 * N].assign(series=np.repeat(["short", "single", "plain"], [9, 1, 2 * N - 10]))
    timeline = timeline.assign(time=pd.date_range("2024-03-01", periods=2 * N, freq="min"))
    timeline.loc[:8, ["score", "p_value"]] = np.nan
    sparse = np.where(np.arange(2 * N) % 10 == 0, 1.0, np.nan)
    values = pd.DataFrame({"missing": np.nan, "sparse": sparse})
    events = events[:1].assign(series="plain", start=timeline["time"][200], end=timeline["time"][210])
    address = write_report(tmp_path / "odd.html", timeline, events, values=values, alpha=0.01).as_uri()
    page, troubles = chromium.new_page(), []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(address)
    page.wait_for_selector("body[data-ready=yes]")
    for row, name in enumerate(["plain", "short", "single"]):
        page.click(f"#overview tbody tr:nth-child({row + 1})")
        assert page.input_value("#series") == name
        assert page.locator("#timeline canvas").count() == 3
        assert "missing (no values)" in page.locator("#timeline .name").all_inner_texts()
    page.click("#overview tbody tr:nth-child(1)")
    ink = """() => {
      const canvas = document.querySelectorAll("#timeline canvas")[2];
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let dark = 0;
      for (let i = 3; i < data.length; i += 4) if (data[i] > 200 && data[i - 3] < 60 && data[i - 1] < 80) dark++;
      return dark;
    }"""
    assert page.evaluate(ink) > 100  # the points of the sparse channel, of which no two are neighbours
    assert troubles == []
    page.context.close()
