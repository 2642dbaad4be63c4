"""Divergences in torch operations: Σ_k a_k ψ(log b_k - log a_k), exact where a or b has zeros.

Each term is averaged over whichever of a and b is not far the smaller, so that nothing overflows:
a·ψ(u) where u ≤ 1, and b·ψ*(-u) beyond. Both are one function, so its derivatives, by autograd
through a, b and u and by the formula through ψ, are continuous across that border too.

u itself is a difference of two rounded logarithms, so between two distributions that nearly agree
it has only the digits that float32 leaves it; on the CPU everything is computed in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lossmith.engine import looking
from lossmith.engine.labels import tolerance
from lossmith.engine.looking import constant_to_tracers
from lossmith.engine.plan import Reduction
from lossmith.engine.pointwise import _ready_for_tracers, pointwise, register
from lossmith.engine.reduction import reduced, summed
from lossmith.engine.reference import compute_dtype, log_softmax, registered, working_dtype
from lossmith.errors import InputError, LabelError
from lossmith.link.links import FORMULAS, Linked, at_zero, mirrored

_BORDER = 1.0


@dataclass(slots=True)
class Pair:
    """One checked call: a loss, two distributions, and which of them is averaged over."""

    loss: Linked
    logits: Tensor
    target_probs: Tensor | None  # one of these two
    target_logits: Tensor | None
    reverse: bool = False  # average over the prediction
    weight: Tensor | None = None
    mask: Tensor | None = None

    @property
    def target(self) -> Tensor:
        return self.target_logits if self.target_probs is None else self.target_probs  # type: ignore[return-value]


def reduce(pair: Pair, reduction: Reduction) -> Tensor:
    """The divergence: total / mass, total, or one value per row."""
    return reduced(*rows(pair), reduction)


def total(pair: Pair) -> tuple[Tensor, Tensor]:
    """The pair (total, mass)."""
    return summed(*rows(pair))


def rows(pair: Pair) -> tuple[Tensor, Tensor | None]:
    """Divergences by row, weights applied, 0 where dropped; and the weights (None: all 1)."""
    narrow, dtype = compute_dtype(pair.logits.dtype), working_dtype(pair.logits)
    z, target = pair.logits.to(dtype), pair.target.to(dtype)
    keep, weight = pair.mask, None
    shape = z.shape[:1] + z.shape[2:]
    if pair.weight is not None:
        weight = pair.weight.to(dtype).expand(shape)
        keep = weight != 0 if keep is None else keep & (weight != 0)
    if keep is not None:
        keep = keep.expand(shape)
        z = torch.where(keep.unsqueeze(1), z, 0.0)
        spare = 1.0 / z.shape[1] if pair.target_logits is None else 0.0
        target = torch.where(keep.unsqueeze(1), target, spare)
    _check_values(pair, z, target)
    log_q = log_softmax(z)
    q = (log_q.exp(), log_q)
    if pair.target_logits is None:
        p = (target, torch.log(target))
    else:
        log_p = log_softmax(target)
        p = (log_p.exp(), log_p)
    losses = _terms(pair.loss.key, *((q, p) if pair.reverse else (p, q))).sum(1)
    if keep is not None:
        losses = torch.where(keep, losses, 0.0)
        weight = torch.where(keep, 1.0 if weight is None else weight, 0.0).to(dtype)
        if pair.weight is not None:
            losses = losses * weight
    return losses.to(narrow), None if weight is None else weight.to(narrow)


def _terms(key: str, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
    """a_k ψ(u_k) by class. Where a probability is 0, the limit; where both are, nothing."""
    (a, log_a), (b, log_b) = first, second
    no_a, no_b = log_a == -torch.inf, log_b == -torch.inf
    # A difference of infinities must not be formed where a gradient passes through it.
    u = torch.where(no_b, 0.0, log_b) - torch.where(no_a, 0.0, log_a)
    inside = ~(no_a | no_b)
    near = inside & (u <= _BORDER)
    far = inside & ~near  # NaN goes here, and through
    plain, mirror = registered(key), _mirror(key)
    if torch.compiler.is_compiling():  # both before either is used: what a tracer saw, it keeps
        _ready_for_tracers(plain)
        _ready_for_tracers(mirror)
    here = a * pointwise(plain).apply(torch.where(near, u, 0.0))
    there = b * pointwise(mirror).apply(torch.where(far, -u, -_BORDER))
    limit, limit_of_mirror = _limits(key)
    return torch.where(
        near,
        here,
        torch.where(far, there, torch.where(no_a, _share(b, limit_of_mirror), _share(a, limit))),
    )


def _share(probability: Tensor, limit: float) -> Tensor:
    """probability · limit, without 0 · ∞ and without a gradient of ∞."""
    if limit == float("inf"):
        return torch.where(probability > 0, torch.full_like(probability, limit), 0.0)
    return probability * limit


@constant_to_tracers  # SymPy is not for them
def _mirror(key: str) -> str:
    name = key + ":mirror"
    if name not in _mirrored:
        register(name, mirrored(FORMULAS[key]), ("u",))
        _mirrored.add(name)
    return name


@constant_to_tracers
def _limits(key: str) -> tuple[float, float]:
    if key not in _at_zero:
        from lossmith.formula.calculus import base

        formula = FORMULAS[key]
        _at_zero[key] = (at_zero(base(formula)), at_zero(mirrored(formula)))
    return _at_zero[key]


_mirrored: set[str] = set()
_at_zero: dict[str, tuple[float, float]] = {}


def _check_values(pair: Pair, z: Tensor, target: Tensor) -> None:
    """Values are looked at where that costs nothing: plain tensors on the CPU, no tracer."""
    if not looking.readable(z, target):
        return
    name = pair.loss.name
    if pair.target_logits is None:
        wide = target.detach().double()
        off = (wide.sum(1) - 1).abs()
        bad = ~((wide.amin(1) >= 0) & (off <= tolerance(pair.target.dtype)))
        if bad.any():
            place = bad.nonzero()[0].tolist()
            row = target.movedim(1, -1)[tuple(place)].tolist()
            shown = ", ".join(f"{x:g}" for x in row[:8]) + (", …" if len(row) > 8 else "")
            raise LabelError(
                f"{name}: target_probs at row {place} is [{shown}], which sums to {sum(row):g} "
                f"({int(bad.sum())} such rows); probabilities must not be negative or NaN and must "
                "sum to 1 over dimension 1. For unnormalised scores use target_logits=."
            )
    for argument, scores in (("logits", z), ("target_logits", target)):
        if argument == "target_logits" and pair.target_logits is None:
            continue
        barred = scores.detach().amax(1) == -torch.inf
        if barred.any():
            raise InputError(
                f"{name}: {argument} at row {barred.nonzero()[0].tolist()} are all -inf; at least "
                "one class must be allowed. Drop such rows with mask=."
            )
