"""A small table and small models that the tests of jobs share."""

from __future__ import annotations

import builtins
import os
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.jobs.object_store import SECRET, Proxy, s3_server
from tsae.jobs import cli
from tsae.jobs.models import ModelFile, open_model
from tsae.jobs.parts import natural_key
from tsae.jobs.spec import Columns
from tsae.jobs.train import Training, train

COLUMNS = Columns("machine", "time", ("load", "heat"))


def make_table(n_rows: int = 240, n_series: int = 3, seed: int = 0) -> pd.DataFrame:
    """Series of different lengths whose rows are mixed, with gaps in time and missing values."""
    rng = np.random.default_rng(seed)
    series = []
    for number in range(n_series):
        n = n_rows - 37 * number
        steps = rng.choice([1, 5], n, p=[0.97, 0.03])
        time = pd.Timestamp("2024-03-01") + pd.to_timedelta(np.cumsum(steps) * 10, unit="min")
        load = np.sin(np.arange(n) / 4 + number) + rng.normal(0, 0.1, n)
        heat = 20 + np.cos(np.arange(n) / 6) + rng.normal(0, 0.1, n)
        load[rng.choice(n, 4)] = np.nan
        series.append(
            pd.DataFrame({"machine": f"m{number}", "time": time, "load": load.round(4), "heat": heat.round(4)})
        )
    return pd.concat(series).sort_values("time", kind="stable", ignore_index=True)


def write_parts(table: pd.DataFrame, folder: Path, n_parts: int, suffix: str = ".csv") -> Path:
    """Cut a table into files of about as many rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate(np.array_split(np.arange(len(table)), n_parts), start=1):
        part = table.iloc[rows]
        path = folder / f"part_{number}{suffix}"
        part.to_csv(path, index=False) if suffix == ".csv" else part.to_parquet(path, index=False)
    return folder


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    return make_table()


@pytest.fixture(scope="session")
def table_file(table, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("table") / "machines.csv"
    table.to_csv(path, index=False)
    return path


SMALL = {"units": 4, "bidirectional": False, "epochs": 1, "random_state": 0}


@pytest.fixture(scope="session")
def autoencoder_file(table_file, tmp_path_factory) -> ModelFile:
    """A model for features: windows of 12 rows, every fifth."""
    path = tmp_path_factory.mktemp("model") / "features.tsae"
    train(str(table_file), path, Training(COLUMNS, width=12, stride=5, max_gap="15min", autoencoder=SMALL))
    return open_model(path)


@pytest.fixture(scope="session")
def detector_file(table_file, tmp_path_factory) -> ModelFile:
    path = tmp_path_factory.mktemp("model") / "anomalies.tsae"
    training = Training(
        COLUMNS, width=12, stride=5, task="anomalies", max_gap="15min",
        autoencoder={**SMALL, "decoder": "reconstruction"}, detector={"alpha": 0.2, "random_state": 0},
    )  # fmt: skip
    train(str(table_file), path, training)
    return open_model(path)


@pytest.fixture
def tsae(capsys, loggers_as_before):
    """Run the command line in this process: exit code, standard output and error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture
def reads_of(monkeypatch):
    """Give a function that counts how often a file is opened for reading from then on."""
    opened = []

    def counting(file, mode="r", *args, **kwargs):
        if "r" in mode and isinstance(file, (str, os.PathLike)):
            opened.append(os.fspath(file))
        return plain(file, mode, *args, **kwargs)

    plain = builtins.open
    monkeypatch.setattr(builtins, "open", counting)
    return lambda path: lambda: opened.count(str(path))


def names_of(folder: Path) -> list[str]:
    """Files in a folder, in natural order, hidden ones and all."""
    return sorted((str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()), key=natural_key)


# -- an object store -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server():
    """A proxy before an S3 server."""
    with s3_server() as port:
        proxy = Proxy(port)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()


@pytest.fixture
def store(server, monkeypatch):
    """The proxy before the server, without faults; credentials are in the environment."""
    import fsspec.config

    server.reset()
    for name, value in {
        "AWS_ENDPOINT_URL": server.address, "AWS_ACCESS_KEY_ID": "user", "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    timeouts = {"read_timeout": 1, "connect_timeout": 1, "retries": {"max_attempts": 1}}
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": timeouts, "endpoint_url": server.address})
    return server
