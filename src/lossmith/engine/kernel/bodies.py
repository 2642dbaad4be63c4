"""Which body each link has: one line for each, and what a skeleton has to know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lossmith.engine.kernel import crammer_singer, margin, one_vs_rest, residual, softmax
from lossmith.engine.plan import Plan


@dataclass(frozen=True)
class Body:
    """What happens to one element, or to one row."""

    write: Callable[..., None]
    row: bool = False
    lanes: bool = False  # of a row: it has words of `Row` alone, and rows may lie side by side
    through_margin: bool = False  # its program is that of ψ(log σ(u)), not of ψ(u)
    softness: Callable[[Plan], str | None] = lambda plan: None  # of an element, see margin.py


_RESIDUAL = Body(residual.write)
_MARGIN = Body(margin.write, softness=margin.softness)
# Of a link: the body of plain targets, and that of distributions over classes, smoothed ones too.
_BODIES: dict[str, tuple[Body, Body | None]] = {
    "residual": (_RESIDUAL, _RESIDUAL),
    "margin": (_MARGIN, _MARGIN),
    "softmax": (
        Body(softmax.index, row=True, lanes=True, through_margin=True),
        Body(softmax.distribution, row=True),
    ),
    "crammer_singer": (Body(crammer_singer.index, row=True), None),
    "one_vs_rest": (Body(one_vs_rest.index, row=True), None),
}


def body(kind: str, hard: bool, smoothed: bool) -> Body | None:
    """The body of a link, or None where such targets have none."""
    plain, distribution = _BODIES[kind]
    return plain if hard and not smoothed else distribution
