"""Matplotlib figures as inline SVG whose colours belong to the page.

A figure is drawn in stand-in colours that are then replaced by CSS variables, so one drawing
serves light, dark and printed pages. Text stays text, in the page's own type.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, GRID, CARD = "#c0ffe0", "#c0ffe1", "#c0ffe2", "#c0ffe3"
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "line", CARD: "card"}
HUES = 10  # series colours of the page besides its ink, which is that of series 0
_DASHES = (  # for matplotlib, and the same for a line that the page draws
    ("-", "none"),
    ((0, (5, 1.6)), "7 2.2"),
    ((0, (1.2, 1.4)), "1.7 2"),
    ((0, (6, 1.6, 1.2, 1.6)), "8.4 2.2 1.7 2.2"),
)

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


@dataclass(frozen=True)
class Picture:
    """A drawing, the words over it and the words under it."""

    title: str
    drawing: Markup
    caption: str
    size: Literal["one", "wide", "full"] = "one"  # columns of the page: one, two or all three


def _series(place: int) -> tuple[int, int]:
    """Colour and dash; colours come again after the tenth series, with another dash."""
    turn = max(0, place - 1) // HUES
    return place - turn * HUES, (place + turn) % len(_DASHES)


def hue(place: int) -> str:
    """The stand-in colour of a series; 0 is ink."""
    return f"#c0ff{_series(place)[0]:02x}"


def dash(place: int) -> Any:
    """A dash pattern, so that series differ without colour too."""
    return _DASHES[_series(place)[1]][0]


def stroke(place: int) -> tuple[str, str]:
    """Colour and dashes of a series as CSS."""
    colour, pattern = _series(place)
    return f"var(--s{colour})", _DASHES[pattern][1]


@contextmanager
def style() -> Iterator[None]:
    """The look of the page, for everything drawn inside."""
    with rc_context(_STYLE):
        yield


def height(lines: int) -> float:
    """Inches for so many named lines under each other; drawings beside them are as high."""
    return min(max(2.4, 0.6 + 0.42 * lines), 8.0)


def panels(
    columns: int = 1, rows: int = 1, width: float = 3.6, height: float = 2.7, **settings: Any
) -> tuple[Figure, list[Axes]]:
    """An empty figure, in inches, with its axes in reading order."""
    with style():
        figure = Figure(figsize=(width, height), layout="constrained")
        made = figure.subplots(rows, columns, squeeze=False, **settings)
        return figure, list(np.ravel(made))


def svg(figure: Figure, name: str, title: str, description: str) -> Markup:
    """The figure as an `<svg>` with a title and a description, and ids that are its own."""
    buffer = io.StringIO()
    empty = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with style():
        FigureCanvasSVG(figure).print_svg(buffer, metadata=empty)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    text = re.sub(r"#c0ff(0[0-9a-f])", lambda found: f"var(--s{int(found[1], 16)})", text)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r" font-family: [^;\"]*;?", "", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    # A hundredth of a point is finer than a screen; what is written stands outside the quotes.
    text = re.sub(r'="[^"]*"', lambda found: re.sub(r"(\d\.\d\d)\d+", r"\1", found[0]), text)
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", text, count=1)
    text = _shared(text)
    start = text.index(">") + 1  # behind the opening tag
    labels = f'role="img" aria-labelledby="{name}-title" aria-describedby="{name}-desc"'
    words = (
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>'
    )
    opening = text[:start].replace("<svg ", f"<svg {labels} ", 1)
    return Markup(opening + words + text[start:])  # all of it made here


def _shared(text: str) -> str:
    """Say the style of a cloud of points once, for its group, and not for every point."""
    return re.sub(
        r'(?:\s*<use [^>]*?( style="[^"]*")/>)(?:\s*<use [^>]*?\1/>){3,}',
        lambda found: f"<g{found[1]}>{found[0].replace(found[1], '')}</g>",
        text,
    )
