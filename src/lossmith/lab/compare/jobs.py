"""Independent jobs: processes of this machine or a Dask cluster over joblib, or Ray."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import joblib

from lossmith.errors import InputError
from lossmith.lab.compare import trial
from lossmith.lab.compare.leftovers import DATA, SCRATCH
from lossmith.lab.compare.trial import Trial, Work
from lossmith.lab.data.dataset import Dataset

_OPENED: dict[str, Dataset] = {}  # the data of this process, opened once

Results = Iterator[tuple[Trial, dict[str, Any]]]
Run = Callable[[Sequence[Trial]], Results]


@contextmanager
def workers(
    work: Work,
    dataset: Dataset,
    jobs: int,
    backend: str = "loky",
    cluster: str | None = None,
    lent: Callable[[], AbstractContextManager[Path]] | None = None,
) -> Iterator[Run]:
    """A function that runs trials and hands out each as soon as it is finished, in any order.

    What runs them is started when it is first needed and stays until the end, for a race asks
    several times. On a cluster, Lossmith has to be installed where the workers run. `lent` opens
    a folder for the data that processes of this machine share; without it, one among the system's
    temporary files.
    """
    with ExitStack() as stack:
        started: list[Run] = []

        def run(trials: Sequence[Trial]) -> Results:
            if backend == "loky" and (jobs == 1 or len(trials) <= 1):
                for one in trials:
                    yield one, trial.run(work, dataset, one)
            elif trials:
                if not started:
                    started.append(stack.enter_context(start()))
                yield from started[0](trials)

        def start() -> AbstractContextManager[Run]:
            if backend == "ray":
                return _ray(work, dataset, jobs, cluster)
            if backend == "dask":
                return _dask(work, dataset, jobs, cluster)
            return _processes(work, dataset, jobs, lent or _temporary)

        yield run


@contextmanager
def _processes(
    work: Work, dataset: Dataset, jobs: int, lent: Callable[[], AbstractContextManager[Path]]
) -> Iterator[Run]:
    with lent() as folder, joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        # Workers map the same file into memory: a million rows are there once, not per worker.
        source = str(folder / DATA)
        try:
            joblib.dump(dataset, source)
        except OSError as error:
            raise InputError(f"cannot write {source}: {error.strerror or error}") from None
        yield lambda trials: _parallel(work, source, trials)


@contextmanager
def _dask(work: Work, dataset: Dataset, jobs: int, cluster: str | None) -> Iterator[Run]:
    client_type = _import("distributed", "dask[distributed]").Client
    try:
        client = client_type(cluster) if cluster else client_type(n_workers=jobs)
    except (OSError, ValueError) as error:
        raise InputError(f"--cluster {cluster}: no Dask scheduler answers: {error}") from None
    with client, joblib.parallel_config("dask", client=client, scatter=[dataset]):
        yield lambda trials: _parallel(work, dataset, trials)


@contextmanager
def _ray(work: Work, dataset: Dataset, jobs: int, cluster: str | None) -> Iterator[Run]:
    """By Ray's own tasks: its joblib backend hands results out only when all are there."""
    ray = _import("ray", "ray")
    started = not ray.is_initialized()
    if started:
        where = {"address": cluster} if cluster else {"num_cpus": jobs, "include_dashboard": False}
        try:
            ray.init(**where, log_to_driver=False, logging_level="warning")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"--cluster {cluster}: no Ray answers: {error}") from None
    try:
        one = ray.remote(num_cpus=1)(_one)
        shared = ray.put(dataset)

        def run(trials: Sequence[Trial]) -> Results:
            waiting = [one.remote(work, shared, trial) for trial in trials]
            while waiting:
                done, waiting = ray.wait(waiting)
                yield from ray.get(done)

        yield run
    finally:
        if started:
            ray.shutdown()


@contextmanager
def _temporary() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=SCRATCH) as folder:
        yield Path(folder)


def _parallel(work: Work, source: Dataset | str, trials: Sequence[Trial]) -> Results:
    parallel = joblib.Parallel(
        return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs"
    )
    yield from parallel(joblib.delayed(_one)(work, source, one) for one in trials)


def _one(work: Work, source: Dataset | str, one: Trial) -> tuple[Trial, dict[str, Any]]:
    return one, trial.run(work, _open(source), one)


def _open(source: Dataset | str) -> Dataset:
    if not isinstance(source, str):
        return source
    if source not in _OPENED:
        _OPENED.clear()
        threading.Thread(target=_leave_with_parent, args=(os.getppid(),), daemon=True).start()
        _OPENED[source] = joblib.load(source, mmap_mode="r")
    return _OPENED[source]


def _leave_with_parent(parent: int) -> None:
    """End this process once its parent is gone: nobody is left to take what it would find."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _import(module: str, package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(f"this backend needs {package}: pip install '{package}'") from None
