"""Where a job runs: in this process, in several local processes, or on a Dask cluster."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from tsae.jobs.errors import JobError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Execution:
    """Choice of where a job runs.

    Attributes
    ----------
    n_jobs : int
        Local processes; 1 is this process, which uses all cores.
    dask : str or None
        Address of the scheduler of a Dask cluster, such as ``tcp://10.0.0.1:8786``.
    connect_seconds : float
        How long to wait for the scheduler, and for its first worker.
    """

    n_jobs: int = 1
    dask: str | None = None
    connect_seconds: float = 60.0

    @property
    def in_process(self) -> bool:
        """Whether everything runs in this process."""
        return self.n_jobs == 1 and self.dask is None

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Give the results of ``function(task)``, in the order in which they are ready.

        Tasks are taken from the iterable as workers become free, so that only a few exist at a time. An exception
        from `tasks` is raised here, after the results of the tasks before it.

        Raises
        ------
        JobError
            If a worker process dies, or a cluster does not answer.
        """
        if self.in_process:
            yield from _two_at_once(function, one_ahead(tasks))
            return
        from joblib import Parallel, delayed

        failed: list[BaseException] = []

        def delayed_tasks() -> Iterator[Any]:
            # joblib takes tasks in its own threads, where an exception would be lost.
            try:
                for task in tasks:
                    yield delayed(_in_worker)(function, task, self.threads_per_process())
            except BaseException as error:
                failed.append(error)

        with self._backend():
            try:
                yield from Parallel(
                    n_jobs=self.n_jobs if self.dask is None else -1,
                    return_as="generator_unordered",
                    pre_dispatch="2 * n_jobs",
                    batch_size=1,
                )(delayed_tasks())
            except BrokenExecutor as error:
                raise JobError("a worker process was ended from outside, or ran out of memory") from error
        if failed:
            raise failed[0]

    def threads_per_process(self) -> int | None:
        """Threads for TensorFlow in each local process; those of a cluster are configured by its user."""
        return None if self.dask else max(1, (os.cpu_count() or 1) // self.n_jobs)

    @contextmanager
    def _backend(self) -> Iterator[None]:
        """Set the workers that joblib uses within the block."""
        from joblib import parallel_config

        if self.dask is None:
            with parallel_config("loky"):
                yield
            return
        try:
            from distributed import Client
        except ImportError as error:
            raise JobError("--dask needs Dask: pip install 'tsae[cluster]'") from error
        try:
            client = Client(self.dask, timeout=self.connect_seconds, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise JobError(f"no Dask scheduler answers at {self.dask}: {error}") from error
        with client, parallel_config("dask", client=client, wait_for_workers_timeout=self.connect_seconds):
            yield


def one_ahead(tasks: Iterable[T]) -> Iterator[T]:
    """Give the tasks, each taken while the one before it is computed: reading overlaps with computing."""
    iterator, end = iter(tasks), object()
    with ThreadPoolExecutor(1) as thread:
        taken: Future[Any] = thread.submit(next, iterator, end)
        while (task := taken.result()) is not end:
            taken = thread.submit(next, iterator, end)
            yield task


def _two_at_once(function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
    """Compute two tasks at a time: while one waits for the disk, the next one uses the cores. Keeps their order."""
    iterator, running = iter(tasks), deque[Future[R]]()
    failed: BaseException | None = None
    with ThreadPoolExecutor(2) as threads:
        while failed is None:
            try:
                running.append(threads.submit(function, next(iterator)))
            except StopIteration:
                break
            except Exception as error:
                failed = error
            if len(running) == 2:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    if failed is not None:
        raise failed


def _in_worker(function: Callable[[T], R], task: T, n_threads: int | None) -> R:
    if n_threads is not None:
        # TensorFlow reads these when it is loaded; a worker process has not loaded it before.
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(n_threads))
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(n_threads))
    return function(task)
