"""u = ‖prediction - target‖₂ over the last dimension: how far a point is off, in any direction.

The length is taken in units of its largest entry, so that no square leaves the range of its type.
Where it is exactly 0 it has no direction: the loss there is ψ(0) + ½ψ''(0)‖r‖², its own Taylor
polynomial, with gradient 0 (a subgradient where ψ has a corner) and Hessian ψ''(0)·1.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lossmith.errors import InputError, ShapeError
from lossmith.formula.record import Formula
from lossmith.link.infinity import held, let_go
from lossmith.link.link import Call, Link, Psi
from lossmith.link.reach import Reach
from lossmith.link.residual import scaled
from lossmith.link.shapes import same, tensors

if TYPE_CHECKING:
    from lossmith.formula.algebra import Properties


class Norm(Link):
    """Residual formulas that do not ask for a sign, of the distance between two points."""

    name = "norm"
    family = "residual"
    axis = -1
    u = "u = ‖prediction - target‖₂ over the last dimension"
    prediction_shape = "(…, D), a point of D coordinates for each loss"
    result = "point (…)"

    def admit(self, formula: Formula) -> None:
        super().admit(formula)
        if not _even(formula):
            raise InputError(
                f"{formula.name} tells a residual above 0 from one below, and a distance has no "
                "sign. Give a loss of |u| such as 'huber', or take "
                f"lossmith.{formula.name}(prediction, target) of each coordinate."
            )

    def check(
        self, name: str, prediction: Any, target: Any, argument: str = "target"
    ) -> tuple[Any, Tensor]:
        tensors(name, prediction, target)
        shape = same(name, prediction, target)
        if not len(shape) or not shape[-1]:
            raise ShapeError(
                f"{name}: the prediction has shape {tuple(shape)}; it needs (…, D), at least one "
                "coordinate on the last dimension. For one number each, take the loss itself."
            )
        return shape[:-1], target

    def losses(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> Tensor:
        away = z - target
        length, none = _length(away)
        value = scaled(call, psi, length)
        if not torch.compiler.is_compiling():
            value = let_go(value, torch.isinf(away).any(-1))
        bend = scaled(call, psi, length.new_zeros(()), 2)
        bend = torch.where(torch.isfinite(bend), bend, 0.0)
        there = torch.where(none.unsqueeze(-1), away, 0.0)
        return value + 0.5 * bend * there.square().sum(-1)

    def derivatives(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        away = z - target
        length, none = _length(away)
        slope, bend = (scaled(call, psi, length, order) for order in (1, 2))
        there = none.unsqueeze(-1)
        way = torch.where(there, 0.0, _measured(torch.where(there, 1.0, held(away, both=True)))[1])
        # ψ'(u)/u: what a residual of this length weighs in least squares.
        pull = torch.where(none, bend, slope / torch.where(none, 1.0, length))
        gradient = slope.unsqueeze(-1) * way
        hessian = (bend - pull).unsqueeze(-1) * way.square() + pull.unsqueeze(-1)
        return gradient, hessian

    def reach(self, curve: Properties) -> Reach:
        """∇ = ψ'(u)·r/‖r‖, and the eigenvalues of ∇² are ψ''(u) along r and ψ'(u)/u across it.

        That is a mean of ψ''. How long ∇ is in the 1-norm, the number of coordinates says.
        """
        known = curve.lipschitz if curve.lipschitz in (0.0, math.inf) else None
        return Reach(
            curve.convex, curve.lipschitz, known, curve.smooth, curve.lowest, curve.highest
        )


def _length(away: Tensor) -> tuple[Tensor, Tensor]:
    """The lengths of vectors, differentiable, and where they are 0 and have no direction."""
    none = away.detach().abs().amax(-1) == 0
    there = torch.where(none.unsqueeze(-1), 1.0, held(away, both=True))
    length = _measured(there)[0] if torch.compiler.is_compiling() else _Length.apply(there)
    return torch.where(none, 0.0, length), none


def _measured(away: Tensor) -> tuple[Tensor, Tensor]:
    """Length and direction of vectors that are not 0."""
    unit = away.detach().abs().amax(-1, keepdim=True)
    short = away / unit
    size = torch.sqrt(short.square().sum(-1, keepdim=True))
    return (unit * size).squeeze(-1), short / size


class _OfAway(torch.autograd.Function):
    """What both operations share: the vector itself is all that their slopes need."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)


class _Length(_OfAway):
    """A length whose slope is the direction itself: ψ' and the length are never multiplied."""

    @staticmethod
    def forward(away: Tensor) -> Tensor:
        return _measured(away)[0]

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        return upstream.unsqueeze(-1) * _Way.apply(*ctx.saved_tensors)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return (_Way.apply(*ctx.saved_tensors) * tangent).sum(-1)


class _Way(_OfAway):
    """The direction w of a vector: it turns by what lies across it, (v - w(w·v)) / length."""

    @staticmethod
    def forward(away: Tensor) -> Tensor:
        return _measured(away)[1]

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        (away,) = ctx.saved_tensors
        return _turned(away, upstream)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        (away,) = ctx.saved_tensors
        return _turned(away, tangent)


def _turned(away: Tensor, v: Tensor) -> Tensor:
    way, length = _Way.apply(away), _Length.apply(away).unsqueeze(-1)
    return (v - way * (way * v).sum(-1, keepdim=True)) / length


@lru_cache(maxsize=512)
def _even(formula: Formula) -> bool:
    """Whether ψ(-u) = ψ(u), whatever the parameters."""
    import mpmath as mp

    from lossmith.formula.calculus import base
    from lossmith.formula.exact import function

    whole = base(formula)
    run = function(whole, ("u", *(p.name for p in formula.shape)))
    with mp.workdps(40):
        for which in range(3):
            own = [mp.mpf(p.domain.samples()[which]) for p in formula.shape]
            for u in (0.003, 0.31, 0.97, 1.6, 5.2, 40.0):
                a, b = run(mp.mpf(u), *own), run(-mp.mpf(u), *own)
                if abs(a - b) > mp.mpf(10) ** -30 * (1 + abs(a)):
                    return False
    return True
