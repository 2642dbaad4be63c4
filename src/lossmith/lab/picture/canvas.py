"""Axes to draw into, outside pyplot: nothing to close, no display needed.

Every picture of the library and of its pages is made of these panels.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from lossmith.errors import InputError, UnsupportedError
from lossmith.lab.picture.style import CARD, RC, TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

LEADER = 18.0  # points between the end of a line and its name
LEADING = 14.0  # points from one name to the next


def needed() -> None:
    """Say what to install where matplotlib is missing; it is not loaded before a picture is."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UnsupportedError(
            "pictures need matplotlib, which is not installed: pip install 'lossmith[lab]'"
        ) from None


@contextmanager
def style(**more: Any) -> Iterator[None]:
    """The look of everything drawn inside."""
    needed()
    from matplotlib import rc_context

    with rc_context(RC | more):
        yield


def panels(
    columns: int = 1, rows: int = 1, width: float = 3.6, height: float = 2.7, **settings: Any
) -> tuple[Figure, list[Axes]]:
    """An empty figure, in inches, with its axes in reading order."""
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height), layout="constrained")
        made = figure.subplots(rows, columns, squeeze=False, **settings)
        return figure, list(np.ravel(made))


def sheet(columns: int, width: float, height: float) -> list[Axes]:
    """New axes side by side on paper: `result[0].figure` stands by itself, in any notebook."""
    figure, made = panels(columns, 1, width, height)
    figure.set_facecolor(CARD)
    return made


def one(axes: Any, width: float = 4.6, height: float = 3.9) -> Axes:
    """The axes that were given, or new ones."""
    needed()
    from matplotlib.axes import Axes

    if axes is None:
        return sheet(1, width, height)[0]
    if not isinstance(axes, Axes):
        raise InputError(f"axes is {type(axes).__name__}: give one matplotlib Axes, or None.")
    return axes


def key(ax: Axes) -> None:
    """The names of the marks, right of the axes."""
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=TEXT)


def ends(ax: Axes, size: float = TEXT) -> None:
    """Write the name of every line at its end, right of the axes, where it covers no curve.

    A leader in the line's own colour and dashes joins the two; names that would meet are moved
    apart. Call it when everything else is drawn.
    """
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Affine2D, ScaledTranslation

    for old in [artist for artist in (*ax.texts, *ax.lines) if artist.get_label() == _BESIDE]:
        old.remove()
    named = [line for line in lines(ax) if not str(line.get_label()).startswith("_")]
    if not named:
        return
    figure: Any = ax.figure
    figure.draw_without_rendering()  # only now is it known how high the axes are
    # Points from the lower right corner, wherever that comes to lie.
    corner: Any = ax.transAxes
    beside = Affine2D().scale(1 / 72) + figure.dpi_scale_trans + ScaledTranslation(1, 0, corner)
    box = ax.get_window_extent()
    wide, high = box.width * 72 / figure.dpi, box.height * 72 / figure.dpi
    back, at = np.array([_end(ax, line) for line in named]).T * [[wide], [high]]
    for line, before, up, moved in zip(
        named, back, at, _apart(at, high - LEADING / 2), strict=True
    ):
        place = min(max(up, 0.0), high)
        leader = Line2D([], [])
        leader.update_from(line)
        leader.set_data([before, LEADER], [place, moved])
        leader.set(transform=beside, marker="", alpha=None, clip_on=False, label=_BESIDE)
        ax.add_artist(leader)
        ax.text(
            LEADER + 3, moved, str(line.get_label()),
            transform=beside, va="center", fontsize=size, label=_BESIDE,
        )  # fmt: skip


_BESIDE = "_end of a line"


def lines(ax: Axes) -> list[Line2D]:
    """What was drawn, without the leaders of `ends`."""
    return [line for line in ax.get_lines() if line.get_label() != _BESIDE]


def _end(ax: Axes, line: Line2D) -> tuple[float, float]:
    """Where a line ends, in shares of the axes: from their right side, and from their foot.

    Of one that leaves through the top, so that it would end far above, only the order matters.
    """
    drawn = lines(ax)
    after = drawn[drawn.index(line) + 1 :]
    # A curve that jumps is drawn in pieces; only the first has a name.
    pieces = itertools.takewhile(lambda other: str(other.get_label()).startswith("_"), after)
    same = [line, *(piece for piece in pieces if piece.get_color() == line.get_color())]
    parts = [np.column_stack(other.get_data()).astype(np.float64) for other in same]
    points = np.concatenate([part for part in parts if len(part) > 1] or parts)
    seen = ax.transAxes.inverted().transform(ax.transData.transform(points))
    inside = seen[np.isfinite(seen).all(1) & (seen[:, 0] <= 1 + 1e-9)]
    right, up = inside[inside[:, 0].argmax()] if len(inside) else (1.0, 0.0)
    return min(float(right) - 1.0, 0.0) if 0 <= up <= 1 else 0.0, float(up)


def _apart(wanted: Any, high: float) -> Any:
    """Heights in the order of those wanted, from 0 to `high`, one line of text from each other."""
    order = np.argsort(wanted, kind="stable")
    # Groups that touch are spread around their middle; from the lowest, as in isotonic regression.
    groups: list[tuple[float, int]] = []  # middle and number of names
    for height in np.clip(wanted, 0.0, high)[order]:
        groups.append((float(height), 1))
        while len(groups) > 1:
            (low, few), (up, many) = groups[-2:]
            if up - low >= LEADING * (few + many) / 2:
                break
            groups[-2:] = [((low * few + up * many) / (few + many), few + many)]
    placed = [
        middle + LEADING * (step - (count - 1) / 2)
        for middle, count in groups
        for step in range(count)
    ]
    for k in range(len(placed)):  # not below the axes …
        placed[k] = max(placed[k], placed[k - 1] + LEADING if k else 0.0)
    for k in reversed(range(len(placed))):  # … and not above, as long as there is room
        placed[k] = min(placed[k], placed[k + 1] - LEADING if k + 1 < len(placed) else high)
    made = np.empty(len(placed))
    made[order] = placed
    return made
