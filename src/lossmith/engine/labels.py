"""What is wrong with a label, in words: argument, value, place, what is allowed."""

from __future__ import annotations

import torch
from torch import Tensor

from lossmith.engine.plan import Call


def refused(call: Call) -> Tensor | None:
    """Where labels are not allowed (None where any number is), dropped elements left out."""
    t = call.target
    if call.loss.kind == "residual":
        return None
    if call.loss.classes:
        if call.hard:
            bad = ((t < 0) | (t >= call.prediction.shape[1])) & (t != call.ignore_index)
        else:
            wide = t.to(torch.float64)
            bad = ~((wide.amin(1) >= 0) & ((wide.sum(1) - 1).abs() <= 1e-2))
    elif call.signed:
        bad = ~((t == 1) | (t == -1))
    elif t.is_floating_point():
        bad = ~((t >= 0) & (t <= 1))
    else:
        bad = ~((t == 0) | (t == 1))
    if call.mask is not None:
        bad = bad & call.mask
    if call.weight is not None:
        bad = bad & (call.weight != 0)
    return bad


def describe(call: Call, count: int) -> str:
    """One sentence about the first label that was refused, and what to do."""
    bad = refused(call)
    name, t = call.loss.name, call.target
    place: tuple[int, ...] = ()
    if bad is not None and bad.any():
        place = tuple(bad.nonzero()[0].tolist())
    more = f" ({count} such labels)" if count > 1 else ""
    where = f"target[{', '.join(map(str, place))}]"
    if call.loss.classes and call.hard:
        classes = call.prediction.shape[1]
        return (
            f"{name}: {where} = {t[place].item()} is no class{more}: the logits have {classes} "
            f"classes, 0 to {classes - 1}. Rows to leave out carry ignore_index "
            f"({call.ignore_index}) or a mask."
        )
    if call.loss.classes:
        row = t.movedim(1, -1)[place].tolist() if place else []
        return (
            f"{name}: the label distribution at row {list(place)} is {row}{more}; it must be "
            "non-negative and sum to 1."
        )
    value = t[place].item() if bad is not None and bad.any() else "?"
    if call.signed:
        return f'{name}: {where} = {value} is not -1 or 1{more}, as labels="signed" needs.'
    if t.is_floating_point():
        allowed = "outside [0, 1]"
    else:
        allowed = "not 0 or 1"
    return f'{name}: {where} = {value} is {allowed}{more}. Labels of -1 and 1 need labels="signed".'
