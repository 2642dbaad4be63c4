"""No loss runs twice under two names: candidates whose formulas are one at their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from lossmith.lab.compare.candidates import Candidate, number

Array = NDArray[np.float64]
# Where pulls are compared: both signs, four decades, at no round number, where kinks lie.
_REACH = np.geomspace(0.0107, 97.3, 61)
_AROUND = np.array([0.31, 0.83, 0.97, 1.09, 1.57, 3.3])  # in units of each parameter
_DIGITS = 1e-9


def factor(first: Candidate, second: Candidate) -> float | None:
    """The c > 0 with ψ₁ = c·ψ₂ + constant, or None where there is none.

    A constant moves no weight, and a factor is undone by the learning rate, which every loss has
    tuned for itself. Slopes are compared, at points drawn around the parameters of both, because
    a formula such as Huber's with a large delta differs from another only far out.
    """
    if first.extras != second.extras or not _one_axis(first, second):
        return None
    if first.extra("tuned") and len(first.parameters) != len(second.parameters):
        return None  # they agree where the tuning begins only
    near = [abs(value) for c in (first, second) for _, value in c.parameters if value]
    sizes = np.concatenate([_REACH, *(value * _AROUND for value in near)])
    at = np.concatenate([-sizes[::-1], sizes])
    with np.errstate(all="ignore"):
        curves = first.curve(at), second.curve(at)
    if curves[0] is None or curves[1] is None:
        return None  # a person's plain function shows its values only
    mine, theirs = curves[0][1], curves[1][1]
    known = np.isfinite(mine) & np.isfinite(theirs)
    mine, theirs = mine[known], theirs[known]
    if not theirs.any() or not mine.any():
        return None
    # The middle of the ratios: the largest pull may be one that rounding spoils.
    there = theirs != 0
    ratio = float(np.median(mine[there] / theirs[there]))
    same = ratio > 0 and np.allclose(mine, ratio * theirs, rtol=_DIGITS, atol=1e-300)
    return ratio if same else None


def _one_axis(first: Candidate, second: Candidate) -> bool:
    """With more than two classes a margin and a probability are different things of the scores."""
    if first.record is None or second.record is None:
        return False
    return first.task != "classification" or first.record.family == second.record.family


def apart(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[str]]:
    """The candidates that differ, the first of each formula, and a sentence for each other."""
    kept: list[Candidate] = []
    said: list[str] = []
    for candidate in candidates:
        found = _among(candidate, kept)
        if found is None:
            kept.append(candidate)
            continue
        twin, times = found
        if abs(times - 1) < _DIGITS:
            what = f"is the formula of {twin.phrase}"
        else:
            what = (
                f"is {number(float(f'{times:.6g}'))} times {twin.phrase}, "
                "and a learning rate undoes a factor"
            )
        said.append(f"{candidate.label} {what}: it runs once, as {twin.phrase}.")
    return kept, said


def _among(candidate: Candidate, kept: Iterable[Candidate]) -> tuple[Candidate, float] | None:
    for other in kept:
        times = factor(candidate, other)
        if times is not None:
            return other, times
    return None
