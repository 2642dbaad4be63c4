"""A linear layer with its loss: time and extra memory beside all logits at once, and torch's own.

Memory is that of a new process, as the system counts it: its peak (VmHWM, set back before the
work) over what it holds when the work begins, less the gradients that the work returns. So a
kernel's scratch and a library's workspace count like a tensor. A small batch goes first, so that
code and libraries are there; freed memory goes back to the system at once
(MALLOC_MMAP_THRESHOLD_, and ours too: LOSSMITH_KEEP_MIB), so that none of it hides in the
beginning.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import lossmith
from lossmith.lab.bench import timing
from lossmith.lab.bench.result import Result, Row, Target, compared
from lossmith.lab.bench.settings import Settings
from lossmith.lab.bench.timing import Spread
from lossmith.lab.bench.truth import Truth, problem

ROWS_OF_BATCH, WIDTH, CLASSES = 2048, 512, 32000
DENSE, CHUNKED = "dense", "torch, in chunks"
FASTER, MEMORY = Target("faster", 1.0), Target("cost", 1 / 8)
Head = Callable[[Tensor, Tensor, Tensor], Tensor]

_CHILD = """
import ctypes, json, sys
import torch
asked = json.loads(sys.argv[1])
sys.path.insert(0, asked["root"])
torch.set_num_threads(asked["threads"])
from lossmith.lab.bench import linear
work = linear.heads()[asked["who"]]
def kilobytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))
def step(rows):
    features, weight, target = linear.batch(rows, asked["width"], asked["classes"])
    features.requires_grad_(); weight.requires_grad_()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:
        pass
    with open("/proc/self/clear_refs", "w") as clear:
        clear.write("5")
    begin = kilobytes("VmRSS")
    work(features, weight, target).backward()
    gradients = 4 * (features.numel() + weight.numel())
    return 1024 * (kilobytes("VmHWM") - begin) - gradients
step(64)
print(step(asked["rows"]))
"""


def heads() -> dict[str, Head]:
    """Who competes; torch's own only where this torch has it."""
    found: dict[str, Head] = {
        "ours": lossmith.linear_loss,
        DENSE: lambda features, weight, target: F.cross_entropy(F.linear(features, weight), target),
    }
    options = getattr(torch.nn, "LinearCrossEntropyOptions", None)
    chunked = getattr(F, "linear_cross_entropy", None)
    if options is not None and chunked is not None:
        found[CHUNKED] = lambda features, weight, target: chunked(
            features, weight, target, options=options()
        )
    return found


def batch(rows: int, width: int, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """float32 features and weight, scores of about ±1, class indices."""
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(rows, width, generator=draw)
    weight = torch.randn(classes, width, generator=draw).mul_(width**-0.5)
    return features, weight, torch.randint(classes, (rows,), generator=draw)


def extra_memory(
    who: str, rows: int, width: int, classes: int, threads: int | None = None
) -> int | None:
    """Bytes beyond inputs and gradients at the peak of one step; None where none can tell."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    asked = {
        "root": str(Path(str(lossmith.__file__)).parents[1]), "who": who, "rows": rows,
        "width": width, "classes": classes, "threads": threads or torch.get_num_threads(),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, json.dumps(asked)],
        capture_output=True, text=True, timeout=300,
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "1048576", "LOSSMITH_KEEP_MIB": "0"},
    )  # fmt: skip
    return int(done.stdout) if done.returncode == 0 else None


def _step(head: Head, features: Tensor, weight: Tensor, target: Tensor) -> Callable[[], Tensor]:
    def once() -> Tensor:
        features.grad = weight.grad = None
        value = head(features, weight, target)
        value.backward()
        return value

    return once


def _truth(features: Tensor, weight: Tensor, target: Tensor) -> tuple[float, Tensor, Tensor]:
    """Value and gradients in float64, by softmax minus one-hot, a few rows at a time."""
    wide, total = weight.double(), 0.0
    grad_features = torch.empty_like(features, dtype=torch.float64)
    grad_weight = torch.zeros_like(wide)
    rows = features.shape[0]
    for first in range(0, rows, 256):
        x, y = features[first : first + 256].double(), target[first : first + 256, None]
        log_p = torch.log_softmax(x @ wide.t(), 1)
        total -= float(log_p.gather(1, y).sum())
        slope = log_p.exp_().scatter_add_(1, y, -torch.ones_like(y, dtype=torch.float64)) / rows
        grad_features[first : first + 256] = slope @ wide
        grad_weight += slope.t() @ x
    return total / rows, grad_features, grad_weight


def _wrong(step: Callable[[], Tensor], leaves: list[Tensor], truth: Any) -> str:
    """What is wrong with value or gradients, or nothing."""
    value = float(step().detach())
    for leaf, expected in zip(leaves, truth[1:], strict=True):
        found = Truth(value, leaf.grad if leaf.grad is not None else torch.zeros_like(leaf))
        what = problem(found, Truth(truth[0], expected))
        if what:
            return what
    return ""


def _linear(settings: Settings) -> Iterator[Result]:
    rows = settings.size(ROWS_OF_BATCH)
    features, weight, target = batch(rows, WIDTH, CLASSES)
    expected = _truth(features, weight, target)
    leaves = [features.requires_grad_(), weight.requires_grad_()]
    steps = {name: _step(head, features, weight, target) for name, head in heads().items()}
    wrong = {name: _wrong(step, leaves, expected) for name, step in steps.items()}
    del expected
    work, case = f"linear head, {rows} × {WIDTH} → {CLASSES}", "cross_entropy"
    seconds = dict(
        zip(
            steps,
            timing.interleave(
                list(steps.values()), rounds=settings.rounds(7), budget=settings.seconds(60)
            ),
            strict=True,
        )
    )
    features.grad = weight.grad = None
    used = {n: extra_memory(n, rows, WIDTH, CLASSES, settings.threads) for n in steps}
    for rival in (DENSE, CHUNKED):
        if rival not in steps:
            yield Result("linear", work, case, rival, FASTER, note="this torch has none")
            continue
        fault = next((f"{n}: {wrong[n]}" for n in ("ours", rival) if wrong[n]), "")
        if fault:
            yield Result("linear", work, case, rival, FASTER, wrong=fault)
            continue
        yield compared("linear", work, case, rival, FASTER, seconds["ours"], seconds[rival])
    for rival in (DENSE, CHUNKED):
        ours, theirs = used["ours"], used.get(rival)
        goal = MEMORY if rival == DENSE else None
        name = f"{work}: extra memory"
        if ours is None or theirs is None or theirs <= 0:
            yield Result("linear", name, case, rival, goal, note="not measured here")
            continue
        ratio = ours / theirs
        yield Result(
            "linear", name, case, rival, goal or Target("cost", 1.0), Spread(ratio, ratio, ratio),
            note=f"{ours / 2**20:.0f} MB against {theirs / 2**20:.0f} MB",
        )  # fmt: skip


ROWS = (Row("linear", lambda _: 2, _linear),)
