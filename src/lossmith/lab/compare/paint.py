"""Matplotlib figures as inline SVG whose colours belong to the page.

A figure is drawn in stand-in colours that are then replaced by CSS variables, so one drawing
serves light, dark and printed pages. Text stays text, in the page's own type.
"""

from __future__ import annotations

import io
import re
from typing import Any

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK = "#c0ffe0"
MUTED = "#c0ffe1"
GRID = "#c0ffe2"
_VARIABLES = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--line)"}
HUES = 8  # how many series colours the page defines; later series repeat them with other dashes
_DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.6, 1.2, 1.6)))

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lossmith",
    "font.size": 10.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
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
}


def hue(place: int) -> str:
    """The stand-in colour of a series."""
    return f"#c0ff{place % HUES:02x}"


def dash(place: int) -> Any:
    """A dash pattern, so that series differ without colour too."""
    return _DASHES[place % len(_DASHES)]


def blank(width: float = 3.6, height: float = 2.7) -> tuple[Figure, Axes]:
    """An empty figure, in inches, with one pair of axes."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.add_subplot()


def svg(figure: Figure, name: str, description: str) -> Markup:
    """The figure as an `<svg>` element with a spoken description and ids of its own."""
    buffer = io.StringIO()
    with rc_context(_STYLE):
        FigureCanvasSVG(figure).print_svg(
            buffer, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    text = re.sub(r"#c0ff0(\d)", r"var(--s\1)", text)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r" font-family: [^;\"]*;?", "", text)
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", text, count=1)
    opening = f'<svg role="img" aria-label="{escape(description)}" '
    return Markup(text.replace("<svg ", opening, 1))  # all of it made here
