"""What is wrong with a label, in words: argument, value, place, what is allowed, what to do."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lossmith.engine.plan import Call
from lossmith.errors import LabelError


def tolerance(dtype: object) -> float:
    """How far from 1 a distribution may sum: what whoever made it has rounded."""
    half = str(dtype).removeprefix("torch.") in ("float16", "bfloat16")
    return 1e-2 if half else 1e-3


def refuse(call: Call) -> None:
    """Raise for the first label that is not allowed, where looking waits for no device."""
    target = call.target
    if (
        torch.compiler.is_compiling()
        or type(target) is not Tensor
        or target.device.type != "cpu"
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack()
    ):
        return
    bad = refused(call)
    if bad is not None and bad.any():
        raise LabelError(describe(call, int(bad.sum())))


def refused(call: Call) -> Tensor | None:
    """Where labels are not allowed (None where any number is), dropped elements left out."""
    if call.loss.kind == "residual":
        return None
    bad = None
    for _, found in _faults(call):
        if found.dim() == call.prediction.dim() and call.loss.classes:
            found = found.any(1)
        bad = found if bad is None else bad | found
    return bad


def describe(call: Call, count: int) -> str:
    """One sentence about the first label that was refused, and what to do.

    `count` is the engine's own, of every kind together; the sentence counts its kind.
    """
    for kind, bad in _faults(call):
        if bad.any():
            place = tuple(bad.nonzero()[0].tolist())
            number = int(bad.sum())
            more = f" ({number} such labels)" if number > 1 else ""
            return f"{call.loss.name}: {_SENTENCES[kind](call, place, more)}"
    return f"{call.loss.name}: {count} labels are not allowed."


def _faults(call: Call) -> Iterator[tuple[str, Tensor]]:
    """Each kind of fault and where it is: one flag for each label, or for each of its classes."""
    t = call.target
    if not call.loss.classes:
        if call.signed:
            yield "signed", _kept(call, ~((t == 1) | (t == -1)))
        elif t.is_floating_point():
            yield "range", _kept(call, ~((t >= 0) & (t <= 1)))
        else:
            yield "binary", _kept(call, ~((t == 0) | (t == 1)))
        return
    z, classes = call.prediction.detach(), call.prediction.shape[1]
    barred = z == -torch.inf
    if call.hard:
        t = t.long()  # int8 against 200 would compare with -56
        bad = ((t < 0) | (t >= classes)) & (t != call.ignore_index)
        yield "class", _kept(call, bad)
        inside = t.clamp(0, classes - 1).unsqueeze(1)
        own = barred.gather(1, inside).squeeze(1) & ~bad & (t != call.ignore_index)
        if call.class_weight is not None:
            own = own & (call.class_weight[inside.squeeze(1)] != 0)
        yield "no class", _kept(call, own & barred.all(1))
        yield "forbidden", _kept(call, own)
        return
    wide = t.to(torch.float64)
    yield "share", _kept(call, ~(wide >= 0))
    yield "sum", _kept(call, ~((wide.sum(1) - 1).abs() <= tolerance(t.dtype)))
    if call.loss.kind == "ratio":
        return  # a ratio of probabilities knows infinity
    counted = t != 0
    if call.class_weight is not None:
        weight = call.class_weight.view((1, -1) + (1,) * (t.dim() - 2)).to(t.dtype)
        counted = counted & ((t * weight).sum(1, keepdim=True) != 0)
    yield "no class", _kept(call, (counted & barred).any(1) & barred.all(1))
    yield "forbidden share", _kept(call, counted & barred)


def _kept(call: Call, bad: Tensor) -> Tensor:
    """The same without dropped elements."""
    rows = call.prediction.shape
    if call.loss.classes:
        rows = rows[:1] + rows[2:]
    for keep in (call.mask, None if call.weight is None else call.weight != 0):
        if keep is not None:
            keep = keep.expand(rows)
            bad = bad & (keep.unsqueeze(1) if bad.dim() > keep.dim() else keep)
    return bad


def _at(place: tuple[int, ...]) -> str:
    return f"target[{', '.join(map(str, place))}]"


def _class(call: Call, place: tuple[int, ...], more: str) -> str:
    classes = call.prediction.shape[1]
    return (
        f"{_at(place)} = {call.target[place].item()} is no class{more}: the logits have {classes} "
        f"classes, 0 to {classes - 1}. Rows to leave out carry ignore_index "
        f"({call.ignore_index}) or a mask."
    )


def _no_class(call: Call, place: tuple[int, ...], more: str) -> str:
    return (
        f"every logit of row {list(place)} is -inf{more}, so no class is allowed there and "
        "nothing can be predicted. Allow a class, or drop the row with mask=."
    )


def _forbidden(call: Call, place: tuple[int, ...], more: str) -> str:
    return (
        f"{_at(place)} = {call.target[place].item()} is a class whose logit is -inf{more}: it is "
        "forbidden in this row and the label all the same. Allow the class, or drop the row "
        "with mask=."
    )


def _forbidden_share(call: Call, place: tuple[int, ...], more: str) -> str:
    return (
        f"{_at(place)} = {call.target[place].item():g} gives mass to a class whose logit is -inf"
        f"{more}: it is forbidden in this row. Allow the class, set its share to 0 and divide "
        "the rest by its sum, or drop the row with mask=."
    )


def _share(call: Call, place: tuple[int, ...], more: str) -> str:
    return (
        f"{_at(place)} = {call.target[place].item():g} is no probability{more}: a label "
        "distribution is non-negative and sums to 1. If these are scores, use target.softmax(1)."
    )


def _sum(call: Call, place: tuple[int, ...], more: str) -> str:
    row = call.target.movedim(1, -1)[place]
    return (
        f"the label distribution at row {list(place)} sums to {row.double().sum().item():g}{more}; "
        f"it must sum to 1 within {tolerance(row.dtype):g}, as {row.dtype} rounds. Use "
        "target / target.sum(1, keepdim=True); for class indices, target.long()."
    )


def _signed(call: Call, place: tuple[int, ...], more: str) -> str:
    value = call.target[place].item()
    return f'{_at(place)} = {value} is not -1 or 1{more}, as labels="signed" needs.'


def _binary(call: Call, place: tuple[int, ...], more: str) -> str:
    allowed = "outside [0, 1]" if call.target.is_floating_point() else "not 0 or 1"
    value = call.target[place].item()
    return f'{_at(place)} = {value} is {allowed}{more}. Labels of -1 and 1 need labels="signed".'


_SENTENCES = {
    "class": _class,
    "no class": _no_class,
    "forbidden": _forbidden,
    "forbidden share": _forbidden_share,
    "share": _share,
    "sum": _sum,
    "signed": _signed,
    "range": _binary,
    "binary": _binary,
}
