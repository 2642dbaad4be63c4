"""The drawings of the claims: the page's own, and the losses' curves in the page's colours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossmith.lab.page import drawing as page
from lossmith.lab.page.drawing import CARD, INK, MUTED, Picture, dash, hue, style
from lossmith.lab.picture import curves as plot
from lossmith.lab.picture.canvas import COLOURS

__all__ = ["CARD", "INK", "MUTED", "curves", "dash", "finished", "hue", "panels", "style"]

# What `lossmith.lab.picture.curves` draws in becomes the page's own series.
_VARIABLES = {"#ffffff": "card"} | {
    colour: f"s{place}" for place, colour in enumerate(COLOURS[:-1], 1)
}


def panels(
    columns: int = 1, rows: int = 1, width: float = 4.6, height: float = 3.1, **settings: Any
) -> tuple[Figure, list[Axes]]:
    """An empty figure, in inches, for a page with two figures in a row."""
    return page.panels(columns, rows, width, height, **settings)


def finished(
    figure: Figure, name: str, title: str, description: str, caption: str, *, wide: bool = False
) -> Picture:
    """The figure with a spoken title and description, and the caption under it."""
    text = str(page.svg(figure, name, title, description))
    for colour, variable in _VARIABLES.items():
        text = re.sub(colour, f"var(--{variable})", text, flags=re.IGNORECASE)
    return Picture(title, Markup(text), caption, "full" if wide else "one")  # all made here


def curves(
    losses: Sequence[Any],
    name: str,
    title: str,
    caption: str,
    u: Any,
    orders: Sequence[int] = (0, 1),
    top: float | None = None,
    **parameters: float,
) -> Picture:
    """The losses' own curves over one axis, as `lossmith.lab.picture.curves` draws them."""
    with style():
        figure, axes = panels(len(orders), width=3.8 * len(orders))
        plot.plot(losses, orders, parameters, u, axes)
        if top is not None:
            axes[0].set_ylim(-0.04 * top, top)
        labels = [str(line.get_label()) for line in axes[0].get_lines()]
        drawn = ", ".join(label for label in labels if not label.startswith("_"))
        what = " and ".join(plot.TITLES[order] for order in orders)
        return finished(
            figure, name, title, f"{what} of {drawn}. {caption}", caption, wide=len(orders) > 1
        )
