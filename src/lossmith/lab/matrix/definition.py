"""What the options of a classification loss mean, written out once in plain float64 torch.

It is the other side of `lossmith matrix`, and goes another road than the library on purpose: rows
that are dropped are cut out before anything is computed, a softmax is exponentials over their
sum, classes are summed one by one, and derivatives are torch's own. Nothing of the library is
imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

Psi = Callable[[Tensor], Tensor]


def _sigmoid(u: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-u))


def _log_loss(u: Tensor) -> Tensor:
    return torch.logaddexp(torch.zeros_like(u), -u)


# ψ of u = log p and rest = 1 - p, with the defaults of the library.
PROBABILITY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": lambda u, rest: -u,
    "focal": lambda u, rest: -u * rest**2,
    "generalized_cross_entropy": lambda u, rest: -torch.expm1(0.7 * u) / 0.7,
    "poly1": lambda u, rest: -u + rest,
}
# ψ of a margin, and the margins at which it has a kink or a step.
MARGIN: dict[str, tuple[Psi, tuple[float, ...]]] = {
    "zero_one": (lambda u: (u <= 0).to(u.dtype) + 0 * u, (0.0,)),
    "hinge": (lambda u: (1 - u).clamp(min=0), (1.0,)),
    "squared_hinge": (lambda u: (1 - u).clamp(min=0) ** 2, (1.0,)),
    "smoothed_hinge": (
        lambda u: (1 - u).clamp(min=0) ** 2 / 2 - (-u).clamp(min=0) ** 2 / 2,
        (0.0, 1.0),
    ),
    "ramp": (lambda u: (1 - u).clamp(min=0, max=2), (-1.0, 1.0)),
    "perceptron": (lambda u: (-u).clamp(min=0), (0.0,)),
    "logistic": (_log_loss, ()),
    "exponential": (lambda u: torch.exp(-u), ()),
    "modified_huber": (
        lambda u: (1 - u).clamp(min=0) ** 2 - (-1 - u).clamp(min=0) ** 2,
        (-1.0, 1.0),
    ),
    "savage": (lambda u: _sigmoid(-2 * u) ** 2, ()),
    "sigmoid_loss": (lambda u: _sigmoid(-u), ()),
    "brier": (lambda u: _sigmoid(-u) ** 2, ()),
    "binary_focal": (lambda u: _sigmoid(-u) ** 2 * _log_loss(u), ()),
    "binary_cross_entropy": (_log_loss, ()),
}


@dataclass
class Options:
    """One combination, its tensors in float64 (labels as they are)."""

    weight: Tensor | None = None
    mask: Tensor | None = None
    class_weight: Tensor | None = None
    alpha: Tensor | float | None = None
    label_smoothing: float = 0.0
    ignore_index: int = -100
    signed: bool = False
    reduction: str = "mean"


def loss(link: str, formula: str, z: Tensor, target: Tensor, o: Options) -> Tensor:
    """The loss: `link` is softmax, crammer_singer, one_vs_rest or margin."""
    terms, reduce = _terms(link, formula, z, target, o)
    return reduce(sum(terms[1:], terms[0]))


def parts(link: str, formula: str, z: Tensor, target: Tensor, o: Options) -> list[Tensor]:
    """The same loss as a list that adds up to it: a part for each label that a row can have.

    Parts pull a score up and down; where they cancel, rounding is theirs, not their sum's.
    """
    terms, reduce = _terms(link, formula, z, target, o)
    return [reduce(term) for term in terms]


def _terms(
    link: str, formula: str, z: Tensor, target: Tensor, o: Options
) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
    """Terms of the rows that are kept, and the way from such rows to the loss."""
    rows = z.shape if link == "margin" else z.shape[:1] + z.shape[2:]
    keep = torch.ones(rows, dtype=torch.bool)
    weight = torch.ones(rows, dtype=torch.float64)
    if o.mask is not None:
        keep = keep & o.mask.expand(rows)
    if o.weight is not None:
        weight = o.weight.double().expand(rows)
    if link != "margin" and not target.is_floating_point():
        keep = keep & (target != o.ignore_index)
    keep = keep & (weight != 0)
    w = weight[keep]
    if link == "margin":
        terms = _binary(MARGIN[formula][0], z[keep], target[keep].double(), o)
    else:
        last = (*range(z.dim())[:1], *range(z.dim())[2:], 1)
        t = target[keep] if target.dim() == len(rows) else target.permute(last)[keep]
        terms, w = _classes(link, formula, z.permute(last)[keep], t, w, o)

    def reduce(each: Tensor) -> Tensor:
        if o.reduction == "none":
            return torch.zeros(rows, dtype=torch.float64).masked_scatter(keep, w * each)
        total, mass = (w * each).sum(), w.sum()
        return total if o.reduction == "sum" or mass == 0 else total / mass

    return terms, reduce


def _binary(psi: Psi, z: Tensor, t: Tensor, o: Options) -> list[Tensor]:
    t = (t + 1) / 2 if o.signed else t
    positive, negative = (1.0, 1.0) if o.alpha is None else (o.alpha, 1 - o.alpha)
    return [positive * t * psi(z), negative * (1 - t) * psi(-z)]


def _classes(
    link: str, formula: str, z: Tensor, target: Tensor, w: Tensor, o: Options
) -> tuple[list[Tensor], Tensor]:
    """Terms and weights of rows (N, C), all of them kept."""
    count = z.shape[1]
    scores = z.unbind(1)
    allowed = [s > -torch.inf for s in scores]
    if target.dim() == 1:
        label = [(target == k).double() for k in range(count)]
    else:
        label = list(target.double().unbind(1))
    if o.class_weight is not None:  # as the label says, before smoothing
        w = w * sum(o.class_weight[k].double() * label[k] for k in range(count))
    if o.label_smoothing:
        spread = o.label_smoothing / torch.stack(allowed).sum(0).double()
        keep = 1 - o.label_smoothing
        label = [
            keep * q + torch.where(a, spread, 0.0) for q, a in zip(label, allowed, strict=True)
        ]
    each = []
    if link == "softmax":
        share = label
        if isinstance(o.alpha, Tensor):
            share = [o.alpha[k].double() * label[k] for k in range(count)]
        of_p = PROBABILITY[formula]
        top = z.detach().amax(1)
        powers = [torch.exp(s - top) for s in scores]
        none = torch.zeros_like(top)
        whole = sum(powers, none)
        # 1 - p is the sum of the other p: a difference would lose its digits where p is near 1.
        before = list(accumulate(powers[:-1], initial=none))
        after = list(accumulate(powers[:0:-1], initial=none))[::-1]
        for k, q in enumerate(share):
            rest = (before[k] + after[k]) / whole
            near = torch.log1p(-torch.where(rest < 0.5, rest, 0.0))
            far = torch.where(allowed[k], scores[k], 0.0) - top - torch.log(whole)
            each.append(q * of_p(torch.where(rest < 0.5, near, far), rest))
    elif link == "crammer_singer":
        psi = MARGIN[formula][0]
        for k in range(count):
            rival = torch.stack([s for j, s in enumerate(scores) if j != k]).amax(0)
            ahead = torch.where(allowed[k], scores[k], 0.0) - rival
            each.append(torch.where(label[k] != 0, label[k] * psi(ahead), 0.0))
    else:
        psi = MARGIN[formula][0]
        for q, s, a in zip(label, scores, allowed, strict=True):
            safe = torch.where(a, s, 0.0)
            both = q * psi(safe), (1 - q) * psi(-safe)
            # A forbidden class is surely not this one.
            each += [torch.where(a, one, 0.0) for one in both]
    return each, w
