"""Jobs in several processes, whose series run across parts: the rows of one process, and none of them sent around."""

import random
import shutil
import signal
import time
from dataclasses import asdict, replace

import pandas as pd
import psutil
import pytest

from tests.jobs.conftest import names_of, write_parts
from tests.jobs.light_job import KINDS, SPEC, run_kinds, run_light, start_light_job
from tsae.jobs.errors import JobError
from tsae.jobs.execution import Execution
from tsae.jobs.manifest import DONE, SKIPPED
from tsae.jobs.report import read_parts
from tsae.jobs.spec import Columns, WindowSpec

pytestmark = pytest.mark.cluster
TWO = Execution(2)


def assert_same_output(output, expected):
    """All files of rows must be the same, byte for byte, and so must the records of the parts."""
    assert names_of(output) == names_of(expected)
    for name in names_of(output):
        if name.startswith(("features", "timeline")):
            assert (output / name).read_bytes() == (expected / name).read_bytes()


def records_of(manifest):
    records = [asdict(record) for record in manifest.records.values()]
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


@pytest.fixture(scope="module")
def one_process(table, tmp_path_factory):
    """A data set of 12 parts, and the output of one process, a kind each."""
    folder = tmp_path_factory.mktemp("one")
    source = write_parts(table, folder / "in", 12)
    return source, folder, run_kinds(source, folder)


@pytest.mark.parametrize("kind", KINDS)
def test_two_workers_write_what_one_process_writes(one_process, tmp_path, kind, reads_of):
    source, expected, manifests = one_process
    counts = [reads_of(part) for part in source.iterdir()]
    manifest = run_light(source, tmp_path / "out", kind, execution=TWO)
    assert [count() for count in counts] == [0] * 12  # the main process opens no part
    assert_same_output(tmp_path / "out", expected / kind)
    assert records_of(manifest) == records_of(manifests[kind])


def test_rows_without_ids_and_times(table, tmp_path):
    spec = WindowSpec(Columns(values=("load", "heat")), width=12, stride=5)
    source = write_parts(table, tmp_path / "in", 9)
    for name, execution in (("one", Execution()), ("two", TWO)):
        run_light(source, tmp_path / name, spec=spec, execution=execution)
    assert_same_output(tmp_path / "two", tmp_path / "one")


@pytest.mark.parametrize("kind", KINDS)
def test_holes_are_those_of_one_process(table, tmp_path, kind):
    source = write_parts(table, tmp_path / "in", 6)
    (source / "part_3.csv").write_text("broken")
    (source / "part_6.csv").write_text((source / "part_1.csv").read_text())  # comes before the others in time
    manifests = [
        run_light(source, tmp_path / name, kind, on_error="skip", execution=execution)
        for name, execution in (("one", Execution()), ("two", TWO))
    ]
    assert [record.status for record in manifests[1].records.values()] == [DONE, DONE, SKIPPED, DONE, DONE, SKIPPED]
    assert "read after the parts before it" in manifests[1].records["part_6.csv"].reason
    assert records_of(manifests[1]) == records_of(manifests[0])
    assert_same_output(tmp_path / "two", tmp_path / "one")
    with pytest.raises(JobError, match=r"part_3.csv.*the same command continues"):
        run_light(source, tmp_path / "fails", kind, execution=TWO)


def test_series_of_different_sampling_rates(table, tmp_path):
    slow = table[table["machine"] == "m0"].assign(machine="slow")
    slow["time"] = slow["time"].iloc[0] + 100 * (slow["time"] - slow["time"].iloc[0])
    both = pd.concat([table, slow]).sort_values("time", kind="stable", ignore_index=True)
    source = write_parts(both, tmp_path / "in", 9)
    spec = replace(SPEC, max_gap="2D", max_gaps=dict.fromkeys(["m0", "m1", "m2"], "15min"))
    for name, execution in (("one", Execution()), ("two", TWO)):
        run_light(source, tmp_path / name, "timeline", spec=spec, execution=execution)
    assert_same_output(tmp_path / "two", tmp_path / "one")


def written_at(output):
    return {name: (output / name).stat().st_mtime_ns for name in names_of(output) if name.startswith(("f", "t"))}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", [(Execution(), TWO), (TWO, Execution()), (TWO, TWO)], ids=["1 2", "2 1", "2 2"])
def test_parts_that_came_since_are_added(one_process, table, tmp_path, kind, order):
    _, expected, _ = one_process
    source = write_parts(table, tmp_path / "in", 12)
    late = {source / f"part_{number}.csv": (source / f"part_{number}.csv").read_bytes() for number in (11, 12)}
    for file in late:
        file.unlink()
    run_light(source, tmp_path / "out", kind, execution=order[0])
    before = written_at(tmp_path / "out")
    run_light(source, tmp_path / "out", kind, execution=order[1])
    assert written_at(tmp_path / "out") == before
    for file, content in late.items():
        file.write_bytes(content)
    run_light(source, tmp_path / "out", kind, execution=order[1])
    assert_same_output(tmp_path / "out", expected / kind)
    after = written_at(tmp_path / "out")
    assert sum(before[name] == after[name] for name in before) == (10 if kind == "features" else 9)


@pytest.mark.parametrize("is_last_row", [False, True])
def test_of_a_changed_part_only_those_are_computed_again_that_it_is_carried_into(table, tmp_path, is_last_row):
    source = write_parts(table, tmp_path / "in", 5)
    run_light(source, tmp_path / "out", execution=TWO)
    before = written_at(tmp_path / "out")
    lines = (source / "part_2.csv").read_text().splitlines()
    changed = -1 if is_last_row else 1
    lines[changed] = lines[changed].rsplit(",", 1)[0] + ",99"
    (source / "part_2.csv").write_text("\n".join(lines) + "\n")
    run_light(source, tmp_path / "out", execution=TWO, on_change="redo")
    after = written_at(tmp_path / "out")
    again = [name for name in before if before[name] != after[name]]
    assert again == [f"features/part_{number}.parquet" for number in ([2, 3] if is_last_row else [2])]
    run_light(source, tmp_path / "fresh")
    assert_same_output(tmp_path / "out", tmp_path / "fresh")


def test_files_of_the_first_pass_do_not_stay(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 4)
    run_light(source, tmp_path / "out", execution=TWO)
    assert len(names_of(tmp_path / "out" / "carry")) == 1  # for parts that are added later


@pytest.mark.parametrize("victims", ["main", "worker", "both"])
def test_killed_jobs_continue_to_the_same_rows(one_process, tmp_path, victims):
    source, expected, _ = one_process
    rng, output, log = random.Random(victims), tmp_path / "out", tmp_path / "log"
    n_finished = rng.randrange(1, 6)
    with log.open("w") as stderr:  # no pipe: workers that outlive the main process would hold it open
        process, permits = start_light_job(source, output, "timeline", n_finished, n_jobs=2, stderr=stderr)
    time.sleep(rng.uniform(0, 0.1))
    main = psutil.Process(process.pid)
    workers = [child for child in main.children() if "popen_loky" in " ".join(child.cmdline())]
    assert len(workers) == 2
    for victim in [*(workers[:1] if victims != "main" else []), *([main] if victims != "worker" else [])]:
        victim.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) != 0
    if victims == "worker":
        assert "a worker process was ended from outside" in log.read_text()
    assert len(list((output / "timeline").glob("*.parquet"))) == n_finished
    shutil.rmtree(permits)
    run_light(source, output, "timeline", execution=TWO)  # also while workers of the killed process are at work
    assert_same_output(output, expected / "timeline")
    for worker in workers:
        if worker.is_running():
            worker.kill()


def test_a_dask_cluster_writes_the_same_rows(one_process, tmp_path):
    distributed = pytest.importorskip("distributed")
    source, expected, _ = one_process
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        run_light(source, tmp_path / "out", "timeline", execution=Execution(dask=cluster.scheduler_address))
    assert_same_output(tmp_path / "out", expected / "timeline")
    pd.testing.assert_frame_equal(read_parts(tmp_path / "out"), read_parts(expected / "timeline"))
