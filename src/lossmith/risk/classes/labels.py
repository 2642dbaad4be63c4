"""What is wrong with the labels of a split call, found by all ranks together.

A rank that raised alone would leave the others waiting for it. Class indices are the same
everywhere; what only the owner of a class can see travels with the sums that are made anyway, so
every rank refuses the same row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lossmith.errors import LabelError
from lossmith.link.counting import tolerance
from lossmith.link.link import entry
from lossmith.risk.classes.shard import Split


def in_range(split: Split, target: Tensor) -> None:
    """Class indices, those of dropped rows replaced already."""
    bad = (target < 0) | (target >= split.classes)
    if bad.any():
        place = tuple(bad.nonzero()[0].tolist())
        raise LabelError(
            f"{split.call.loss.name}: {entry(place)} = {target[place].item()} is no class"
            f"{_more(bad, 'labels')}: the ranks have {split.classes} classes together, 0 to "
            f"{split.classes - 1}. Class indices count over all ranks, this one's begin at "
            f"{split.first}. Rows to leave out carry ignore_index ({split.call.ignore_index}) or a "
            "mask."
        )


def not_forbidden(split: Split, keep: Tensor | None, own: Tensor, others: Tensor) -> None:
    """Class indices whose logit, `own`, is -inf; `others`: the largest of the other logits."""
    _refuse_index(split, keep, own.detach() == -torch.inf, others == -torch.inf)


def faults(split: Split, share: Tensor, allowed: Tensor) -> list[Tensor]:
    """What this rank can tell of each row, to be summed over the ranks: see `refuse`."""
    forbidden = ((share != 0) & ~allowed).sum(1)
    if split.call.hard:
        return [forbidden.to(share.dtype)]
    wrong = (~(share >= 0)).sum(1)
    return [forbidden.to(share.dtype), wrong.to(share.dtype), share.sum(1)]


def refuse(
    split: Split,
    keep: Tensor | None,
    count: Tensor,
    sums: list[Tensor],
    share: Tensor,
    allowed: Tensor,
) -> None:
    """Look at the sums of `faults`; `count`: allowed classes of a row, over all ranks."""
    forbidden = sums[0] > 0
    if split.call.hard:
        _refuse_index(split, keep, forbidden, count == 0)
        return
    name = split.call.loss.name
    if (place := _first(wrong := sums[1] > 0, keep)) is not None:
        where = _class(split, ~(share >= 0), place)
        raise LabelError(
            f"{name}: the target at row {list(place)} has a share that is no probability{where}"
            f"{_more(wrong, 'rows')}: a label distribution is non-negative and sums to 1 over the "
            "classes of all ranks. If these are scores, take their softmax before they are split."
        )
    off = ~((sums[2].detach() - 1).abs() <= tolerance(split.call.target.dtype))
    if (place := _first(off, keep)) is not None:
        raise LabelError(
            f"{name}: the label distribution at row {list(place)} sums to {sums[2][place]:g} over "
            f"all ranks{_more(off, 'rows')}; it must sum to 1 within "
            f"{tolerance(split.call.target.dtype):g}. Give each rank its own classes' part of the "
            "distribution; for class indices, target.long()."
        )
    if (place := _first(forbidden, keep)) is not None:
        if count[place] == 0:
            raise LabelError(f"{name}: {_no_class(place)}")
        where = _class(split, (share != 0) & ~allowed, place)
        raise LabelError(
            f"{name}: the target at row {list(place)} gives mass to a class whose logit is -inf"
            f"{where}{_more(forbidden, 'rows')}: it is forbidden in this row. Allow the class, set "
            "its share to 0 and divide the rest by its sum, or drop the row with mask=."
        )


def _refuse_index(split: Split, keep: Tensor | None, own: Tensor, others: Tensor) -> None:
    place = _first(own, keep)
    if place is None:
        return
    name, value = split.call.loss.name, split.call.target[place].item()
    if others[place]:
        raise LabelError(f"{name}: {_no_class(place)}")
    raise LabelError(
        f"{name}: {entry(place)} = {value} is a class whose logit is -inf{_more(own, 'labels')}: "
        "it is forbidden in this row and the label all the same. Allow the class, or drop the row "
        "with mask=."
    )


def _first(bad: Tensor, keep: Tensor | None) -> tuple[int, ...] | None:
    if keep is not None:
        bad = bad & keep
    return tuple(bad.nonzero()[0].tolist()) if bad.any() else None


def _more(bad: Tensor, what: str) -> str:
    count = int(bad.sum())
    return f" ({count} such {what})" if count > 1 else ""


def _class(split: Split, bad: Tensor, place: tuple[int, ...]) -> str:
    """Which class it is, where this rank has it."""
    found = bad.movedim(1, -1)[place].nonzero()
    if not len(found):
        return " (a class of another rank)"
    return f" (class {split.first + int(found[0])})"


def _no_class(place: tuple[int, ...]) -> str:
    return (
        f"every logit of row {list(place)} is -inf on all ranks, so no class is allowed there and "
        "nothing can be predicted. Allow a class, or drop the row with mask=."
    )
