"""New processes: the first call of a loss, with and without a cache, and the import itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lossmith
from lossmith.engine.cache import ENVIRONMENT
from lossmith.errors import UnsupportedError
from lossmith.formula.ledger import LEDGER
from lossmith.lab.bench import compiler, data, rivals, truth
from lossmith.lab.bench.result import Result, Row, Target, compared, lasted
from lossmith.lab.bench.settings import Settings

FIRST = ("binary_focal", "cross_entropy")
OTHERS = ("huber", "tukey_biweight", "log_cosh", "hinge", "logistic", "focal")
EMPTY, WARM, FURTHER, IMPORT = 2.0, 0.6, 0.05, 0.3
COUNT, ROWS_AND_CLASSES = 256, (16, 16)

# The clock starts after `import torch` and once the batches are there, as in a training script.
_HEAD = """
import json, sys, time
import torch
asked = json.loads(sys.argv[1])
sys.path.insert(0, asked["root"])
torch.set_num_threads(asked["threads"])
batches = []
for prediction, target, hard in asked["batches"]:
    target = torch.tensor(target, dtype=torch.int64 if hard else torch.float32)
    batches.append((torch.tensor(prediction, requires_grad=True), target))
found = []
def note(begin, value, prediction):
    seconds = time.perf_counter() - begin
    gradient = None if prediction is None else prediction.grad.tolist()
    found.append((seconds, value if value is None else value.item(), gradient))
"""
_TAIL = """
print(json.dumps(found))
"""
_OURS = """
begin = time.perf_counter()
import lossmith
for name, (prediction, target) in zip(asked["names"], batches):
    value = getattr(lossmith, name)(prediction, target)
    value.backward()
    note(begin, value, prediction)
    begin = time.perf_counter()
"""
_COMPILED = """
import warnings; warnings.simplefilter("ignore")
from lossmith.lab.bench import rivals
eager = rivals.composition(asked["names"][0])
(prediction, target), = batches
begin = time.perf_counter()
value = torch.compile(eager)(prediction, target)
value.backward()
note(begin, value, prediction)
"""
# The package loads its names on first use, so an import that asks for none proves nothing.
_IMPORT = """
begin = time.perf_counter()
import lossmith
for name in lossmith.__all__:
    getattr(lossmith, name)
note(begin, None, None)
"""


def _process(
    body: str, names: tuple[str, ...], settings: Settings, **environment: str
) -> list[tuple[float, float, list[Any]]]:
    """Seconds, value and gradient of each loss in a new process."""
    asked = {
        "root": str(Path(str(lossmith.__file__)).parents[1]),
        "threads": settings.threads,
        "names": names,
        "batches": [
            (prediction.tolist(), target.tolist(), not target.is_floating_point())
            for prediction, target in map(_batch, names)
        ],
    }
    done = subprocess.run(
        [sys.executable, "-c", _HEAD + body + _TAIL, json.dumps(asked)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=300,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UnsupportedError(f"a process that the bench started ended with: {last}")
    return json.loads(done.stdout)


def _batch(name: str) -> Any:
    family = LEDGER[name].family
    if family == "probability":
        return data.classes(*ROWS_AND_CLASSES)
    return data.elementwise(family, COUNT)


def _problem(name: str, value: float, gradient: list[Any]) -> str:
    import torch

    prediction, target = _batch(name)
    expected = truth.in_float64(rivals.composition(name), prediction, target)
    return truth.problem(truth.Truth(value, torch.tensor(gradient)), expected)


def _first(settings: Settings) -> Iterator[Result]:
    rounds = settings.rounds(5)
    cold: dict[str, list[float]] = {name: [] for name in FIRST}
    warm: dict[str, list[float]] = {name: [] for name in FIRST}
    later: dict[str, list[float]] = {name: [] for name in OTHERS}
    wrong: dict[str, str] = {}

    def run(into: dict[str, list[float]], names: tuple[str, ...], folder: str) -> None:
        ran = _process(_OURS, names, settings, **{ENVIRONMENT: folder})
        for name, (seconds, value, gradient) in zip(names, ran, strict=True):
            what = _problem(name, value, gradient)
            if what:
                wrong[name] = f"ours: {what}"
            if name in into:
                into[name].append(seconds)

    with tempfile.TemporaryDirectory() as full:
        run({}, (*FIRST, *OTHERS), full)  # fills this cache, and writes Python's own
        for done in range(rounds):
            for name in FIRST:
                if done < 3:
                    with tempfile.TemporaryDirectory() as empty:
                        run(cold, (name,), empty)
                run(warm, (name,), full)
            run(later, (FIRST[0], *OTHERS), full)
    for work, seconds, limit in (
        ("first call in a new process, empty cache", cold, EMPTY),
        ("first call in a new process, warm cache", warm, WARM),
        ("each further loss, warm cache", later, FURTHER),
    ):
        for name, found in seconds.items():
            if name in wrong:
                yield Result("first", work, name, "", Target("seconds", limit), wrong=wrong[name])
            else:
                yield lasted("first", work, name, limit, found)
    yield from _compiled(settings, cold[FIRST[0]], warm[FIRST[0]])


def _compiled(settings: Settings, cold: list[float], warm: list[float]) -> Iterator[Result]:
    """torch.compile's own first call of the eager composition, once with each cache."""
    name, goal = FIRST[0], Target("faster", 1.0)
    note = compiler.QUICK if settings.quick else compiler.missing()
    works = [
        (f"first call in a new process, {cache} cache, against torch.compile", ours)
        for cache, ours in (("empty", cold), ("warm", warm))
    ]
    if note:
        for work, _ in works:
            yield Result("first", work, name, compiler.NAME, goal, note=note)
        return
    with tempfile.TemporaryDirectory() as folder:
        for work, ours in works:
            ((seconds, value, gradient),) = _process(
                _COMPILED, (name,), settings, TORCHINDUCTOR_CACHE_DIR=folder
            )
            what = _problem(name, value, gradient)
            if what:
                yield Result("first", work, name, compiler.NAME, goal, wrong=f"theirs: {what}")
            else:
                yield compared(
                    "first", work, name, compiler.NAME, goal, ours, [seconds] * len(ours),
                    note="theirs once",
                )  # fmt: skip


def _import(settings: Settings) -> Iterator[Result]:
    _process(_IMPORT, (), settings)
    seconds = [_process(_IMPORT, (), settings)[0][0] for _ in range(settings.rounds(9))]
    yield lasted(
        "import", "import lossmith after import torch, every name loaded", "", IMPORT, seconds
    )


ROWS = (Row("first", lambda _: 1, _first), Row("import", lambda _: 1, _import))
