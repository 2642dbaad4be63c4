"""u = prediction - target, or that in units of the scale."""

from __future__ import annotations

from lossmith.engine.kernel.words import Element


def write(k: Element, soft: bool) -> None:
    """value and slope of a residual."""
    k.line("u = (z - t) / scale" if k.scaled else "u = z - t")
    k.program("u")
