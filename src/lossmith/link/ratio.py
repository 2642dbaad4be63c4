"""u = log b_k - log a_k of two distributions over the same classes: Σ_k a_k ψ(u_k).

Each term is averaged over whichever of a and b is not far the smaller, so that nothing overflows:
a·ψ(u) where u ≤ 1, and b·ψ*(-u) beyond. Both are one function, so its derivatives, by autograd
through a, b and u and by the formula through ψ, are continuous across that border too.

u itself is a difference of two rounded logarithms, so between two distributions that nearly agree
it has only the digits that its type leaves it; on the CPU everything is computed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lossmith.errors import DtypeError, InputError, ShapeError
from lossmith.formula.record import Formula
from lossmith.link import chain, shapes
from lossmith.link.counting import tolerance
from lossmith.link.dtypes import FLOATS
from lossmith.link.forms import MIRROR, PLAIN, at_zero, expression
from lossmith.link.infinity import log_softmax
from lossmith.link.link import Call, Fault, Link, Psi
from lossmith.link.options import DIRECTION, Option

if TYPE_CHECKING:
    from lossmith.formula.algebra import Properties

_BORDER = 1.0
Probabilities = tuple[Tensor, Tensor]  # p and log p


class Ratio(Link):
    """Divergences of the prediction's softmax q from a target p, probabilities or scores."""

    name = "ratio"
    family = "divergence"
    natural = True
    axis = 1
    classes = True
    spare = 0.0
    u = (
        "the loss is Σ_k a_k ψ(u_k), u_k = log b_k - log a_k: a = p, the target, and "
        "b = q = softmax(logits); reversed, a = q and b = p"
    )
    word = "logits"
    prediction_shape = "(N, C) or (N, C, d1, …), classes on dimension 1"
    target_shape = (
        "the logits' shape, one of the two; probabilities of 0 and scores of -inf are exact"
    )
    targets = ("target_probs", "target_logits")
    means = ("probabilities that sum to 1 over dimension 1", "scores before the softmax")
    noun = "rows"
    adds = False  # each may be averaged over another side

    def options(self, formula: Formula) -> tuple[Option, ...]:
        return () if formula.symmetric else (DIRECTION,)

    def check(
        self, name: str, prediction: Any, target: Any, argument: str = "target"
    ) -> tuple[Any, Tensor]:
        for word, value in (("logits", prediction), (argument, target)):
            if not isinstance(value, Tensor):
                shapes.no_tensor(name, word, value)
            shapes.dense(name, word, value)
            if value.dtype not in FLOATS:
                hint = ""
                if word != "logits" and value.dtype == torch.int64:
                    hint = " For class indices use lossmith.cross_entropy."
                raise DtypeError(
                    f"{name}: {word} has dtype {value.dtype}; it must be real floating "
                    f"numbers.{hint}"
                )
        shapes.device(name, argument, target, prediction)
        shape = shapes.of_logits(name, prediction)
        if tuple(target.shape) != shape:
            raise ShapeError(
                f"{name}: logits have shape {shape} and {argument} {tuple(target.shape)}; they "
                "must be equal, nothing is broadcast."
            )
        if argument == self.targets[0] and target.requires_grad:
            raise InputError(
                f"{name}: target_probs requires a gradient, but probabilities are data here. Use "
                "target_probs.detach(), or target_logits= to learn both sides."
            )
        return (*shape[:1], *shape[2:]), target

    def spare_target(self, call: Call) -> float:
        return 0.0 if call.scores else 1.0 / call.target.shape[1]

    def losses(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> Tensor:
        psi.ready(PLAIN, MIRROR)
        log_q = log_softmax(z)
        log_p = log_softmax(target) if call.scores else torch.log(target)
        q, p = (log_q.exp(), log_q), (log_p.exp() if call.scores else target, log_p)
        return _terms(psi, *((q, p) if call.reverse else (p, q))).sum(1)

    def derivatives(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        log_q = log_softmax(z)
        log_p = log_softmax(target) if call.scores else torch.log(target)
        q, p = (log_q.exp(), log_q), (log_p.exp() if call.scores else target, log_p)
        slope, curvature = _in_log_q(psi, q, p, reverse=call.reverse)
        gradient = chain.softmax_gradient(slope, q[0])
        return gradient, chain.softmax_hessian_diagonal(slope, curvature, q[0])

    def faults(self, call: Call) -> Iterator[Fault]:
        if not call.scores:
            wide = call.target.detach().double()
            off = (wide.sum(1) - 1).abs()
            yield _no_distribution, ~((wide.amin(1) >= 0) & (off <= tolerance(call.target.dtype)))
        yield _nothing_allowed("logits"), call.prediction.detach().amax(1) == -torch.inf
        if call.scores:
            yield _nothing_allowed("target_logits"), call.target.detach().amax(1) == -torch.inf

    def why_no_kernel(self, call: Call) -> str | None:
        return "there is no kernel for two distributions yet"

    def curve(self, formula: Formula, **parameters: float) -> Properties:
        """Of ψ only the bounds of D.

        It is 0 where the two agree, and ψ at -∞ once for each side where nothing is likely to both.
        """
        from lossmith.formula import properties

        ends = [at_zero(expression(formula, form)) for form in (PLAIN, MIRROR)]
        return replace(
            properties.of(formula, **parameters),
            convex=None, lipschitz=None, smooth=None, lowest=0.0, highest=sum(ends),
        )  # fmt: skip


def _terms(psi: Psi, first: Probabilities, second: Probabilities) -> Tensor:
    """a_k ψ(u_k) by class. Where a probability is 0, the limit; where both are, nothing."""
    (a, log_a), (b, log_b) = first, second
    no_a, no_b = log_a == -torch.inf, log_b == -torch.inf
    # A difference of infinities must not be formed where a gradient passes through it.
    u = torch.where(no_b, 0.0, log_b) - torch.where(no_a, 0.0, log_a)
    inside = ~(no_a | no_b)
    near = inside & (u <= _BORDER)
    far = inside & ~near  # NaN goes here, and through
    here = a * psi(torch.where(near, u, 0.0))
    there = b * psi(torch.where(far, -u, -_BORDER), MIRROR)
    limit = torch.where(no_a, _share(b, psi.at_zero(MIRROR)), _share(a, psi.at_zero(PLAIN)))
    return torch.where(near, here, torch.where(far, there, limit))


def _in_log_q(
    psi: Psi, q: Probabilities, p: Probabilities, *, reverse: bool
) -> tuple[Tensor, Tensor]:
    """First and second derivative of each class's term in log q."""
    (a, log_a), (b, log_b) = (q, p) if reverse else (p, q)
    no_a, no_b = log_a == -torch.inf, log_b == -torch.inf
    u = torch.where(no_b, 0.0, log_b) - torch.where(no_a, 0.0, log_a)
    inside = ~(no_a | no_b)
    near = inside & (u <= _BORDER)
    here, there = torch.where(near, u, 0.0), torch.where(inside & ~near, -u, -_BORDER)
    plain, mirror = (
        tuple(psi(at, form, order=order) for order in range(3))
        for at, form in ((here, PLAIN), (there, MIRROR))
    )
    # Of the side that q averages over the weight moves with u, of the other only u does.
    by_a, by_b = (_weighted, _moved) if reverse else (_moved, _weighted)
    inner, outer = by_a(a, plain), by_b(b, mirror)
    ends = torch.where(no_a, _share(b, psi.at_zero(MIRROR)), _share(a, psi.at_zero(PLAIN)))
    ends = torch.where(no_a != reverse, ends, 0.0)  # where it is q's share
    slope, curvature = (
        torch.where(near, i, torch.where(inside, o, ends))
        for i, o in zip(inner, outer, strict=True)
    )
    return slope, curvature


def _moved(share: Tensor, at: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """share·ψ(log q + …): the share is p."""
    return share * at[1], share * at[2]


def _weighted(share: Tensor, at: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """q·ψ(… - log q)."""
    return share * (at[0] - at[1]), share * (at[0] - 2 * at[1] + at[2])


def _share(probability: Tensor, limit: float) -> Tensor:
    """probability · limit, without 0 · ∞ and without a gradient of ∞."""
    if limit == math.inf:
        return torch.where(probability > 0, torch.full_like(probability, limit), 0.0)
    return probability * limit


def _no_distribution(call: Call, place: tuple[int, ...], more: str) -> str:
    row = call.target.movedim(1, -1)[place].tolist()
    shown = ", ".join(f"{x:g}" for x in row[:8]) + (", …" if len(row) > 8 else "")
    return (
        f"target_probs at row {list(place)} is [{shown}], which sums to {sum(row):g}{more}; "
        "probabilities must not be negative or NaN and must sum to 1 over dimension 1. For "
        "unnormalised scores use target_logits=."
    )


def _nothing_allowed(argument: str) -> Callable[[Call, tuple[int, ...], str], str]:
    def sentence(call: Call, place: tuple[int, ...], more: str) -> str:
        return (
            f"{argument} at row {list(place)} are all -inf{more}; at least one class must be "
            "allowed. Drop such rows with mask=."
        )

    return sentence
