"""Two sentences per condition, made from the numbers and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.statistics import LEVEL
from lossmith.lab.compare.summary import Outcome, Row
from lossmith.lab.compare.words import joined, measured, size


def verdict(outcome: Outcome) -> str:
    """Who is among the best, and what that means against the baseline."""
    if not outcome.best:
        return "Every loss diverged under this condition. A smaller learning rate may help."
    return f"{_ahead(outcome)} {_against_baseline(outcome)}"


def _ahead(outcome: Outcome) -> str:
    best, *others = (outcome.row(spec) for spec in outcome.best)
    name = best.candidate.label
    reached = measured(outcome.value(best), outcome.metric)
    finished = sum(outcome.value(row) is not None for row in outcome.rows)
    if finished == 1:
        return f"{name} is the only loss that finished, with {reached}."
    if not others:
        return f"{name} is best with {reached}: the paired tests tell it from every other loss."
    if len(others) == finished - 1:
        return (
            f"The tests tell no loss from the best: {best.candidate.phrase} has the best mean, "
            f"{reached}, and every other may be as good."
        )
    rest = joined([row.candidate.phrase for row in others])
    return f"{name} has the best mean, {reached}, and {rest} cannot be told from it."


def _against_baseline(outcome: Outcome) -> str:
    baseline, *rest = outcome.rows
    name = baseline.candidate.phrase
    if not rest:
        return f"Only the baseline, {name}, was run."
    if outcome.value(baseline) is None:
        return f"The baseline, {name}, diverged, so there is no difference from it to give."
    supported = [row for row in rest if row.p_value is not None and row.p_value <= 1 - LEVEL]
    sign = 1 if METRICS[outcome.metric].higher else -1
    better = [row for row in supported if sign * _mean(row) > 0]
    worse = [row for row in supported if sign * _mean(row) < 0]
    if not supported:
        return f"No difference from {name}, the baseline, is supported."
    label = METRICS[outcome.metric].label
    if METRICS[outcome.metric].unit == "percent":
        told = joined([*_gaps(better, "gains", outcome), *_gaps(worse, "loses", outcome)])
        told = f"{told} points of {label}"
    else:
        told = joined(
            [*_gaps(better, "is better by", outcome), *_gaps(worse, "is worse by", outcome)]
        )
        told = f"{told} ({label})"
    more = "" if len(supported) == len(rest) else "; no other difference from it is supported"
    return f"Compared with {name}, the baseline, {told}{more}."


def _gaps(rows: Sequence[Row], verb: str, outcome: Outcome) -> list[str]:
    ordered = sorted(rows, key=lambda row: -abs(_mean(row)))
    return [
        f"{row.candidate.phrase} {verb} {size(row.difference, outcome.metric)}" for row in ordered
    ]


def _mean(row: Row) -> float:
    return row.difference.mean if row.difference else 0.0
