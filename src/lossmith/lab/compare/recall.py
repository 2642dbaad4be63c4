"""What was seen before the training, held against what came of it: a sentence for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isfinite
from typing import Any

from lossmith.formula import properties
from lossmith.formula.record import Formula
from lossmith.lab.compare.candidates import Candidate
from lossmith.lab.compare.first_look import Finding
from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.statistics import Interval
from lossmith.lab.compare.summary import Outcome, Row
from lossmith.lab.compare.words import scaled


@lru_cache(maxsize=64)
def _ends(record: Formula, given: tuple[tuple[str, float], ...]) -> tuple[float, float]:
    """The highest value of a loss, and its steepest slope; infinite if there is none."""
    found = properties.of(record, **dict(given))
    highest, steepest = found.highest, found.lipschitz
    return (inf if highest is None else highest), (inf if steepest is None else steepest)


@dataclass(frozen=True)
class Trait:
    """What makes a loss resist, and how losses with and without it are called."""

    place: int  # among the ends
    one: str
    other: str

    def holds(self, candidate: Candidate) -> bool | None:
        """Whether the loss has it; None where there is no formula to tell."""
        record = candidate.record
        return None if record is None else isfinite(_ends(record, candidate.parameters)[self.place])


BOUNDED = Trait(0, "bounded loss", "unbounded one")  # a row costs no more than so much
GENTLE = Trait(1, "loss of bounded pull", "other")  # a row pulls no harder than so much


def recalled(findings: Sequence[Finding], outcome: Outcome) -> list[dict[str, Any]]:
    """What became of what was seen, and of what was spoiled on purpose."""
    seen = {finding.kind: finding for finding in findings}
    kind = outcome.condition.kind
    said = []
    if kind == "label_noise":
        said.append(_halves(outcome, "", BOUNDED))
    elif kind == "clean" and "labels" in seen:
        found = 100 * seen["labels"].facts["share"]
        said.append(_halves(outcome, f"About {found:.0f} % of the labels looked wrong: ", BOUNDED))
    if outcome.rows[0].candidate.task == "regression":
        if kind == "outliers":
            said.append(_halves(outcome, "", GENTLE))
        elif kind == "clean" and "tails" in seen:
            said.append(_halves(outcome, "The residuals looked heavy-tailed: ", GENTLE))
    return [entry for entry in said if entry is not None]


def _halves(outcome: Outcome, why: str, trait: Trait) -> dict[str, Any] | None:
    """The best loss with a trait against the best one without."""
    have = _best(outcome, [row for row in outcome.rows if trait.holds(row.candidate) is True])
    lack = _best(outcome, [row for row in outcome.rows if trait.holds(row.candidate) is False])
    if have is None or lack is None:
        return None
    metric = METRICS[outcome.metric]
    gap = (_mean(outcome, have) - _mean(outcome, lack)) * (1 if metric.higher else -1)
    size = scaled(Interval(abs(gap), float("nan")), outcome.metric)
    share = metric.unit == "percent"
    amount = f"{size} points of {metric.label}" if share else f"{size} ({metric.label})"
    side = "ahead of" if gap >= 0 else "behind"
    says = (
        f"{why}{'the' if why else 'The'} best {trait.one}, {have.candidate.phrase}, is {side} the "
        f"best {trait.other}, {lack.candidate.phrase}, by {amount}."
    )
    return {
        "with": have.candidate.spec, "without": lack.candidate.spec,
        "metric": outcome.metric, "ahead": gap, "says": says,
    }  # fmt: skip


def _mean(outcome: Outcome, row: Row) -> float:
    value = outcome.value(row)
    return value.mean if value is not None else float("nan")


def _best(outcome: Outcome, rows: Sequence[Row]) -> Row | None:
    there = [row for row in rows if outcome.value(row) is not None]
    if not there:
        return None
    sign = 1 if METRICS[outcome.metric].higher else -1
    return max(there, key=lambda row: sign * _mean(outcome, row))
