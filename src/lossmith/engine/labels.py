"""What is wrong with a label, in words: argument, value, place, what is allowed, what to do."""

from __future__ import annotations

from torch import Tensor

from lossmith.engine import looking
from lossmith.errors import LabelError
from lossmith.link.counting import of_kept
from lossmith.link.link import Call


def refuse(call: Call) -> None:
    """Raise for the first label that is not allowed, where looking waits for no device."""
    if looking.readable(call.target) and not looking.is_batch(call.prediction):
        bad = refused(call)
        if bad is not None and bad.any():
            raise LabelError(describe(call, int(bad.sum())))


def refused(call: Call) -> Tensor | None:
    """Where labels are not allowed (None where any number is), dropped elements left out."""
    link, bad = call.loss.link, None
    for _, found in link.faults(call):
        found = of_kept(call, found)
        if link.axis is not None and found.dim() == call.prediction.dim():
            found = found.any(link.axis)
        bad = found if bad is None else bad | found
    return bad


def describe(call: Call, count: int) -> str:
    """One sentence about the first label that was refused, and what to do.

    `count` is the engine's own, of every kind together; the sentence counts its kind.
    """
    for sentence, found in call.loss.link.faults(call):
        bad = of_kept(call, found)
        if bad.any():
            place = tuple(bad.nonzero()[0].tolist())
            number = int(bad.sum())
            more = f" ({number} such {call.loss.link.noun})" if number > 1 else ""
            return f"{call.loss.name}: {sentence(call, place, more)}"
    return f"{call.loss.name}: {count} labels are not allowed."
