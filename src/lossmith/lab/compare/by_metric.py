"""Which loss is best by which metric, and where a loss is the metric it is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lossmith.lab.compare.candidates import Candidate, number, parse
from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.same import factor
from lossmith.lab.compare.summary import Outcome

# The loss whose mean a metric is, on each row; what else the same predictions are often judged by.
MEASURED = {
    "mae": ("l1", "rmse"),
    "rmse": ("l2", "mae"),
    "pinball": ("pinball:tau={level}", "rmse"),
    "asymmetric_rmse": ("expectile:tau={level}", "mae"),
}


def best(outcome: Outcome) -> list[dict[str, Any]]:
    """For each metric the losses from best to worst, by their means over all trials."""
    found = []
    for name, metric in METRICS.items():
        means = {
            row.candidate.spec: value.mean
            for row in outcome.rows
            if (value := row.metrics.get(name)) is not None
        }
        if len(means) > 1:
            order = sorted(means, key=lambda spec: means[spec], reverse=metric.higher)
            found.append({"metric": name, "losses": order, "means": [means[s] for s in order]})
    return found


def is_metric(candidates: Sequence[Candidate], level: float | None) -> dict[str, str]:
    """Which loss is which metric, its formula being the same up to a factor: metric → loss."""
    if not candidates or candidates[0].task != "regression":
        return {}
    found = {}
    for metric, (text, _) in MEASURED.items():
        if "{level}" in text and level is None:
            continue
        text = text.format(level="" if level is None else number(level))
        reference = parse([], "regression", baseline=text)[0]
        for candidate in candidates:
            if factor(candidate, reference) is not None:
                found[metric] = candidate.spec
    return found


def says(outcome: Outcome, level: float | None) -> list[dict[str, Any]]:
    """A sentence for each loss that is its metric, with its places by that and by another."""
    candidates = [row.candidate for row in outcome.rows]
    names = {c.spec: c.label for c in candidates}
    places = {entry["metric"]: entry["losses"] for entry in best(outcome)}
    found = []
    for metric, loss in is_metric(candidates, level).items():
        other = MEASURED[metric][1]
        if loss not in places.get(metric, ()) or loss not in places.get(other, ()):
            continue
        here, there = places[metric].index(loss) + 1, places[other].index(loss) + 1
        of = len(places[metric])
        if here > 1 or (metric != outcome.metric and 2 * there <= of):
            continue
        own = METRICS[metric].label
        words = f"{names[loss]} is the {own} itself, and leads by that, by construction"
        words += f"; by {METRICS[other].label} it is {_place(there, of)}"
        found.append(
            {"loss": loss, "metric": metric, "place": here, "other": other,
             "place_by_other": there, "of": of, "says": f"{words}."}
        )  # fmt: skip
    return found


def _place(place: int, of: int) -> str:
    """`first`, `last`, or `3 of 6`."""
    if place == 1:
        return "first"
    return "last" if place == of else f"{place} of {of}"
