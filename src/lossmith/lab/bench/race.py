"""Ours and its rivals on one batch: each checked against float64, then timed in turn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from lossmith.lab.bench import compiler, timing
from lossmith.lab.bench.result import Result, Target, compared
from lossmith.lab.bench.rivals import Loss
from lossmith.lab.bench.truth import Truth, evaluate, problem


@dataclass(frozen=True)
class Rival:
    """A loss to be compared with; no loss, but a note, where there is none."""

    name: str
    loss: Loss | None
    target: Target
    work: str = ""  # of its results, if not the race's own
    note: str = ""


@dataclass(frozen=True)
class Race:
    """One batch and who runs on it. `theirs` is the target that rivals take, if not ours."""

    row: str
    work: str
    case: str
    ours: Loss
    rivals: tuple[Rival, ...]
    prediction: Tensor
    target: Tensor
    truth: Truth
    theirs: Tensor | None = None


def run(race: Race, *, rounds: int, calls: int = 1, budget: float) -> Iterator[Result]:
    """A result for each rival."""
    their_target = race.target if race.theirs is None else race.theirs
    wrong = _check("ours", race.ours, race.prediction, race.target, race.truth)[1]
    works = [] if wrong else [step(race.ours, race.prediction, race.target)]
    lanes: list[tuple[Rival, int, str, str]] = []  # rival, place among the works, note, wrong
    for rival in race.rivals:
        note, theirs_wrong = rival.note, wrong
        if rival.loss is not None and not wrong:
            note, theirs_wrong = _check(
                rival.name, rival.loss, race.prediction, their_target, race.truth
            )
            if not note and not theirs_wrong:
                works.append(step(rival.loss, race.prediction, their_target))
                lanes.append((rival, len(works) - 1, "", ""))
                continue
        lanes.append((rival, 0, note, theirs_wrong))
    seconds = (
        timing.interleave(works, rounds=rounds, calls=calls, budget=budget)
        if len(works) > 1
        else []
    )
    for rival, place, note, theirs_wrong in lanes:
        work = rival.work or race.work
        if place:
            yield compared(
                race.row, work, race.case, rival.name, rival.target, seconds[0], seconds[place]
            )
        else:
            yield Result(
                race.row, work, race.case, rival.name, rival.target, note=note, wrong=theirs_wrong
            )


def step(loss: Loss, prediction: Tensor, target: Tensor) -> Callable[[], None]:
    """What one training step asks of a loss: a leaf without a gradient, forward, backward."""
    leaf = prediction.detach().requires_grad_()

    def once() -> None:
        leaf.grad = None
        loss(leaf, target).backward()

    return once


def _check(
    who: str, loss: Loss, prediction: Tensor, target: Tensor, truth: Truth
) -> tuple[str, str]:
    """A note why it cannot run, and what is wrong with its result; both empty if all is well."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's compiler about itself
            found = evaluate(loss, prediction, target)
    except Exception as error:
        if who == compiler.NAME:  # its failures are its own; ours are not to be hidden
            return f"torch.compile failed: {type(error).__name__}", ""
        raise
    what = problem(found, truth)
    return "", f"{who}: {what}" if what else ""


def compile_rival(loss: Loss, target: Target, *, quick: bool) -> Rival:
    """torch.compile of a composition, or the reason why not."""
    note = compiler.QUICK if quick else compiler.missing()
    return Rival(compiler.NAME, None if note else compiler.compiled(loss), target, note=note)
