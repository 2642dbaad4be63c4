"""u = ‖z - t‖₂ of a point, or that in units of the scale; its slope points along z - t.

The length is taken in units of the largest coordinate, so that no square leaves the range of its
type. At its target a point has no direction, and the gradient is 0.
"""

from __future__ import annotations

from lossmith.engine.kernel.words import Point


def write(k: Point) -> None:
    """value and slope of a distance, and the gradient of every coordinate."""
    k.start("longest", "squares")
    with k.each():
        k.line(f"d = {k.away}")
        k.keep("d")
        k.farthest("longest", "abs(d)")
    k.line("longest = where(longest > K(0.0), longest, K(1.0))")
    with k.each():
        k.line(f"d = {k.kept} / longest")
        k.keep("d")
        k.add("squares", "d * d")
    k.line("short = sqrt(squares)")
    k.line("u = longest * short / scale" if k.scaled else "u = longest * short")
    k.program("u")
    if k.gradient:
        k.step("slope")
        k.line("share = where(short > K(0.0), step / short, K(0.0))")
        with k.each():
            k.give(f"share * {k.kept}")
