"""u = z_y - max of the others; its slope is shared between y and the first such class."""

from __future__ import annotations

from lossmith.engine.kernel.words import LongRow


def write(k: LongRow) -> None:
    """value and slope, and the gradient of two classes."""
    k.rival()
    # Without a rival: certain, but not infinite, where a slope may be NaN.
    k.line("ahead = where(top == K(-np.inf), K(1e4), z_y - top)")
    k.program("ahead + poison")
    if k.gradient:
        k.step("slope")
        k.give("step", to="y")
        k.give("-step", to="rival")
