"""The job `evaluate`."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

TIMES = pd.date_range("2024-01-01", periods=20, freq="h")


@pytest.fixture
def scored(tmp_path):
    """Two series of 20 rows; faults at 3-5 and 10-11 of "a" and at 8 of "b", of which the first is found."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"series": np.repeat(["a", "b"], 20), "time": [*TIMES, *TIMES], "fault": 0})
    table.loc[[3, 4, 5, 10, 11, 28], "fault"] = 1
    table["score"] = rng.uniform(0, 1, 40)
    table.loc[[4, 5, 6, 31], "score"] += 5
    table.loc[0, "score"] = np.nan
    table.to_csv(tmp_path / "scores.csv", index=False)
    return table


def answer(tsae, *arguments):
    code, out, err = tsae("evaluate", *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_rows_and_events_against_a_label_column(tsae, scored, tmp_path):
    found = answer(tsae, tmp_path / "scores.csv", "--label-column", "fault", "--threshold", 3)
    known = scored.dropna()
    assert found["auc_pr"] == pytest.approx(average_precision_score(known["fault"], known["score"]))
    precision, recall, f1, _ = precision_recall_fscore_support(known["fault"], known["score"] > 3, average="binary")
    assert [found[f"point_{name}"] for name in ("precision", "recall", "f1")] == pytest.approx([precision, recall, f1])
    assert (found["n_labelled_events"], found["n_found"], found["n_events"], found["n_false_events"]) == (3, 1, 2, 1)
    assert [found[f"event_{name}"] for name in ("precision", "recall", "f1")] == pytest.approx([1 / 2, 1 / 3, 0.4])
    assert (found["rows"], found["scored"], found["unclear"]) == (40, 39, 0)
    assert found["series"]["b"]["n_found"] == 0
    assert "vus_pr" in found or not pytest.importorskip("aeon")


def test_the_same_labels_as_stretches_rows_and_marks(tsae, scored, tmp_path):
    expected = answer(tsae, tmp_path / "scores.csv", "--label-column", "fault", "--threshold", 3)
    hours = TIMES.strftime("%Y-%m-%d %H:%M")
    stretches = pd.DataFrame(
        {"series": ["a", "a", "b"], "start": hours[[3, 10, 8]], "end": hours[[5, 11, 8]], "mark": "fault"}
    )
    scores = scored.drop(columns="fault")
    scores.to_parquet(tmp_path / "scores.parquet")
    stretches.to_csv(tmp_path / "marks.csv", index=False)
    stretches.drop(columns="mark").to_parquet(tmp_path / "stretches.parquet")
    shuffled = scored.rename(columns={"series": "machine"}).sample(frac=1, random_state=0).sort_values("time")
    shuffled[["machine", "time", "fault"]].to_csv(tmp_path / "rows.csv", index=False)
    for options in (["marks.csv"], ["stretches.parquet"], ["rows.csv", "--id-column", "machine"]):
        found = answer(tsae, tmp_path / "scores.parquet", "--labels", tmp_path / options[0], *options[1:],
                       "--threshold", 3)  # fmt: skip
        assert {**found, "scores": ""} == {**expected, "scores": ""}


def test_rows_without_a_label_do_not_count(tsae, scored, tmp_path):
    scored[10:].to_csv(tmp_path / "labels.csv", index=False, columns=["series", "time", "fault"])
    found = answer(tsae, tmp_path / "scores.csv", "--labels", tmp_path / "labels.csv", "--threshold", 3)
    assert (found["unclear"], found["scored"]) == (9, 30)
    assert (found["n_labelled_events"], found["n_events"]) == (2, 1)  # the event at 4-6 is not known to be false


def test_the_output_of_anomalies(tsae, table, detector_file, tmp_path):
    labelled = table.assign(fault=[1 if 100 <= row < 110 else 0 for row in range(len(table))])
    labelled.to_csv(tmp_path / "in.csv", index=False)
    out = tmp_path / "out"
    code, printed, err = tsae("anomalies", detector_file.path, tmp_path / "in.csv", out, "--label-column", "fault")
    assert code == 0, err
    columns = ["--id-column", "machine", "--time-column", "time"]
    found = answer(tsae, out, "--labels", tmp_path / "in.csv", *columns, "--label-column", "fault")
    told = dict(line.split(": ") for line in printed.splitlines())
    assert {name: f"{found[name]:.4g}" for name in told if isinstance(found[name], float)}.items() <= told.items()
    assert found["n_events"] == int(told["n_events"])
    assert len(found["series"]) == 3
    code, printed, _ = tsae("evaluate", out, "--labels", tmp_path / "in.csv", *columns, "--label-column", "fault")
    assert f"auc_pr             {found['auc_pr']:.4f}" in printed
    assert {line.split()[0] for line in printed.splitlines()[-3:]} == {"m0", "m1", "m2"}


def test_labels_of_nothing_are_an_error(tsae, scored, tmp_path):
    def fails(*arguments):
        code, out, err = tsae("evaluate", tmp_path / "scores.csv", *arguments)
        assert (code, out) == (1, "")
        return err

    labels = tmp_path / "labels.csv"
    pd.DataFrame({"series": ["a"], "start": ["2025-01-01"], "end": ["2025-01-02"]}).to_csv(labels, index=False)
    message = fails("--labels", labels)
    assert "no label is on a timestamp of the scores. The scores are of series 'a', 'b' from 2024-01-01" in message
    assert "from 2025-01-01" in message
    scored[:20].assign(series="c").to_csv(labels, index=False, columns=["series", "time", "fault"])
    assert "the labels of 'c'" in fails("--labels", labels)
    scored.assign(time=range(40)).to_csv(labels, index=False, columns=["series", "time", "fault"])
    assert "no label is on a timestamp" in fails("--labels", labels)
    assert "there is nothing to compare with" in fails()
    assert "has no column 'x'" in fails("--label-column", "x")
    assert "name the one of the labels by --label-column" in fails("--labels", tmp_path / "scores.csv")
    labels.write_text("series,time,fault\na,2024-01-01,x\n")
    assert "labels.csv, line 2: column 'fault' holds 'x'" in fails("--labels", labels)
    labels.write_text("series,start,end\na,soon,2024-01-01\n")
    assert "column 'start' holds a time that cannot be read" in fails("--labels", labels)
    assert "exclude each other" in fails("--label-column", "fault", "--events", labels, "--threshold", 1)


def test_labels_that_match_in_part_are_warned_of(tsae, scored, tmp_path):
    labels = tmp_path / "labels.csv"
    times = ["2024-01-01", "2025-01-01"]
    pd.DataFrame({"series": "a", "start": times, "end": times}).to_csv(labels, index=False)
    code, out, err = tsae("evaluate", tmp_path / "scores.csv", "--labels", labels)
    assert code == 0
    assert "1 of 2 stretches of" in err
    assert "labelled_share" in out


def test_tables_without_times_have_numbered_rows(tsae, scored, tmp_path):
    expected = answer(tsae, tmp_path / "scores.csv", "--label-column", "fault", "--threshold", 3)
    numbered = scored.assign(time=[*range(20), *range(20)])
    numbered.to_csv(tmp_path / "numbered.csv", index=False, columns=["series", "time", "score"])
    scored.to_csv(tmp_path / "labels.csv", index=False, columns=["series", "fault"])
    labels = ["--labels", tmp_path / "labels.csv"]
    found = answer(tsae, tmp_path / "numbered.csv", *labels, "--threshold", 3)
    assert {**found, "scores": ""} == {**expected, "scores": ""}
    code, _, err = tsae("evaluate", tmp_path / "scores.csv", *labels)  # whose rows have clock times
    assert (code, "no label is on a timestamp of the scores" in err) == (1, True)
