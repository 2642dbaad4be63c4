"""Which body is whose: one line for each name that a link gives as its `body`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lossmith.engine.kernel import crammer_singer, margin, one_vs_rest, residual, softmax
from lossmith.engine.plan import Plan


def _never(plan: Plan) -> None:
    return None


@dataclass(frozen=True)
class Body:
    """What happens to one element, or to one row: text, written by the words of a skeleton."""

    write: Callable[..., None]  # of an element it is also told whether its label may be soft
    softness: Callable[[Plan], str | None] = _never  # the test for that, see margin.py


BODIES = {
    "residual": Body(residual.write),
    "margin": Body(margin.write, margin.softness),
    "softmax": Body(softmax.write),
    "crammer_singer": Body(crammer_singer.write),
    "one_vs_rest": Body(one_vs_rest.write),
}
