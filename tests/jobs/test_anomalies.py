import json
import re
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from tests.jobs.conftest import SMALL, make_table, write_parts
from tsae import make_windows
from tsae.jobs.anomalies import (
    EVENTS,
    EventRule,
    find_events_in_chunks,
    join_channels,
    run_anomalies,
    split_channels,
)
from tsae.jobs.errors import JobError
from tsae.jobs.job import Job
from tsae.jobs.models import open_model
from tsae.jobs.report import compare_with_labels, read_parts, read_scored, write_page
from tsae.jobs.spec import Columns
from tsae.jobs.table_writer import read_result
from tsae.jobs.train import Training, train


def job_of(file, source, output, **options):
    return Job("timeline", file, str(source), output, file.spec, **options)


@pytest.fixture(scope="module")
def faulty_table():
    """Other data than in training, with a spell during which one machine runs hot."""
    faulty = make_table(seed=1)
    rows = faulty.index[faulty["machine"] == "m1"][60:80]
    faulty.loc[rows, "heat"] += 9
    faulty["fault"] = 0
    faulty.loc[rows, "fault"] = 1
    return faulty


@pytest.fixture(scope="module")
def direct(faulty_table, detector_file):
    """Timeline and events of the whole table, computed in memory."""
    detector = detector_file.estimator
    windows = make_windows(
        faulty_table, 12, 5, id_column="machine", time_column="time", value_columns=["load", "heat"], max_gap="15min"
    )
    timeline = detector.score_timeline(windows)
    return timeline.sort_values(["series", "time"], ignore_index=True), detector.events(timeline)


@pytest.mark.parametrize("n_parts", [1, 6, 40])
def test_scores_and_events_do_not_depend_on_the_division_into_parts(
    faulty_table, direct, detector_file, tmp_path, n_parts
):
    source = write_parts(faulty_table, tmp_path / "in", n_parts)
    job = job_of(detector_file, source, tmp_path / "out")
    run_anomalies(job, EventRule())
    timeline = read_parts(tmp_path / "out").sort_values(["series", "time"], ignore_index=True)
    assert list(timeline.columns) == list(direct[0].columns)
    assert (timeline["time"] == direct[0]["time"]).all()
    np.testing.assert_allclose(timeline.iloc[:, 2:].to_numpy(), direct[0].iloc[:, 2:].to_numpy(), atol=1e-4, rtol=1e-4)

    events = read_result(tmp_path / "out" / EVENTS)
    expected = direct[1].sort_values(["series", "start"], ignore_index=True)
    assert (events[["series", "start", "end", "peak"]] == expected[["series", "start", "end", "peak"]]).all(axis=None)
    assert events["channels"].tolist() == [" ".join(channels) for channels in expected["channels"]]

    measures = compare_with_labels(read_scored(job, "fault"))
    assert measures["n_labelled_events"] == 1
    assert measures["n_found"] == 1
    assert measures["n_false_events"] < measures["n_events"] == len(events)
    # Each timestamp has the mean over the windows that cover it, so that those near the fault score high as well.
    assert measures["auc_pr"] > 0.8 > 0.1 > measures["labelled_share"]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("options", [{}, {"gap": 0}, {"gap": 2, "min_length": 3, "alpha": 0.1}])
def test_events_do_not_depend_on_how_the_timeline_is_divided(detector_file, seed, options):
    detector, rng = detector_file.estimator, np.random.default_rng(seed)
    n = 300
    tables = [
        pd.DataFrame(
            {"series": name, "time": np.arange(n), "score": rng.uniform(size=n), "p_value": rng.uniform(size=n) ** 2}
            | {f"contribution_{channel}": rng.uniform(size=n) for channel in ("load", "heat")}
        )
        for name in "ab"
    ]
    whole = pd.concat(tables, ignore_index=True)
    rule = EventRule(**options)
    cuts = np.sort(rng.integers(0, n, 6))
    divided = (pd.concat([table.iloc[rows] for table in tables]) for rows in np.split(np.arange(n), cuts))
    pd.testing.assert_frame_equal(
        find_events_in_chunks(detector, divided, rule), detector.events(whole, **asdict(rule))
    )


def test_no_events_give_an_empty_table(detector_file):
    assert len(find_events_in_chunks(detector_file.estimator, [], EventRule())) == 0


def test_an_autoencoder_scores_no_timelines(table_file, autoencoder_file, tmp_path):
    with pytest.raises(
        JobError, match="holds a LSTMAutoencoder, which scores no timelines; train with --task anomalies"
    ):
        run_anomalies(job_of(autoencoder_file, table_file, tmp_path / "out"), EventRule())
    assert not (tmp_path / "out").exists()


def test_an_alpha_that_needs_more_data_is_refused_before_any_work(table_file, detector_file, tmp_path):
    with pytest.raises(JobError, match=r"alpha=1e-06 needs at least"):
        run_anomalies(job_of(detector_file, table_file, tmp_path / "out"), EventRule(alpha=1e-6))
    assert not (tmp_path / "out").exists()


NAMES = [["oil temp", "load"], ['a "b"', "c,d", "e;f"], ["load"], [" x ", "y\nz"], ["tür", "'q'"], []]


@pytest.mark.parametrize("names", NAMES)
def test_names_of_channels_come_back_from_their_text(names):
    assert split_channels(join_channels(names)) == tuple(names)


def test_channels_with_a_space_stay_one_in_events_and_report(faulty_table, tmp_path):
    renamed = faulty_table.rename(columns={"load": "oil load", "heat": "oil temp"})
    source = write_parts(renamed, tmp_path / "in", 2)
    training = Training(
        Columns("machine", "time", ("oil load", "oil temp")), width=12, stride=5, task="anomalies", max_gap="15min",
        label_column="fault", autoencoder={**SMALL, "decoder": "reconstruction", "verbose": 0},
        detector={"alpha": 0.2, "random_state": 0},
    )  # fmt: skip
    train(str(source), tmp_path / "m.tsae", training)
    job = job_of(open_model(tmp_path / "m.tsae"), source, tmp_path / "out")
    run_anomalies(job, EventRule())
    channels = [split_channels(names) for names in pd.read_csv(tmp_path / "out" / EVENTS)["channels"]]
    assert {name for event in channels for name in event} == {"oil load", "oil temp"}
    write_page(read_scored(job, "fault"), EventRule(), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])
    assert {name for event in data["events"] for name in event["channels"]} == {"oil load", "oil temp"}


def test_labels_without_marks_are_no_error(table_file, detector_file, tmp_path):
    table = pd.read_csv(table_file).assign(fault=0)
    job = job_of(detector_file, write_parts(table, tmp_path / "in", 1), tmp_path / "out")
    run_anomalies(job, EventRule())
    measures = compare_with_labels(read_scored(job, "fault"))
    assert (measures["labelled_share"], measures["n_labelled_events"], measures["n_found"]) == (0, 0, 0)
    assert measures["n_events"] == measures["n_false_events"]
