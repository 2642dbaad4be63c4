"""Which body is whose: one line for each name that a link gives as its `body`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lossmith.engine.kernel import crammer_singer, margin, norm, one_vs_rest, residual, softmax
from lossmith.engine.kernel.words import Element, LongRow, Point, Row
from lossmith.engine.plan import Plan


def _never(plan: Plan) -> None:
    return None


@dataclass(frozen=True)
class Body:
    """What happens to one element, or to one row: text, written by the words of a skeleton."""

    write: Callable[..., None]  # of an element it is also told whether its label may be soft
    softness: Callable[[Plan], str | None] = _never  # the test for that, see margin.py
    words: type = Element  # what it is written in


BODIES = {
    "residual": Body(residual.write),
    "margin": Body(margin.write, margin.softness),
    "norm": Body(norm.write, words=Point),
    "softmax": Body(softmax.write, words=Row),
    "crammer_singer": Body(crammer_singer.write, words=LongRow),
    "one_vs_rest": Body(one_vs_rest.write, words=LongRow),
}
