"""The job `watch`."""

import io
import json
import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest

from tsae.jobs.anomalies import EventRule, run_anomalies
from tsae.jobs.dataset import read_dataset
from tsae.jobs.job import Job
from tsae.jobs.models import open_model, save_model
from tsae.jobs.report import read_parts
from tsae.jobs.spec import Columns, WindowSpec
from tsae.jobs.watch import Watching, watch


@pytest.fixture(scope="module")
def expected(detector_file, table_file, tmp_path_factory):
    """What `tsae anomalies` makes of the table: timeline and events."""
    out = tmp_path_factory.mktemp("anomalies")
    run_anomalies(Job("timeline", detector_file, str(table_file), out, detector_file.spec, "csv"), EventRule(gap=2))
    return in_order(read_parts(out)), pd.read_csv(out / "events.csv", dtype={"series": str})


def in_order(table):
    return table.sort_values(["series", "time"], ignore_index=True)


def records(text, kind):
    rows = [json.loads(line) for line in text.splitlines()]
    return pd.DataFrame([row for row in rows if row.pop("type") == kind])


def assert_as_expected(out, expected):
    timeline, events = expected
    scores = records(out, "score")
    scores["time"] = pd.to_datetime(scores["time"]).astype(timeline["time"].dtype)
    pd.testing.assert_frame_equal(in_order(scores), timeline, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(in_order(scores)["p_value"], timeline["p_value"])
    found = records(out, "event").sort_values(["series", "start"], ignore_index=True)
    assert len(found) == len(events) > 3
    for name in ("start", "end", "peak"):
        assert pd.to_datetime(found[name]).tolist() == pd.to_datetime(events[name]).tolist()
    assert [" ".join(names) for names in found["channels"]] == events["channels"].tolist()


def test_scores_and_events_are_those_of_anomalies(tsae, detector_file, table_file, expected):
    code, out, err = tsae("watch", detector_file.path, table_file, "--gap", 2)
    assert code == 0, err
    assert_as_expected(out, expected)
    assert "watch: 609 rows taken, 0 skipped" in err


def test_the_next_start_goes_on(tsae, detector_file, table_file, expected, tmp_path):
    content = table_file.read_bytes()
    grown, state, printed = tmp_path / "grown.csv", tmp_path / "watch.state", ""
    for end in (100, 9_000, len(content)):
        grown.write_bytes(content[: content[:end].rfind(b"\n") + 1])
        code, out, err = tsae("watch", detector_file.path, grown, "--gap", 2, "--state", state)
        assert code == 0, err
        printed += out
    # With a state, the last rows wait for later ones; the others are all there.
    timeline, _ = expected
    scores = records(printed, "score")
    scores["time"] = pd.to_datetime(scores["time"]).astype(timeline["time"].dtype)
    scores = in_order(scores)
    known = timeline.groupby("series", group_keys=False)[list(timeline)].apply(
        lambda rows: rows.head((scores["series"] == rows["series"].iloc[0]).sum())
    )
    pd.testing.assert_frame_equal(scores, known.reset_index(drop=True), rtol=1e-4, atol=1e-6)
    assert len(timeline) - len(scores) <= 3 * 16
    assert tsae("watch", detector_file.path, grown, "--gap", 2, "--state", state)[:2] == (0, "")
    grown.write_bytes(content[:5000])
    code, _, err = tsae("watch", detector_file.path, grown, "--state", state)
    assert code == 1
    assert "it was cut or replaced" in err


def test_a_growing_file_is_followed_until_a_signal(detector_file, table_file, tmp_path):
    lines = table_file.read_text().splitlines(keepends=True)
    rule = EventRule(gap=2)

    def watch_file(name, content, out, **options):
        path, state = tmp_path / f"{name}.csv", tmp_path / f"{name}.state"
        path.write_text(content)
        return watch(
            Watching(detector_file, detector_file.spec, rule, path, state=state, show="scores", **options), out
        )

    complete, out = io.StringIO(), io.StringIO()
    watch_file("complete", "".join(lines[:400]), complete)

    def append():
        try:
            wait_for(lambda: out.getvalue())
            with open(tmp_path / "growing.csv", "a") as file:
                file.writelines(lines[300:400])
                file.write(lines[400][:7])  # a line that is not complete
            wait_for(lambda: out.getvalue().count("\n") == complete.getvalue().count("\n"))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=append)
    thread.start()
    counts, number = watch_file("growing", "".join(lines[:300]), out, follow=True)
    thread.join()
    assert (counts.rows, number) == (399, signal.SIGTERM)
    tables = [pd.read_json(io.StringIO(text.getvalue()), lines=True) for text in (out, complete)]
    found, expected = (table.sort_values(["series", "time"], ignore_index=True) for table in tables)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4)
    counts, number = watch_file("growing", "".join(lines), io.StringIO())
    assert (counts.rows, number) == (len(lines) - 400, None)


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_standard_input_as_csv(tsae, detector_file, table_file, expected, monkeypatch):
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(file)))
        content = table_file.read_bytes()
        threading.Thread(target=lambda: (os.write(writing, content), os.close(writing))).start()
        code, out, err = tsae("watch", detector_file.path, "--format", "csv", "--show", "events", "--gap", 2)
    assert code == 0, err
    found = pd.read_csv(io.StringIO(out)).sort_values(["series", "start"], ignore_index=True)
    pd.testing.assert_frame_equal(found, expected[1], rtol=1e-4)


BAD_ROWS = {
    "m0,2024-03-09T00:10,x,20\n": "line 41: column 'load' holds 'x'",
    "m0,2024-03-09T00:10,1\n": "line 41: 3 fields, but 4 columns",
    "m0,2024-02-01,1,20\n": "line 41: times must increase; ",
    ",2024-03-09T00:10,1,20\n": "line 41: column 'machine' is empty",
    "m0,soon,1,20\n": "line 41: column 'time' holds 'soon'",
    "m0,2024-03-09T00:10,inf,20\n": "line 41: column 'load' holds inf",
    'm0,2024-03-09T00:10,"1,20\n': "line 41: unexpected end of data",
    "m0,2024-03-09T00:10,1\0,20\n": "line 41: a NUL byte",
    "m\xff,2024-03-09T00:10,1,20\n": "line 41 is not UTF-8 text",
    "m0,2099-03-09T00:10,1,20\n": "line 41: times jumps",
}


def test_bad_rows_are_named_by_their_lines_and_can_be_skipped(tsae, detector_file, table_file, tmp_path):
    content = b"".join(table_file.read_bytes().splitlines(keepends=True)[:40])
    source = tmp_path / "bad.csv"
    good = b"m0,2024-03-09T00:20,1,20\nm0,2024-03-09T00:30,1,20\n"
    first, *_ = BAD_ROWS
    source.write_bytes(content + good.splitlines(keepends=True)[0] + first.encode())
    code, out, err = tsae("watch", detector_file.path, source, "--show", "scores", "--state", tmp_path / "state")
    assert code == 1
    assert err.startswith(f"tsae: error: {source}, {BAD_ROWS[first].replace('41', '42')}")
    assert out  # of the rows before it, whose state is kept
    source.write_bytes(content + 2 * good.splitlines(keepends=True)[0])
    code, _, err = tsae("watch", detector_file.path, source, "--show", "scores", "--state", tmp_path / "state")
    assert (code, "line 42: times must increase" in err) == (1, True)
    source.write_bytes(content + "".join(BAD_ROWS).encode("latin-1") + good)
    code, out, err = tsae("watch", detector_file.path, source, "--on-error", "skip", "--show", "scores", "--quiet")
    assert code == 3
    told = err.splitlines()
    assert len(told) == len(BAD_ROWS)
    for number, (line, message) in enumerate(zip(told, BAD_ROWS.values(), strict=True), start=41):
        assert line.startswith(f"skipped: {source}, {message.replace('41', str(number))}")
    assert len(records(out, "score")) == 41


def test_each_series_keeps_its_own_max_gap(detector_file, table_file):
    """Where the training data had several sampling rates, streams break where `tsae anomalies` breaks."""
    spec = WindowSpec(detector_file.spec.columns, 12, 5, "15min", "10min", {"m0": "15min", "m1": "2h", "m2": "15min"})
    direct = detector_file.estimator.score_timeline(spec.cut(read_dataset(str(table_file), spec.columns).series))
    out = io.StringIO()
    watch(Watching(detector_file, spec, EventRule(), table_file, show="scores"), out)
    found = in_order(records(out.getvalue(), "score"))["score"]
    np.testing.assert_allclose(found, in_order(direct)["score"], rtol=1e-4, atol=1e-6)


def test_what_cannot_be_used(tsae, detector_file, autoencoder_file, table_file, tmp_path):
    def fails(*arguments, code=1):
        found, _, err = tsae("watch", *arguments)
        assert found == code
        return err

    assert "scores no timelines" in fails(autoencoder_file.path, table_file)
    assert "--follow needs a FILE" in fails(detector_file.path, "--follow", code=2)
    assert "--show scores or --show events" in fails(detector_file.path, table_file, "--format", "csv", code=2)
    (tmp_path / "empty.csv").touch()
    assert "is empty: its first line" in fails(detector_file.path, tmp_path / "empty.csv")
    (tmp_path / "other.csv").write_text("machine;time\n")
    assert "has no column 'machine'; it has 'machine;time'" in fails(detector_file.path, tmp_path / "other.csv")
    assert "is not the state of tsae watch" in fails(detector_file.path, table_file, "--state", table_file)
    state = tmp_path / "watch.state"
    assert tsae("watch", detector_file.path, table_file, "--state", state)[0] == 0
    detector = open_model(detector_file.path).estimator
    save_model(detector.set_params(alpha=0.3), detector_file.spec, tmp_path / "another.tsae")
    assert "the state of another model" in fails(tmp_path / "another.tsae", table_file, "--state", state)


def test_rows_without_times_and_ids(tsae, detector_file, table, tmp_path):
    model, source = tmp_path / "m.tsae", tmp_path / "rows.csv"
    save_model(open_model(detector_file.path).estimator, WindowSpec(Columns(values=("load", "heat")), 12, 5), model)
    table.iloc[:100][["load", "heat"]].to_csv(source, index=False)
    assert tsae("anomalies", model, source, tmp_path / "out")[0] == 0
    code, out, err = tsae("watch", model, source)
    assert code == 0, err
    found, timeline = records(out, "score"), read_parts(tmp_path / "out")
    assert found["time"].tolist() == timeline["time"].tolist() == list(range(100))
    np.testing.assert_allclose(found["score"], timeline["score"], rtol=1e-4)
