"""Two sentences per condition, made from the numbers and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from lossmith.lab.compare.statistics import LEVEL, Interval
from lossmith.lab.compare.summary import Condition, Row


def verdict(condition: Condition, seeds: int) -> str:
    """Who is among the best, and what that means against the baseline."""
    if not condition.best:
        return "Every loss diverged under this condition. A smaller learning rate may help."
    return f"{_ahead(condition, seeds)} {_against_baseline(condition, seeds)}"


def _ahead(condition: Condition, seeds: int) -> str:
    best, *others = (condition.row(spec) for spec in condition.best)
    name = best.candidate.label
    measured = f"{percent(best.accuracy)} test accuracy"
    finished = sum(row.accuracy is not None for row in condition.rows)
    if finished == 1:
        return f"{name} is the only loss that finished, with {measured}."
    if seeds < 2:
        return f"{name} has the highest number, {measured}, but one seed tells no losses apart."
    if not others:
        return f"{name} is best with {measured}: the paired tests tell it from every other loss."
    if len(others) == finished - 1:
        return (
            f"The tests tell no loss from the best: {best.candidate.phrase} has the highest mean, "
            f"{measured}, and every other may be as good."
        )
    rest = joined([row.candidate.phrase for row in others])
    return f"{name} has the highest mean, {measured}, and {rest} cannot be told from it."


def _against_baseline(condition: Condition, seeds: int) -> str:
    baseline, *rest = condition.rows
    name = baseline.candidate.phrase
    if not rest:
        return f"Only the baseline, {name}, was run."
    if baseline.accuracy is None:
        return f"The baseline, {name}, diverged, so there is no difference from it to give."
    if seeds < 2:
        return "Give --seeds 5 or more for intervals and tests."
    supported = [row for row in rest if row.p_value is not None and row.p_value <= 1 - LEVEL]
    gains = _gaps([row for row in supported if _mean(row) > 0], "gains")
    losses = _gaps([row for row in supported if _mean(row) < 0], "loses")
    if not supported:
        return f"No difference from {name}, the baseline, is supported."
    told = joined([text for text in (gains, losses) if text])
    more = "" if len(supported) == len(rest) else "; no other difference from it is supported"
    return f"Compared with {name}, the baseline, {told} points of accuracy{more}."


def _gaps(rows: Sequence[Row], verb: str) -> str:
    ordered = sorted(rows, key=lambda row: -abs(_mean(row)))
    return joined([f"{row.candidate.phrase} {verb} {points(row.difference)}" for row in ordered])


def _mean(row: Row) -> float:
    return row.difference.mean if row.difference else 0.0


def percent(value: Interval | None) -> str:
    """A share as `97.8 ± 0.6 %`; no reach is shown where one seed gives none."""
    if value is None:
        return "–"
    reach = "" if isnan(value.half_width) else f" ± {100 * value.half_width:.1f}"
    return f"{100 * value.mean:.1f}{reach} %"


def points(value: Interval | None) -> str:
    """The size of a difference in points, as `8.4 ± 1.2`."""
    if value is None:
        return "–"
    reach = "" if isnan(value.half_width) else f" ± {100 * value.half_width:.1f}"
    return f"{100 * abs(value.mean):.1f}{reach}"


def joined(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
