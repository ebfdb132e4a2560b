"""Marks of a report page in place of a column of labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.jobs.conftest import COLUMNS, make_table, write_parts
from tests.jobs.test_train import LITTLE
from tsae.jobs.anomalies import EVENTS, EventRule, run_anomalies
from tsae.jobs.errors import JobError
from tsae.jobs.job import Job
from tsae.jobs.report import check_report, compare_with_labels, read_scored
from tsae.jobs.table_writer import read_result
from tsae.jobs.train import Training, training_windows


@pytest.fixture(scope="module")
def labelled_table():
    table = make_table(seed=1)
    rows = table.index[table["machine"] == "m1"][60:80]
    table.loc[rows, "heat"] += 9
    return table.assign(fault=table.index.isin(rows).astype(int))


@pytest.fixture(scope="module")
def stretch(labelled_table):
    """Machine, first and last time of the fault."""
    times = labelled_table.loc[labelled_table["fault"] == 1, "time"]
    return "m1", times.min(), times.max()


@pytest.fixture(scope="module")
def job(labelled_table, detector_file, tmp_path_factory):
    """A finished job."""
    folder = tmp_path_factory.mktemp("job")
    source = write_parts(labelled_table, folder / "in", 3)
    job = Job("timeline", detector_file, str(source), folder / "out", detector_file.spec)
    run_anomalies(job, EventRule())
    return job


def write_marks(path, *marks):
    pd.DataFrame(marks, columns=["series", "start", "end", "mark"]).to_csv(path, index=False)
    return str(path)


def test_marked_faults_compare_as_a_column_does(job, stretch, tmp_path):
    marks = write_marks(tmp_path / "marks.csv", (*stretch, "fault"), ("m0", *stretch[1:], "normal"))
    check_report(job, marks, None)
    by_marks, by_column = (compare_with_labels(read_scored(job, source)) for source in (marks, "fault"))
    assert by_marks == by_column
    assert by_marks["n_labelled_events"] == by_marks["n_found"] == 1


def test_unclear_events_do_not_count(job, stretch, tmp_path):
    events = read_result(job.output / EVENTS)
    other = events[events["series"] == "m0"].iloc[0]
    marks = write_marks(
        tmp_path / "marks.csv", (*stretch, "fault"), ("m0", other["start"], other["end"], "unclear")
    )  # fmt: skip
    with_unclear, without = (compare_with_labels(read_scored(job, source)) for source in (marks, "fault"))
    assert with_unclear["n_events"] == without["n_events"] - 1
    assert with_unclear["n_false_events"] == without["n_false_events"] - 1
    assert with_unclear["n_found"] == 1
    assert with_unclear["labelled_share"] > without["labelled_share"]


@pytest.mark.parametrize("memory", [None, LITTLE])
@pytest.mark.parametrize("mark", ["fault", "unclear"])
def test_marked_rows_are_not_trained_on(labelled_table, mark, memory, tmp_path):
    source = write_parts(labelled_table.drop(columns="fault"), tmp_path / "in", 3)
    first, last = pd.Timestamp("2024-03-01 04:00"), pd.Timestamp("2024-03-02 08:00")
    marks = write_marks(tmp_path / "marks.csv", ("m1", first, last, mark), ("m2", first, last, "normal"))

    def touched(label_column):
        training = Training(COLUMNS, 12, memory=memory, label_column=label_column, autoencoder={"random_state": 0})
        index = training_windows(str(source), training)[0].index
        near = (index["start"] <= last) & (index["end"] >= first)
        return [int((near & (index["series"] == name)).sum()) for name in ("m1", "m2")]

    assert touched(None)[0] > 0
    assert touched(marks)[0] == 0 < touched(marks)[1]


def test_numbers_and_zones_are_times_too(tmp_path, detector_file):
    from tsae.data.series import GroupedSeries
    from tsae.jobs.labels import Labels

    def labels(times, start, end):
        series = GroupedSeries(np.zeros((4, 1)), np.array([0, 4]), pd.Index(["a"]), ["x"], times)
        marks = Labels.of(write_marks(tmp_path / "marks.csv", ("a", start, end, "fault"), ("b", start, end, "fault")))
        return marks.of_rows(series, pd.DataFrame()).tolist()

    assert labels(pd.Index([1.0, 2.0, 3.0, 4.0]), 2, "3") == [0, 1, 1, 0]
    hours = pd.date_range("2024-03-01", periods=4, freq="h")
    assert labels(hours, "2024-03-01 02:00:00+01:00", "2024-03-01 02:00:00+00:00") == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("series,start,end\nm1,1,2\n", r"has the columns \['series', 'start', 'end'\]; marks have"),
        ("series,start,end,mark\nm1,2024-03-01,2024-03-02,bad\n", r"line 2: mark 'bad' is none of \['normal', 'fault'"),
        ("series,start,end,mark\nm1,soon,later,fault\n", "column 'start' holds a time that cannot be read"),
        ("series,start,end,mark\nm9,2024-03-01,2024-03-02,fault\n", "no mark is on a row of the data set"),
        ("", "cannot be read as marks"),
    ],
)
def test_files_that_are_no_marks_are_refused(job, text, message, tmp_path):
    (tmp_path / "marks.csv").write_text(text)
    with pytest.raises(JobError, match=message):
        read_scored(job, str(tmp_path / "marks.csv"))


def test_a_missing_file_is_refused_before_the_job(job, tmp_path):
    with pytest.raises(JobError, match="there is no file .*none.csv of marks; a label column may not end in .csv"):
        check_report(job, str(tmp_path / "none.csv"), None)
