"""The reference engine: every loss in plain torch operations around the formula's own ψ.

It is the oracle of the other engines' tests, and what runs wherever they cannot: under
`torch.compile`, `torch.func`, forward mode, on other devices, for learned parameters, and where
single precision leaves its range on the way to a result that does not: on the CPU it computes in
float64, whatever the dtype of the loss.

The mathematics is the links'; here it meets ψ, as an operation whose derivatives come from the
formula, and the rows that count (link/counting.py).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from lossmith.engine.looking import constant_to_tracers
from lossmith.engine.plan import FIXABLE
from lossmith.engine.pointwise import _ready_for_tracers, derived, pointwise, register
from lossmith.link import forms
from lossmith.link.counting import counted
from lossmith.link.dtypes import compute_dtype
from lossmith.link.forms import PLAIN, Fixed
from lossmith.link.link import Call


@constant_to_tracers  # SymPy is not for them
def registered(key: str, form: str = PLAIN, fixed: Fixed = ()) -> str:
    """Register a form of a formula for `pointwise`, and return its name."""
    return _registered(key, form, fixed)


@cache
def _registered(key: str, form: str, fixed: Fixed) -> str:
    formula = forms.FORMULAS[key]
    name = key + ("" if form == PLAIN else f":{form}") + "".join(f":{n}={v}" for n, v in fixed)
    given = {n for n, _ in fixed}
    arguments = ("u", *(p.name for p in formula.shape if p.name not in given))
    return register(name, forms.expression(formula, form, fixed), arguments)


@constant_to_tracers
def _at_zero(key: str, form: str) -> float:
    return _limit(key, form)


@cache
def _limit(key: str, form: str) -> float:
    return forms.at_zero(forms.expression(forms.FORMULAS[key], form))


class Psi:
    """ψ of a call for its link (see `lossmith.link.link.Psi`)."""

    def __init__(self, call: Call) -> None:
        self.call, self.key = call, call.loss.key
        # Small whole parameters are part of the expression, as in a kernel; tracers keep numbers.
        self.fixed: Fixed = () if torch.compiler.is_compiling() else _fixed(call)

    def __call__(
        self, u: Tensor, form: str = PLAIN, label: Tensor | None = None, order: int = 0
    ) -> Tensor:
        name = registered(self.key, form, self.fixed)
        parameters = self.by_class(label)
        value: Tensor = pointwise(derived(name, order)).apply(u, *parameters)
        return value

    def at_zero(self, form: str = PLAIN) -> float:
        return _at_zero(self.key, form)

    def ready(self, *forms: str) -> None:
        if torch.compiler.is_compiling():
            for form in forms:
                _ready_for_tracers(registered(self.key, form, self.fixed))

    def by_class(self, label: Tensor | None) -> tuple[Any, ...]:
        """Shape parameters that are not fixed; one per class: of each row's, or along its axis."""
        call = self.call
        given = {name for name, _ in self.fixed}
        shape = call.loss.formula.shape
        loose = [
            v for p, v in zip(shape, call.shape_parameters, strict=True) if p.name not in given
        ]
        if not call.loss.classes:
            return tuple(loose)
        along = (1, -1) + (1,) * (call.prediction.dim() - 2)
        return tuple(
            p
            if not isinstance(p, Tensor) or not p.dim()
            else p.view(along)
            if label is None
            else p[label]
            for p in loose
        )


def _fixed(call: Call) -> Fixed:
    return tuple(
        (p.name, int(v))
        for p, v in zip(call.loss.formula.shape, call.shape_parameters, strict=True)
        if not isinstance(v, Tensor) and v in FIXABLE
    )


def working_dtype(prediction: Tensor) -> torch.dtype:
    """What a loss is computed in: float64 on the CPU, a compiled graph apart.

    Other devices have it at a price, or not at all.
    """
    if prediction.is_cpu and not torch.compiler.is_compiling():
        return torch.float64
    return compute_dtype(prediction.dtype)


def losses(call: Call) -> tuple[Tensor, Tensor | None]:
    """Losses before reduction, weights applied, 0 where dropped; and the weights (None: all 1)."""
    dtype = compute_dtype(call.prediction.dtype)
    raw, weight = wide_losses(call)
    return raw.to(dtype), None if weight is None else weight.to(dtype)


def wide_losses(call: Call) -> tuple[Tensor, Tensor | None]:
    """The same before rounding: sums of these do not overflow before their mean does."""
    call, z, rows = _prepared(call)
    return rows.weigh(call.loss.link.losses(call, Psi(call), z, rows.target))


def derivatives(call: Call) -> tuple[Tensor, Tensor]:
    """Gradient and Hessian diagonal of the unreduced losses, in closed form."""
    narrow, link = compute_dtype(call.prediction.dtype), call.loss.link
    call, z, rows = _prepared(call)
    found = link.derivatives(call, Psi(call), z, rows.target)
    mass = rows.mass(z.dtype)
    if rows.keep is not None and mass is not None:
        keep, mass = link.along(rows.keep), link.along(mass)
        gradient, hessian = (torch.where(keep, each * mass, 0.0) for each in found)
        return gradient.to(narrow), hessian.to(narrow)
    return found[0].to(narrow), found[1].to(narrow)


def _prepared(call: Call) -> tuple[Call, Tensor, Any]:
    """The call with its parameters, its scores and the rows that count, as they are computed."""
    dtype, link = working_dtype(call.prediction), call.loss.link
    if any(isinstance(p, Tensor) and p.dtype != dtype for p in call.parameters):
        moved = (p.to(dtype) if isinstance(p, Tensor) else p for p in call.parameters)
        call = call.but(parameters=tuple(moved))
    z, rows = call.prediction.to(dtype), counted(call, dtype)
    if rows.keep is not None:
        z = torch.where(link.along(rows.keep), z, link.spare)
    return call, z, rows
