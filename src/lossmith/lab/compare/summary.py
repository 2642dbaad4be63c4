"""From trials to the rows of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossmith.lab.compare.candidates import Candidate
from lossmith.lab.compare.conditions import Condition
from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.plan import Plan
from lossmith.lab.compare.statistics import Interval, all_pairs, among_best, interval

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One loss under one condition. A loss that failed in any trial has no numbers."""

    candidate: Candidate
    trials: int
    failed: tuple[str, ...] = ()  # where and why
    metrics: Mapping[str, Interval | None] = field(default_factory=dict)
    difference: Interval | None = None  # from the baseline, paired by fold
    p_value: float | None = None  # of that difference, adjusted for all pairs
    rates: Mapping[str, int] = field(default_factory=dict)  # how often each was chosen
    epoch: float | None = None  # at which training was stopped, on average

    @property
    def verdict_on_failure(self) -> str:
        """`diverged in 3 of 10 trials`."""
        return f"diverged in {len(self.failed)} of {self.trials} trials"


@dataclass(frozen=True)
class Outcome:
    """A condition: a row per loss, baseline first, and who is among the best."""

    condition: Condition
    title: str
    metric: str
    reason: str
    rows: tuple[Row, ...]
    best: tuple[str, ...]  # specs, from better to worse
    pairs: Mapping[frozenset[str], float]

    def row(self, spec: str) -> Row:
        """The row of one candidate."""
        return next(row for row in self.rows if row.candidate.spec == spec)

    def value(self, row: Row) -> Interval | None:
        """The metric that decides."""
        return row.metrics.get(self.metric)


def summarize(plan: Plan, results: Sequence[Result]) -> list[Outcome]:
    """One outcome per condition, in the order in which they were asked for."""
    return [_outcome(plan, condition, results) for condition in plan.work.settings.conditions]


def _outcome(plan: Plan, condition: Condition, results: Sequence[Result]) -> Outcome:
    key, settings = condition.key, plan.work.settings
    metric = dict(plan.work.metrics)[key]
    overlap = 1 / (settings.folds - 1)  # rows to test with over rows to train on
    finest = settings.folds / plan.dataset.rows if METRICS[metric].unit == "percent" else 0.0
    own = {
        c.spec: sorted(
            (r for r in results if r["condition"] == key and r["loss"] == c.spec),
            key=lambda r: (r["repeat"], r["fold"]),
        )
        for c in plan.candidates
    }
    values = {
        spec: [float(r["metrics"][metric]) for r in found]
        for spec, found in own.items()
        if found and all(r["status"] == "done" and r["metrics"][metric] is not None for r in found)
    }
    pairs = all_pairs(values, overlap, finest)
    rows = []
    for candidate in plan.candidates:
        found = own[candidate.spec]
        failed = tuple(
            f"repeat {r['repeat']}, fold {r['fold']}: {r['why'] or metric + ' has no value'}"
            for r in found
            if r["status"] != "done" or r["metrics"][metric] is None
        )
        if candidate.spec not in values:
            rows.append(Row(candidate, len(found), failed))
            continue
        base = plan.candidates[0].spec
        gaps: list[float] = []
        if candidate.spec != base and base in values:
            gaps = np.subtract(values[candidate.spec], values[base]).tolist()
        rows.append(
            Row(
                candidate,
                len(found),
                (),
                _intervals(found, overlap, metric, finest),
                interval(gaps, overlap, finest) if gaps else None,
                pairs[frozenset((candidate.spec, base))] if gaps else None,
                dict(sorted(Counter(f"{r['learning_rate']:g}" for r in found).items())),
                float(np.mean([r["epoch"] for r in found])),
            )
        )
    best = among_best(values, pairs, METRICS[metric].higher)
    title = condition.title(plan.work.task)
    return Outcome(condition, title, metric, plan.reasons[key], tuple(rows), tuple(best), pairs)


def _intervals(
    found: Sequence[Result], overlap: float, metric: str, finest: float
) -> dict[str, Interval | None]:
    made: dict[str, Interval | None] = {}
    for name in found[0]["metrics"]:
        values = [r["metrics"][name] for r in found if r["metrics"][name] is not None]
        made[name] = (
            interval(values, overlap, finest if name == metric else 0.0) if values else None
        )
    return made
