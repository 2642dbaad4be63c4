"""Margins over a row of scores: of the class to its best rival, or of every class by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from lossmith.engine.lean.elementwise import Pair, each, shared, times
from lossmith.engine.lean.programs import of_call
from lossmith.engine.protocol import Number
from lossmith.link.crammer_singer import ahead_of
from lossmith.link.link import Call, hot
from lossmith.link.softmax import CERTAIN


def _psi(
    call: Call, orders: tuple[int, ...], u: Tensor, label: Tensor | None, owned: bool = True
) -> tuple[dict[int, Tensor], tuple[bool, ...]]:
    found, run = of_call(call, orders, u.dtype, label=label, owned=owned)
    if found.turned:
        u = u.neg_() if owned else -u
    results = [times(x, c) for x, c in zip(run(u), found.factors, strict=True)]
    return dict(zip(orders, results, strict=True)), found.finite


def crammer_singer(
    call: Call, z: Tensor, target: Tensor, orders: tuple[int, ...], factor: Number
) -> Pair:
    """+ψ' at the class, -ψ' at its rival."""
    if not call.hard:
        return _ahead_of_all(call, z, target, orders, factor)
    column = target.unsqueeze(1)
    rival, place = z.scatter(1, column, -torch.inf).max(1, keepdim=True)
    out, _ = _psi(call, orders, ahead_of(z.gather(1, column), rival), column)
    gradient = None
    if 1 in out:
        a = each(out[1], factor)
        alone = rival == -torch.inf  # no rival, nothing to pull down
        gradient = torch.zeros_like(z).scatter_(1, place, -a.masked_fill(alone, 0.0))
        gradient = gradient.scatter_(1, column, a.masked_fill_(alone, 0.0))
    return (out[0].squeeze(1) if 0 in out else None), gradient


def _ahead_of_all(
    call: Call, z: Tensor, target: Tensor, orders: tuple[int, ...], factor: Number
) -> Pair:
    """Σ_k q_k·ψ of how far class k is ahead of its best rival."""
    best, first = z.max(1, keepdim=True)
    second, runner_up = z.scatter(1, first, -torch.inf).max(1, keepdim=True)
    u = ahead_of(z, torch.where(hot(first.squeeze(1), z), second, best))
    out, finite = _psi(call, orders, u, None)
    done = {
        order: shared(x, target, sure)
        for (order, x), sure in zip(out.items(), finite, strict=False)
    }
    gradient = None
    if 1 in done:
        a = done[1]
        own = a.gather(1, first)
        others = a.sum(1, keepdim=True).sub_(own)
        own = own.masked_fill(second == -torch.inf, 0.0)
        gradient = a.scatter_(1, first, own - others)
        pulled = gradient.gather(1, runner_up).sub_(own)
        gradient = each(gradient.scatter_(1, runner_up, pulled), factor)
    return (done[0].sum(1) if 0 in done else None), gradient


def one_vs_rest(
    call: Call, z: Tensor, target: Tensor, orders: tuple[int, ...], factor: Number
) -> Pair:
    """Σ_k ψ(±z_k): + for the label."""
    barred = z == -torch.inf
    z = z.masked_fill(barred, -CERTAIN)  # forbidden: surely not this class
    if call.hard:
        column = target.unsqueeze(1)
        u = z.neg().scatter_(1, column, z.gather(1, column))
        out, _ = _psi(call, orders, u, None)
        if 1 in out:
            a = out[1].neg_()
            out[1] = a.scatter_(1, column, a.gather(1, column).neg_())
    else:
        negative, finite = _psi(call, orders, -z, None)
        rest = 1 - target
        for (order, x), sure in zip(negative.items(), finite, strict=False):
            negative[order] = shared(x, rest, sure)
        out, finite = _psi(call, orders, z, None)
        for (order, x), sure in zip(out.items(), finite, strict=False):
            x = shared(x, target, sure)
            out[order] = x.sub_(negative[order]) if order else x.add_(negative[order])
    if 1 in out:
        out[1] = each(out[1].masked_fill_(barred, 0.0), factor)
    return (out[0].sum(1) if 0 in out else None), out.get(1)
