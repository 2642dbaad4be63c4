"""One page that holds everything and asks the network for nothing, made from the record alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lossmith.lab.compare import figures
from lossmith.lab.compare.paint import HUES
from lossmith.lab.compare.statistics import Interval
from lossmith.lab.compare.words import scaled

DASHES = ("none", "7 2.2", "1.7 2", "8.4 2.2 1.7 2.2")  # as paint.dash, for the key


def page(record: Mapping[str, Any]) -> str:
    """The report as HTML. `record` is what `record.as_data` gives and `--json` writes."""
    engine = Environment(
        loader=PackageLoader("lossmith.lab.compare", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters["scaled"] = _scaled
    engine.filters["unbroken"] = _unbroken
    key = [
        {**candidate, "hue": place % HUES, "dash": DASHES[place % len(DASHES)]}
        for place, candidate in enumerate(record["candidates"])
    ]
    sections = [
        {
            "id": f"c{place}",
            "condition": condition,
            "intervals": figures.intervals(record, condition, f"c{place}-intervals"),
            "learning": figures.learning(record, condition, f"c{place}"),
            "columns": _columns(record, condition),
        }
        for place, condition in enumerate(record["conditions"])
    ]
    return engine.get_template("template.html").render(
        record=record,
        sections=sections,
        key=key,
        losses=figures.losses(record["candidates"]),
    )


def _columns(record: Mapping[str, Any], condition: Mapping[str, Any]) -> list[str]:
    """The metrics in the order of the table, that which decides first."""
    rest = [name for name in record["metrics"] if name != condition["metric"]]
    used = [name for name in rest if any(row["metrics"].get(name) for row in condition["rows"])]
    return [condition["metric"], *used]


def _scaled(value: Mapping[str, float | None] | None, metric: str, sign: str = "") -> str:
    if value is None:
        return "–"
    mean, high = value["mean"] or 0.0, value["high"]
    return scaled(Interval(mean, float("nan") if high is None else high - mean), metric, sign)


def _unbroken(text: str) -> str:
    """No line ends inside `97.8 ± 0.6 %` or `q = 0.7`."""
    return re.sub(r" (?=[±=%])|(?<=[±=]) ", "\N{NO-BREAK SPACE}", text)
