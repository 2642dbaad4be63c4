"""What losses with a row of class scores share: shapes, options, and what is wrong with a label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lossmith.formula.record import Formula
from lossmith.link.counting import tolerance
from lossmith.link.link import Call, Fault, Link, entry
from lossmith.link.options import CLASS_WEIGHT, IGNORE_INDEX, Option
from lossmith.link.shapes import data, indices, of_classes, tensors

# Dtypes of class indices that an engine takes as they are.
_INDICES = (torch.int64, torch.int32, torch.uint8)


class OfClasses(Link):
    """One loss for each row of scores; the label is a class, or a distribution over them."""

    axis = 1
    classes = True
    labelled = True
    spare = 0.0
    word = "logits"
    prediction_shape = "(N, C) or (N, C, d1, …), classes on dimension 1"
    target_shape = "class indices (N, d1, …), or a distribution over classes of the logits' shape"

    def options(self, formula: Formula) -> tuple[Option, ...]:
        return (CLASS_WEIGHT, IGNORE_INDEX)

    def check(
        self, name: str, prediction: Any, target: Any, argument: str = "target"
    ) -> tuple[Any, Tensor]:
        tensors(name, prediction, target)
        rows = of_classes(name, prediction, target)
        data(name, target)
        if target.dtype not in _INDICES and not target.is_floating_point():
            target = indices(name, target)
        return rows, target

    def faults(self, call: Call) -> Iterator[Fault]:
        t, z, classes = call.target, call.prediction.detach(), call.prediction.shape[1]
        barred = z == -torch.inf
        if call.hard:
            t = t.long()  # int8 against 200 would compare with -56
            bad = ((t < 0) | (t >= classes)) & (t != call.ignore_index)
            yield _class, bad
            inside = t.clamp(0, classes - 1).unsqueeze(1)
            own = barred.gather(1, inside).squeeze(1) & ~bad & (t != call.ignore_index)
            if call.class_weight is not None:
                own = own & (call.class_weight[inside.squeeze(1)] != 0)
            yield _no_class, own & barred.all(1)
            yield _forbidden, own
            return
        wide = t.to(torch.float64)
        yield _share, ~(wide >= 0)
        yield _sum, ~((wide.sum(1) - 1).abs() <= tolerance(t.dtype))
        counted = t != 0
        if call.class_weight is not None:
            weight = call.class_weight.view((1, -1) + (1,) * (t.dim() - 2)).to(t.dtype)
            counted = counted & ((t * weight).sum(1, keepdim=True) != 0)
        yield _no_class, (counted & barred).any(1) & barred.all(1)
        yield _forbidden_share, counted & barred


def _class(call: Call, place: tuple[int, ...], more: str) -> str:
    classes = call.prediction.shape[1]
    return (
        f"{entry(place)} = {call.target[place].item()} is no class{more}: the logits have "
        f"{classes} classes, 0 to {classes - 1}. Rows to leave out carry ignore_index "
        f"({call.ignore_index}) or a mask."
    )


def _no_class(call: Call, place: tuple[int, ...], more: str) -> str:
    return (
        f"every logit of row {list(place)} is -inf{more}, so no class is allowed there and "
        "nothing can be predicted. Allow a class, or drop the row with mask=."
    )


def _forbidden(call: Call, place: tuple[int, ...], more: str) -> str:
    return (
        f"{entry(place)} = {call.target[place].item()} is a class whose logit is -inf{more}: it is "
        "forbidden in this row and the label all the same. Allow the class, or drop the row "
        "with mask=."
    )


def _forbidden_share(call: Call, place: tuple[int, ...], more: str) -> str:
    return (
        f"{entry(place)} = {call.target[place].item():g} gives mass to a class whose logit is -inf"
        f"{more}: it is forbidden in this row. Allow the class, set its share to 0 and divide "
        "the rest by its sum, or drop the row with mask=."
    )


def _share(call: Call, place: tuple[int, ...], more: str) -> str:
    return (
        f"{entry(place)} = {call.target[place].item():g} is no probability{more}: a label "
        "distribution is non-negative and sums to 1. If these are scores, use target.softmax(1)."
    )


def _sum(call: Call, place: tuple[int, ...], more: str) -> str:
    row = call.target.movedim(1, -1)[place]
    return (
        f"the label distribution at row {list(place)} sums to {row.double().sum().item():g}{more}; "
        f"it must sum to 1 within {tolerance(row.dtype):g}, as {row.dtype} rounds. Use "
        "target / target.sum(1, keepdim=True); for class indices, target.long()."
    )
