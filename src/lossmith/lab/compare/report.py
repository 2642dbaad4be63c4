"""One page that holds everything and asks the network for nothing, made from the record alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossmith.lab.compare import confusion, figures, insight
from lossmith.lab.compare.statistics import Interval
from lossmith.lab.compare.words import scaled
from lossmith.lab.page import drawing
from lossmith.lab.page.drawing import Picture
from lossmith.lab.page.render import environment


def page(record: Mapping[str, Any]) -> str:
    """The report as HTML. `record` is what `record.as_data` gives and `--json` writes."""
    engine = environment("lossmith.lab.compare")
    engine.filters["scaled"] = _scaled
    engine.filters["alone"] = _alone
    sections = [
        {
            "id": f"c{place}",
            "condition": condition,
            "columns": _columns(record, condition),
            "figures": _figures(record, condition, f"c{place}"),
            "worst": confusion.worst(record, condition),
        }
        for place, condition in enumerate(record["conditions"])
    ]
    with drawing.style():
        losses = figures.losses(record["candidates"])
    return engine.get_template("template.html").render(
        record=record, sections=sections, key=record["candidates"], losses=losses
    )


def _figures(record: Mapping[str, Any], condition: Mapping[str, Any], name: str) -> list[Picture]:
    """Every figure of a condition for which the trials hold something."""
    with drawing.style():
        made = [
            figures.intervals(record, condition, f"{name}-intervals"),
            *figures.learning(record, condition, name),
            insight.calibration(record, condition, f"{name}-calibration"),
            confusion.matrices(record, condition, f"{name}-confusion"),
            insight.spread(record, condition, f"{name}-spread"),
            insight.residuals(record, condition, f"{name}-residuals"),
            insight.embeddings(record, condition, f"{name}-embedding"),
        ]
    return [picture for picture in made if picture is not None]


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


def _alone(value: float, metric: str) -> str:
    return scaled(Interval(value, float("nan")), metric)
