"""Comparisons with real trainings whose answer is known: what the self-check repeats."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from lossmith.lab.compare import contest, jobs, plan, summary
from lossmith.lab.compare.conditions import CLEAN, Condition
from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.simulated import alarmed, shuffled
from lossmith.lab.compare.verdict import decide
from lossmith.lab.data.dataset import Dataset, fingerprint
from lossmith.lab.data.load import load

SCENES = {
    "noise": ("digits", Condition("label_noise", 0.4)),
    "outliers": ("diabetes", Condition("outliers", 0.1)),
    "imbalance": ("breast_cancer", Condition("imbalance", 100)),
}
RIGHT = {"noise": "generalized_cross_entropy"}  # what the scene is known to be decided for
FAR = 1_000_000  # between the seeds of a repetition and the seeds that are held out
SEEDS = 4
SHUFFLES = 10  # of each data set's trainings
METRICS = ("accuracy", "log_loss")


def fresh(number: int, rows: int = 300) -> Dataset:
    """One kind of data, drawn anew."""
    from sklearn.datasets import make_classification

    features, target = make_classification(
        rows, 12, n_informative=5, n_classes=2, flip_y=0.1, class_sep=0.7, random_state=number
    )
    source = features.astype(np.float32)
    made = fingerprint(source, target, ("a", "b"))
    return Dataset("fresh", "binary", target.astype(np.int64), ("a", "b"), (), source, made)


def lucky(number: int) -> dict[str, Any]:
    """What is said of one loss under four seeds, on fresh data; all of it would be wrong.

    `told`: whether a whole comparison put any out. `counted` and `ignored`: how often one look at
    a metric does, the seeds shuffled within each training, with trainings counted or taken for
    granted.
    """
    begin = time.perf_counter()
    losses = tuple(f"binary_cross_entropy:seed={place}" for place in range(1, SEEDS))
    settings = Settings(
        data="fresh", losses=losses, conditions=(CLEAN,), seed=number, epochs=6, hidden=16,
        repeats=2, learning_rates=(1e-2,), batch_size=32,
    )  # fmt: skip
    (outcome,) = compared(settings, fresh(number), 1)
    luck = np.random.default_rng(number)
    said: dict[str, list[bool]] = {"counted": [], "ignored": []}
    for metric in METRICS:
        table = outcome.race.evidence.table(outcome.race.finished, metric, 2)
        for _ in range(SHUFFLES):
            made = shuffled(table, luck)
            said["counted"].append(alarmed(made))
            said["ignored"].append(alarmed(made, trainings=False))
    return {
        "told": outcome.told or any(other.out for other in outcome.others),
        **{name: float(np.mean(each)) for name, each in said.items()},
        "seconds": round(time.perf_counter() - begin, 2),
    }


def repeated(scene: str, number: int, count: int, size: dict[str, int]) -> dict[str, Any]:
    """The verdict of a scene with some seeds, and the winner with others."""
    begin = time.perf_counter()
    name, condition = SCENES[scene]
    found = []
    for seed in (1000 * number, FAR + 1000 * number):
        settings = Settings(data=name, conditions=(condition,), seed=seed, **size)  # type: ignore[arg-type]
        (outcome,) = compared(settings, load(name), count)
        found.append(outcome)
    winner = found[1].best[0]
    decision = decide(found[0])
    return {
        "winner": winner,
        "best": list(found[0].best),
        "contained": winner in found[0].best,
        "kind": decision.kind,
        "decided": decision.kind in ("one", "switch")
        and (decision.pick or "").partition(":")[0] == RIGHT.get(scene),
        "metric": found[0].metric,
        "trainings": dict(found[0].trainings),
        "seconds": round(time.perf_counter() - begin, 1),
    }


def compared(settings: Settings, data: Dataset, count: int) -> list[summary.Outcome]:
    """A comparison without files."""
    made = plan.resolve(settings, data)
    with jobs.workers(made.work, data, count) as run:
        races = contest.run(made, {}, run)
    return summary.summarize(made, races)
