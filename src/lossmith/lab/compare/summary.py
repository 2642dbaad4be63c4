"""From races to the rows of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np

from lossmith.lab.compare.candidates import Candidate
from lossmith.lab.compare.conditions import Condition
from lossmith.lab.compare.contest import Race, in_order, used
from lossmith.lab.compare.evidence import Evidence, Result
from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.plan import Plan
from lossmith.lab.compare.race import BESIDE, OTHER
from lossmith.lab.compare.statistics import Interval, estimate, model_confidence_set

# Judged beside the metric that decides, the first BESIDE of them that are not it.
OTHERS = {
    "classification": ("log_loss", "calibration_error", "worst_recall", "macro_f1"),
    "binary": ("log_loss", "calibration_error", "auc", "rare_recall"),
    "regression": ("rmse", "median_error", "p95_error", "mae"),
}


@dataclass(frozen=True)
class Row:
    """One loss under one condition. A loss that failed in any trial has no numbers."""

    candidate: Candidate
    trials: int
    repeats: int
    failed: tuple[str, ...] = ()  # where and why
    metrics: Mapping[str, Interval | None] = field(default_factory=dict)
    difference: Interval | None = None  # from the baseline, over the repeats that both have
    lag: Interval | None = None  # how much worse than the pick, over the repeats that both have
    p_value: float | None = None  # of being as good as the best, when it was last looked at
    bound: float | None = None  # by how much it is behind the best at most; None once it is out
    rates: Mapping[str, int] = field(default_factory=dict)  # how often each was chosen
    epoch: float | None = None  # at which training was stopped, on average

    @property
    def verdict_on_failure(self) -> str:
        """`diverged in 3 of 10 trials`."""
        return f"diverged in {len(self.failed)} of {self.trials} trials"


@dataclass(frozen=True)
class Other:
    """A metric beside that which decides, over all losses on the repeats that all have."""

    metric: str
    inside: tuple[str, ...]  # the best mean first
    out: tuple[str, ...]
    p: Mapping[str, float]
    means: Mapping[str, float]


@dataclass(frozen=True)
class Outcome:
    """A condition: its race, a row per loss, baseline first, and what other metrics say."""

    condition: Condition
    title: str
    metric: str
    reason: str
    race: Race
    rows: tuple[Row, ...]
    best: tuple[str, ...]  # specs of the losses that are in, the best mean first
    pick: str | None  # the loss to take, where anything was tested
    others: tuple[Other, ...]
    trainings: Mapping[str, int]  # used, of the most

    @property
    def names(self) -> dict[str, str]:
        """What each loss is called inside a sentence, by its spec."""
        return {row.candidate.spec: row.candidate.phrase for row in self.rows}

    @property
    def told(self) -> bool:
        """Whether any loss was put out."""
        return len(self.best) < sum(not row.failed for row in self.rows)

    def row(self, spec: str) -> Row:
        """The row of one candidate."""
        return next(row for row in self.rows if row.candidate.spec == spec)

    def value(self, row: Row) -> Interval | None:
        """The metric that decides."""
        return row.metrics.get(self.metric)


def summarize(plan: Plan, races: Sequence[Race]) -> list[Outcome]:
    """One outcome per condition, in the order in which they were asked for."""
    return [_outcome(plan, race) for race in races]


def results_of(races: Sequence[Race]) -> list[Result]:
    """The results of every trial that was run, condition by condition."""
    return [race.evidence.found[trial.key] for race in races for trial in in_order(race.trials)]


def _outcome(plan: Plan, race: Race) -> Outcome:
    key = race.condition.key
    others = _others(race, plan.work.task)
    pick = _pick(race, others)
    rows = tuple(_row(race, candidate, pick) for candidate in plan.candidates)
    return Outcome(
        race.condition,
        race.condition.title(plan.work.task),
        race.metric,
        plan.reasons[key],
        race,
        rows,
        race.looks[-1].inside if race.looks and race.inside else tuple(race.inside),
        pick,
        tuple(others),
        used(race),
    )


def _pick(race: Race, others: Sequence[Other]) -> str | None:
    """The baseline if nothing is ahead of it by more than the margin; else the most useful.

    What differs by less than the margin does not matter: of the losses whose means, and whose
    bounds, are so close to the best, one that gives probabilities, that no other metric puts out,
    that is the baseline, or that is least far behind at worst, in this order. The bounds hold for
    all losses at once, so that of the pick is true whichever it is.
    """
    if not race.looks or not race.inside:
        return None
    last, margin = race.looks[-1], race.margin
    bounds, least = last.bounds, min(last.bounds.values())
    if bounds.get(race.baseline, inf) <= margin:
        return race.baseline
    lags = last.among.gaps[:, 0].tolist()  # behind the best mean, which comes first
    close = [
        spec
        for spec, lag in zip(last.inside, lags, strict=True)
        if lag <= margin and bounds[spec] <= least + margin
    ]
    sure = {c.spec for c in race.evidence.plan.candidates if c.gives_probabilities}

    def rank(spec: str) -> tuple[bool, bool, bool, float]:
        against = any(spec in other.out for other in others)
        return spec not in sure, against, spec != race.baseline, bounds[spec]

    return min(close or bounds, key=rank)


def _row(race: Race, candidate: Candidate, pick: str | None) -> Row:
    spec, evidence = candidate.spec, race.evidence
    repeats = race.repeats[spec]
    found = evidence.results(spec, repeats)
    if spec in race.failed:
        return Row(candidate, len(found), repeats, race.failed[spec])
    own = [name for name, metric in METRICS.items() if race.evidence.plan.work.task in metric.tasks]
    last = next((at for at in reversed(race.looks) if spec in at.judged), None)
    return Row(
        candidate,
        len(found),
        repeats,
        (),
        {name: _interval(evidence, spec, name, repeats) for name in own},
        _difference(race, spec, race.baseline, upward=METRICS[race.metric].higher),
        _difference(race, spec, pick, upward=False) if pick else None,
        last.p[spec] if last else None,
        last.bounds.get(spec) if last and last is race.looks[-1] else None,
        dict(sorted(Counter(f"{r['learning_rate']:g}" for r in found).items())),
        float(np.mean([r["epoch"] for r in found])),
    )


def _interval(evidence: Evidence, spec: str, metric: str, repeats: int) -> Interval | None:
    if evidence.values(spec, metric, repeats) is None:
        return None
    made = estimate(evidence.table([spec], metric, repeats), centred=False).interval(0)
    return Interval(-made.mean, made.half_width) if METRICS[metric].higher else made


def _difference(race: Race, spec: str, other: str, upward: bool) -> Interval | None:
    """A loss minus another over the repeats of both; upward: more of the metric, else worse."""
    if spec == other or other in race.failed:
        return None
    shared = min(race.repeats[spec], race.repeats[other])
    made = estimate(race.evidence.table([spec, other], race.metric, shared)).gap(0, 1)
    return Interval(-made.mean, made.half_width) if upward else made


def _others(race: Race, task: str) -> list[Other]:
    """Further metrics, each judged once, at its own share of the errors."""
    if not race.looks:
        return []
    shared = min(race.repeats[spec] for spec in race.finished)
    made = []
    for metric in [name for name in OTHERS[task] if name != race.metric][:BESIDE]:
        judged = [s for s in race.finished if race.evidence.values(s, metric, shared) is not None]
        if len(judged) < 2:
            continue
        e = estimate(race.evidence.table(judged, metric, shared))
        p = dict(zip(judged, model_confidence_set(e).tolist(), strict=True))
        sign = -1.0 if METRICS[metric].higher else 1.0
        means = dict(zip(judged, (sign * e.mean).tolist(), strict=True))
        ranked = sorted(judged, key=lambda spec: sign * means[spec])
        inside = tuple(spec for spec in ranked if p[spec] > OTHER)
        made.append(Other(metric, inside, tuple(s for s in ranked if p[s] <= OTHER), p, means))
    return made
