"""u = s·score, s = ±1 by the label: positive where the score's sign is right.

A soft label t averages: t·ψ(z) + (1 - t)·ψ(-z).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from lossmith.formula.record import Formula
from lossmith.link.link import Call, Fault, Link, Psi, entry, part
from lossmith.link.options import LABELS, POSITIVE_ALPHA, Option
from lossmith.link.shapes import data, same, tensors


class Margin(Link):
    """Labels of two classes, one score and one loss for each."""

    name = "margin"
    family = "margin"
    natural = True
    u = "u = s·score, s = ±1 by the label; a soft label t gives t·ψ(z) + (1-t)·ψ(-z)"
    word = "scores"
    target_shape = "the scores' shape: labels in [0, 1], or ±1 if signed"

    def options(self, formula: Formula) -> tuple[Option, ...]:
        return (LABELS, POSITIVE_ALPHA) if formula.balanced else (LABELS,)

    def check(
        self, name: str, prediction: Any, target: Any, argument: str = "target"
    ) -> tuple[Any, Tensor]:
        tensors(name, prediction, target)
        rows = same(name, prediction, target)
        data(name, target)
        return rows, target

    def losses(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> Tensor:
        if call.signed:
            return _sided(call, psi(target * z), target)
        if not call.target.is_floating_point():
            return _sided(call, psi((2 * target - 1) * z), target)
        positive, negative = part(psi, z, target), part(psi, -z, 1 - target)
        if call.alpha is not None:
            positive, negative = call.alpha * positive, (1 - call.alpha) * negative
        return positive + negative

    def derivatives(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        share = (target + 1) / 2 if call.signed else target
        slope, bend = partial(psi, order=1), partial(psi, order=2)
        gradient = (part(slope, z, share), -part(slope, -z, 1 - share))
        hessian = (part(bend, z, share), part(bend, -z, 1 - share))
        weights = (1.0, 1.0) if call.alpha is None else (call.alpha, 1 - call.alpha)
        return (
            weights[0] * gradient[0] + weights[1] * gradient[1],
            weights[0] * hessian[0] + weights[1] * hessian[1],
        )

    def faults(self, call: Call) -> Iterator[Fault]:
        t = call.target
        if call.signed:
            yield _signed, ~((t == 1) | (t == -1))
        elif t.is_floating_point():
            yield _binary, ~((t >= 0) & (t <= 1))
        else:
            yield _binary, ~((t == 0) | (t == 1))

    def probable(self, formula: Formula) -> bool:
        return log_odds(formula)

    def probability(self, scores: Tensor) -> Tensor:
        return torch.sigmoid(scores)


def _sided(call: Call, value: Tensor, target: Tensor) -> Tensor:
    if call.alpha is None:
        return value
    # Not a `where` of the two numbers: that would be a tensor in single precision.
    return torch.where(target > 0, call.alpha * value, (1 - call.alpha) * value)


@lru_cache(maxsize=512)
def log_odds(formula: Formula) -> bool:
    """Whether a score is meant as log-odds, log(p / (1 - p)) of the positive class.

    It is where the expected loss of every p is least at the score log(p / (1 - p)),
    ψ'(-z)/ψ'(z) = e^z; and where ψ is a loss of probabilities, seen through σ(z).
    """
    import mpmath as mp

    from lossmith.formula.calculus import base, derivative
    from lossmith.formula.exact import function
    from lossmith.formula.ledger import LEDGER
    from lossmith.link.forms import through_margin

    names = ("u", *(p.name for p in formula.shape))
    own = [mp.mpf(p.default) for p in formula.shape]
    with mp.workdps(40):
        points = [mp.mpf(z) for z in (-5.3, -1.1, -0.2, 0.7, 2.9)]
        near = mp.mpf(10) ** -25
        slope = function(derivative(base(formula), "u"), names)
        if all(_near(slope(-z, *own), mp.exp(z) * slope(z, *own), near) for z in points):
            return True
        value = function(base(formula), names)
        for other in LEDGER.values():
            if other.family == "probability" and other.shape == formula.shape:
                through = function(through_margin(other), names)
                if all(_near(value(z, *own), through(z, *own), near) for z in points):
                    return True
    return False


def _near(a: Any, b: Any, relative: Any) -> bool:
    return bool(b != 0 and abs(a - b) <= relative * abs(b))


def _signed(call: Call, place: tuple[int, ...], more: str) -> str:
    value = call.target[place].item()
    return f'{entry(place)} = {value} is not -1 or 1{more}, as labels="signed" needs.'


def _binary(call: Call, place: tuple[int, ...], more: str) -> str:
    allowed = "outside [0, 1]" if call.target.is_floating_point() else "not 0 or 1"
    value = call.target[place].item()
    return f'{entry(place)} = {value} is {allowed}{more}. Labels of -1 and 1 need labels="signed".'
