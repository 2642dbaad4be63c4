"""The comparison as plain data: for `--json`, for CSV, and all that the page is made from."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isnan
from typing import Any

import numpy as np

from lossmith.lab.compare import by_metric, first_look, goals, recall, tuning
from lossmith.lab.compare.candidates import EXTRAS, Candidate
from lossmith.lab.compare.decisions import decisions
from lossmith.lab.compare.evidence import Result
from lossmith.lab.compare.hard_rows import hard_rows
from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.plan import Plan
from lossmith.lab.compare.sentences import verdict
from lossmith.lab.compare.settings import LANGUAGES, Language
from lossmith.lab.compare.statistics import Interval
from lossmith.lab.compare.summary import Outcome, Row
from lossmith.lab.compare.verdict import decide
from lossmith.lab.compare.words import estimand
from lossmith.lab.output import provenance

PACKAGES = ("lossmith", "torch", "numpy", "scipy", "scikit-learn", "statsmodels")
AXIS = np.linspace(-3.0, 3.0, 241)  # margins of the right class, or residuals in target units
BESIDE = ("seconds", "rows")  # of a trial: what the clock decides, and what only statistics need
_REACH = 2.5  # residual losses are drawn over a wider range, so that their scales show


def as_data(
    plan: Plan,
    outcomes: Sequence[Outcome],
    results: Sequence[Result],
    seconds: float,
    language: Language = "en",
) -> dict[str, Any]:
    """Everything; whatever the clock decides stands under `seconds`, the rest is repeatable."""
    settings, dataset = plan.work.settings, plan.dataset
    used = [name for name, metric in METRICS.items() if plan.work.task in metric.tasks]
    return {
        "format": 3,
        "command": settings.command(),
        "settings": asdict(settings),
        "environment": provenance(PACKAGES, "trial"),
        "data": {
            "name": dataset.name,
            "task": dataset.task,
            "rows": dataset.rows,
            "shape": list(dataset.shape[1:]),
            "classes": list(dataset.classes),
            "counts": [] if dataset.task == "regression" else dataset.counts.tolist(),
            "notes": list(dataset.notes),
            "fingerprint": dataset.fingerprint,
        },
        "metrics": {
            name: {"label": m.label, "unit": m.unit, "higher_is_better": m.higher}
            for name, m in METRICS.items()
            if name in used
        },
        "candidates": [_candidate(candidate) for candidate in plan.candidates],
        "language": language,
        "estimand": estimand(settings.folds),
        "look": first_look.as_data(plan.look),
        "goal": {"text": settings.goal, "says": plan.goal},
        "left_out": list(plan.left_out),
        "conditions": [
            _outcome(outcome, language) | _beside(plan, outcome, results, language)
            for outcome in outcomes
        ],
        "trials": [{k: v for k, v in result.items() if k not in BESIDE} for result in results],
        "seconds": {
            "this_run": round(seconds, 3),
            "trials": [round(result["seconds"], 4) for result in results],
        },
    }


def as_text(data: dict[str, Any]) -> str:
    """The data as JSON."""
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def as_csv(data: dict[str, Any]) -> str:
    """A line per condition and loss: every metric with the ends of its interval."""
    out = io.StringIO()
    names = list(data["metrics"])
    ends = [f"{name}_{end}" for name in names for end in ("mean", "low", "high")]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            *("condition", "decided_by", "loss", "among_best", "failed_trials", "trials"),
            *("difference_mean", "difference_low", "difference_high", "p_value", "behind_at_most"),
            *ends,
        ]
    )
    for condition in data["conditions"]:
        for row in condition["rows"]:
            numbers = [row["difference_from_baseline"] or {}]
            numbers += [row["metrics"].get(name) or {} for name in names]
            flat = [[n.get(end) for end in ("mean", "low", "high")] for n in numbers]
            writer.writerow(
                [condition["key"], condition["metric"], row["loss"], row["among_best"]]
                + [len(row["failed"]), row["trials"], *flat[0], row["p_value"]]
                + [row["behind_at_most"]]
                + [value for ends in flat[1:] for value in ends]
            )
    return out.getvalue()


def _beside(
    plan: Plan, outcome: Outcome, results: Sequence[Result], language: Language
) -> dict[str, Any]:
    """What else the same trials say: by other metrics, and with other cuts."""
    level = goals.level_of(plan.work.settings.goal)
    own = by_metric.says(outcome, level)
    cut = decisions(plan.candidates, results, outcome.condition.key)
    said = [entry["says"] for entry in own] + ([cut["says"]] if cut and cut["says"] else [])
    back = recall.recalled(plan.look, outcome)
    said += [entry["says"] for entry in back]
    return {
        "remarks": said,
        "by_metric": by_metric.best(outcome),
        "is_metric": own,
        "recalled": back,
        "tuned": _tuned(plan, results, outcome.condition.key),
        "decisions": cut,
        "hard_rows": hard_rows(outcome, language),
    }


def _tuned(plan: Plan, results: Sequence[Result], condition: str) -> dict[str, Any]:
    """For each tuned loss the values that its parameters were given, fold by fold."""
    return {
        c.spec: {
            name: [r["parameters"][name] for r in own]
            for name in tuning.ranges(c)
            if (own := [r for r in results if r["condition"] == condition and r["loss"] == c.spec])
        }
        for c in plan.candidates
        if c.extra("tuned")
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    record = candidate.record
    axis = AXIS * (_REACH if candidate.task == "regression" else 1.0)
    curves = candidate.curve(axis)
    return {
        "spec": candidate.spec,
        "label": candidate.label,
        "phrase": candidate.phrase,
        "family": record.family if record else None,
        "probabilities": candidate.gives_probabilities,
        "about": record.doc.partition("\n\n")[0] if record else "A function of your own.",
        "extras": [EXTRAS[key] for key, _ in candidate.extras],
        "cite": record.cite if record else "",
        "start": candidate.start.phrase if candidate.start else None,
        "curve": None
        if curves is None
        else {
            "axis": "residual" if candidate.task == "regression" else "margin",
            "u": _short(axis),
            "value": _short(curves[0]),
            "pull": _short(curves[1]),
        },
    }


def _short(values: Any) -> list[float | None]:
    return [float(f"{v:.5g}") if np.isfinite(v) else None for v in values]


def _outcome(outcome: Outcome, language: Language) -> dict[str, Any]:
    words = {each: verdict(outcome, each) for each in LANGUAGES}
    return {
        "key": outcome.condition.key,
        "kind": outcome.condition.kind,
        "amount": outcome.condition.amount,
        "title": outcome.title,
        "metric": outcome.metric,
        "reason": outcome.reason,
        "best": list(outcome.best),
        "told": outcome.told,
        "verdict": words[language],
        "verdicts": words,
        "decision": asdict(decide(outcome)),
        "trainings": dict(outcome.trainings),
        "looks": [
            {
                "repeats": look.repeats,
                "share": look.share,
                "p_values": look.p,
                "inside": list(look.inside),
                "behind_at_most": look.bounds,
            }
            for look in outcome.race.looks
        ],
        "ended": outcome.race.why,
        "rows": [_row(row, outcome) for row in outcome.rows],
        "others": [asdict(other) for other in outcome.others],
    }


def _row(row: Row, outcome: Outcome) -> dict[str, Any]:
    return {
        "loss": row.candidate.spec,
        "among_best": row.candidate.spec in outcome.best,
        "trials": row.trials,
        "repeats": row.repeats,
        "failed": list(row.failed),
        "metrics": {name: _interval(value) for name, value in row.metrics.items()},
        "difference_from_baseline": _interval(row.difference),
        "worse_than_pick": _interval(row.lag),
        "p_value": row.p_value,
        "behind_at_most": row.bound,
        "learning_rates": dict(row.rates),
        "epoch": row.epoch,
    }


def _interval(value: Interval | None) -> dict[str, float | None] | None:
    if value is None:
        return None
    if isnan(value.half_width):
        return {"mean": value.mean, "low": None, "high": None}
    return {"mean": value.mean, "low": value.low, "high": value.high}
