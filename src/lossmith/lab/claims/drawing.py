"""The drawings of the claims: the page's own, and the losses' curves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

import lossmith
from lossmith.lab.claims.measure import Measure
from lossmith.lab.page.drawing import Picture, dash, hue, style, svg
from lossmith.lab.picture import canvas
from lossmith.lab.picture import curves as plot
from lossmith.lab.picture.canvas import ends, key
from lossmith.lab.picture.style import CARD, INK, MUTED, look

__all__ = [
    "CARD", "INK", "MUTED", "curves", "dash", "ends", "finished", "hue", "key", "look",
    "measured", "panels", "style",
]  # fmt: skip

panels = partial(canvas.panels, width=4.6, height=3.1)  # for a page with two figures in a row


def finished(
    figure: Figure, name: str, title: str, description: str, caption: str, *, wide: bool = False
) -> Picture:
    """The figure with a spoken title and description, and the caption under it."""
    drawn = svg(figure, name, title, description)
    return Picture(title, drawn, caption, "full" if wide else "one")


def measured(
    ax: Axes,
    at: Any,
    points: Sequence[Measure],
    label: str | None = None,
    **drawn_as: Any,
) -> None:
    """Means with their 95 % intervals, joined; shares are drawn in percent."""
    factor = 100 if points[0].unit == "%" else 1
    means = [factor * p.mean for p in points]
    line, *_ = ax.errorbar(at, means, [factor * (p.high - p.mean) for p in points], **drawn_as)
    line.set_label(label)


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
        drawn = [x for x in canvas.lines(axes[0]) if not str(x.get_label()).startswith("_")]
        for line, loss in zip(drawn, losses, strict=True):
            line.set_label(lossmith.formula_of(loss).title)
        ends(axes[0])
        said = ", ".join(str(line.get_label()) for line in drawn)
        what = " and ".join(plot.TITLES[order] for order in orders)
        return finished(
            figure, name, title, f"{what} of {said}. {caption}", caption, wide=len(orders) > 1
        )
