"""Residuals and margins: value and slope of one loss for each element."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossmith.engine.lean.programs import Form, of_call
from lossmith.engine.protocol import Number
from lossmith.link.link import Call

_guard = torch.ops.aten.threshold_backward.grad_input  # 0 where the share is 0, not above
Pair = tuple[Tensor | None, Tensor | None]


def coefficient(call: Call, dtype: torch.dtype) -> float:
    """What every slope of a call is multiplied by, as far as it is one number."""
    found, _ = of_call(call, (0, 1), dtype)
    scale, c = call.loss.formula.scale, found.factors[1]
    if scale is not None and 1e-15 < call.scale < 1e15:
        c *= call.scale ** (scale.power - 1)
    return c


def times(x: Tensor, factor: Number) -> Tensor:
    """x · factor in place, where that is not 1."""
    return x if type(factor) is float and factor == 1.0 else x.mul_(factor)


def each(x: Tensor, factor: Number, c: float = 1.0) -> Tensor:
    """x · c · factor in place; the factor is a number, or has one for each row of x."""
    if type(factor) is float:
        return times(x, c * factor)
    return times(x, c).mul_(factor.unsqueeze(1) if factor.dim() else factor)  # type: ignore[union-attr]


def residual(
    call: Call, z: Tensor, target: Tensor, orders: tuple[int, ...], factor: Number
) -> Pair:
    """ψ and ψ' times factor; ψ(r) = s^power·ψ₀(r/s)."""
    found, run = of_call(call, orders, z.dtype)
    r = target - z if found.turned else z - target
    record, s = call.loss.formula.scale, call.scale
    if record is not None and s != 1.0:
        r = r.div_(s)
    return _out(found, run(r), orders, factor, s, 0 if record is None else record.power)


def _out(
    found: Form,
    results: tuple[Tensor, ...],
    orders: tuple[int, ...],
    factor: Number,
    s: Any,
    power: int,
) -> Pair:
    out: list[Tensor | None] = [None, None]
    for order, x, own in zip(orders, results, found.factors, strict=True):
        c: Number = own * factor if order else own
        if s is not None and s != 1.0:
            x, c = scaled(x, c, s, power - order)
        out[order] = times(x, c)
    return out[0], out[1]


def scaled(x: Tensor, c: Number, s: float, power: int) -> tuple[Tensor, Number]:
    """x · s^power: with the number c if that is no risk, and else one by one.

    s² may overflow where s²·ψ₀ does not.
    """
    if 1e-15 < s < 1e15:
        return x, c * s**power
    for _ in range(abs(power)):
        x = x.mul_(s) if power > 0 else x.div_(s)
    return x, c


def margin(call: Call, z: Tensor, target: Tensor, orders: tuple[int, ...], factor: Number) -> Pair:
    """ψ(s·z) for a sign s; of soft labels t, t·ψ(z) + (1 - t)·ψ(-z)."""
    if not call.signed and call.target.is_floating_point():
        return _soft(call, z, target, orders, factor)
    found, run = of_call(call, orders, z.dtype)
    sign = target if call.signed else target.mul(2).sub_(1)
    u = sign * z
    results = run(u.neg_() if found.turned else u)
    out: list[Tensor | None] = [None, None]
    for order, x, c in zip(orders, results, found.factors, strict=True):
        out[order] = times(x.mul_(sign) if order else x, c * factor if order else c)
    if call.alpha is not None:
        a = call.alpha
        share = torch.where(sign > 0, sign.new_full((), a), sign.new_full((), 1 - a))
        out = [None if x is None else x.mul_(share) for x in out]
    return out[0], out[1]


def _soft(call: Call, z: Tensor, target: Tensor, orders: tuple[int, ...], factor: Number) -> Pair:
    """One side after the other, and what each is worth written into it: little is held at once."""
    found, run = of_call(call, orders, z.dtype, owned=False)
    if found.turned:
        positive = run(-z)
        negative = run(z)
    else:
        negative = run(-z)
        positive = run(z)
    out: list[Tensor | None] = [None, None]
    for i, (order, c, sure) in enumerate(zip(orders, found.factors, found.finite, strict=False)):
        a, b = positive[i], negative[i]
        if call.alpha is None and order and sure:
            out[1] = times(b.neg_().lerp_(a, target), c * factor)
            continue
        a, b = shared(a, target, sure), unshared(b, target, sure)
        if call.alpha is None:
            mixed = a.sub_(b) if order else a.add_(b)
        else:
            rest = call.alpha - 1 if order else 1 - call.alpha
            mixed = b.mul_(rest).add_(a, alpha=call.alpha)
        out[order] = times(mixed, c * factor if order else c)
    return out[0], out[1]


def shared(x: Tensor, share: Tensor, finite: bool) -> Tensor:
    """x · share in place, where a share of 0 is nothing at all, also beside an infinite x."""
    x = x.mul_(share)
    return x if finite else _guard(x, share, 0.0, grad_input=x)


def unshared(x: Tensor, share: Tensor, finite: bool) -> Tensor:
    """x · (1 - share) in place: what lerp is of a finite x, 1 - share being exact where small."""
    return x.lerp_(x.new_zeros(()), share) if finite else shared(x, 1 - share, finite)
