"""What the options of a loss mean, written out once in plain float64 torch.

It is the other side of `lossmith matrix` and `lossmith fuzz`, and goes another road than the
library on purpose: rows that are dropped are cut out before anything is computed, a softmax is
exponentials over their sum, classes are summed one by one, and derivatives are torch's own.
Nothing outside this folder is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from lossmith.lab.definition import divergence
from lossmith.lab.definition.psi import MARGIN, PROBABILITY, RESIDUAL

# Links whose losses have one element each; the others have rows of classes on dimension 1, but
# for `norm`, whose losses have a point each, on the last dimension.
ELEMENTWISE = ("residual", "margin")
# Residual formulas that are the same for u and -u, so that a distance may be put in.
EVEN = tuple(name for name in RESIDUAL if name not in ("pinball", "expectile"))


@dataclass
class Options:
    """One combination, its tensors in float64 (labels as they are)."""

    sample_weight: Tensor | None = None
    mask: Tensor | None = None
    class_weight: Tensor | None = None
    alpha: Tensor | float | None = None
    label_smoothing: float = 0.0
    ignore_index: int = -100
    signed: bool = False
    reduction: str = "mean"
    # Of ψ: numbers, or tensors that broadcast over the elements (one for each class, of a row).
    parameters: dict[str, Any] = field(default_factory=dict)


def loss(link: str, formula: str, z: Tensor, target: Tensor, o: Options) -> Tensor:
    """The loss.

    `link` is residual, norm, margin, softmax, crammer_singer, one_vs_rest or divergence.
    """
    terms, reduce, _ = _terms(link, formula, z, target, o)
    return reduce(sum(terms[1:], terms[0]))


def parts(link: str, formula: str, z: Tensor, target: Tensor, o: Options) -> list[Tensor]:
    """The same loss as a list that adds up to it: a part for each label that a row can have.

    Parts pull a score up and down; where they cancel, rounding is theirs, not their sum's.
    """
    terms, reduce, _ = _terms(link, formula, z, target, o)
    return [reduce(term) for term in terms]


def mass(link: str, formula: str, z: Tensor, target: Tensor, o: Options) -> Tensor:
    """What "mean" divides by: the sum of the weights of all that is kept."""
    return _terms(link, formula, z, target, o)[2].sum()


def _terms(
    link: str, formula: str, z: Tensor, target: Tensor, o: Options
) -> tuple[list[Tensor], Callable[[Tensor], Tensor], Tensor]:
    """Terms of the rows that are kept, the way from such rows to the loss, and their weights."""
    rows = z.shape if link in ELEMENTWISE else z.shape[:1] + z.shape[2:]
    rows = z.shape[:-1] if link == "norm" else rows
    keep = torch.ones(rows, dtype=torch.bool)
    weight = torch.ones(rows, dtype=torch.float64)
    if o.mask is not None:
        keep = keep & o.mask.expand(rows)
    if o.sample_weight is not None:
        weight = o.sample_weight.double().expand(rows)
    if link not in (*ELEMENTWISE, "norm") and not target.is_floating_point():
        target = target.long()  # in a small type, 256 is 0 and -1 is 255
        keep = keep & (target != o.ignore_index)
    keep = keep & (weight != 0)
    w = weight[keep]
    if link == "norm":
        away = z[keep] - target[keep].double()
        terms = [RESIDUAL[formula].psi(_length(away), **o.parameters)]
    elif link in ELEMENTWISE:
        terms = _elements(link, formula, z[keep], target[keep].double(), o, keep)
    else:
        last = (*range(z.dim())[:1], *range(z.dim())[2:], 1)
        t = target[keep] if target.dim() == len(rows) else target.permute(last)[keep]
        terms, w = _classes(link, formula, z.permute(last)[keep], t, w, o)

    def reduce(each: Tensor) -> Tensor:
        if o.reduction == "none":
            return torch.zeros(rows, dtype=torch.float64).masked_scatter(keep, w * each)
        total, mass = (w * each).sum(), w.sum()
        return total if o.reduction == "sum" or mass == 0 else total / mass

    return terms, reduce, w


def _elements(
    link: str, formula: str, z: Tensor, t: Tensor, o: Options, keep: Tensor
) -> list[Tensor]:
    own = {
        name: value.expand(keep.shape)[keep] if isinstance(value, Tensor) else value
        for name, value in o.parameters.items()
    }
    if link == "residual":
        return [RESIDUAL[formula].psi(z - t, **own)]
    psi = partial(MARGIN[formula].psi, **own)
    t = (t + 1) / 2 if o.signed else t
    positive, negative = (1.0, 1.0) if o.alpha is None else (o.alpha, 1 - o.alpha)
    return [positive * t * psi(z), negative * (1 - t) * psi(-z)]


def _length(away: Tensor) -> Tensor:
    """√Σx², by coordinate; a point at its target is no place for a root."""
    there = (away != 0).any(-1)
    square = sum(x**2 for x in torch.where(there.unsqueeze(-1), away, 1.0).unbind(-1))
    return torch.where(there, torch.sqrt(torch.as_tensor(square)), 0.0)


def _of_class(o: Options, k: int) -> dict[str, Any]:
    """The parameters of ψ as class k has them."""
    return {
        name: value[k] if isinstance(value, Tensor) and value.dim() else value
        for name, value in o.parameters.items()
    }


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
    if link == "divergence":
        q, p = torch.softmax(z, 1), torch.stack(label, 1)
        each.append(divergence.BY_NAME[formula](q, p, **o.parameters))
    elif link == "softmax":
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
            log_p = torch.where(rest < 0.5, near, far)
            each.append(q * of_p(log_p, rest, **_of_class(o, k)))
    elif link == "crammer_singer":
        psi = MARGIN[formula].psi
        for k in range(count):
            rival = torch.stack([s for j, s in enumerate(scores) if j != k]).amax(0)
            ahead = torch.where(allowed[k], scores[k], 0.0) - rival
            each.append(torch.where(label[k] != 0, label[k] * psi(ahead, **_of_class(o, k)), 0.0))
    else:
        psi = MARGIN[formula].psi
        for k, (q, s, a) in enumerate(zip(label, scores, allowed, strict=True)):
            safe, own = torch.where(a, s, 0.0), _of_class(o, k)
            both = q * psi(safe, **own), (1 - q) * psi(-safe, **own)
            # A forbidden class is surely not this one.
            each += [torch.where(a, one, 0.0) for one in both]
    return each, w
