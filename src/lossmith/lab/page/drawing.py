"""Matplotlib figures as inline SVG whose colours belong to the page.

A figure is drawn in the light theme, whose colours are then replaced by CSS variables, so one
drawing serves light, dark and printed pages. Text stays text, in the page's own type.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup, escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from lossmith.lab.picture import canvas
from lossmith.lab.picture.canvas import panels as panels
from lossmith.lab.picture.style import DARK, LIGHT, series

_VARIABLES = {LIGHT.muted: "muted", LIGHT.line: "line", LIGHT.card: "card"} | {
    colour: f"s{place}"
    for place, colour in enumerate(LIGHT.series)  # ink is that of series 0
}


@dataclass(frozen=True)
class Picture:
    """A drawing, the words over it and the words under it."""

    title: str
    drawing: Markup
    caption: str
    size: Literal["one", "wide", "full"] = "one"  # columns of the page: one, two or all three


def hue(place: int) -> str:
    """The colour of a series that is no loss, such as a class; 0 is ink."""
    return series(place).colour


def dash(place: int) -> Any:
    """Its dashes, so that series differ without colour too."""
    return series(place).line["linestyle"]


def stroke(place: int) -> tuple[str, str]:
    """Its colour and dashes as CSS."""
    return series(place).stroke


@contextmanager
def style() -> Iterator[None]:
    """The look of the page, for everything drawn inside."""
    with canvas.style(**{"svg.fonttype": "none", "svg.hashsalt": "lossmith"}):
        yield


def palette() -> str:
    """The themes as CSS: light, dark, and light again on paper."""
    light, dark = (f":root {{ {theme.css} }}" for theme in (LIGHT, DARK))
    return f"{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n@media print {{ {light} }}"


def height(lines: int) -> float:
    """Inches for so many named lines under each other; drawings beside them are as high."""
    return min(max(2.7, 0.6 + 0.5 * lines), 8.0)


def svg(figure: Figure, name: str, title: str, description: str) -> Markup:
    """The figure as an `<svg>` with a title and a description, and ids that are its own."""
    buffer = io.StringIO()
    empty = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with style():
        FigureCanvasSVG(figure).print_svg(buffer, metadata=empty)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        text = re.sub(f"((?:fill|stroke): ){colour}", rf"\g<1>var(--{variable})", text)
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
