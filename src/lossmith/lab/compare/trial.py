"""One trial: one loss on one fold of one repeat under one condition, tuned and judged."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lossmith.lab.compare import cuts, folds, goals, kept, models, owned
from lossmith.lab.compare.candidates import Candidate, parse
from lossmith.lab.compare.conditions import Condition
from lossmith.lab.compare.folds import Place, Rowset
from lossmith.lab.compare.metrics import calibration, judge
from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.train import Budget, Fit, features_of, fit, one_thread, scores_of
from lossmith.lab.compare.tuning import Choice, Study
from lossmith.lab.data.dataset import Dataset

EMBEDDED = 400  # rows of the pictures of the features and of the residuals
QUANTILES = tuple(np.linspace(0, 1, 41).tolist())  # of the residuals, for their picture


@dataclass(frozen=True)
class Work:
    """What every trial of a comparison shares; it travels to the workers."""

    settings: Settings  # nothing left open
    task: str
    own: str | None = None  # the text of the person's file of losses
    metrics: tuple[tuple[str, str], ...] = ()  # condition key → the metric that decides there

    def candidates(self) -> list[Candidate]:
        """The losses, read again: formulas and kernels do not travel."""
        mine = None
        if self.own is not None and self.settings.losses_from is not None:
            mine = owned.losses(self.own, self.settings.losses_from)
        goal = self.settings.goal
        first = None if goal is None else goals.read(goal).baseline(self.task)
        return parse(self.settings.losses, self.task, mine, first)


@dataclass(frozen=True)
class Trial:
    """Which one."""

    condition: Condition
    loss: str
    place: int  # of the loss among the candidates
    repeat: int
    fold: int

    @property
    def key(self) -> str:
        """Its name on the disk."""
        return f"{self.condition.key}-r{self.repeat}-f{self.fold}-l{self.place}"


def run(work: Work, dataset: Dataset, trial: Trial) -> dict[str, Any]:
    """Tune, train and judge; whatever goes wrong inside the loss is a result that says so."""
    begin = time.perf_counter()
    candidate = next(c for c in work.candidates() if c.spec == trial.loss)
    result: dict[str, Any] = {
        "condition": trial.condition.key,
        "loss": trial.loss,
        "repeat": trial.repeat,
        "fold": trial.fold,
        "status": "done",
        "why": "",
    }
    with one_thread(), torch.random.fork_rng(devices=[]):
        fits = _tuned(work, dataset, trial, candidate)
    best = _best(fits)
    chosen = fits[best]
    result |= {
        "learning_rate": best.rate,
        "parameters": dict(best.parameters),
        "tuning": [
            {
                "rate": c.rate,
                "parameters": dict(c.parameters),
                "score": _mean([f.score for f in own]),
            }
            for c, own in fits.items()
        ],
        "epoch": chosen[0].epoch,
    }
    if _mean([f.score for f in chosen]) is None:
        why = next(f.why for f in chosen if f.score is None)
        result |= {"status": "diverged", "why": why}
    else:
        rows = folds.rowset(
            dataset, work.settings, Place(trial.condition, trial.repeat, trial.fold)
        )
        with one_thread():
            wanted = kept.chosen(dataset).place
            result |= _judged(work, chosen[0], rows, candidate, trial, wanted)
    result["seconds"] = time.perf_counter() - begin
    return result


def _tuned(
    work: Work, dataset: Dataset, trial: Trial, candidate: Candidate
) -> dict[Choice, list[Fit]]:
    """Train each choice on each inner split, the first split last.

    The same first weights and the same batches for every loss and every choice.
    """
    settings = work.settings
    groups = tuple(reversed(range(settings.inner_folds)))
    if not settings.tune:
        own = [Choice(rate, candidate.parameters) for rate in settings.learning_rates]
        fits: dict[Choice, list[Fit]] = {choice: [] for choice in own}
        for group in groups:
            for choice in own:
                fits[choice].insert(0, _fit(work, dataset, trial, candidate, choice, group))
        return fits
    fits = {}
    luck = (settings.seed, trial.repeat, trial.fold, 9)
    study = Study(candidate, settings.learning_rates, settings.tune, luck)
    while (asked := study.ask()) is not None:
        made = [_fit(work, dataset, trial, candidate, asked, group) for group in groups]
        fits[asked] = made[::-1]
        study.tell(_mean([fit.score for fit in made]))
    return fits


def _fit(
    work: Work, dataset: Dataset, trial: Trial, candidate: Candidate, choice: Choice, group: int
) -> Fit:
    """One training."""
    settings = work.settings
    metric = dict(work.metrics)[trial.condition.key]
    outputs = len(dataset.classes) if dataset.task == "classification" else 1
    rows = folds.rowset(dataset, settings, Place(trial.condition, trial.repeat, trial.fold, group))
    shape = tuple(rows.rows.shape[1:])
    features = models.hidden_features(settings.model, shape, outputs, settings.hidden)
    parts = rows.judged_for(candidate.gives_probabilities)
    size = folds.batch_size(settings, len(rows.rows))
    budget = Budget(settings.epochs, settings.patience, size)
    luck = [settings.seed, trial.repeat, trial.fold, group, int(candidate.extra("seed"))]
    weights, batches = np.random.SeedSequence(luck).generate_state(2)
    torch.manual_seed(int(weights))
    net = models.build(settings.model, shape, outputs, settings.hidden)
    wanted = (len(dataset.classes), features, rows.class_weight, rows.residual_unit)
    criterion = candidate.at(dict(choice.parameters)).build(*wanted)
    start = candidate.start.build(*wanted) if candidate.start else None
    order = torch.Generator().manual_seed(int(batches))
    try:
        return fit(
            *(net, criterion, rows.rows, rows.target, parts, choice.rate, budget, metric, order),
            start,
        )
    except Exception as error:
        if candidate.record is not None:
            raise
        return Fit(net, None, 0, {}, f"{type(error).__name__}: {error}")  # a person's own


def _best(fits: dict[Choice, list[Fit]]) -> Choice:
    """The best mean validation score; of equals the steadier, then the smaller learning rate."""

    def rank(choice: Choice) -> tuple[float, float, float]:
        scores, steady = zip(*(f.rank for f in fits[choice]), strict=True)
        return float(np.mean(scores)), float(np.mean(steady)), -choice.rate

    return max(fits, key=rank)


def _mean(scores: Sequence[float | None]) -> float | None:
    there = [score for score in scores if score is not None]
    return float(np.mean(there)) if len(there) == len(scores) else None


def _judged(
    work: Work,
    chosen: Fit,
    rows: Rowset,
    candidate: Candidate,
    trial: Trial,
    wanted: NDArray[np.int64],
) -> dict[str, Any]:
    scores = scores_of(chosen.net, rows.test) * rows.unit + rows.origin
    if not np.isfinite(scores).all():
        return {"status": "diverged", "why": "the score of a test row is not finite"}
    task = candidate.task
    template = rows.judged_for(candidate.gives_probabilities)["test"].template
    judged = replace(template, scores=scores, target=rows.truth)
    also: dict[str, Any] = {}
    if task != "regression":
        metric = dict(work.metrics)[trial.condition.key]
        also = cuts.judge(rows.parts["validation"].judged(chosen.net), judged, metric)
        if also["cut"]["decides"]:
            judged = replace(judged, shift=np.asarray(also["cut"]["shift"]))
    curves = {
        name: [round(value * rows.unit, 6) for value in values]
        for name, values in chosen.curves.items()
    }
    some = np.isin(rows.place, wanted)
    few = replace(judged, scores=scores[some], target=rows.truth[some])
    found: dict[str, Any] = {
        "metrics": judge(judged),
        "curves": curves,
        **also,
        "rows": {"place": rows.place[some].astype(np.int32), **kept.facts(few)},
    }
    if task == "regression":
        residuals = np.quantile(scores - judged.target, QUANTILES)
        found["residuals"] = [float(f"{value:.6g}") for value in residuals]
        if trial.repeat == trial.fold == 0:
            pairs = zip(scores[:EMBEDDED], judged.target[:EMBEDDED], strict=True)
            found["shown"] = [[float(f"{value:.4g}") for value in pair] for pair in pairs]
        return found
    found["confusion"] = judged.confusion.tolist()
    if judged.probabilities:
        found["calibration"] = calibration(judged)
    if trial.repeat == trial.fold == 0:
        found["embedding"] = _embedding(chosen, rows)
    return found


def _embedding(chosen: Fit, rows: Rowset) -> dict[str, Any]:
    """The features of some test rows along their two widest directions, with their classes."""
    some = rows.test[:EMBEDDED]
    features = features_of(chosen.net, some)
    centred = features - features.mean(0)
    _, widths, directions = np.linalg.svd(centred, full_matrices=False)
    if len(widths) < 2:
        return {}
    # A direction has no sign of its own: the largest part points up.
    axes = (
        directions[:2] * np.sign(directions[:2][[0, 1], np.abs(directions[:2]).argmax(1)])[:, None]
    )
    points = centred @ axes.T
    return {
        "points": [[float(f"{x:.4g}"), float(f"{y:.4g}")] for x, y in points],
        "classes": rows.truth[:EMBEDDED].tolist(),
        "share": float((widths[:2] ** 2).sum() / max((widths**2).sum(), 1e-300)),
    }
