"""scikit-learn's own checks, all of them, and the tools that estimators must work with."""

import os
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tsae import LSTMAutoencoder

pytestmark = pytest.mark.sklearn_contract

# As for all estimators that are trained in random batches: a window of weight 2 and two windows of weight 1 fall into
# other batches.
EXPECTED_TO_FAIL = {"check_sample_weight_equivalence_on_dense_data": "trained in random batches"}

SMALL = {"units": 3, "epochs": 1, "random_state": 0}

RUN_CHECKS = """
import sys, warnings
from sklearn.utils.estimator_checks import check_estimator
from sklearn.exceptions import SkipTestWarning
import tsae
warnings.simplefilter("error", SkipTestWarning)
estimator = getattr(tsae, sys.argv[1])(**eval(sys.argv[2]))
outcome = check_estimator(estimator, expected_failed_checks=eval(sys.argv[3]))
print("checks:", len(outcome), {check["status"] for check in outcome if check["check_name"] not in eval(sys.argv[3])})
"""


def run_checks(name: str, arguments: dict) -> None:
    """Every check that scikit-learn has, none skipped: the one on array APIs needs a variable set from the start."""
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", RUN_CHECKS, name, repr(arguments), repr(EXPECTED_TO_FAIL)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "{'passed'}" in done.stdout, done.stdout


@pytest.mark.parametrize("arguments", [SMALL, SMALL | {"decoder": "composite", "pooling": "last"}])
def test_check_estimator(arguments):
    run_checks("LSTMAutoencoder", arguments)


@pytest.fixture(scope="module")
def labelled():
    """Slow and fast waves."""
    draw = np.random.default_rng(0)
    y = np.arange(60) % 2
    phase = draw.uniform(0, 6, (60, 1))
    X = np.sin(np.arange(24) * (0.3 + 0.5 * y[:, None]) + phase) + draw.normal(scale=0.1, size=(60, 24))
    return X, y


@pytest.fixture(scope="module")
def fitted(labelled):
    return LSTMAutoencoder(units=4, epochs=2, random_state=0).fit(labelled[0])


def test_pipeline_and_cross_validation(labelled):
    X, y = labelled
    pipe = make_pipeline(LSTMAutoencoder(units=8, epochs=3, random_state=0), StandardScaler(), LogisticRegression())
    assert cross_val_score(pipe, X, y, cv=3).mean() > 0.8
    assert cross_val_score(pipe, X[:, :, None], y, cv=3).mean() > 0.8


def test_grid_search_in_two_processes(labelled):
    X, y = labelled
    pipe = make_pipeline(LSTMAutoencoder(**SMALL), LogisticRegression())
    search = GridSearchCV(pipe, {"lstmautoencoder__units": [2, 4]}, cv=2, n_jobs=2).fit(X, y)
    assert search.best_params_["lstmautoencoder__units"] in (2, 4)
    alone = GridSearchCV(pipe, {"lstmautoencoder__units": [2, 4]}, cv=2).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


def test_column_transformer_takes_some_columns_as_steps(labelled):
    X, _ = labelled
    table = pd.DataFrame(X, columns=[f"t{i}" for i in range(24)]).assign(weight=np.arange(60.0))
    both = ColumnTransformer(
        [("series", LSTMAutoencoder(**SMALL), [f"t{i}" for i in range(24)]), ("plain", "passthrough", ["weight"])]
    )
    out = both.fit_transform(table)
    assert out.shape == (60, len(clone(both.named_transformers_["series"]).fit(X).get_feature_names_out()) + 1)
    assert both.get_feature_names_out()[0] == "series__mean_0"


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output(labelled, fitted, library):
    pytest.importorskip(library)
    estimator = clone(fitted).set_output(transform=library).fit(labelled[0])
    table = estimator.transform(labelled[0])
    assert type(table).__module__.startswith(library)
    assert list(table.columns) == list(fitted.get_feature_names_out())
    np.testing.assert_array_equal(table.to_numpy(), fitted.transform(labelled[0]))


IN_A_NEW_PROCESS = """
import sys, joblib, numpy as np
X = np.load(sys.argv[1] + "/X.npy")
if sys.argv[2] == "load":
    Z = joblib.load(sys.argv[1] + "/model.joblib").transform(X)
else:
    from tsae import LSTMAutoencoder
    Z = LSTMAutoencoder(units=4, epochs=2, random_state=0).fit_transform(X)
np.save(sys.argv[1] + "/Z.npy", Z)
"""


@pytest.mark.parametrize("way", ["load", "fit"])
def test_the_same_features_to_the_bit_in_a_new_process(labelled, fitted, tmp_path, way):
    np.save(tmp_path / "X.npy", labelled[0])
    joblib.dump(fitted, tmp_path / "model.joblib")
    subprocess.run([sys.executable, "-c", IN_A_NEW_PROCESS, str(tmp_path), way], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "Z.npy"), fitted.transform(labelled[0]))
