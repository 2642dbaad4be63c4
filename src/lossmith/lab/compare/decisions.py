"""Whether losses differ, or only where they cut: as trained, and with each loss's own best cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lossmith.lab.compare.candidates import Candidate
from lossmith.lab.compare.cuts import PROBABILITIES
from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.words import joined

Result = Mapping[str, Any]
MARGIN = 0.01  # differences below a point are none to act on
CLEAR = 0.02  # as trained, from here on a loss is behind
CLOSED = 1 / 3  # of the difference as trained may be left
ALIKE = 0.02  # AUCs so close order the rows alike


def decisions(
    candidates: Sequence[Candidate], results: Sequence[Result], condition: str
) -> dict[str, Any] | None:
    """For each loss that finished, its means as trained and with its cut; and what that says."""
    own = {c.spec: _done(c, results, condition) for c in candidates}
    finished = [found for found in own.values() if found]
    if not finished:
        return None
    # A loss that was put out early has fewer repeats: all are held side by side over those it has.
    shared = min(max(r["repeat"] for r in found) for found in finished)
    rows = [
        _row(spec, [r for r in found if r["repeat"] <= shared])
        for spec, found in own.items()
        if found
    ]
    metric = rows[0]["metric"]
    closed = _closed(rows)
    names = {c.spec: c.phrase for c in candidates}
    return {
        "metric": metric,
        "rows": rows,
        "closed": closed,
        "says": _says(rows, closed, metric, names),
    }


def _done(candidate: Candidate, results: Sequence[Result], condition: str) -> list[Result]:
    """The trials of a loss; none if any failed, or if there are no classes to decide on."""
    own = [r for r in results if r["condition"] == condition and r["loss"] == candidate.spec]
    return [] if any(r["status"] != "done" or "cut" not in r for r in own) else own


def _row(spec: str, own: Sequence[Result]) -> dict[str, Any]:
    metric = own[0]["cut"]["metric"]
    return {
        "loss": spec,
        "metric": metric,
        "as_trained": _mean([r["cut"]["as_trained"][metric] for r in own]),
        "with_cut": _mean([r["cut"]["with_cut"][metric] for r in own]),
        "auc": _mean([r["metrics"]["auc"] for r in own]),
        "average_precision": _mean([r["metrics"]["average_precision"] for r in own]),
        "temperature": float(np.exp(np.mean([np.log(r["temperature"]["value"]) for r in own]))),
        **{name: _mean([r["metrics"][name] for r in own]) for name in PROBABILITIES},
        **{
            f"{name}_tempered": _mean([r["temperature"]["metrics"][name] for r in own])
            for name in PROBABILITIES
        },
    }


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if len(there) == len(values) else None


def _closed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The losses whose difference from the best is gone once each has its cut."""
    judged = [row for row in rows if row["as_trained"] is not None and row["with_cut"] is not None]
    if len(judged) < 2:
        return None
    trained = {row["loss"]: row["as_trained"] for row in judged}
    cut = {row["loss"]: row["with_cut"] for row in judged}
    behind = {loss: max(trained.values()) - value for loss, value in trained.items()}
    left = {loss: max(cut.values()) - value for loss, value in cut.items()}
    losses = [
        loss
        for loss in trained
        if behind[loss] >= CLEAR and left[loss] <= max(MARGIN, CLOSED * behind[loss])
    ]
    if not losses:
        return None
    near = {*losses, max(cut, key=lambda loss: cut[loss])}
    ranked = [row["auc"] for row in judged if row["auc"] is not None and row["loss"] in near]
    return {
        "losses": losses,
        "all": all(loss in losses for loss, gap in behind.items() if gap >= CLEAR),
        "largest_as_trained": max(behind[loss] for loss in losses),
        "largest_with_cut": max(left[loss] for loss in losses),
        "auc": [min(ranked), max(ranked)] if ranked else None,
    }


def _says(
    rows: Sequence[Mapping[str, Any]],
    closed: Mapping[str, Any] | None,
    metric: str,
    names: Mapping[str, str],
) -> str | None:
    if closed is None:
        return None
    label = METRICS[metric].label
    before, after = 100 * closed["largest_as_trained"], 100 * closed["largest_with_cut"]
    gap = (
        f"at most {after:.1f} points of {label} apart from the best, and up to {before:.1f} before"
    )
    if closed["all"]:
        said = f"Once each loss has its own cut, the losses are {gap}: what differed is the cut."
    else:
        who = joined([names[loss] for loss in closed["losses"]])
        said = f"With its own cut each, {who} come close, {gap}: what they lacked is a cut."
    low, high = closed["auc"] or (0.0, 1.0)
    if high - low <= ALIKE:
        said += (
            f" They order the rows alike (AUC {100 * low:.1f} to {100 * high:.1f}): set the cut "
            "for your costs, and the loss hardly matters."
        )
    return said
