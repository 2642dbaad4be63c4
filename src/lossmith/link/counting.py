"""Which rows count, and how much: the one place that decides, for every engine and every rank.

A row is dropped by a mask of False, a weight of 0, the ignored class index, or a class weight of 0
of its label. What it held is replaced before a formula sees it, so nothing of it reaches a result:
neither NaN nor a label that is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lossmith.link.link import Call


def kept(rows: Sequence[int], mask: Tensor | None, weight: Tensor | None) -> Tensor | None:
    """What mask and weights keep; None: all of it."""
    keep = None if mask is None else mask.expand(rows)
    return keep if weight is None else both(keep, (weight != 0).expand(rows))


def both(keep: Tensor | None, more: Tensor | None) -> Tensor | None:
    """What two of them keep."""
    return keep if more is None else more if keep is None else keep & more


def of_kept(call: Call, flags: Tensor) -> Tensor:
    """Flags of each loss, or each entry of the prediction, without those of dropped rows."""
    keep = kept(call.rows, call.mask, call.weight)
    if keep is None:
        return flags
    return flags & (call.loss.link.along(keep) if flags.dim() > keep.dim() else keep)


def tolerance(dtype: object) -> float:
    """How far from 1 a distribution may sum: what whoever made it has rounded."""
    half = str(dtype).removeprefix("torch.") in ("float16", "bfloat16")
    return 1e-2 if half else 1e-3


@dataclass(slots=True)
class Counted:
    """The targets as they are used, and which of them count."""

    target: Tensor  # of what is dropped, something harmless
    keep: Tensor | None  # one flag for each loss; None: all count
    weight: Tensor | None  # of each loss, class weights folded in; None: 1

    def mass(self, dtype: torch.dtype) -> Tensor | None:
        """What each loss weighs, 0 where dropped; None: 1."""
        if self.keep is None:
            return None
        one = torch.ones((), dtype=dtype, device=self.keep.device)
        return torch.where(self.keep, one if self.weight is None else self.weight, 0.0)

    def weigh(self, losses: Tensor) -> tuple[Tensor, Tensor | None]:
        """Losses times their weights, 0 where dropped; and the weights (None: all 1)."""
        if self.keep is None:
            return losses, None
        losses, mass = torch.where(self.keep, losses, 0.0), self.mass(losses.dtype)
        return (losses if self.weight is None or mass is None else losses * mass), mass


@dataclass(frozen=True, slots=True)
class Labels:
    """How labels over classes decide, where they are such labels."""

    ignore_index: int | None = None
    class_weight: Tensor | None = None
    trusted: bool = True  # labels that are none have been refused already


def count(
    target: Tensor,
    rows: Sequence[int],
    dtype: torch.dtype,
    mask: Tensor | None = None,
    weight: Tensor | None = None,
    *,
    labels: Labels | None = None,
    axis: int | None = None,
    spare: float = 1.0,
) -> Counted:
    """Decide it for targets and weights as they are given; weights in the dtype asked for.

    `axis`: the dimension of the target that one loss sees whole; `spare`: what takes the place of
    numbers that are dropped, where they are no labels over classes.
    """
    keep = kept(rows, mask, weight)
    own = None if weight is None else weight.to(dtype).expand(rows)
    if labels is not None and not target.is_floating_point():
        return _indices(target, dtype, keep, own, labels)
    target = target.to(dtype)
    if keep is not None:
        if labels is not None and axis is not None:
            spare = 1.0 / max(1, target.shape[axis])
        wide = keep if axis is None else keep.unsqueeze(axis)
        target = torch.where(wide, target, spare)
    if labels is None or labels.class_weight is None or axis is None:
        return Counted(target, keep, own)
    shape = [1] * target.dim()
    shape[axis] = -1
    by_class = (target * labels.class_weight.to(dtype).view(shape)).sum(axis)
    counts = by_class != 0
    if not labels.trusted:  # what is no distribution stays in, to be refused
        off = (target.sum(axis) - 1).abs()
        counts = counts | ~((target.amin(axis) >= 0) & (off <= tolerance(dtype)))
    return Counted(target, both(keep, counts), by_class if own is None else own * by_class)


def _indices(
    target: Tensor, dtype: torch.dtype, keep: Tensor | None, own: Tensor | None, labels: Labels
) -> Counted:
    target = target.long()  # a narrow integer compared with a wide one would wrap around
    if labels.ignore_index is not None:
        keep = both(keep, target != labels.ignore_index)
    if keep is not None:
        target = torch.where(keep, target, 0)
    if labels.class_weight is None:
        return Counted(target, keep, own)
    weights = labels.class_weight.to(dtype)
    inside = target if labels.trusted else target.clamp(0, weights.shape[0] - 1)
    by_class = weights[inside]
    counts = by_class != 0
    if not labels.trusted:  # a label that is no class stays in, to be refused
        counts = counts | (inside != target)
    return Counted(target, both(keep, counts), by_class if own is None else own * by_class)


def counted(call: Call, dtype: torch.dtype, *, trusted: bool = True) -> Counted:
    """Decide it for a call, in the dtype that is computed in."""
    link = call.loss.link
    labels = None
    if link.labelled:
        labels = Labels(call.ignore_index, call.class_weight, trusted)
    return count(
        call.target, call.rows, dtype, call.mask, call.weight,
        labels=labels, axis=link.axis, spare=link.spare_target(call),
    )  # fmt: skip


@dataclass(slots=True)
class Cut:
    """The same decision, for whoever cuts what comes out instead of replacing what goes in.

    Nothing is made that a call does not ask for; `target` is index 0 where a label is dropped, and
    else as it was given.
    """

    count: int
    target: Tensor
    dropped: Tensor | None  # one flag for each loss
    weight: Tensor | None  # of each loss, class weights folded in, 0 where dropped

    def mass(self, dtype: torch.dtype) -> float | Tensor:
        """Σ weight; a number where that is the count."""
        if self.weight is not None:
            return self.weight.sum()
        if self.dropped is None:
            return float(self.count)
        return torch.rsub(self.dropped.sum(dtype=dtype), self.count)

    def out(self, x: Tensor, axis: int | None = None) -> Tensor:
        """0 in place where dropped; `axis`: along which one loss has several numbers."""
        if self.dropped is None:
            return x
        return x.masked_fill_(self.dropped if axis is None else self.dropped.unsqueeze(axis), 0.0)


def cut(call: Call, dtype: torch.dtype) -> Cut:
    """Decide it for a call, weights in the dtype that is computed in."""
    rows, target, index = call.rows, call.target, call.loss.link.labelled and call.hard
    dropped = None if call.mask is None else ~call.mask.expand(rows)
    weight = None if call.weight is None else call.weight.to(dtype).expand(rows)
    own = dropped is None  # only what weighs 0 is dropped, and weighs 0 already
    if weight is not None:
        dropped = _either(dropped, weight == 0)
    if index:
        target = target.long()
        if may_ignore(call):
            dropped, own = _either(dropped, target == call.ignore_index), False
        if dropped is not None:
            target = target.masked_fill(dropped, 0)
    if call.class_weight is not None:
        by_class = call.class_weight.to(dtype)
        if index:
            of_label = by_class[target]
        else:
            axis = call.loss.link.axis or 0
            shape = [1] * target.dim()
            shape[axis] = -1
            of_label = (target.to(dtype) * by_class.view(shape)).sum(axis)
        dropped = _either(dropped, of_label == 0)
        weight = of_label if weight is None else weight * of_label
        own = own and index  # shares of what is dropped may be anything
    if weight is not None and dropped is not None and not own:
        weight = weight.masked_fill(dropped, 0.0)
    return Cut(call.count, target, dropped, weight)


def may_ignore(call: Call) -> bool:
    """Whether an index may be the ignored one, as far as its dtype tells."""
    return call.hard and (call.target.dtype.is_signed or call.ignore_index >= 0)


def _either(a: Tensor | None, b: Tensor) -> Tensor:
    return b if a is None else a | b
