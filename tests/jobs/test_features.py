import numpy as np
import pandas as pd
import pytest

from tests.jobs.conftest import write_parts
from tsae import make_windows
from tsae.jobs.execution import Execution
from tsae.jobs.features import features_of, run_features
from tsae.jobs.job import Job
from tsae.jobs.report import read_parts


def job_of(file, source, output, **options):
    return Job("features", file, str(source), output, options.pop("spec", file.spec), **options)


def in_order(features):
    return features.sort_values(["series", "start"], ignore_index=True)


@pytest.fixture(scope="module")
def direct(table, autoencoder_file):
    """Features computed in memory from the whole table."""
    windows = make_windows(table, 12, 5, id_column="machine", time_column="time", max_gap="15min")
    autoencoder = autoencoder_file.estimator
    features = pd.DataFrame(autoencoder.transform(windows), columns=autoencoder.get_feature_names_out())
    return in_order(pd.concat([windows.index, features], axis=1))


def assert_same(features, direct):
    pd.testing.assert_frame_equal(features[["series", "start", "end"]], direct[["series", "start", "end"]],
                                  check_dtype=False)  # fmt: skip
    assert list(features.columns) == list(direct.columns)
    np.testing.assert_allclose(features.iloc[:, 3:].to_numpy(), direct.iloc[:, 3:].to_numpy(), atol=1e-5)


@pytest.mark.parametrize("n_parts", [1, 7, 50])
def test_features_are_those_of_transform_however_the_input_is_divided(
    table, direct, autoencoder_file, tmp_path, n_parts
):
    source = write_parts(table, tmp_path / "in", n_parts, ".parquet")
    manifest = run_features(job_of(autoencoder_file, source, tmp_path / "out"))
    features = read_parts(tmp_path / "out")
    assert_same(in_order(features), direct)
    assert features.iloc[:, 3:].dtypes.unique().tolist() == [np.dtype(np.float32)]
    assert sum(record.windows for record in manifest.records.values()) == len(direct)


def test_local_processes_give_the_same_features(table, direct, autoencoder_file, tmp_path):
    source = write_parts(table, tmp_path / "in", 5)
    run_features(job_of(autoencoder_file, source, tmp_path / "out", execution=Execution(n_jobs=2)))
    assert_same(in_order(read_parts(tmp_path / "out")), direct)


def test_a_detector_also_computes_features(table_file, detector_file, tmp_path):
    run_features(job_of(detector_file, table_file, tmp_path / "out"))
    assert len(read_parts(tmp_path / "out")) > 0


def test_windows_without_any_value_have_no_features(autoencoder_file):
    autoencoder = autoencoder_file.estimator
    values = np.random.default_rng(0).normal(size=(36, 2))
    values[12:24] = np.nan
    features = features_of(autoencoder, make_windows(values, 12, 12), len(autoencoder.get_feature_names_out()))
    assert np.isnan(features).all(axis=1).tolist() == [False, True, False]


def test_another_stride(table, autoencoder_file, tmp_path):
    source = write_parts(table, tmp_path / "in", 3)
    job = job_of(autoencoder_file, source, tmp_path / "out", spec=autoencoder_file.spec.with_stride(20))
    run_features(job)
    windows = make_windows(table, 12, 20, id_column="machine", time_column="time", max_gap="15min")
    assert len(read_parts(tmp_path / "out")) == len(windows)
