"""One page that holds everything and asks the network for nothing, made from the record alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossmith.lab.compare import confusion, figures, insight
from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.statistics import Interval
from lossmith.lab.compare.trials import looks
from lossmith.lab.compare.words import scaled
from lossmith.lab.page import drawing
from lossmith.lab.page.drawing import Picture
from lossmith.lab.page.render import environment


def page(record: Mapping[str, Any]) -> str:
    """The report as HTML. `record` is what `record.as_data` gives and `--json` writes."""
    engine = environment("lossmith.lab.compare")
    engine.filters["scaled"] = _scaled
    engine.filters["alone"] = _alone
    made = looks(record)
    engine.globals["stroke_of"] = lambda place: made[place].stroke
    sections = [
        {
            "id": f"c{place}",
            "condition": condition,
            "columns": _columns(record, condition),
            "figures": _figures(record, condition, f"c{place}"),
            "worst": confusion.worst(record, condition),
            "leaders": _leaders(record, condition),
            "decisions": _decisions(condition),
        }
        for place, condition in enumerate(record["conditions"])
    ]
    with drawing.style():
        losses = figures.losses(record)
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


def _leaders(record: Mapping[str, Any], condition: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of each metric the loss with the best mean and the next one, with their places in the key."""
    place = {item["spec"]: at for at, item in enumerate(record["candidates"])}
    made = []
    for entry in condition["by_metric"]:
        name = entry["metric"]
        if name not in record["metrics"]:
            continue
        ranked = zip(entry["losses"][:2], entry["means"][:2], strict=True)
        losses = [
            (place[spec], scaled(Interval(mean, float("nan")), name)) for spec, mean in ranked
        ]
        made.append({"label": record["metrics"][name]["label"], "losses": losses})
    return made


# What the table of decisions shows: the key in a row, the metric it is of, its head.
_DECIDED = (
    ("auc", "auc", "AUC, %"),
    ("average_precision", "average_precision", "average precision, %"),
    ("log_loss", "log_loss", "log-loss"),
    ("log_loss_tempered", "log_loss", "with temperature"),
    ("brier", "brier", "Brier score"),
    ("brier_tempered", "brier", "with temperature"),
    ("calibration_error", "calibration_error", "calibration error, %"),
    ("calibration_error_tempered", "calibration_error", "with temperature"),
)


def _decisions(condition: Mapping[str, Any]) -> dict[str, Any] | None:
    """Decisions, order and probabilities of each loss as text."""
    found = condition["decisions"]
    if found is None:
        return None
    name = found["metric"]
    label = METRICS[name].label
    columns = (
        ("as_trained", name, f"{label} as trained, %"),
        ("with_cut", name, "at its best cut, %"),
        *_DECIDED,
    )
    rows = [
        (row["loss"], [_mean(row[key], metric) for key, metric, _ in columns])
        for row in found["rows"]
    ]
    return {"heads": [head for _, _, head in columns], "rows": rows}


def _mean(value: float | None, metric: str) -> str:
    return "–" if value is None else scaled(Interval(value, float("nan")), metric)


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
