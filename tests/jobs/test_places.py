"""Results in object stores: put whole, once, by one job at a time, which continues after whatever ended it."""

import json
import logging
import shutil
import threading
import time
import uuid

import pandas as pd
import pytest
from joblib.externals.loky import get_reusable_executor

from tests.jobs.conftest import names_of, write_parts
from tests.jobs.light_job import KINDS, light_job, run_kinds, run_light, start_light_job, write_means
from tests.jobs.object_store import SECRET
from tsae.jobs import locks
from tsae.jobs.anomalies import EventRule, run_anomalies
from tsae.jobs.errors import JobError
from tsae.jobs.execution import Execution
from tsae.jobs.job import Job
from tsae.jobs.places import StoredPath, place_of
from tsae.jobs.report import read_parts

pytest.importorskip("s3fs")
pytest.importorskip("moto")
FAULTS = ("status", "closed", "lost", "half", "slow")


@pytest.fixture(scope="module")
def local(table, tmp_path_factory):
    """Five parts, and what a job writes to a local folder from them."""
    folder = tmp_path_factory.mktemp("local")
    source = write_parts(table, folder / "in", 5)
    run_kinds(source, folder)
    return folder


@pytest.fixture
def system(store):
    import s3fs

    return s3fs.S3FileSystem(use_listings_cache=False)


@pytest.fixture
def bucket(system):
    """The address of a bucket of its own."""
    name = f"bucket-{uuid.uuid4()}"
    system.mkdir(name)
    return f"s3://{name}"


def objects_of(system, address):
    """Everything below an address, by name."""
    root = address.removeprefix("s3://")
    return {name.removeprefix(f"{root}/"): system.cat_file(name) for name in system.find(root)}


def assert_same_rows(system, output, expected, kind):
    """The files of rows must be those of a local folder, byte for byte, and no others."""
    found = {name: content for name, content in objects_of(system, output).items() if name.startswith(f"{kind}/")}
    wanted = {name: (expected / name).read_bytes() for name in names_of(expected) if name.startswith(f"{kind}/")}
    assert found == wanted


def statuses(system, output):
    return {part["status"] for part in json.loads(objects_of(system, output)["manifest.json"])["parts"]}


# -- rows ----------------------------------------------------------------------------------------------------------


def test_rows_are_those_of_a_local_folder(local, bucket, system, store):
    kind = "features"
    manifest = run_light(local / "in", f"{bucket}/out", kind)
    assert_same_rows(system, f"{bucket}/out", local / kind, kind)
    assert str(manifest.path) == f"{bucket}/out/manifest.json"
    assert sorted(name for name in objects_of(system, f"{bucket}/out") if "/" not in name) == ["manifest.json"]
    pd.testing.assert_frame_equal(read_parts(place_of(f"{bucket}/out")), read_parts(local / kind))
    before = {name: info["LastModified"] for name, info in system.find(f"{bucket}/out/{kind}", detail=True).items()}
    run_light(local / "in", f"{bucket}/out", kind)  # nothing to do
    assert before == {
        name: info["LastModified"] for name, info in system.find(f"{bucket}/out/{kind}", detail=True).items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_with_one_request_in_twenty_failing_the_rows_are_the_same(table, bucket, system, store, tmp_path, kind):
    source = write_parts(table, tmp_path / "in", 16)
    run_light(source, tmp_path / "out", kind)
    for file in source.iterdir():
        system.put_file(str(file), f"{bucket}/in/{file.name}")
    store.fault, store.every, store.of_reads = FAULTS, 20, False
    run_light(f"{bucket}/in", f"{bucket}/out", kind)
    store.every = 0
    assert store.n_faults >= len(FAULTS)
    assert_same_rows(system, f"{bucket}/out", tmp_path / "out", kind)
    assert statuses(system, f"{bucket}/out") == {"done"}


def test_a_part_that_was_changed_or_lost_in_the_store_is_made_again(local, bucket, system):
    run_light(local / "in", f"{bucket}/out")
    content = system.cat_file(f"{bucket}/out/features/part_3.parquet")
    system.pipe_file(f"{bucket}/out/features/part_3.parquet", bytes(len(content)))  # of the same size
    system.rm_file(f"{bucket}/out/features/part_5.parquet")
    run_light(local / "in", f"{bucket}/out")
    assert_same_rows(system, f"{bucket}/out", local / "features", "features")


@pytest.mark.cluster
def test_workers_write_to_the_store(local, bucket, system):
    get_reusable_executor().shutdown(wait=True)  # workers of earlier tests started with another environment
    run_light(local / "in", f"{bucket}/out", "timeline", execution=Execution(2))
    assert_same_rows(system, f"{bucket}/out", local / "timeline", "timeline")


# -- jobs that end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "n_finished"), [("features", 1), ("timeline", 3)])
def test_a_killed_job_continues_to_the_same_rows(local, bucket, system, store, tmp_path, kind, n_finished):
    output = f"{bucket}/out"
    process, permits = start_light_job(local / "in", output, kind, n_finished, permits=tmp_path / "permits")
    process.kill()
    process.wait()
    shutil.rmtree(permits)
    left = objects_of(system, output)
    assert sum(name.startswith(f"{kind}/") for name in left) == n_finished
    for name in left:
        if name.startswith(f"{kind}/"):  # none is incomplete
            assert left[name] == (local / kind / name).read_bytes()
    store.fault, store.every, store.of_reads = FAULTS[:4], 20, False
    run_light(local / "in", output, kind)  # at once: the process of the lock is known to be gone
    store.every = 0
    assert_same_rows(system, output, local / kind, kind)
    assert statuses(system, output) == {"done"}


def test_a_store_that_fails_stops_the_job_which_then_continues(local, bucket, system, store, monkeypatch):
    monkeypatch.setattr("tsae.jobs.stores.ATTEMPTS", 1)

    def fails_on_third(estimator, part, spec, append):
        store.is_down = store.methods.count("PUT") > 10
        return write_means(estimator, part, spec, append)

    with pytest.raises(JobError, match=r"cannot be (written|read): .*the same command continues") as caught:
        run_light(local / "in", f"{bucket}/out", write=fails_on_third, on_error="skip")
    assert SECRET not in str(caught.value)
    store.is_down = False
    run_light(local / "in", f"{bucket}/out", on_error="skip")
    assert_same_rows(system, f"{bucket}/out", local / "features", "features")


# -- the lock --------------------------------------------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch):
    """Locks that are renewed and expire within a second."""
    for name, seconds in (("BEAT_SECONDS", 0.05), ("LEASE_SECONDS", 1.0), ("POLL_SECONDS", 0.02)):
        monkeypatch.setattr(locks, name, seconds)


def lock_of_elsewhere(system, bucket):
    """Make the lock of a job on another machine."""
    with locks.locked(place_of(f"{bucket}/out")):
        content = json.loads(system.cat_file(f"{bucket}/out/.lock/1"))
    system.pipe_file(f"{bucket}/out/.lock/1", json.dumps({**content, "machine": "elsewhere 1 2"}).encode())


def test_two_jobs_do_not_write_to_one_output(local, bucket, system):
    with locks.locked(place_of(f"{bucket}/out")) as check:
        with pytest.raises(JobError, match=f"another job is writing to {bucket}/out"):
            run_light(local / "in", f"{bucket}/out")
        check()
    run_light(local / "in", f"{bucket}/out")


def test_of_jobs_that_start_together_one_gets_the_lock(bucket, hasty):
    found = []

    def start():
        try:
            with locks.locked(place_of(f"{bucket}/out")):
                found.append("got")
                time.sleep(2)
        except JobError as error:
            found.append(str(error))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [*[f"another job is writing to {bucket}/out"] * 3, "got"]


def test_the_lock_of_a_job_elsewhere_counts_while_it_is_renewed(local, bucket, system, hasty):
    lock_of_elsewhere(system, bucket)
    end = threading.Event()

    def renew():
        beat = 0
        while not end.wait(0.1):
            beat += 1
            content = json.loads(system.cat_file(f"{bucket}/out/.lock/1"))
            system.pipe_file(f"{bucket}/out/.lock/1", json.dumps({**content, "beat": beat}).encode())

    thread = threading.Thread(target=renew)
    thread.start()
    with pytest.raises(JobError, match="another job is writing"):
        run_light(local / "in", f"{bucket}/out")
    end.set()
    thread.join()
    run_light(local / "in", f"{bucket}/out")  # after the time in which it would have been renewed
    assert_same_rows(system, f"{bucket}/out", local / "features", "features")
    assert list(objects_of(system, f"{bucket}/out/.lock")) == ["2"]


def test_a_job_whose_lock_was_taken_stops_and_leaves_the_manifest(local, bucket, system, hasty):
    def is_overtaken(estimator, part, spec, append):
        system.pipe_file(f"{bucket}/out/.lock/2", b"{}")
        system.pipe_file(f"{bucket}/out/manifest.json", b"of the other job")
        time.sleep(0.5)
        return write_means(estimator, part, spec, append)

    with pytest.raises(JobError, match=f"another job has taken over {bucket}/out"):
        run_light(local / "in", f"{bucket}/out", write=is_overtaken)
    assert system.cat_file(f"{bucket}/out/manifest.json") == b"of the other job"


def test_a_store_that_knows_no_conditions_is_refused(local, bucket, system, store):
    store.ignores_conditions = True
    with pytest.raises(JobError, match="ignores conditions of requests"):
        run_light(local / "in", f"{bucket}/out")
    assert not system.find(f"{bucket}/out")


def test_a_file_is_created_once_whatever_becomes_of_the_answer(bucket, store):
    store.fault, store.every, store.of_reads = ("lost", "closed", "status"), 2, False
    for number in range(6):
        assert StoredPath(f"{bucket}/{number}").create(b"one")
        assert not StoredPath(f"{bucket}/{number}").create(b"two")
        assert StoredPath(f"{bucket}/{number}").open().read() == b"one"
    assert store.n_faults > 6


# -- everything else that is written -----------------------------------------------------------------------------------


def test_scores_events_and_report_without_credentials(
    tsae, detector_file, table_file, bucket, system, store, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(logging.getLogger("tsae"), "propagate", True)
    caplog.set_level(logging.DEBUG, logger="tsae")
    system.put_file(str(table_file), f"{bucket}/in/machines.csv")
    signed = f"{store.address}/{bucket.removeprefix('s3://')}/in/machines.csv?X-Amz-Signature={SECRET}"
    out = f"{bucket}/out"
    shown = []
    for source in (f"{bucket}/in/machines.csv", signed):
        code, *printed = tsae("anomalies", detector_file.path, source, out, "--report", f"{bucket}/page.html")
        assert code == 0
        shown += printed
    job = Job("timeline", detector_file, str(table_file), tmp_path / "out", detector_file.spec)
    run_anomalies(job, EventRule())
    found = objects_of(system, out)
    assert found["events.csv"] == (tmp_path / "out" / "events.csv").read_bytes()
    assert_same_rows(system, out, tmp_path / "out", "timeline")
    assert (
        b"Anomalies in s3://" in objects_of(system, bucket)["page.html"]
        or b"Anomalies in http" in objects_of(system, bucket)["page.html"]
    )
    shown += tsae("evaluate", out, "--threshold", 3, "--label-column", "score")[1:]
    assert "auc_pr" in shown[-2]
    written = b"".join(content for name, content in objects_of(system, bucket).items() if not name.startswith("in/"))
    for secret in (SECRET, "X-Amz-Signature"):
        assert secret.encode() not in written + detector_file.path.read_bytes()
        assert secret not in "".join(shown) + caplog.text


def test_addresses_that_cannot_be_written_to_are_refused_before_work(tsae, autoencoder_file, table_file, bucket):
    model = autoencoder_file.path
    for output, message in {
        "https://host/out": "the output https://host/out is no folder or file, nor in a store to write to",
        "s3://user:word@bucket/out": "the address of the output holds a user or password",
        f"{bucket}/out?Signature=abc": f"the output {bucket}/out has a question mark",
        "s3://no-such-bucket/out": "s3://no-such-bucket/out/.lock/1 cannot be written: there is no such bucket",
    }.items():
        code, out, err = tsae("features", model, table_file, output)
        assert (code, message in err, "Signature" in err + out, "word@" in err) == (1, True, False, False), err
    code, _, err = tsae("anomalies", model, table_file, f"{bucket}/out", "--report", bucket)
    assert (code, f"the report {bucket} is a bucket; name a file in it" in err) == (1, True)
    code, _, err = tsae("features", f"{bucket}/m.tsae", table_file, f"{bucket}/out")
    assert (code, "the model is read from a local file" in err) == (1, True)
    code, _, err = tsae("train", table_file, f"{bucket}/m.tsae", "--width", 12)
    assert (code, "the model goes to a local file, not to an address" in err) == (1, True)


def test_input_and_output_may_not_lie_within_each_other(local, bucket, system):
    system.put_file(str(local / "in" / "part_1.csv"), f"{bucket}/logs/part_1.csv")
    for source, output in (("logs", "logs/out"), ("logs", "logs"), ("logs/part_1.csv", "logs"), ("", "out")):
        with pytest.raises(JobError, match="lie within each other"):
            run_light(f"{bucket}/{source}", f"{bucket}/{output}")
    with pytest.raises(JobError, match="is a file; name a directory"):
        run_light(local / "in", f"{bucket}/logs/part_1.csv")
    light_job(f"{bucket}/logs", f"{bucket}/logs_out").check([])  # the same letters, another folder
