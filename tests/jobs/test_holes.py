"""Parts that are skipped or hold no rows: no row of the parts next to them is lost."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.jobs.conftest import write_parts
from tests.jobs.light_job import WRITERS, run_light
from tsae.jobs.anomalies import EVENTS, EventRule, run_anomalies
from tsae.jobs.execution import Execution
from tsae.jobs.job import Job
from tsae.jobs.manifest import DONE, SKIPPED
from tsae.jobs.report import compare_with_labels, read_parts, read_scored
from tsae.jobs.table_writer import read_result

HEADER = "machine,time,load,heat\n"


def rows_of(source):
    """Number of rows of the parts that can be read, in all."""
    return sum(len(pd.read_csv(part)) for part in source.iterdir() if part.read_text().startswith("machine"))


def timeline_of(output):
    return read_parts(output).sort_values(["series", "time"], ignore_index=True)


def assert_same_rows(output, expected):
    """The first two columns identify a row; the order of rows is free."""
    columns = list(read_parts(output).columns[:2])
    found, wanted = (read_parts(path).sort_values(columns, ignore_index=True) for path in (output, expected))
    pd.testing.assert_frame_equal(found, wanted)


def times_of_parts(table, n_parts, at):
    """Rows of one part of a table that is cut into parts."""
    return table.iloc[np.array_split(np.arange(len(table)), n_parts)[at]]


@pytest.mark.parametrize(
    ("broken", "n_jobs"), [([0], 1), ([2], 1), ([2], 2), ([4], 1), ([1, 2], 1), ([0, 2, 4], 1), ([2, 3, 4], 1)]
)
def test_every_row_of_the_other_parts_is_written_once(table, tmp_path, broken, n_jobs):
    source = write_parts(table, tmp_path / "in", 5)
    for part in broken:
        (source / f"part_{part + 1}.csv").write_text("broken")
    manifest = run_light(source, tmp_path / "out", "timeline", on_error="skip", execution=Execution(n_jobs))
    assert [r.status for r in manifest.records.values()] == [SKIPPED if p in broken else DONE for p in range(5)]
    timeline = timeline_of(tmp_path / "out")
    assert len(timeline) == rows_of(source) == sum(r.windows or 0 for r in manifest.records.values())
    expected = pd.concat([times_of_parts(table, 5, part) for part in range(5) if part not in broken])
    expected = expected.sort_values(["machine", "time"], ignore_index=True)
    assert (timeline[["series", "time"]].to_numpy() == expected[["machine", "time"]].to_numpy()).all()
    ends = [r.last for r in manifest.records.values() if r.status == DONE]
    assert ends == [p + 1 in broken or p == 4 for p in range(5) if p not in broken]


def test_scores_before_a_hole_are_those_of_a_data_set_that_ends_there(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 5)
    (source / "part_4.csv").write_text("broken")
    run_light(source, tmp_path / "out", "timeline", on_error="skip")
    (tmp_path / "first").mkdir()
    for part in (1, 2, 3):
        (source / f"part_{part}.csv").rename(tmp_path / "first" / f"part_{part}.csv")
    run_light(tmp_path / "first", tmp_path / "alone", "timeline")
    first = timeline_of(tmp_path / "alone")
    both = timeline_of(tmp_path / "out").merge(first, on=["series", "time"], suffixes=("", "_alone"))
    assert len(both) == len(first)
    assert (both["score"] == both["score_alone"]).all()


@pytest.mark.parametrize("kind", ["features", "timeline"])
def test_a_part_that_fails_in_the_work_is_a_hole_as_well(table, tmp_path, kind):
    third = times_of_parts(table, 5, 2)["time"].max()

    def fails(estimator, part, spec, append):
        if part.windows.grouped.times.max() == third:
            raise ValueError("no way")
        return WRITERS[kind](estimator, part, spec, append)

    source = write_parts(table, tmp_path / "in", 5)
    manifest = run_light(source, tmp_path / "out", kind, write=fails, on_error="skip")
    assert [r.status for r in manifest.records.values()] == [DONE, DONE, SKIPPED, DONE, DONE]
    (source / "part_3.csv").write_text("broken")
    run_light(source, tmp_path / "expected", kind, on_error="skip")
    assert_same_rows(tmp_path / "out", tmp_path / "expected")


@pytest.mark.parametrize("kind", ["features", "timeline"])
def test_parts_without_rows_change_nothing(table, tmp_path, kind):
    run_light(write_parts(table, tmp_path / "plain", 4), tmp_path / "expected", kind)
    source = write_parts(table, tmp_path / "in", 4)
    for name in ("part_0", "part_2_b", "part_2_c", "part_9"):
        (source / f"{name}.csv").write_text(HEADER)
    table[:0].to_parquet(source / "part_3_b.parquet")
    manifest = run_light(source, tmp_path / "out", kind)
    assert {r.status for r in manifest.records.values()} == {DONE}
    assert [manifest.records[f"{name}.csv"].rows for name in ("part_0", "part_2_b", "part_9")] == [0, 0, 0]
    assert_same_rows(tmp_path / "out", tmp_path / "expected")


def test_whole_series_and_a_part_without_rows(table, tmp_path):
    source = write_parts(table[table["machine"] == "m0"], tmp_path / "in", 1)
    (source / "part_2.csv").write_text(HEADER)
    manifest = run_light(source, tmp_path / "out", "timeline", whole_series=True)
    assert [r.windows for r in manifest.records.values()] == [240, 0]


def test_a_job_next_to_a_hole_is_up_to_date_when_it_runs_again(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 5)
    (source / "part_3.csv").write_text("broken")
    run_light(source, tmp_path / "out", "timeline", on_error="skip")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out" / "timeline").iterdir()}
    run_light(source, tmp_path / "out", "timeline", on_error="skip")
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "out" / "timeline").iterdir()} == before


@pytest.mark.parametrize("hole", ["broken", "last", "empty"])
def test_a_fault_right_before_a_hole_is_found(detector_file, tmp_path, hole):
    # One series of 250 rows; the last 11 rows before the hole, fewer than a window, are the fault.
    steps = np.arange(250)
    table = pd.DataFrame({
        "machine": "m0", "time": pd.Timestamp("2024-05-01") + pd.to_timedelta(steps * 10, unit="min"),
        "load": np.sin(steps / 4), "heat": 20 + np.cos(steps / 6), "fault": 0,
    })  # fmt: skip
    at = 250 if hole == "last" else 125
    table.loc[at - 11 : at - 1, "heat"] += 40
    table.loc[at - 11 : at - 1, "fault"] = 1
    source = write_parts(table[:at], tmp_path / "in", 1)
    (source / "part_2.csv").write_text("machine,time,load,heat,fault\n" if hole == "empty" else "broken")
    if hole != "last":
        table[at:].to_csv(source / "part_3.csv", index=False)
    job = Job("timeline", detector_file, str(source), tmp_path / "out", detector_file.spec, on_error="skip")
    manifest = run_anomalies(job, EventRule(gap=0))
    timeline = timeline_of(tmp_path / "out")
    assert len(timeline) == 250
    faulty = timeline[timeline["time"].isin(table.loc[table["fault"] == 1, "time"])]
    # Windows start every 5 rows: the last whole one ends at row 247 of 250, or row 122 of 125.
    assert faulty["score"].notna().sum() >= 8
    events = read_result(tmp_path / "out" / EVENTS)
    strongest = events.loc[events["score"].idxmax()]
    assert strongest["start"] <= faulty["time"].iloc[0] <= strongest["end"]
    measures = compare_with_labels(read_scored(job, "fault"))  # also where a part was skipped
    assert (measures["n_labelled_events"], measures["n_found"]) == (1, 1)
    stored = json.loads(manifest.path.read_text())
    assert stored["windows"] == stored["rows"] == 250
    assert stored["scored"] == timeline["score"].notna().sum()
