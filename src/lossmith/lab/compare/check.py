"""`lossmith compare-check`: does the comparison say true things? In pieces or whole."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from lossmith.lab.compare import jobs, plan, summary
from lossmith.lab.compare.conditions import CLEAN, Condition
from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.statistics import LEVEL, all_pairs
from lossmith.lab.data.dataset import Dataset, fingerprint
from lossmith.lab.data.load import load
from lossmith.lab.output import write
from lossmith.lab.processes import need_processes

SCENES = {
    "noise": ("digits", Condition("label_noise", 0.4)),
    "outliers": ("diabetes", Condition("outliers", 0.1)),
    "imbalance": ("breast_cancer", Condition("imbalance", 100)),
}
FAR = 1_000_000  # between the seeds of a repetition and the seeds that are held out
FOLDS, REPEATS = 5, 2


def simulated(
    times: int, losses: int = 5, seed: int = 0, overlap: float = 1 / (FOLDS - 1)
) -> float:
    """How often equal losses are not all among the best, over simulated comparisons.

    A score of a fold is a share of the fold (the same for every loss), a share of the loss in
    this data set with the variance that Nadeau & Bengio's correction assumes between two folds,
    ρ = n_test/(n_test + n_train) = 1/folds, and luck.
    """
    luck = np.random.default_rng(seed)
    correlation = 1 / FOLDS
    wrong = 0
    gc.freeze()  # statsmodels collects garbage at every call; there is little to look at now
    for _ in range(times):
        fold = luck.normal(0, 2, (1, FOLDS * REPEATS))
        own = luck.normal(0, correlation**0.5, (losses, 1))
        rest = luck.normal(0, (1 - correlation) ** 0.5, (losses, FOLDS * REPEATS))
        drawn = 0.9 + 0.01 * (fold + own + rest)
        values = {str(place): scores.tolist() for place, scores in enumerate(drawn)}
        pairs = all_pairs(values, overlap)
        wrong += min(pairs.values()) <= 1 - LEVEL
    gc.unfreeze()
    return wrong / times


def lucky(repetition: int) -> bool:
    """Whether one loss under four seeds was called different from itself, on fresh data."""
    from sklearn.datasets import make_classification

    features, target = make_classification(
        300, 12, n_informative=5, n_classes=2, flip_y=0.1, class_sep=0.7, random_state=repetition
    )
    source = features.astype(np.float32)
    made = fingerprint(source, target, ("a", "b"))
    data = Dataset("fresh", "binary", target.astype(np.int64), ("a", "b"), (), source, made)
    losses = tuple(f"binary_cross_entropy:seed={place}" for place in (1, 2, 3))
    settings = Settings(
        data="fresh", losses=losses, conditions=(CLEAN,), seed=repetition, epochs=6,
        hidden=16, folds=FOLDS, repeats=REPEATS, learning_rates=(1e-2,), batch_size=32,
    )  # fmt: skip
    (outcome,) = _compared(settings, data, 1)
    return min(outcome.pairs.values()) <= 1 - LEVEL


def contained(scene: str, repetition: int, count: int, size: dict[str, int]) -> dict[str, Any]:
    """The set of best losses of some seeds, and the winner with others."""
    name, condition = SCENES[scene]
    found = []
    for seed in (1000 * repetition, FAR + 1000 * repetition):
        settings = Settings(data=name, conditions=(condition,), seed=seed, **size)  # type: ignore[arg-type]
        (outcome,) = _compared(settings, load(name), count)
        found.append(outcome)
    winner = found[1].best[0]
    means = {row.candidate.spec: _mean(found[0], row) for row in found[0].rows}
    held = {row.candidate.spec: _mean(found[1], row) for row in found[1].rows}
    return {
        "winner": winner,
        "best": list(found[0].best),
        "contained": winner in found[0].best,
        "metric": found[0].metric,
        "means": means,
        "held_out_means": held,
    }


def _mean(outcome: summary.Outcome, row: summary.Row) -> float | None:
    value = outcome.value(row)
    return None if value is None else value.mean


def _compared(settings: Settings, data: Dataset, count: int) -> list[summary.Outcome]:
    made = plan.resolve(settings, data)
    results = [result for _, result in jobs.results(made.work, data, made.trials, count)]
    return summary.summarize(made, results)


@click.command()
@click.option(
    "--only",
    type=click.Choice(["level", "luck", *SCENES]),
    multiple=True,
    help="Which checks; all of them if none is named.",
)
@click.option("--times", default=2000, help="Simulated comparisons of `level`.", show_default=True)
@click.option("--fresh-data", default=200, help="Comparisons of `luck`.", show_default=True)
@click.option("--repetitions", default=10, help="Of each scene.", show_default=True)
@click.option("--repeats", default=REPEATS, help="Repeats of a comparison.", show_default=True)
@click.option("--epochs", default=Settings.epochs, show_default=True)
@click.option("--jobs", "count", default=2, help="Processes.", show_default=True)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out/compare-check"),
    help="Where finished repetitions are kept; they are not run again.",
    show_default=True,
)
def check(
    only: tuple[str, ...], times: int, fresh_data: int, repetitions: int, repeats: int,
    epochs: int, count: int, output: Path,
) -> None:  # fmt: skip
    """Repeat comparisons whose answer is known, and count the wrong ones.

    level: equal losses, simulated with the dependence that shared training rows give; counted is
    how often any two are called different. luck: the same count over real trainings of one loss
    under four seeds, on fresh data each time. noise, outliers, imbalance: how often the set of
    best losses holds the loss that is best with other seeds.

    A repetition that is finished is kept and not run again. Exit code 1 if more than the level
    allows are called different, or if the set misses the winner more than once in ten times.

    \b
    Examples:
      lossmith compare-check
      lossmith compare-check --only level --times 10000
      lossmith compare-check --only noise --only outliers
    """  # noqa: D301 - click's own mark
    need_processes("--jobs", count)
    chosen = only or ("level", "luck", *SCENES)
    failed = False
    if "level" in chosen:
        rate = simulated(times)
        error = (rate * (1 - rate) / times) ** 0.5
        failed |= rate > 1 - LEVEL + 3 * ((1 - LEVEL) * LEVEL / times) ** 0.5
        click.echo(
            f"level: equal losses were called different in {100 * rate:.1f} ± {100 * error:.1f} % "
            f"of {times} simulated comparisons; {100 * (1 - LEVEL):g} % are allowed"
        )
    if "luck" in chosen:
        answers = _kept(output / "luck", fresh_data, lambda at: {"different": lucky(at)})
        wrong = sum(bool(answer["different"]) for answer in answers)
        failed |= wrong > fresh_data * (1 - LEVEL) + 3 * (fresh_data * (1 - LEVEL) * LEVEL) ** 0.5
        click.echo(
            f"luck: one loss under four seeds was called different in {wrong} of {fresh_data} "
            f"comparisons of real trainings; {100 * (1 - LEVEL):g} % are allowed"
        )
    size = {"repeats": repeats, "epochs": epochs}
    for scene in [name for name in SCENES if name in chosen]:
        name = "-".join([scene, f"repeats{repeats}", f"epochs{epochs}"])
        right = 0
        for at, answer in enumerate(
            _kept(output / name, repetitions, lambda at, s=scene: contained(s, at, count, size))  # type: ignore[misc]
        ):
            right += answer["contained"]
            click.echo(
                f"{scene} {at}: held-out winner {answer['winner']}, "
                f"{'in' if answer['contained'] else 'NOT in'} the set {', '.join(answer['best'])} "
                f"({answer['seconds']:.0f} s)"
            )
        failed |= right < 0.9 * repetitions
        click.echo(f"{scene}: the set held the winner in {right} of {repetitions} repetitions")
    if failed:
        raise SystemExit(1)


def _kept(folder: Path, times: int, answer: Callable[[int], dict[str, Any]]) -> Iterator[Any]:
    """The answers, each from the disk where it is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    for at in range(times):
        path = folder / f"{at}.json"
        if not path.exists():
            begin = time.perf_counter()
            made = answer(at)
            made["seconds"] = round(time.perf_counter() - begin, 1)
            write(path, json.dumps(made), sync=True)
        yield json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    check()
