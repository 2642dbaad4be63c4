"""Pages that stand alone: everything inside one file, nothing asked of the network."""

from __future__ import annotations

import re

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from lossmith.lab.page import drawing


def environment(package: str) -> Environment:
    """Where a page finds its own templates, and those of this folder (`base.html`)."""
    made = Environment(
        loader=ChoiceLoader(
            [PackageLoader(package, "."), PackageLoader("lossmith.lab.page", ".")],
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["unbroken"] = unbroken
    made.globals["stroke_of"] = drawing.stroke
    made.globals["palette"] = drawing.palette
    return made


def unbroken(text: str) -> str:
    """No line ends inside `97.8 ± 0.6 %`, `[1, 2]` or `q = 0.7`."""
    text = re.sub(r"(?<=\d), (?=[−\d][\d.]*[ \d%e−]*\])", ",\N{NO-BREAK SPACE}", text)
    return re.sub(r" (?=[±=%>≥])|(?<=[±=>≥]) ", "\N{NO-BREAK SPACE}", text)
