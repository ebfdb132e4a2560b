"""The job `recalibrate`."""

import numpy as np
import pandas as pd
import pytest

from tsae import load
from tsae.jobs.errors import JobError
from tsae.jobs.recalibrate import recalibrate


def test_all_rows_are_taken(detector_file, table_file, tmp_path):
    out = tmp_path / "new.tsae"
    before = load(detector_file.path)
    recalibrate(detector_file.path, str(table_file), out)
    after = load(out)
    n_rows = len(pd.read_csv(table_file))
    added = after.timeline_threshold_.n_scores_ - before.timeline_threshold_.n_scores_
    assert 0.8 * n_rows < added <= n_rows
    assert after.table_ == before.table_
    with pytest.raises(JobError, match="exists; use --overwrite"):
        recalibrate(detector_file.path, str(table_file), out)


def marks_of(table_file, mark):
    table = pd.read_csv(table_file)
    first = table[table["machine"] == table["machine"][0]]
    return pd.DataFrame({"series": [first["machine"].iloc[0]], "start": [first["time"].iloc[30]],
                         "end": [first["time"].iloc[39]], "mark": [mark]})  # fmt: skip


def test_only_what_is_marked_normal_is_taken(tsae, detector_file, table_file, tmp_path):
    marks, out = tmp_path / "marks.csv", tmp_path / "new.tsae"
    marks_of(table_file, "normal").to_csv(marks, index=False)
    code, _, err = tsae("recalibrate", detector_file.path, table_file, out, "--marks", marks)
    assert code == 0
    assert "added 10 normal timestamps" in err
    counts = [load(path).timeline_threshold_.n_scores_ for path in (detector_file.path, out)]
    assert np.diff(counts) == [10]


def test_what_cannot_be_used(detector_file, autoencoder_file, table_file, tmp_path):
    out, marks = tmp_path / "new.tsae", tmp_path / "marks.csv"
    with pytest.raises(JobError, match="scores no timelines"):
        recalibrate(autoencoder_file.path, str(table_file), out)
    marks_of(table_file, "fault").to_csv(marks, index=False)
    with pytest.raises(JobError, match="no timestamp of X lies within the 0 normal event"):
        recalibrate(detector_file.path, str(table_file), out, str(marks))
    with pytest.raises(JobError, match="--marks marks is not the name of a .csv file"):
        recalibrate(detector_file.path, str(table_file), out, "marks")
    assert not out.exists()
