"""A probability loss whose classes lie on several ranks: the mathematics of engine/reference.py.

Each rank has the logits of some neighbouring classes. What a row needs of all classes is a maximum
and a few sums, so what travels does not grow with the number of classes.

    index as target     m = z_y - logsumexp(others) is whole: ψ(m) on every rank alike.
                        Forward: one maximum, one sum. Backward: nothing.
    shares of classes   Σ_k q_k ψ(log p_k), each rank its own classes, the best class by its margin.
                        Forward: the two largest logits gathered, one sum, the sum of the parts.
                        Backward: one sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lossmith.engine import reference
from lossmith.engine.pointwise import pointwise
from lossmith.link.links import Linked
from lossmith.risk import class_labels
from lossmith.risk.collectives import copied, gathered, largest, rank_of, summed
from lossmith.risk.ranks import Group


@dataclass(slots=True)
class Split:
    """A checked call on one rank. `first` and `classes`: where its shard lies among all classes."""

    loss: Linked
    logits: Tensor  # (N, classes of this rank, d1, …)
    target: Tensor  # indices among all classes, or this rank's shard of a distribution
    parameters: tuple[Any, ...]
    group: Group
    first: int
    classes: int
    weight: Tensor | None
    mask: Tensor | None
    class_weight: Tensor | None
    alpha: Tensor | None
    whole: bool  # class_weight and alpha: of all classes, or of this rank's
    label_smoothing: float
    ignore_index: int
    look: bool  # whether values may be looked at

    @property
    def hard(self) -> bool:
        return not self.target.is_floating_point()

    def shard(self, per_class: Tensor) -> Tensor:
        """This rank's part of one number per class, shaped for the logits."""
        if self.whole:
            if per_class.requires_grad:  # each rank sees to its own entries
                (per_class,) = copied([per_class], self.group)
            per_class = per_class.narrow(0, self.first, self.logits.shape[1])
        if not per_class.shape[0]:
            per_class = F.pad(per_class, (0, 1))  # beside the logits' own padding
        return per_class.view(1, -1, *(1,) * (self.logits.dim() - 2))


@dataclass(slots=True)
class _Rows:
    """What is known of the rows as the computation goes on."""

    z: Tensor
    keep: Tensor | None
    weight: Tensor | None
    own: Tensor | None = None  # where this rank has the label, its place there; else 0
    here: Tensor | None = None  # whether this rank has the label
    share: Tensor | None = None  # this rank's part of a distribution
    mass: Tensor | None = None  # this rank's part of the class weight of a row

    def drop(self, also: Tensor | None) -> None:
        """Leave rows out, also those whose class weight turns out to be 0 on all ranks."""
        if also is not None:
            self.keep = also if self.keep is None else self.keep & also
        if self.keep is not None:
            self.z = torch.where(self.keep.unsqueeze(1), self.z, 0.0)


def losses(split: Split) -> tuple[Tensor, Tensor | None]:
    """Losses before reduction, weights applied, 0 where dropped; and the weights (None: all 1)."""
    rows = _rows(split)
    raw, mass = (_by_index if split.hard and not split.label_smoothing else _by_share)(split, rows)
    keep, weight = rows.keep, rows.weight
    if mass is not None:
        weight = mass if weight is None else weight * mass
    if keep is None:
        return raw, None
    raw = torch.where(keep, raw, 0.0)
    weight = torch.where(keep, torch.ones_like(raw) if weight is None else weight, 0.0)
    return raw * weight, weight


def _rows(split: Split) -> _Rows:
    dtype = reference.compute_dtype(split.logits.dtype)
    z = split.logits.to(dtype)
    if not z.shape[1]:  # a rank without classes has one that is forbidden
        z = torch.cat([z, z.new_full((z.shape[0], 1, *z.shape[2:]), -torch.inf)], 1)
    rows = _Rows(z, split.mask, None)
    shape = z.shape[:1] + z.shape[2:]
    if split.mask is not None:
        rows.keep = split.mask.expand(shape)
    if split.weight is not None:
        rows.weight = split.weight.to(dtype).expand(shape)
        counted = rows.weight != 0
        rows.keep = counted if rows.keep is None else rows.keep & counted
    class_weight = None if split.class_weight is None else split.class_weight.to(dtype)
    if not split.hard:
        rows.share = split.target.to(dtype)
        if rows.share.shape[1] < z.shape[1]:
            rows.share = torch.zeros_like(z)
        if rows.keep is not None:
            rows.share = torch.where(rows.keep.unsqueeze(1), rows.share, 1.0 / split.classes)
        if class_weight is not None:
            rows.mass = (rows.share * split.shard(class_weight)).sum(1)
        rows.drop(None)
        return rows
    target = split.target.long()
    counted = target != split.ignore_index
    rows.keep = counted if rows.keep is None else rows.keep & counted
    target = torch.where(rows.keep, target, 0)
    if split.look:
        class_labels.in_range(split, target)
    place = target - split.first
    rows.here = (place >= 0) & (place < split.logits.shape[1])
    rows.own = torch.where(rows.here, place, 0)
    if class_weight is not None:
        if split.whole:
            mass = class_weight[target.clamp(0, split.classes - 1)]
            rows.weight = mass if rows.weight is None else rows.weight * mass
            rows.keep = rows.keep & (mass != 0)
        else:
            rows.mass = _here(rows, split.shard(class_weight).flatten())
    rows.drop(None)
    return rows


def _here(rows: _Rows, shard: Tensor) -> Tensor:
    """The label's number of one per class on the rank that has the label, 0 elsewhere."""
    assert rows.own is not None
    assert rows.here is not None
    return torch.where(rows.here, shard[rows.own], 0.0)


def _psi(split: Split, *, through: bool, apart: bool) -> Callable[[Tensor], Tensor]:
    """ψ, or ψ through the margin; `apart` where each rank computes something of its own."""
    operation = pointwise(reference.registered(split.loss.key, through))
    parameters = [
        copied([p], split.group)[0] if apart and isinstance(p, Tensor) and p.requires_grad else p
        for p in split.parameters
    ]
    return lambda u: operation.apply(u, *parameters)


def _by_index(split: Split, rows: _Rows) -> tuple[Tensor, Tensor | None]:
    """ψ through the margin of the label, which all ranks have alike."""
    assert rows.own is not None
    assert rows.here is not None
    place = rows.own.unsqueeze(1)
    others = _without(rows.z, place, rows.here)
    tops = [others.detach().amax(1)]
    if rows.mass is not None:
        tops.append(rows.mass.detach())
    top, *mass = largest(tops, split.group)
    if mass:
        rows.drop(mass[0] != 0)
        others = _without(rows.z, place, rows.here)
        top = torch.where(mass[0] != 0, top, 0.0)
    shift = torch.where(top.isfinite(), top, 0.0)
    own = torch.gather(rows.z, 1, place).squeeze(1)
    parts = [(others - shift.unsqueeze(1)).exp().sum(1), torch.where(rows.here, own, 0.0)]
    extra = {"mass": rows.mass}
    if split.alpha is not None and not split.whole:
        extra["alpha"] = _here(rows, split.shard(split.alpha.to(own.dtype)).flatten())
    found = [name for name, part in extra.items() if part is not None]
    parts += [part for part in extra.values() if part is not None]
    away, own, *rest = summed(parts, split.group)
    known = dict(zip(found, rest, strict=True))
    if split.look:
        class_labels.not_forbidden(split, rows.keep, own, top)
    value = _psi(split, through=True, apart=False)(_margin(own, away, shift, top))
    if split.alpha is not None:
        target = split.target.long().clamp(0, split.classes - 1)
        value = value * (known["alpha"] if "alpha" in known else split.alpha.to(own.dtype)[target])
    if not split.look:  # no rank has it, and the sum of nothing must not pass for a logit
        t = split.target
        value = torch.where((t >= 0) & (t < split.classes), value, torch.nan)
    return value, known.get("mass")


def _without(z: Tensor, place: Tensor, here: Tensor) -> Tensor:
    """The logits with -inf at one place of each row, where that place is this rank's."""
    own = torch.gather(z, 1, place)
    return z.scatter(1, place, torch.where(here.unsqueeze(1), -torch.inf, own))


def _margin(own: Tensor, away: Tensor, shift: Tensor, top: Tensor) -> Tensor:
    """own - logsumexp(others), of `away` = Σ exp(others - shift); certain without any other."""
    alone = top == -torch.inf
    rest = shift + torch.where(alone, 1.0, away).log()
    return torch.where(alone & (own > -torch.inf), reference._CERTAIN, own - rest)


def _by_share(split: Split, rows: _Rows) -> tuple[Tensor, Tensor | None]:
    """Σ_k q_k ψ(log p_k): each rank its own classes, and the owner of the best class its margin."""
    tops = rows.z.detach().topk(min(2, rows.z.shape[1]), 1)
    pair = F.pad(tops.values.movedim(1, -1), (0, 2 - tops.values.shape[1]), value=-torch.inf)
    told = list(pair.unbind(-1))
    if rows.mass is not None:
        told.append(rows.mass.detach())
    all_told = gathered(torch.stack(told), split.group)
    firsts = all_told[:, 0]
    # Of all ranks' two best, the two best: the best of all, and the best of its rivals.
    first, second = all_told[:, :2].flatten(0, 1).topk(2, 0).values
    rank = rank_of(split.group)
    mine = (firsts[rank] == first) & ~(firsts[:rank] == first).any(0)
    if rows.mass is not None:
        some = (all_told[:, 2] != 0).any(0)
        rows.drop(some)
        second = torch.where(some, second, 0.0)
    place = tops.indices.narrow(1, 0, 1)
    others = _without(rows.z, place, mine)
    shift = torch.where(second.isfinite(), second, 0.0)
    best = torch.gather(rows.z, 1, place).squeeze(1)
    allowed = rows.z.detach() > -torch.inf
    parts = [(others - shift.unsqueeze(1)).exp().sum(1), torch.where(mine, best, 0.0)]
    parts.append(allowed.sum(1).to(best.dtype))
    share = rows.share
    if share is None:
        assert rows.own is not None
        assert rows.here is not None
        one = rows.here.to(best.dtype).unsqueeze(1)
        share = torch.zeros_like(rows.z).scatter(1, rows.own.unsqueeze(1), one)
    faults = class_labels.faults(split, rows.keep, share, allowed) if split.look else []
    parts += faults if rows.mass is None else [*faults, rows.mass]
    away, best, count, *rest = summed(parts, split.group)
    if split.look:
        class_labels.refuse(split, rows.keep, count, rest, share, allowed)
    margin = _margin(best, away, shift, second)
    log_sum, margin = copied([best - F.logsigmoid(margin), margin], split.group)
    if split.label_smoothing:
        spread = (split.label_smoothing / count).unsqueeze(1)
        share = (1 - split.label_smoothing) * share + torch.where(allowed, spread, 0.0)
    if split.alpha is not None:
        share = share * split.shard(split.alpha.to(best.dtype))
    whole = torch.where(mine, torch.gather(share, 1, place).squeeze(1), 0.0)
    value = reference._part(_psi(split, through=True, apart=True), margin, whole, 0.0)
    none = torch.zeros_like(share.narrow(1, 0, 1))
    left = share.scatter(1, place, torch.where(mine.unsqueeze(1), none, share.gather(1, place)))
    psi = _psi(split, through=False, apart=True)
    value = value + reference._part(psi, rows.z - log_sum.unsqueeze(1), left, -1.0).sum(1)
    (value,) = summed([value], split.group)
    if split.hard and not split.look:
        t = split.target
        value = torch.where((t >= 0) & (t < split.classes), value, torch.nan)
    return value, None if rows.mass is None else rest[-1]
