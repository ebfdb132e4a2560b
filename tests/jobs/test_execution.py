import os
import threading
import time

import pytest

from tsae.jobs.errors import JobError
from tsae.jobs.execution import Execution


def double(task):
    return os.getpid(), 2 * task


def endless(taken):
    for number in range(1000):
        taken.append(number)
        yield number


def test_in_process_two_tasks_run_and_one_is_prepared():
    taken = []
    results = Execution().map(double, endless(taken))
    assert next(results) == (os.getpid(), 0)
    results.close()
    assert taken == [0, 1, 2]


def test_in_process_results_come_in_the_order_of_the_tasks():
    def sleep(seconds):
        time.sleep(seconds)
        return seconds

    assert list(Execution().map(sleep, [0.2, 0.0, 0.1, 0.0])) == [0.2, 0.0, 0.1, 0.0]
    assert list(Execution().map(sleep, [])) == []
    assert list(Execution().map(sleep, [0.0])) == [0.0]


def test_an_error_in_process_comes_after_the_results_before_it():
    results = Execution().map(lambda number: 1 / number, [1, 2, 0, 4])
    assert [next(results), next(results)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_local_processes_work_on_a_few_tasks_at_a_time():
    taken = []
    results = [Execution(n_jobs=2).map(double, endless(taken))]
    pid, _ = next(results[0])
    assert pid != os.getpid()
    assert len(taken) < 20
    results[0].close()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_errors_of_the_task_list_come_after_the_results_before_them(n_jobs):
    def tasks():
        yield 1
        yield 2
        raise JobError("no more")

    found = []
    with pytest.raises(JobError, match="no more"):  # noqa: PT012
        for _, result in Execution(n_jobs=n_jobs).map(double, tasks()):
            found.append(result)
    assert sorted(found) == [2, 4]


def test_threads_are_divided_among_processes():
    assert Execution(n_jobs=10_000).threads_per_process() == 1
    assert Execution(n_jobs=2, dask="tcp://somewhere").threads_per_process() is None


@pytest.mark.cluster
def test_a_dask_cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        results = list(Execution(dask=cluster.scheduler_address).map(double, range(8)))
    assert sorted(result for _, result in results) == list(range(0, 16, 2))
    assert os.getpid() not in {pid for pid, _ in results}
    assert threading.active_count() >= 1


def test_a_cluster_that_does_not_answer_is_an_error():
    pytest.importorskip("distributed")
    with pytest.raises(JobError, match="no Dask scheduler answers at tcp://127.0.0.1:1"):
        list(Execution(dask="tcp://127.0.0.1:1", connect_seconds=0.5).map(double, [1]))
