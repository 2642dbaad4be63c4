"""u = log p_target, p = softmax(logits): Σ_k q_k ψ(log p_k) for a distribution q over classes.

A class index goes through its margin m = z_y - logsumexp(others): log p = log σ(m) and
1 - p = σ(-m) exactly. Of a distribution the highest class does, for only its p can round to 1.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lossmith.formula.record import Formula
from lossmith.link import chain
from lossmith.link.classes import OfClasses
from lossmith.link.forms import MARGIN, PLAIN, through_margin
from lossmith.link.infinity import held, let_go
from lossmith.link.link import Call, Psi, hot, part
from lossmith.link.options import CLASS_ALPHA, CLASS_WEIGHT, IGNORE_INDEX, LABEL_SMOOTHING, Option
from lossmith.link.reach import Reach, falls, times

if TYPE_CHECKING:
    from lossmith.formula.algebra import Properties

CERTAIN = 1e4  # a margin at which every slope has died, small enough for every dtype


class Softmax(OfClasses):
    """Probability formulas, whose scores become probabilities together."""

    name = "softmax"
    family = "probability"
    natural = True
    split = panels = True
    u = "u = log p_target, p = softmax(logits)"

    def options(self, formula: Formula) -> tuple[Option, ...]:
        own = (CLASS_WEIGHT, LABEL_SMOOTHING, IGNORE_INDEX)
        return (CLASS_ALPHA, *own) if formula.balanced else own

    def losses(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> Tensor:
        value = _finite(call, psi, held(z), target)
        if torch.compiler.is_compiling():
            return value
        return let_go(value, (z == torch.inf).any(1))

    def derivatives(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        z = held(z)
        share = portion(call, z, target)
        u = torch.log_softmax(z, 1)
        plain = call.hard and not call.label_smoothing  # by its own margin, as its loss goes
        best = target.unsqueeze(1) if plain else z.argmax(1, keepdim=True)
        first = hot(best.squeeze(1), z)
        rest = torch.where(first, 0.0, share)
        log_p = torch.where(rest != 0, u, -1.0)
        margin = class_margin(torch.gather(z, 1, best).squeeze(1), z, first).unsqueeze(1)
        whole = torch.gather(share, 1, best)
        slope, curvature = (rest * psi(log_p, order=order) for order in (1, 2))
        gradient = chain.softmax_gradient(slope, u.exp())
        hessian = chain.softmax_hessian_diagonal(slope, curvature, u.exp())
        a, b = (whole * psi(margin, MARGIN, best, order) for order in (1, 2))
        added = chain.class_margin_derivatives(a, b, z, first)
        return gradient + added[0], hessian + added[1]

    def form(self, hard: bool, smoothed: bool) -> str:
        return MARGIN if hard and not smoothed else PLAIN

    def curve(self, formula: Formula, **parameters: float) -> Properties:
        from lossmith.formula import properties

        return properties.of(in_margin(formula), **parameters)

    def reach(self, curve: Properties) -> Reach:
        """By g(m), which is ψ in the margin, and r, the softmax of the others.

        ∇ = g'·(e_y - r) and ∇² = g''·(e_y - r)(e_y - r)ᵀ - g'·(diag r - r rᵀ), whose eigenvalues
        are extreme where r is one class (2g'', 0) or half of each of two (3g''/2, -g'/2). Shares
        of a label average such terms.
        """
        smooth = None
        if curve.smooth is not None and curve.lipschitz is not None:
            smooth = max(2 * curve.smooth, curve.lipschitz / 2)
        return Reach(
            True if curve.convex and falls(curve) else False if curve.convex is False else None,
            times(math.sqrt(2), curve.lipschitz),
            times(2.0, curve.lipschitz),
            smooth,
            curve.lowest,
            curve.highest,
        )

    def probable(self, formula: Formula) -> bool:
        return True

    def probability(self, scores: Tensor) -> Tensor:
        return torch.softmax(scores, 1)


@lru_cache(maxsize=512)
def in_margin(formula: Formula) -> Formula:
    """g(m) = ψ(log σ(m)) as a record of its own, of a margin."""
    from lossmith.formula.calculus import U

    whole = through_margin(formula)
    names = [p.name for p in formula.shape]

    def g(u: Any, *shape: Any, **named: Any) -> Any:
        given = dict(zip(names, shape, strict=False)) | named
        own = {s: given[s.name] for s in whole.free_symbols if s.name in given}
        return whole.xreplace({U: u} | own)

    g.__signature__ = inspect.signature(formula.function)  # type: ignore[attr-defined]
    return replace(formula, family="margin", function=g)


def _finite(call: Call, psi: Psi, z: Tensor, target: Tensor) -> Tensor:
    if call.hard and not call.label_smoothing:
        own = torch.gather(z, 1, target.unsqueeze(1)).squeeze(1)
        value = psi(class_margin(own, z, hot(target, z)), MARGIN, target)
        return value if call.alpha is None else value * call.alpha.to(z.dtype)[target]
    share = portion(call, z, target)
    # One class at most has a p that may round to 1, where ψ'' need not exist: it goes by its
    # margin, like an index; for the others p ≤ 1/2 and log p is as good.
    best = z.detach().argmax(1, keepdim=True)
    first = hot(best.squeeze(1), z)
    margin = class_margin(torch.gather(z, 1, best).squeeze(1), z, first)
    label = best.squeeze(1)
    whole = torch.gather(share, 1, best).squeeze(1)
    top = part(lambda m: psi(m, MARGIN, label), margin, whole, 0.0)
    u = torch.log_softmax(z, 1)
    return top + part(psi, u, torch.where(first, 0.0, share), -1.0).sum(1)


def class_margin(own: Tensor, z: Tensor, flags: Tensor) -> Tensor:
    """z_y - logsumexp(others): log p_y = log σ of it; `flags` mark y."""
    others = torch.where(flags, -torch.inf, z)
    alone = others.detach().amax(1) == -torch.inf  # every other class is forbidden
    rest = torch.logsumexp(torch.where(alone.unsqueeze(1), 0.0, others), 1)
    return torch.where(alone & (own > -torch.inf), CERTAIN, own - rest)


def portion(call: Call, z: Tensor, target: Tensor) -> Tensor:
    """What ψ(log p_k) counts: the label's share, smoothed over allowed classes, times alpha_k."""
    share = hot(target, z).to(z.dtype) if call.hard else target
    if call.label_smoothing:
        allowed = z.detach() > -torch.inf
        spread = call.label_smoothing / allowed.sum(1, keepdim=True).to(z.dtype)
        share = (1 - call.label_smoothing) * share + torch.where(allowed, spread, 0.0)
    if call.alpha is None:
        return share
    return share * call.alpha.to(z.dtype).view((1, -1) + (1,) * (z.dim() - 2))
