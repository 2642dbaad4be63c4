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


def results(
    work: Work,
    dataset: Dataset,
    trials: Sequence[Trial],
    jobs: int,
    backend: str = "loky",
    cluster: str | None = None,
    lent: Callable[[], AbstractContextManager[Path]] | None = None,
) -> Iterator[tuple[Trial, dict[str, Any]]]:
    """Run the trials, and hand out each as soon as it is finished, in any order.

    On a cluster, Lossmith has to be installed where the workers run. `lent` opens a folder for the
    data that processes of this machine share; without it, one among the system's temporary files.
    """
    if backend == "loky" and (jobs == 1 or len(trials) <= 1):
        for one in trials:
            yield one, trial.run(work, dataset, one)
        return
    if backend == "ray":
        yield from _over_ray(work, dataset, trials, jobs, cluster)
        return
    with ExitStack() as stack:
        source: Dataset | str = dataset
        if backend == "loky":
            # Workers map the same file into memory: a million rows are there once, not per worker.
            source = str(stack.enter_context((lent or _temporary)()) / DATA)
            try:
                joblib.dump(dataset, source)
            except OSError as error:
                raise InputError(f"cannot write {source}: {error.strerror or error}") from None
        stack.enter_context(_engine(backend, jobs, cluster, dataset))
        parallel = joblib.Parallel(
            return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs"
        )
        yield from parallel(joblib.delayed(_one)(work, source, one) for one in trials)


@contextmanager
def _temporary() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=SCRATCH) as folder:
        yield Path(folder)


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


@contextmanager
def _engine(backend: str, jobs: int, cluster: str | None, dataset: Dataset) -> Iterator[None]:
    if backend == "loky":
        with joblib.parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
            yield
    else:
        client_type = _import("distributed", "dask[distributed]").Client
        try:
            client = client_type(cluster) if cluster else client_type(n_workers=jobs)
        except (OSError, ValueError) as error:
            raise InputError(f"--cluster {cluster}: no Dask scheduler answers: {error}") from None
        with client, joblib.parallel_config("dask", client=client, scatter=[dataset]):
            yield


def _over_ray(
    work: Work, dataset: Dataset, trials: Sequence[Trial], jobs: int, cluster: str | None
) -> Iterator[tuple[Trial, dict[str, Any]]]:
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
        waiting = [one.remote(work, shared, trial) for trial in trials]
        while waiting:
            done, waiting = ray.wait(waiting)
            yield from ray.get(done)
    finally:
        if started:
            ray.shutdown()


def _import(module: str, package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise InputError(f"this backend needs {package}: pip install '{package}'") from None
