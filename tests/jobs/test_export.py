import json
import shutil
import time

import numpy as np
import pandas as pd
import pytest

from tests.jobs.conftest import names_of, write_parts
from tests.jobs.light_job import KINDS, SPEC, WRITERS, light_job, run_kinds, run_light, start_light_job
from tsae.jobs.errors import JobError
from tsae.jobs.manifest import DONE, PENDING, SKIPPED
from tsae.jobs.report import read_parts
from tsae.jobs.spec import Columns, WindowSpec


def result(output):
    """All rows that were written, in an order that does not depend on how the input is divided."""
    rows = read_parts(output)
    return rows.sort_values(list(rows.columns[:2]), ignore_index=True)


def statuses(manifest):
    return [record.status for record in manifest.records.values()]


@pytest.fixture(scope="module")
def whole(table, tmp_path_factory):
    """The output for the table in one file, a kind each."""
    folder = tmp_path_factory.mktemp("whole")
    source = write_parts(table, folder / "in", 1)
    run_kinds(source, folder)
    return {kind: result(folder / kind) for kind in KINDS}


# -- one result, however divided -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n_parts", "suffix"), [(1, ".parquet"), (7, ".csv"), (50, ".parquet"), (200, ".csv")])
def test_parts_give_the_rows_of_one_file(table, whole, tmp_path, kind, n_parts, suffix):
    source = write_parts(table, tmp_path / "in", n_parts, suffix)
    manifest = run_light(source, tmp_path / "out", kind)
    pd.testing.assert_frame_equal(result(tmp_path / "out"), whole[kind])
    assert statuses(manifest) == [DONE] * n_parts
    assert sum(record.rows for record in manifest.records.values()) == len(table)
    assert names_of(tmp_path / "out" / kind) == [f"part_{i}.parquet" for i in range(1, n_parts + 1)]


def test_every_row_is_in_the_timeline(table, whole):
    assert len(whole["timeline"]) == len(table)
    assert whole["timeline"]["score"].max() == 3  # windows of 12 rows, every fifth


def test_without_columns_for_ids_and_times(table, tmp_path):
    spec = WindowSpec(Columns(values=("load", "heat")), width=12, stride=5)
    for n_parts in (1, 9):
        source = write_parts(table, tmp_path / f"in{n_parts}", n_parts)
        run_light(source, tmp_path / f"out{n_parts}", spec=spec)
    one, nine = result(tmp_path / "out1"), result(tmp_path / "out9")
    pd.testing.assert_frame_equal(one, nine)
    assert one["start"].tolist() == list(range(0, len(table) - 11, 5))
    assert set(one["series"]) == {"0"}


def test_csv_output_and_folders_within_the_input(table, whole, tmp_path):
    write_parts(table[:300], tmp_path / "in" / "a", 2)
    write_parts(table[300:], tmp_path / "in" / "b", 2)
    run_light(tmp_path / "in", tmp_path / "out", format="csv")
    assert names_of(tmp_path / "out" / "features") == ["a/part_1.csv", "a/part_2.csv", "b/part_1.csv", "b/part_2.csv"]
    pd.testing.assert_frame_equal(result(tmp_path / "out"), whole["features"])


def test_whole_series_may_be_read_in_any_order(table, whole, tmp_path):
    (tmp_path / "in").mkdir()
    for name, rows in table.groupby("machine"):
        rows.to_csv(tmp_path / "in" / f"{name}.csv", index=False)
    for kind in KINDS:
        run_light(tmp_path / "in", tmp_path / kind, kind, whole_series=True)
        pd.testing.assert_frame_equal(result(tmp_path / kind), whole[kind])


def test_series_that_are_not_whole_are_refused(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 2)
    with pytest.raises(JobError, match=r"series 'm.' lies in part_1.csv and in part_2.csv"):
        run_light(source, tmp_path / "out", whole_series=True)


def test_parts_out_of_order_are_refused(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 3)
    (source / "part_1.csv").rename(source / "part_4.csv")
    with pytest.raises(JobError, match=r"part_4.csv, read after the parts before it.*comes after"):
        run_light(source, tmp_path / "out", on_error="fail")


# -- continued jobs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_killed_job_continues_to_the_same_result(table, whole, tmp_path, kind, seed):
    source = write_parts(table, tmp_path / "in", 40)
    output = tmp_path / "out" / kind
    n_finished = 1 + 12 * seed
    process, permits = start_light_job(source, tmp_path / "out", kind, n_finished)
    time.sleep(0.017 * seed)
    process.kill()
    process.wait()
    assert len(list(output.glob("*.parquet"))) == n_finished
    shutil.rmtree(permits)

    run_light(source, tmp_path / "out", kind)
    pd.testing.assert_frame_equal(result(tmp_path / "out"), whole[kind])
    assert names_of(output) == [f"part_{i}.parquet" for i in range(1, 41)]  # nothing half-written is left


def written_at(output):
    return {name: (output / name).stat().st_mtime_ns for name in names_of(output) if name.startswith(("f", "t"))}


def test_finished_parts_are_not_done_again(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 5)
    run_light(source, tmp_path / "out")
    before = written_at(tmp_path / "out")
    run_light(source, tmp_path / "out")
    assert written_at(tmp_path / "out") == before


@pytest.mark.parametrize("kind", KINDS)
def test_parts_that_came_since_are_added(table, whole, tmp_path, kind):
    source = write_parts(table, tmp_path / "in", 6)
    late = [source / "part_5.csv", source / "part_6.csv"]
    contents = [file.read_bytes() for file in late]
    for file in late:
        file.unlink()
    run_light(source, tmp_path / "out", kind)
    before = written_at(tmp_path / "out")
    for file, content in zip(late, contents, strict=True):
        file.write_bytes(content)
    run_light(source, tmp_path / "out", kind)
    pd.testing.assert_frame_equal(result(tmp_path / "out"), whole[kind])
    after = written_at(tmp_path / "out")
    kept = [name for name in before if before[name] == after[name]]
    assert len(kept) == (4 if kind == "features" else 3)  # the last part had ended the timelines of all series


@pytest.mark.parametrize("kind", KINDS)
def test_parts_that_are_finished_are_not_read_again_when_others_are_added(table, tmp_path, kind, reads_of):
    source = write_parts(table, tmp_path / "in", 6)
    late = (source / "part_6.csv").rename(tmp_path / "late.csv")
    run_light(source, tmp_path / "out", kind)
    late.rename(source / "part_6.csv")
    counts = [reads_of(source / f"part_{number}.csv") for number in range(1, 7)]
    before = [count() for count in counts]
    run_light(source, tmp_path / "out", kind)
    n_reads = [count() - earlier for count, earlier in zip(counts, before, strict=True)]
    assert n_reads[:4] == [1] * 4  # for the checksum
    assert n_reads[5] > 1


@pytest.mark.parametrize("lost", ["features/part_3.parquet", "carry", "manifest.json"])
def test_output_that_was_lost_is_made_again(table, whole, tmp_path, lost):
    source = write_parts(table, tmp_path / "in", 5)
    run_light(source, tmp_path / "out")
    for file in [tmp_path / "out" / lost, *(tmp_path / "out" / lost).rglob("*")]:
        if file.is_file():
            file.unlink()
    (tmp_path / "out/features/part_4.parquet").write_bytes(b"short")
    run_light(source, tmp_path / "out")
    pd.testing.assert_frame_equal(result(tmp_path / "out"), whole["features"])


def test_only_rows_that_are_still_needed_are_carried(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 9)
    run_light(source, tmp_path / "out")
    assert len(names_of(tmp_path / "out" / "carry")) == 1


# -- changes -------------------------------------------------------------------------------------------------------


def change(source, what):
    part = source / "part_2.csv"
    if what == "changed":
        lines = part.read_text().splitlines()
        lines[1] = lines[1].rsplit(",", 1)[0] + ",99"
        part.write_text("\n".join(lines) + "\n")
    elif what == "gone":
        (source / "part_5.csv").unlink()
    else:
        first = (source / "part_1.csv").read_text().splitlines(keepends=True)
        (source / "part_1.csv").write_text("".join(first[:50]))
        (source / "part_1_b.csv").write_text("".join([first[0], *first[50:]]))


@pytest.mark.parametrize(
    ("what", "message"),
    [("changed", "parts changed: part_2.csv"), ("gone", "parts missing: part_5.csv"), ("new", "new, before others")],
)
def test_changed_input_is_refused_or_computed_again(table, tmp_path, what, message):
    source = write_parts(table, tmp_path / "in", 5)
    run_light(source, tmp_path / "out")
    before = written_at(tmp_path / "out")
    change(source, what)
    with pytest.raises(JobError, match=message):
        run_light(source, tmp_path / "out")
    assert written_at(tmp_path / "out") == before
    run_light(source, tmp_path / "out", on_change="redo")
    run_light(source, tmp_path / "fresh")
    pd.testing.assert_frame_equal(result(tmp_path / "out"), result(tmp_path / "fresh"))
    assert names_of(tmp_path / "out" / "features") == names_of(tmp_path / "fresh" / "features")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_id": "m2"}, "another model"),
        ({"format": "csv"}, "another format"),
        ({"spec": SPEC.with_stride(7)}, "another window_spec"),
        ({"whole_series": True}, "another whole_series"),
    ],
)
def test_another_model_or_setting_is_refused_or_computed_again(table, tmp_path, options, message):
    source = write_parts(table, tmp_path / "in", 2)
    if "whole_series" in options:
        source = write_parts(table[table["machine"] == "m0"], tmp_path / "in1", 1)
    run_light(source, tmp_path / "out")
    with pytest.raises(JobError, match=message):
        run_light(source, tmp_path / "out", **options)
    run_light(source, tmp_path / "out", on_change="redo", **options)
    run_light(source, tmp_path / "fresh", **options)
    pd.testing.assert_frame_equal(result(tmp_path / "out"), result(tmp_path / "fresh"))
    assert names_of(tmp_path / "out" / "features") == names_of(tmp_path / "fresh" / "features")


# -- broken parts --------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 5)
    part = source / "part_3.csv"
    good = part.read_text()
    part.write_text(good + "m0,2024-12-01,oops,1\n")
    return source, good


def test_a_broken_part_stops_the_job_and_leaves_what_was_finished(broken, whole, tmp_path):
    source, good = broken
    with pytest.raises(JobError, match=r"part_3.csv, line \d+: column 'load' holds 'oops'.*2 of 5 parts done"):
        run_light(source, tmp_path / "out")
    assert names_of(tmp_path / "out" / "features") == ["part_1.parquet", "part_2.parquet"]
    (source / "part_3.csv").write_text(good)
    run_light(source, tmp_path / "out")
    pd.testing.assert_frame_equal(result(tmp_path / "out"), whole["features"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_part_is_skipped_on_request_and_done_once_it_is_fixed(broken, whole, tmp_path, kind):
    source, good = broken
    manifest = run_light(source, tmp_path / "out", kind, on_error="skip")
    assert statuses(manifest) == [DONE, DONE, SKIPPED, DONE, DONE]
    assert "holds 'oops'" in manifest.records["part_3.csv"].reason
    assert json.loads(manifest.path.read_text())["parts"][2]["reason"] == manifest.records["part_3.csv"].reason
    assert "part_3.parquet" not in names_of(tmp_path / "out" / kind)
    skipped = result(tmp_path / "out")
    if kind == "features":  # no window leads across the hole
        hole = pd.read_csv(source / "part_3.csv")[:-1].astype({"time": "datetime64[ns]"})
        for row in skipped.itertuples():
            times = hole.loc[hole["machine"] == row.series, "time"]
            assert not ((row.start <= times) & (times <= row.end)).any()
    (source / "part_3.csv").write_text(good)
    run_light(source, tmp_path / "out", kind, on_error="skip")
    pd.testing.assert_frame_equal(result(tmp_path / "out"), whole[kind])


def test_errors_of_the_work_count_as_broken_parts(table, tmp_path):
    ends = [table["time"].iloc[rows].max() for rows in np.array_split(np.arange(len(table)), 5)]

    def fails_on_third(estimator, part, spec, append):
        if part.windows.grouped.times.max() == ends[2]:
            raise ValueError("no way")
        return WRITERS["features"](estimator, part, spec, append)

    source = write_parts(table, tmp_path / "in", 5)
    with pytest.raises(JobError, match=r"part_3.csv: no way \(2 of 5 parts done"):
        run_light(source, tmp_path / "out", write=fails_on_third)
    manifest = run_light(source, tmp_path / "out", write=fails_on_third, on_error="skip")
    assert statuses(manifest) == [DONE, DONE, SKIPPED, DONE, DONE]


def test_a_full_disk_stops_the_job_even_where_parts_may_be_skipped(table, tmp_path):
    def fails(*args):
        raise OSError(28, "No space left on device")

    source = write_parts(table, tmp_path / "in", 2)
    with pytest.raises(JobError, match="No space left"):
        run_light(source, tmp_path / "out", write=fails, on_error="skip")
    assert statuses(run_light(source, tmp_path / "out")) == [DONE, DONE]


def test_skipping_needs_times(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 2)
    with pytest.raises(JobError, match="needs a time column"):
        run_light(source, tmp_path / "out", spec=WindowSpec(Columns(values=("load",)), 12, 5), on_error="skip")


@pytest.mark.parametrize("inner", ["out", "out/in"])
def test_input_and_output_may_not_lie_within_each_other(table, tmp_path, inner):
    if inner == "out":
        source, output = write_parts(table, tmp_path, 1), tmp_path / "out"
    else:
        source, output = write_parts(table, tmp_path / "out" / "in", 1), tmp_path / "out"
    with pytest.raises(JobError, match="lie within each other"):
        run_light(source, output)


def test_an_output_that_is_a_file_is_refused(table_file, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(JobError, match="is a file"):
        run_light(table_file, tmp_path / "out")


def test_records_of_parts_to_come_are_there_from_the_start(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 3)
    (source / "part_2.csv").write_text("")
    with pytest.raises(JobError):
        run_light(source, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [part["status"] for part in content["parts"]] == [DONE, PENDING, PENDING]
    assert content["job"] == light_job(source, tmp_path / "out").identity()


def test_parts_without_a_window_give_empty_tables(tmp_path, table):
    few = table[:6]
    source = write_parts(few, tmp_path / "in", 2)
    for kind in KINDS:
        run_light(source, tmp_path / kind, kind)
        assert len(read_parts(tmp_path / kind)) == (0 if kind == "features" else 6)
    assert np.array_equal(result(tmp_path / "timeline")["score"], np.zeros(6))
