"""Figures as inline SVG whose colours belong to the page, with words for who cannot see them.

A figure is drawn in stand-in colours that are then replaced by CSS variables, so one drawing
serves light, dark and printed pages. Text stays text, in the page's own type.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

from lossmith.lab.claims.claim import Figure
from lossmith.lab.picture import curves as plot
from lossmith.lab.picture.canvas import COLOURS

INK, MUTED, GRID, CARD = "#c0ffe0", "#c0ffe1", "#c0ffe2", "#c0ffe3"
HUES = 10  # ten digits; the page defines as many
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.6, 1.2, 1.6)))
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "line", CARD: "card", "#ffffff": "card"} | {
    # What `lossmith.lab.picture.curves` draws in becomes the page's own series.
    colour: f"s{place + 1}"
    for place, colour in enumerate(COLOURS[:-1])
}

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lossmith",
    "font.size": 10,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
}


def hue(place: int) -> str:
    """The stand-in colour of a series; 0 is ink."""
    return f"#c0ff0{place % (HUES + 1):x}"


def dash(place: int) -> Any:
    """A dash pattern, so that series differ without colour too."""
    return _DASHES[place % len(_DASHES)]


@contextmanager
def style() -> Iterator[None]:
    """The look of the page, for everything drawn inside."""
    with rc_context(_STYLE):
        yield


def panels(
    columns: int = 1, rows: int = 1, width: float = 4.6, height: float = 3.1, **settings: Any
) -> tuple[Canvas, list[Axes]]:
    """An empty figure, in inches, with its axes in reading order."""
    canvas = Canvas(figsize=(width, height), layout="constrained")
    made = canvas.subplots(rows, columns, squeeze=False, **settings)
    return canvas, list(np.ravel(made))


def finished(
    canvas: Canvas, name: str, title: str, description: str, caption: str, *, wide: bool = False
) -> Figure:
    """The figure with a spoken title and description, and ids that are its own on the page."""
    buffer = io.StringIO()
    empty = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    FigureCanvasSVG(canvas).print_svg(buffer, metadata=empty)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        text = re.sub(colour, f"var(--{variable})", text, flags=re.IGNORECASE)
    text = re.sub(r"#c0ff0([0-9a-f])", lambda m: f"var(--s{int(m[1], 16)})", text)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r" font-family: [^;\"]*;?", "", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    # A hundredth of a point is finer than a screen; what is written stands outside the quotes.
    text = re.sub(r'="[^"]*"', lambda m: re.sub(r"(\d\.\d\d)\d+", r"\1", m[0]), text)
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", text, count=1)
    label = f"{name}-title {name}-desc"
    words = (
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>'
    )
    start = text.index(">") + 1  # behind the opening tag
    opening = text[:start].replace("<svg ", f'<svg role="img" aria-labelledby="{label}" ', 1)
    text = opening + words + text[start:]
    return Figure(title, Markup(text), caption, wide)  # all of it made here


def curves(
    losses: Sequence[Any],
    name: str,
    title: str,
    caption: str,
    u: Any,
    orders: Sequence[int] = (0, 1),
    top: float | None = None,
    **parameters: float,
) -> Figure:
    """The losses' own curves over one axis, as `lossmith.lab.picture.curves` draws them."""
    with style():
        canvas, axes = panels(len(orders), width=3.8 * len(orders))
        plot.plot(losses, orders, parameters, u, axes)
        if top is not None:
            axes[0].set_ylim(-0.04 * top, top)
        labels = [str(line.get_label()) for line in axes[0].get_lines()]
        drawn = ", ".join(label for label in labels if not label.startswith("_"))
        what = " and ".join(plot.TITLES[order] for order in orders)
        return finished(
            canvas, name, title, f"{what} of {drawn}. {caption}", caption, wide=len(orders) > 1
        )
