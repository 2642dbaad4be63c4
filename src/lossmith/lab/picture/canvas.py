"""Axes to draw into, outside pyplot: nothing to close, no display needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lossmith.errors import InputError, UnsupportedError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Distinguishable to every eye (Okabe & Ito 2008), and by their dashes in print.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.3, 1.3)), (0, (6, 1.5, 1.3, 1.5)))
MARKS = ("o", "s", "^", "D", "v", "P", "X")


def needed() -> None:
    """Say what to install where matplotlib is missing; it is not loaded before a picture is."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UnsupportedError(
            "pictures need matplotlib, which is not installed: pip install 'lossmith[lab]'"
        ) from None


def blank(count: int = 1, width: float = 3.7, height: float = 3.0) -> list[Axes]:
    """New axes side by side in a figure of their own, which is `result[0].figure`."""
    needed()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * count, height), layout="constrained")
    made = list(np.ravel(figure.subplots(1, count)))
    for ax in made:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="#dddddd", linewidth=0.6)
        ax.set_axisbelow(True)
    return made


def one(axes: Any, width: float = 4.6, height: float = 3.9) -> Axes:
    """The axes that were given, or new ones."""
    needed()
    from matplotlib.axes import Axes

    if axes is None:
        return blank(1, width, height)[0]
    if not isinstance(axes, Axes):
        raise InputError(f"axes is {type(axes).__name__}: give one matplotlib Axes, or None.")
    return axes


def colour(place: int) -> str:
    """The colour of a class or a curve."""
    return COLOURS[place % len(COLOURS)]


def mark(place: int) -> str:
    """The mark of a class: with the colour, 49 that differ."""
    return MARKS[(place + place // len(COLOURS)) % len(MARKS)]
