"""A penalty's derived parts over torch tensors: value, proximal operator, subdifferential.

SymPy works once for each formula and its shape parameters; after that they are torch programs.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from lossmith.engine.looking import constant_to_tracers
from lossmith.engine.pointwise import pointwise, register
from lossmith.engine.torch_math import TORCH
from lossmith.formula.record import Formula
from lossmith.link.dtypes import compute_dtype

_NUMBER = itertools.count()


@dataclass(frozen=True)
class _Branch:
    """One candidate of a proximal operator: where its numbers lie in the program's output."""

    u: int | float  # a place, or the number itself
    above: int | None  # place of x - low, None where there is no bound
    below: int | None  # place of x - high
    floor: float
    roof: float


class Scalar:
    """ψ(w) = scale^power · ψ₀(w/scale) with numbers for its parameters."""

    def __init__(self, formula: Formula, values: tuple[float, ...]) -> None:
        self.formula = formula
        self.shape = values[: len(formula.shape)]
        self.scale = values[-1] if formula.scale else 1.0
        self.power = formula.scale.power if formula.scale else 0

    def value(self, w: Tensor) -> Tensor:
        """ψ elementwise, differentiable to any order by the formula."""
        w = w.to(compute_dtype(w.dtype))
        if self.formula.scale is None:
            return self._plain(w)
        return self._plain(w / self.scale) * self.scale**self.power

    def prox(self, x: Tensor, step: float | Tensor) -> Tensor:
        """argmin_u ½(u - x)² + step·ψ(u) elementwise; an odd function of x where ψ is even."""
        dtype = compute_dtype(x.dtype)
        wide = x.to(dtype)
        t = torch.as_tensor(step, dtype=dtype, device=x.device)
        if self.formula.scale is None:
            found = self._prox(wide, t)
        else:
            found = self.scale * self._prox(wide / self.scale, t * self.scale ** (self.power - 2))
        # No step at all must leave the last digit alone too, which division by scale might not.
        return torch.where(t == 0, wide, found).to(x.dtype)

    def _prox(self, x: Tensor, t: Tensor) -> Tensor:
        if not self._solved.even:
            return self.half(x, t)
        # Adding 0.0 turns -0.0 into 0.0: a zero weight is a plain zero.
        return torch.copysign(self.half(x.abs(), t), x) + 0.0

    def half(self, x: Tensor, t: Tensor) -> Tensor:
        """The same of ψ₀, for x ≥ 0 only where ψ is even."""
        outputs = self._program(x, t)

        def number(branch: _Branch) -> Any:
            if isinstance(branch.u, float):
                return torch.full_like(x, branch.u)
            # A rounding may step over the end of the piece.
            return torch.clamp(outputs[branch.u], branch.floor, branch.roof)

        def holds(branch: _Branch) -> Tensor | None:
            found = None
            if branch.above is not None:
                found = outputs[branch.above] >= 0
            if branch.below is not None:
                under = outputs[branch.below] <= 0
                found = under if found is None else found & under
            return found

        if self._solved.unique:
            # The last holds where no other does, NaN included, which it hands on.
            *others, last = self._branches
            result = number(last)
            for branch in others:
                where = holds(branch)
                result = torch.where(where, number(branch), result) if where is not None else result
            return result
        best, cost = x, torch.full_like(x, torch.inf)
        for branch in self._branches:
            u = number(branch)
            price = 0.5 * (u - x) ** 2 + t * self._plain(u)
            where = holds(branch)
            # The next must be better by more than rounding: cuts come first, and are exact.
            margin = 8 * torch.finfo(x.dtype).eps * torch.where(cost.isfinite(), cost, 0.0)
            better = price < cost - margin
            better = better if where is None else better & where
            best, cost = torch.where(better, u, best), torch.where(better, price, cost)
        return best

    def slopes(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """The ends of the subdifferential, elementwise; equal where ψ is smooth."""
        w = w.to(compute_dtype(w.dtype))
        low, high = _slopes(self.formula, self.shape)(w / self.scale)
        factor = self.scale ** (self.power - 1) if self.formula.scale else 1.0
        return low * factor, high * factor

    def distance(self, w: Tensor, pull: Tensor, weight: float | Tensor) -> Tensor:
        """How far `pull`, the negative gradient, is from weight·∂ψ(w), elementwise.

        Where ψ bends down at a kink, its limiting subdifferential is the two slopes alone.
        """
        low, high = self.slopes(w)
        pull = pull.to(low.dtype)
        inside = torch.maximum(low * weight - pull, pull - high * weight).clamp(min=0.0)
        ends = torch.minimum((pull - low * weight).abs(), (pull - high * weight).abs())
        return torch.where(low <= high, inside, ends)

    @cached_property
    def at_zero(self) -> tuple[float, float]:
        """The subdifferential at 0."""
        low, high = self.slopes(torch.zeros((), dtype=torch.float64))
        return low.item(), high.item()

    @property
    def even(self) -> bool:
        return self._solved.even

    @cached_property
    def _solved(self) -> Any:
        from lossmith.formula.proximal import prox

        return prox(self.formula, self.shape)

    @cached_property
    def _compiled(self) -> tuple[Any, tuple[_Branch, ...]]:
        return _compile_prox(self.formula, self.shape)

    @property
    def _program(self) -> Any:
        return self._compiled[0]

    @property
    def _branches(self) -> tuple[_Branch, ...]:
        return self._compiled[1]

    def _plain(self, u: Tensor) -> Tensor:
        """ψ₀, whose slope may not be u itself: torch wants no operation that hands its input on."""
        key, halved = _registered(self.formula)
        result: Tensor = pointwise(key).apply(u, *self.shape)
        return result * 0.5 if halved else result


@lru_cache(maxsize=256)
@constant_to_tracers
def _registered(formula: Formula) -> tuple[str, bool]:
    from lossmith.formula.calculus import U, base, slope

    arguments = ("u", *(p.name for p in formula.shape))
    # A number of its own: two people's formulas may share a name.
    name, halved = f"penalty{next(_NUMBER)}:{formula.name}", slope(formula) == U
    return register(name, base(formula) * (2 if halved else 1), arguments), halved


@lru_cache(maxsize=256)
def _compile_prox(formula: Formula, shape: tuple[float, ...]) -> tuple[Any, tuple[_Branch, ...]]:
    from lossmith.formula.proximal import X, at, prox

    outputs: list[Any] = []

    def place(expression: Any) -> int:
        outputs.append(expression)
        return len(outputs) - 1

    branches = []
    for c in prox(formula, shape).candidates:
        low, high = (
            X - end if end is not None and end.is_finite is not False else None
            for end in (c.low, c.high)
        )
        branches.append(
            _Branch(
                at(c.u) if not c.u.free_symbols else place(c.u),
                None if low is None else place(low),
                None if high is None else place(high),
                at(c.floor),
                at(c.roof),
            )
        )
    return _compile(tuple(outputs), ("x", "t")), tuple(branches)


@lru_cache(maxsize=256)
def _slopes(formula: Formula, shape: tuple[float, ...]) -> Any:
    from lossmith.formula.proximal import slopes

    return _compile(slopes(formula, shape), ("u",))


def _compile(outputs: tuple[Any, ...], arguments: tuple[str, ...]) -> Any:
    from lossmith.formula.lowering import make

    return TORCH.function(make(outputs, arguments[:1], arguments[1:]))
