"""Comparisons with made-up trials, so that a test can choose how they come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lossmith.lab.compare import contest, folds, summary
from lossmith.lab.compare.candidates import parse
from lossmith.lab.compare.conditions import CLEAN
from lossmith.lab.compare.plan import Plan
from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.trial import Trial, Work
from lossmith.lab.data.dataset import Dataset

BAD = "diverges"


Result = dict[str, Any]


def made(losses: Mapping[str, float | str], **how: Any) -> summary.Outcome:
    """The outcome of what `planned` makes."""
    plan, result = planned(losses, **how)
    races = contest.run(plan, {}, lambda wanted: ((trial, result(trial)) for trial in wanted))
    return summary.summarize(plan, races)[0]


def planned(
    losses: Mapping[str, float | str],
    *,
    rows: int = 1000,
    sure: Mapping[str, float] | None = None,
    training: float = 0.01,
    noise: float = 0.1,
    metric: str = "accuracy",
    seed: int = 0,
    **settings: Any,
) -> tuple[Plan, Callable[[Trial], Result]]:
    """A plan, and results in which each loss errs on its share of the rows, or by so much.

    `sure`: the probability that a loss gives the truth where it is right; `training`: the spread of
    the shares between trainings; `noise`: how differently the losses see a row.
    """
    task = "regression" if metric in ("mae", "rmse") else "classification"
    luck = np.random.default_rng(seed)
    target = luck.normal(0, 1, rows) if task == "regression" else np.arange(rows) % 4
    classes = () if task == "regression" else ("a", "b", "c", "d")
    data = Dataset("made", task, target, classes, (), np.zeros((rows, 1), np.float32), "made")
    candidates = parse(list(losses), task)
    specs = tuple(candidate.spec for candidate in candidates)
    full = Settings(losses=specs, conditions=(CLEAN,), **settings)
    plan = Plan(Work(full, task, None, (("clean", metric),)), data, candidates, {"clean": "so"})
    hard = luck.random(rows)
    given = {c.spec: losses.get(c.name, losses.get(c.spec)) for c in candidates}
    chance = {c.spec: (sure or {}).get(c.name, 0.9) for c in candidates}

    def result(trial: Trial) -> Result:
        own = np.random.default_rng([seed, trial.place, trial.repeat, trial.fold])
        _, place = folds.outer(data, full, trial.repeat, trial.fold)
        base: Result = {
            "condition": "clean", "loss": trial.loss, "repeat": trial.repeat, "fold": trial.fold,
            "status": "done", "why": "", "learning_rate": 0.01, "epoch": 3, "metrics": {},
        }  # fmt: skip
        level = given[trial.loss]
        if isinstance(level, str) or level is None:
            return base | {"status": "diverged", "why": "not finite in epoch 1"}
        share = level + training * own.standard_normal()
        if task == "regression":
            error = share * (1 + noise * own.standard_normal(len(place))) * (0.5 + hard[place])
            return base | {"rows": {"place": place, "error": error.astype(np.float32)}}
        wrong = (hard[place] + noise * (own.random(len(place)) - 0.5)) % 1 < share
        said = (target[place] + wrong) % 4
        p = np.where(wrong, 1 - chance[trial.loss], chance[trial.loss]).astype(np.float32)
        kept = {"place": place, "said": said}
        if next(c for c in candidates if c.spec == trial.loss).gives_probabilities:
            top = np.maximum(p, 1 - p)
            kept |= {"surprise": -np.log(p), "top": top, "brier": 2 * (1 - p) ** 2}
        return base | {"rows": kept}

    return plan, result
