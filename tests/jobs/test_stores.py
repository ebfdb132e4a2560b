"""Data sets in object stores, read from a real server, some of whose answers fail, are late or arrive in part."""

import gzip
import logging

import pandas as pd
import pytest
from joblib.externals.loky import get_reusable_executor

from tests.jobs.conftest import COLUMNS, names_of, write_parts
from tests.jobs.light_job import run_light
from tests.jobs.object_store import SECRET
from tsae.jobs.errors import JobError
from tsae.jobs.execution import Execution
from tsae.jobs.init import init
from tsae.jobs.memory import reserved, row_bytes
from tsae.jobs.parts import list_parts
from tsae.jobs.spec import Columns
from tsae.jobs.stores import refuse_password
from tsae.jobs.train import Training, training_windows

pytest.importorskip("s3fs")
pytest.importorskip("moto")


@pytest.fixture(scope="module")
def local(table, tmp_path_factory):
    """Nine parts: CSV, compressed CSV and Parquet."""
    folder = write_parts(table, tmp_path_factory.mktemp("parts") / "in", 9)
    for number in (2, 5):
        part = folder / f"part_{number}.csv"
        (folder / f"part_{number}.csv.gz").write_bytes(gzip.compress(part.read_bytes()))
        part.unlink()
    for number in (3, 9):
        part = folder / f"part_{number}.csv"
        pd.read_csv(part, parse_dates=["time"]).to_parquet(folder / f"part_{number}.parquet", index=False)
        part.unlink()
    return folder


@pytest.fixture
def bucket(store, local, request):
    """The address of the same parts in a bucket of their own."""
    import s3fs

    name = "".join(c for c in request.node.name.lower() if c.isalnum())[:40]
    system = s3fs.S3FileSystem()
    system.mkdir(name)
    for file in local.iterdir():
        system.put_file(str(file), f"{name}/logs/{file.name}")
    return f"s3://{name}/logs"


def test_parts_are_those_of_a_local_folder(bucket, local):
    assert [part.name for part in list_parts(bucket)] == [part.name for part in list_parts(local)]
    assert [part.size for part in list_parts(bucket)] == [part.size for part in list_parts(local)]
    names = [part.name for part in list_parts(f"{bucket}/part_[1-3].*")]
    assert names == ["part_1.csv", "part_2.csv.gz", "part_3.parquet"]
    [part] = list_parts(f"{bucket}/part_4.csv")
    assert (part.name, part.path.name, str(part.path)) == ("part_4.csv", "part_4.csv", f"{bucket}/part_4.csv")


@pytest.mark.parametrize("kind", ["features", "timeline"])
def test_rows_are_those_of_local_files(bucket, local, tmp_path, kind, store):
    run_light(local, tmp_path / "local", kind)
    run_light(bucket, tmp_path / "out", kind)
    for name in names_of(tmp_path / "local" / kind):
        assert (tmp_path / "out" / kind / name).read_bytes() == (tmp_path / "local" / kind / name).read_bytes()
    n_reads = store.n_reads
    run_light(bucket, tmp_path / "out", kind)
    assert store.n_reads == n_reads  # the store's tags tell that nothing has changed


@pytest.mark.parametrize("fault", ["status", "closed", "half", "slow"])
def test_requests_that_fail_are_repeated(bucket, local, tmp_path, store, fault):
    run_light(local, tmp_path / "local")
    store.fault, store.every = fault, 7
    run_light(bucket, tmp_path / "out")
    assert store.n_faults >= 2
    for name in names_of(tmp_path / "local" / "features"):
        assert (tmp_path / "out" / "features" / name).read_bytes() == (
            tmp_path / "local" / "features" / name
        ).read_bytes()


def test_a_store_that_fails_stops_the_job_which_then_continues(bucket, local, tmp_path, store, monkeypatch):
    monkeypatch.setattr("tsae.jobs.stores.FIRST_WAIT", 0.001)
    parts = list_parts(bucket)
    store.fault, store.every = "status", 1
    with pytest.raises(JobError, match=r"cannot be read: .*the same command continues") as caught:
        run_light(bucket, tmp_path / "out", on_error="skip")  # no fault of a part, which could be skipped
    assert SECRET not in str(caught.value)
    store.every = 0
    manifest = run_light(bucket, tmp_path / "out", on_error="skip")
    assert len(manifest.records) == len(parts) == 9
    run_light(local, tmp_path / "local")
    assert names_of(tmp_path / "out" / "features") == names_of(tmp_path / "local" / "features")


def test_a_part_that_changed_is_noticed(bucket, local, tmp_path):
    import s3fs

    run_light(bucket, tmp_path / "out")
    text = (local / "part_4.csv").read_text().replace(".1", ".2")
    s3fs.S3FileSystem().pipe_file(f"{bucket.removeprefix('s3://')}/part_4.csv", text.encode())
    with pytest.raises(JobError, match="parts changed: part_4.csv"):
        run_light(bucket, tmp_path / "out")


def test_windows_are_drawn_from_a_store(bucket, local):
    training = Training(COLUMNS, 12, memory=reserved(12) + 200 * row_bytes(2))
    windows, spec = training_windows(bucket, training)
    wanted, wanted_spec = training_windows(str(local), training)
    assert spec == wanted_spec
    assert windows.index.equals(wanted.index)


@pytest.mark.cluster
def test_workers_read_from_the_store(bucket, local, tmp_path):
    get_reusable_executor().shutdown(wait=True)  # workers of earlier tests started with another environment
    run_light(local, tmp_path / "local")
    run_light(bucket, tmp_path / "out", execution=Execution(2))
    for name in names_of(tmp_path / "local" / "features"):
        assert (tmp_path / "out" / "features" / name).read_bytes() == (
            tmp_path / "local" / "features" / name
        ).read_bytes()


# -- secrets and addresses -----------------------------------------------------------------------------------------


def test_signatures_and_credentials_are_not_shown(bucket, store, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("tsae"), "propagate", True)
    caplog.set_level(logging.DEBUG, logger="tsae")
    address = f"{store.address}/{bucket.removeprefix('s3://')}/part_1.csv"
    manifest = run_light(f"{address}?X-Amz-Signature={SECRET}", tmp_path / "out")
    assert list(manifest.records) == ["part_1.csv"]
    init(f"{address}?X-Amz-Signature={SECRET}", tmp_path / "tsae.toml", Columns())
    assert address in (tmp_path / "tsae.toml").read_text()
    store.is_down = True
    with pytest.raises(JobError, match=r"no file http://.*/part_1.csv, or its server does not answer") as caught:
        run_light(f"{address}?X-Amz-Signature={SECRET}", tmp_path / "other")
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    shown = [str(caught.value), caplog.text, repr(caught.value)]
    assert not any(SECRET.encode() in content for content in written)
    assert not any(SECRET in text for text in shown)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("s3://user:password@bucket/logs", "holds a user or password"),
        ("s3://bucket-that-is-not-there/logs", "s3://bucket-that-is-not-there/logs"),
        ("nosuch://bucket/logs", "nosuch://bucket/logs cannot be used: Protocol not known"),
    ],
)
def test_addresses_that_cannot_be_used_are_errors(store, source, message):
    with pytest.raises(JobError, match=message) as caught:
        list_parts(source)
    assert "password@" not in str(caught.value)


def test_a_container_of_azure_is_no_password():
    refuse_password("abfs://container@account.dfs.core.windows.net/logs", "the input")
    with pytest.raises(JobError, match="holds a user or password"):
        refuse_password("abfs://container:word@account.dfs.core.windows.net/logs", "the input")
