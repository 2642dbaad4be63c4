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
from lossmith.link.counting import Counted, Labels, count
from lossmith.link.dtypes import compute_dtype
from lossmith.link.forms import MARGIN, PLAIN
from lossmith.link.link import part
from lossmith.link.softmax import CERTAIN
from lossmith.risk.classes import labels
from lossmith.risk.classes.collectives import copied, gathered, largest, summed
from lossmith.risk.classes.shard import Split


@dataclass(slots=True)
class _Rows:
    """What is known of the rows as the computation goes on."""

    z: Tensor  # this rank's logits
    target: Tensor  # of rows that are dropped, something harmless
    keep: Tensor | None
    weight: Tensor | None
    mass: Tensor | None = None  # this rank's part of the class weight of a row

    def drop(self, keep: Tensor | None) -> None:
        """Keep these rows only, of those kept so far; of the others nothing may come through."""
        if keep is not None:
            self.keep = keep if self.keep is None else self.keep & keep
        if self.keep is not None:
            self.z = torch.where(self.keep.unsqueeze(1), self.z, 0.0)

    def weigh(self, mass: Tensor) -> None:
        self.weight = mass if self.weight is None else self.weight * mass


@dataclass(slots=True)
class _Label:
    """A class index: among all classes, and where it lies on the rank that has it."""

    index: Tensor
    place: Tensor  # 0 on other ranks
    here: Tensor

    def of(self, split: Split, per_class: Tensor) -> Tensor:
        """The label's number among whole per-class numbers."""
        return per_class[self.index.clamp(0, split.classes - 1)]

    def part(self, shard: Tensor) -> Tensor:
        """The same where the rank that has the label alone knows it: to be summed."""
        return torch.where(self.here, shard.flatten()[self.place], 0.0)

    def share(self, like: Tensor) -> Tensor:
        """All of the label on one class."""
        one = self.here.to(like.dtype).unsqueeze(1)
        return torch.zeros_like(like).scatter(1, self.place.unsqueeze(1), one)


def losses(split: Split) -> tuple[Tensor, Tensor | None]:
    """Losses before reduction, weights applied, 0 where dropped; and the weights (None: all 1)."""
    rows = _rows(split)
    if not split.call.hard:
        raw = _by_share(split, rows, _shares(split, rows))
    else:
        label = _label(split, rows)
        if split.call.label_smoothing:
            raw = _by_share(split, rows, label.share(rows.z))
        else:
            raw = _by_index(split, rows, label)
        if not split.look:  # no rank has it, and the sum of nothing must not pass for a logit
            known = (label.index >= 0) & (label.index < split.classes)
            raw = torch.where(known, raw, torch.nan)
    return Counted(rows.target, rows.keep, rows.weight).weigh(raw)


def _rows(split: Split) -> _Rows:
    call = split.call
    dtype = compute_dtype(call.prediction.dtype)
    z = call.prediction.to(dtype)
    if not z.shape[1]:  # a rank without classes has one that is forbidden
        z = torch.cat([z, z.new_full((z.shape[0], 1, *z.shape[2:]), -torch.inf)], 1)
    # The class weight of a row may lie on another rank: it is looked up with the other sums.
    counted = count(
        call.target, call.rows, dtype, call.mask, call.weight,
        labels=Labels(call.ignore_index), axis=1,
    )  # fmt: skip
    return _Rows(z, counted.target, counted.keep, counted.weight)


def _shares(split: Split, rows: _Rows) -> Tensor:
    """This rank's part of the label distributions; the class weight is their mean."""
    share = rows.target
    if share.shape[1] < rows.z.shape[1]:
        share = torch.zeros_like(rows.z)
    if split.call.class_weight is not None:
        rows.mass = (share * split.shard(split.call.class_weight.to(share.dtype))).sum(1)
    rows.drop(None)
    return share


def _label(split: Split, rows: _Rows) -> _Label:
    """Class indices, with the class weight looked up."""
    index = rows.target
    if split.look:
        labels.in_range(split, index)
    place = index - split.first
    here = (place >= 0) & (place < split.call.prediction.shape[1])
    label = _Label(index, torch.where(here, place, 0), here)
    keep = None
    if split.call.class_weight is not None:
        class_weight = split.call.class_weight.to(rows.z.dtype)
        if split.whole:
            mass = label.of(split, class_weight)
            rows.weigh(mass)
            keep = mass != 0
        else:
            rows.mass = label.part(split.shard(class_weight))
    rows.drop(keep)
    return label


def _psi(split: Split, parameters: list[Any], *, through: bool = False) -> Callable[..., Tensor]:
    """ψ, or ψ through the margin."""
    operation = pointwise(reference.registered(split.call.loss.key, MARGIN if through else PLAIN))
    return lambda u: operation.apply(u, *parameters)


def _by_index(split: Split, rows: _Rows, label: _Label) -> Tensor:
    """ψ through the margin of the label, which all ranks have alike."""
    place = label.place.unsqueeze(1)
    others = _without(rows.z, place, label.here)
    tops = [others.detach().amax(1)]
    if rows.mass is not None:
        tops.append(rows.mass.detach())
    top, *mass = largest(tops, split.group)
    if mass:
        rows.drop(mass[0] != 0)
        others = _without(rows.z, place, label.here)
        top = torch.where(mass[0] != 0, top, 0.0)
    shift = torch.where(top.isfinite(), top, 0.0)
    own = torch.gather(rows.z, 1, place).squeeze(1)
    parts = [(others - shift.unsqueeze(1)).exp().sum(1), torch.where(label.here, own, 0.0)]
    if rows.mass is not None:
        parts.append(rows.mass)
    numbers = {name: v.to(own.dtype) for name, v in split.per_class() if name != "class_weight"}
    if not split.whole:
        parts += [label.part(split.shard(v)) for v in numbers.values()]
    away, own, *rest = summed(parts, split.group)
    if rows.mass is not None:
        rows.weigh(rest.pop(0))
    if split.look:
        labels.not_forbidden(split, rows.keep, own, top)
    known = [label.of(split, v) for v in numbers.values()] if split.whole else rest
    found = dict(zip(numbers, known, strict=True))
    specs = split.call.loss.formula.parameters
    given = [found.get(p.name, v) for p, v in zip(specs, split.call.parameters, strict=True)]
    value = _psi(split, given, through=True)(_margin(own, away, shift, top))
    return value * found["alpha"] if split.call.alpha is not None else value


def _without(z: Tensor, place: Tensor, here: Tensor) -> Tensor:
    """The logits with -inf at one place of each row, where that place is this rank's."""
    own = torch.gather(z, 1, place)
    return z.scatter(1, place, torch.where(here.unsqueeze(1), -torch.inf, own))


def _margin(own: Tensor, away: Tensor, shift: Tensor, top: Tensor) -> Tensor:
    """own - logsumexp(others), of `away` = Σ exp(others - shift); certain without any other."""
    alone = top == -torch.inf
    rest = shift + torch.where(alone, 1.0, away).log()
    return torch.where(alone & (own > -torch.inf), CERTAIN, own - rest)


def _by_share(split: Split, rows: _Rows, share: Tensor) -> Tensor:
    """Σ_k q_k ψ(log p_k): each rank its own classes, and the owner of the best class its margin."""
    place, mine, second = _best(split, rows)
    others = _without(rows.z, place, mine)
    shift = torch.where(second.isfinite(), second, 0.0)
    best = torch.gather(rows.z, 1, place).squeeze(1)
    allowed = rows.z.detach() > -torch.inf
    parts = [(others - shift.unsqueeze(1)).exp().sum(1), torch.where(mine, best, 0.0)]
    parts.append(allowed.sum(1).to(best.dtype))
    if rows.mass is not None:
        parts.append(rows.mass)
    if split.look:
        parts += labels.faults(split, share, allowed)
    away, best, count, *rest = summed(parts, split.group)
    if rows.mass is not None:
        rows.weigh(rest.pop(0))
    if split.look:
        labels.refuse(split, rows.keep, count, rest, share, allowed)
    margin = _margin(best, away, shift, second)
    log_sum, margin = copied([best - F.logsigmoid(margin), margin], split.group)
    if split.call.label_smoothing:
        spread = (split.call.label_smoothing / count).unsqueeze(1)
        share = (1 - split.call.label_smoothing) * share + torch.where(allowed, spread, 0.0)
    if split.call.alpha is not None:
        share = share * split.shard(split.call.alpha.to(best.dtype))
    # One class at most has a p that may round to 1: it goes by its margin, the others by log p.
    top = torch.gather(share, 1, place)
    nothing = torch.zeros_like(top)
    left = share.scatter(1, place, torch.where(mine.unsqueeze(1), nothing, top))
    top = torch.where(mine.unsqueeze(1), top, nothing).squeeze(1)
    given = _own(split)
    at_best = [_gathered(p, place, rows.z) for p in given]
    value = part(_psi(split, at_best, through=True), margin, top, 0.0)
    u = rows.z - log_sum.unsqueeze(1)
    value = value + part(_psi(split, given), u, left, -1.0).sum(1)
    return summed([value], split.group)[0]


def _best(split: Split, rows: _Rows) -> tuple[Tensor, Tensor, Tensor]:
    """This rank's best class, whether it is the best of all, and the largest of the rivals."""
    tops = rows.z.detach().topk(min(2, rows.z.shape[1]), 1)
    pair = F.pad(tops.values.movedim(1, -1), (0, 2 - tops.values.shape[1]), value=-torch.inf)
    told = [*pair.unbind(-1)]
    if rows.mass is not None:
        told.append(rows.mass.detach())
    found = gathered(torch.stack(told), split.group)
    firsts, rank = found[:, 0], split.group.rank()
    first, second = found[:, :2].flatten(0, 1).topk(2, 0).values
    mine = (firsts[rank] == first) & ~(firsts[:rank] == first).any(0)
    if rows.mass is not None:
        some = (found[:, 2] != 0).any(0)
        rows.drop(some)
        second = torch.where(some, second, 0.0)
    return tops.indices.narrow(1, 0, 1), mine, second


def _own(split: Split) -> list[Any]:
    """The parameters as a rank uses them for its own classes."""
    made: list[Any] = []
    for spec, value in zip(split.call.loss.formula.parameters, split.call.parameters, strict=True):
        if isinstance(value, Tensor) and value.dim():
            value = split.shard(value, padding=spec.default)
        elif isinstance(value, Tensor) and value.requires_grad:
            (value,) = copied([value], split.group)
        made.append(value)
    return made


def _gathered(parameter: Any, place: Tensor, like: Tensor) -> Any:
    """One per class → the one of a class in each row."""
    if not isinstance(parameter, Tensor) or not parameter.dim():
        return parameter
    return torch.gather(parameter.expand_as(like), 1, place).squeeze(1)
