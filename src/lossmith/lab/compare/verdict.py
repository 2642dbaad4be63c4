"""What a condition comes to: the kind of verdict, and every number that its sentences give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, isfinite
from typing import Literal

from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.race import ALPHA, FEWEST, SURE, Look
from lossmith.lab.compare.summary import Other, Outcome

Kind = Literal[
    "one",  # a single loss is left
    "switch",  # the baseline is out, several are left
    "stay",  # some loss is known to be within the margin, and the baseline is as good to take
    "pick",  # so, but another loss is to be taken
    "rows",  # no further repeat can tell what is left
    "open",  # further repeats might
    "untested",  # too few trainings to know what is luck
    "alone",  # one loss finished or was asked for
    "none",  # no loss finished
]
FAR = 100.0  # times what was there: more rows or repeats than that are not worth naming


@dataclass(frozen=True)
class Beside:
    """What another metric says of the pick."""

    metric: str
    says: Literal["agrees", "against", "no probabilities"]
    values: Mapping[str, float]  # of the pick first, then of those it is held against


@dataclass(frozen=True)
class Decision:
    """The facts. Losses are named by their specs; differences are in the metric's own unit."""

    kind: Kind
    metric: str
    baseline: str
    pick: str | None = None  # the loss to take, as `summary` picks it
    value: float | None = None  # of the pick
    inside: tuple[str, ...] = ()  # losses that may be the best, the best mean first
    out: Mapping[str, int] = field(default_factory=dict)  # after how many repeats each was put out
    failed: tuple[str, ...] = ()
    lead: tuple[float, float] | None = None  # from least to most, over those that are out
    bound: float | None = None  # the pick is behind the best by no more than this
    gap: float | None = None  # between the two best means of those inside
    visible: float | None = None  # what these rows could show, however often trained
    rows: int = 0
    rows_needed: int | None = None  # about; None where nothing is open, or they are too many
    repeats: int = 0  # that were looked at
    repeats_needed: int | None = None
    margin: float = 0.0
    error: float = ALPHA
    others: tuple[Beside, ...] = ()


def decide(outcome: Outcome) -> Decision:
    """The verdict on a condition, from its races and tables and from nothing else."""
    race = outcome.race
    facts = {
        "metric": outcome.metric,
        "baseline": race.baseline,
        "inside": outcome.best,
        "failed": tuple(row.candidate.spec for row in outcome.rows if row.failed),
        "repeats": max(race.repeats.values()),
    }
    if not race.looks or not outcome.best:
        return Decision(_untold(outcome), **facts, **_lone(outcome))  # type: ignore[arg-type]
    last, pick = race.looks[-1], str(outcome.pick)
    value = outcome.value(outcome.row(pick))
    put_out = {
        spec: look.repeats
        for look in race.looks
        for spec in look.judged
        if look.p[spec] <= look.share
    }
    return Decision(
        _kind(outcome, last, pick),
        **facts,  # type: ignore[arg-type]
        pick=pick,
        value=value.mean if value else None,
        out={spec: put_out[spec] for spec in race.finished if spec in put_out},
        lead=_lead(outcome, last, put_out),
        bound=last.bounds[pick],
        rows=last.among.count,
        margin=race.margin,
        others=tuple(_beside(outcome, pick)),
        **_needed(last),  # type: ignore[arg-type]
    )


def _untold(outcome: Outcome) -> Kind:
    if not outcome.best:
        return "none"
    return "alone" if len(outcome.best) == 1 else "untested"


def _lone(outcome: Outcome) -> dict[str, object]:
    if len(outcome.best) != 1:
        folds = outcome.race.evidence.plan.work.settings.folds
        return {"repeats_needed": ceil(FEWEST / folds)} if outcome.best else {}
    value = outcome.value(outcome.row(outcome.best[0]))
    return {"pick": outcome.best[0], "value": value.mean if value else None}


def _kind(outcome: Outcome, last: Look, pick: str) -> Kind:
    baseline, margin = outcome.race.baseline, outcome.race.margin
    if len(last.inside) == 1:
        return "one" if len(outcome.race.finished) > 1 else "alone"
    if baseline not in last.inside and baseline in outcome.race.finished:
        return "switch"
    if min(last.bounds.values()) <= margin:
        return "stay" if pick == baseline else "pick"
    e = last.among  # in the order of the means
    return "open" if e.gaps[1, 0] > SURE * e.floor[0, 1] else "rows"


def _lead(outcome: Outcome, last: Look, out: Mapping[str, int]) -> tuple[float, float] | None:
    """The pick over each that is out; where the baseline alone counts, each inside over it."""
    lags = {row.candidate.spec: row.lag.mean for row in outcome.rows if row.lag}
    if outcome.race.baseline in out and len(last.inside) > 1:
        sign = 1 if METRICS[outcome.metric].higher else -1
        gaps = [outcome.row(spec).difference for spec in last.inside]
        ahead = [sign * gap.mean for gap in gaps if gap]
    else:
        ahead = [lags[spec] for spec in out if spec in lags]
    return (min(ahead), max(ahead)) if ahead else None


def _needed(last: Look) -> dict[str, float | int | None]:
    """How many rows, or repeats, would tell the two best means apart in most runs."""
    e = last.among
    if len(e.mean) < 2:
        return {}
    gap, floor = float(e.gaps[1, 0]), float(e.floor[0, 1])
    luck = float(e.errors[0, 1] ** 2 - floor**2) * last.repeats  # of one repeat
    rows = (SURE * floor / gap) ** 2 * e.count if gap > 0 else float("inf")
    left = (gap / SURE) ** 2 - floor**2
    repeats = luck / left if left > 0 else float("inf")
    return {
        "gap": gap,
        "visible": SURE * floor,
        "rows_needed": _about(rows, e.count),
        "repeats_needed": _about(repeats, last.repeats),
    }


def _about(needed: float, there: int) -> int | None:
    """Two digits, and more than there is; None for what is out of reach."""
    if not isfinite(needed) or needed > FAR * there:
        return None
    return ceil(float(f"{max(needed, there + 1):.2g}"))


def _beside(outcome: Outcome, pick: str) -> Sequence[Beside]:
    made = [_one_beside(other, pick, outcome.race.baseline) for other in outcome.others]
    return [beside for beside in made if beside is not None]


def _one_beside(other: Other, pick: str, baseline: str) -> Beside | None:
    """None where the metric tells nothing about the pick."""
    means, best = other.means, other.inside[0]
    if pick not in means:
        if METRICS[other.metric].probabilities:
            return Beside(other.metric, "no probabilities", {best: means[best]})
        return None
    if pick in other.out:
        return Beside(other.metric, "against", {pick: means[pick], best: means[best]})
    if not other.out:
        return None
    # The baseline first, for it is what the pick would replace.
    order = sorted(other.out, key=lambda spec: spec != baseline)
    return Beside(other.metric, "agrees", {s: means[s] for s in (pick, *order)})
