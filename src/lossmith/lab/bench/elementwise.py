"""Elementwise losses on large tensors: against eager torch, torch.compile, and memory itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

import lossmith
from lossmith.engine.cpu import launch
from lossmith.formula import calculus, lowering
from lossmith.formula.ledger import LEDGER
from lossmith.lab.bench import data, memory, race, rivals, timing, truth
from lossmith.lab.bench.result import Result, Row, Target, compared
from lossmith.lab.bench.settings import Settings

LARGE, HUGE, TILE = 1 << 22, 1 << 25, 1 << 20
TWINS = ("smooth_l1", "huber", "l1", "l2")


def _function(name: str) -> Callable[..., Tensor]:
    return getattr(lossmith, name)


def _focal(settings: Settings) -> Iterator[Result]:
    count = settings.size(LARGE)
    prediction, target = data.elementwise("margin", count)
    eager = rivals.composition("binary_focal")
    contest = race.Race(
        "focal", f"binary focal loss, {count:,} elements", "binary_focal",
        partial(_function("binary_focal"), gamma=2.0),
        (
            race.Rival("eager", eager, Target("faster", 15.0)),
            race.compile_rival(eager, Target("faster", 3.5), quick=settings.quick),
        ),
        prediction, target, truth.in_float64(eager, prediction, target),
    )  # fmt: skip
    yield from race.run(contest, rounds=settings.rounds(15), budget=settings.seconds(15))


def _twins(settings: Settings) -> Iterator[Result]:
    count = settings.size(LARGE)
    prediction, target = data.elementwise("residual", count)
    for name in TWINS:
        contest = race.Race(
            "twins", f"{name}, {count:,} elements", name, _function(name),
            (race.Rival("torch's own", rivals.TWINS[name], Target("faster", 1.8)),),
            prediction, target, truth.in_float64(rivals.composition(name), prediction, target),
        )  # fmt: skip
        yield from race.run(contest, rounds=settings.rounds(21), budget=settings.seconds(6))


def names() -> tuple[str, ...]:
    """Every elementwise loss."""
    return tuple(n for n, f in LEDGER.items() if f.family in ("residual", "margin"))


def arithmetic(name: str) -> bool:
    """Whether value and slope take no exponential and no logarithm: read off the program's text."""
    formula = LEDGER[name]
    value = calculus.base(formula)
    outputs = (value, calculus.derivative(value, "u"))
    return lowering.make(outputs, ("u",), tuple(p.name for p in formula.shape)).arithmetic


@contextmanager
def _written_to(buffer: Tensor) -> Iterator[None]:
    """The engine's results go to memory that is already there, so that only the kernel is timed."""
    holder: Any = launch
    own = holder.fresh_like
    holder.fresh_like = lambda prediction: buffer.view(prediction.shape)
    try:
        yield
    finally:
        holder.fresh_like = own


def _memory(settings: Settings) -> Iterator[Result]:
    """Forward calls: they make value and gradient in one pass, and nothing else is in them."""
    tile, tiles = settings.size(TILE), HUGE // TILE
    count = tile * tiles
    batches = {
        family: data.elementwise(family, tile) for family in ("residual", "margin")
    }  # a short stretch many times over: float64 needs to look at one
    whole = {family: [t.repeat(tiles) for t in batch] for family, batch in batches.items()}
    buffer = torch.zeros(count)
    add = memory.adder()
    for name in names():
        simple = arithmetic(name)
        family = LEDGER[name].family
        prediction, target = whole[family]
        leaf = prediction.detach().requires_grad_()
        kind = "arithmetic only" if simple else "with exp or log"
        work = f"elementwise formulas, {count:,} elements, warm buffer, {kind}"
        goal = Target("cost", 1.2 if simple else 2.0)
        head = ("memory", work, name, "2 reads + 1 write", goal)

        def ours(name: str = name, leaf: Tensor = leaf, target: Tensor = target) -> Tensor:
            return _function(name)(leaf, target)

        def torchs(a: Tensor = prediction, b: Tensor = target) -> None:
            torch.add(a, b, out=buffer)

        def own(a: Tensor = prediction, b: Tensor = target) -> None:
            add(a, b, buffer)

        with _written_to(buffer):
            wrong = _tiled_problem(name, batches[family], float(ours().detach()), buffer)
            if wrong:
                yield Result(*head, wrong=f"ours: {wrong}")
                continue
            seconds = timing.interleave(
                (ours, torchs, own), rounds=settings.rounds(15), budget=settings.seconds(1.5)
            )
        # The faster of two ways to move the same bytes.
        faster = min(seconds[1:], key=lambda s: timing.spread(s).middle)
        note = "torch.add" if faster is seconds[1] else "a loop of our own"
        yield compared(*head, seconds[0], faster, note=f"moved by {note}")


def _tiled_problem(name: str, batch: tuple[Tensor, Tensor], value: float, buffer: Tensor) -> str:
    """What is wrong with the gradient of many equal stretches."""
    expected = truth.in_float64(rivals.composition(name), *batch)
    rows = buffer.view(-1, expected.gradient.numel())
    found = truth.Truth(value, rows[0] * len(rows))
    wrong = truth.problem(found, expected)
    if not wrong and not all(torch.equal(row, rows[0]) for row in rows):
        wrong = "equal stretches of the batch have different gradients"
    return wrong


ROWS = (
    Row("focal", lambda _: 1, _focal),
    Row("twins", lambda _: len(TWINS), _twins),
    Row("memory", lambda _: len(names()), _memory),
)
