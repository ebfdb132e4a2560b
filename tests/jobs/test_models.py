import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from tsae.jobs.errors import JobError
from tsae.jobs.models import autoencoder_of, open_model, save_model
from tsae.jobs.spec import Columns, WindowSpec


@pytest.mark.parametrize("max_gap", [None, 2.5, "0 days 00:15:00"])
def test_window_specs_are_stored_as_plain_values(max_gap):
    spec = WindowSpec(Columns("a", "b", ("c", "d"), time_kind="utc"), 12, 3, max_gap, max_gaps={"fast": 0.5})
    assert WindowSpec.from_dict(spec.as_dict()) == spec
    assert spec.longest_step == {None: np.inf, 2.5: 2.5}.get(max_gap, pd.Timedelta("15min"))


def test_a_model_file_holds_how_tables_are_read(autoencoder_file):
    assert autoencoder_file.kind == "LSTMAutoencoder"
    assert autoencoder_file.spec.width == 12
    assert autoencoder_file.spec.columns.time_kind == "datetime"
    assert autoencoder_file.estimator.n_timesteps_ == 12


def test_planning_a_job_does_not_load_tensorflow(autoencoder_file):
    program = (
        "import sys; from pathlib import Path; from tsae.jobs.models import open_model\n"
        f"open_model(Path({str(autoencoder_file.path)!r})); print('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"


def test_loading_writes_nothing_to_standard_error(autoencoder_file):
    program = (
        "from pathlib import Path; from tsae.jobs.models import open_model\n"
        f"open_model(Path({str(autoencoder_file.path)!r})).estimator"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stderr == ""


def test_files_that_are_no_models_of_jobs_are_refused(autoencoder_file, tmp_path):
    with pytest.raises(JobError, match="there is no model file"):
        open_model(tmp_path / "none.tsae")
    (tmp_path / "text.tsae").write_text("text")
    with pytest.raises(JobError, match="not a tsae model file"):
        open_model(tmp_path / "text.tsae")
    estimator = open_model(autoencoder_file.path).estimator
    del estimator.table_
    estimator.save(tmp_path / "plain.tsae")
    with pytest.raises(JobError, match="not how to read tables for it"):
        open_model(tmp_path / "plain.tsae")


def test_a_model_that_is_replaced_while_a_job_runs_is_refused(autoencoder_file, tmp_path):
    path = tmp_path / "model.tsae"
    estimator = autoencoder_file.estimator
    save_model(estimator, autoencoder_file.spec, path)
    file = open_model(path)
    sent = pickle.dumps(file)
    save_model(estimator, autoencoder_file.spec.with_stride(1), path)
    assert file.estimator.table_["stride"] == 5  # this process holds what it read
    with pytest.raises(JobError, match="was replaced while the job was running"):
        _ = pickle.loads(sent).estimator


def test_a_worker_reads_the_file_once(autoencoder_file, reads_of):
    sent = pickle.dumps(autoencoder_file)
    assert len(sent) < 1000
    count = reads_of(autoencoder_file.path)
    received = [pickle.loads(sent) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        estimators = list(threads.map(lambda file: file.estimator, received))
    assert estimators[0] is estimators[1] is estimators[2]
    assert count() == 1


def test_the_autoencoder_of_a_detector_is_its_own(detector_file, autoencoder_file):
    detector = detector_file.estimator
    assert autoencoder_of(detector) is detector.autoencoder_
    with pytest.raises(JobError, match="computes no features"):
        autoencoder_of(object())
