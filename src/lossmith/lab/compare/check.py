"""`lossmith compare-check`: does the comparison say true things? In pieces or whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from lossmith.lab.compare import trained
from lossmith.lab.compare.race import ALPHA
from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.simulated import (
    BETTER,
    REGIMES,
    Regime,
    alarmed,
    bounds_hold,
    by_bootstrap,
    drawn,
    errors,
    race_alarmed,
    raced,
)
from lossmith.lab.compare.statistics import Table, estimate, model_confidence_set
from lossmith.lab.output import write
from lossmith.lab.processes import need_processes

PARTS = ("level", "race", "bound", "power", "oracle", "luck", *trained.SCENES)
BLIND = 0.15  # a test that takes trainings for granted has to be caught this often at least
POWER = 0.8
SHIFTS = (-0.1, -0.05, 0.0, 0.0, 0.05, 0.1)


@dataclass(frozen=True)
class Amount:
    """How much is tried."""

    times: int = 600
    fresh: int = 100
    repetitions: int = 10


QUICK = Amount(times=40, fresh=6, repetitions=0)
# What a check found, in a sentence, and whether that is as it should be.
Finding = tuple[str, bool]


def most(alpha: float, times: int) -> float:
    """The share that chance alone explains where `alpha` is true: three standard errors more."""
    return float(alpha + 3 * (alpha * (1 - alpha) / max(times, 1)) ** 0.5)


def level(amount: Amount, counted: bool) -> Iterator[Finding]:
    """Equal losses, in every regime of luck."""
    for name, regime in REGIMES.items():
        luck = np.random.default_rng(0)
        made = [errors(drawn(luck, regime)) for _ in range(amount.times)]
        rate = float(np.mean([alarmed(each, trainings=counted) for each in made]))
        yield _allowed(f"level, {name}: a loss of six equal ones was put out", rate, amount.times)
        if name.startswith("trainings alone"):
            blind = float(np.mean([alarmed(each, trainings=False) for each in made]))
            yield _blind(f"level, {name}", blind)


def race(amount: Amount, counted: bool) -> Iterator[Finding]:
    """Whole races of equal losses: every look, and three other metrics."""
    times = max(amount.times // 4, 20)
    for name in ("trainings alone", "rows alone", "both"):
        luck, regime = np.random.default_rng(1), replace(REGIMES[name], repeats=10)
        rate = np.mean([race_alarmed(drawn(luck, regime), counted) for _ in range(times)])
        yield _allowed(f"race, {name}: a loss of six equal ones was put out", float(rate), times)


def bound(amount: Amount, counted: bool) -> Iterator[Finding]:
    """Whether what a loss may be behind is true, for all losses at once."""
    for name in ("trainings alone", "both", "both, 178 rows"):
        luck, regime = np.random.default_rng(2), REGIMES[name]
        truth = regime.truth(SHIFTS)
        held = [
            bounds_hold(drawn(luck, regime, SHIFTS), truth, counted) for _ in range(amount.times)
        ]
        rate = 1 - float(np.mean(held))
        yield _allowed(f"bound, {name}: one of six was further behind", rate, amount.times)


def power(amount: Amount, counted: bool) -> Iterator[Finding]:
    """A test that never says anything fails here."""
    times = max(amount.times // 10, 10)
    luck, regime = np.random.default_rng(3), Regime(1800, 10, 0.4, 0.15)
    ends = [raced(errors(drawn(luck, regime, BETTER)), trainings=counted) for _ in range(times)]
    rate = float(np.mean([end[-1].inside == ("0",) for end in ends]))
    yield (
        f"power: one loss that is 4 points better was found alone in {100 * rate:.0f} % of {times} "
        f"races; at least {100 * POWER:.0f} % are wanted",
        rate >= POWER,
    )


def oracle(amount: Amount, counted: bool) -> Iterator[Finding]:
    """Over rows alone, the set's p-values against rows drawn anew."""
    times = max(amount.times // 30, 5)
    luck, regime, far = np.random.default_rng(4), Regime(600, 1, 0.4, 0.0), 0.0
    for _ in range(times):
        made = errors(drawn(luck, regime, SHIFTS))
        own = model_confidence_set(estimate(Table(made.z, made.fold), trainings=False))
        far = max(far, float(np.abs(own - by_bootstrap(made.z[0])).max()))
    yield (
        f"oracle: p-values differ from those of {times} bootstraps over rows by {far:.3f} at most; "
        "0.04 is allowed",
        far <= 0.04,
    )


def luck(amount: Amount, counted: bool, output: Path) -> Iterator[Finding]:
    """One loss under four seeds, over real trainings on fresh data."""
    answers = list(_kept(output / "luck", amount.fresh, trained.lucky))
    told = float(np.mean([answer["told"] for answer in answers]))
    shuffled = {
        name: float(np.mean([answer[name] for answer in answers]))
        for name in ("counted", "ignored")
    }
    if counted:
        yield _allowed("luck: a whole comparison told seeds apart", told, amount.fresh)
    rate = shuffled["counted" if counted else "ignored"]
    yield _allowed("luck: a look at shuffled seeds told them apart", rate, amount.fresh)
    yield _blind("luck", shuffled["ignored"])


def scene(
    name: str, amount: Amount, count: int, size: dict[str, int], output: Path
) -> Iterator[Finding]:
    """The winner with other seeds has to be in the set; where it is known, decided for it."""
    folder = output / "-".join([name, *(f"{key}{value}" for key, value in size.items())])
    right = decided = 0
    for at, answer in enumerate(
        _kept(folder, amount.repetitions, lambda at: trained.repeated(name, at, count, size))
    ):
        right += answer["contained"]
        decided += answer["decided"]
        click.echo(
            f"{name} {at}: {answer['kind']}, held-out winner {answer['winner']} "
            f"{'in' if answer['contained'] else 'NOT in'} the set {', '.join(answer['best'])}; "
            f"{answer['trainings']['used']} of {answer['trainings']['most']} trainings, "
            f"{answer['seconds']:.0f} s"
        )
    times = amount.repetitions
    yield f"{name}: the set held the winner in {right} of {times} runs", right >= 0.9 * times
    if name in trained.RIGHT:
        what = f"{name}: decided for {trained.RIGHT[name]} in {decided} of {times} runs"
        yield what, decided >= POWER * times


@click.command()
@click.option(
    "--only",
    type=click.Choice(PARTS),
    multiple=True,
    help="Which checks; all of them if none is named.",
)
@click.option("--quick", is_flag=True, help="Few draws, and no scenes: some twenty seconds.")
@click.option("--times", default=Amount.times, help="Simulated comparisons.", show_default=True)
@click.option(
    "--fresh-data", default=Amount.fresh, help="Comparisons of `luck`.", show_default=True
)
@click.option("--repetitions", default=Amount.repetitions, help="Of a scene.", show_default=True)
@click.option(
    "--repeats", default=Settings.repeats, help="Most repeats of a scene.", show_default=True
)
@click.option("--epochs", default=Settings.epochs, show_default=True)
@click.option("--jobs", "count", default=2, help="Processes.", show_default=True)
@click.option(
    "--ignore-trainings",
    is_flag=True,
    help="Check a test that counts rows alone instead. It is broken, so this has to fail.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out/compare-check"),
    help="Where finished repetitions are kept; they are not run again.",
    show_default=True,
)
def check(
    only: tuple[str, ...], quick: bool, times: int, fresh_data: int, repetitions: int,
    repeats: int, epochs: int, count: int, ignore_trainings: bool, output: Path,
) -> None:  # fmt: skip
    """Repeat comparisons whose answer is known, and count the wrong ones.

    level: equal losses, simulated in seven regimes of luck; none may be put out in more than 5 %.
    race: the same for whole races with other metrics. bound: how often a loss is further behind
    than was said. power: how often a better loss is found. oracle: p-values against a bootstrap.
    luck: one loss under four seeds, over real trainings on fresh data. noise, outliers, imbalance:
    whether the set holds the loss that is best with other seeds, and noise is decided.

    Level and luck also count what a test would say that takes trainings for granted; where that
    were not caught, the check would check nothing, and fails. A repetition that is finished is
    kept and not run again. Exit code 1 if anything is not as it should be.

    \b
    Examples:
      lossmith compare-check --quick
      lossmith compare-check --only level --times 10000
      lossmith compare-check --only noise --only outliers
    """  # noqa: D301 - click's own mark
    need_processes("--jobs", count)
    amount = QUICK if quick else Amount(times, fresh_data, repetitions)
    size = {"repeats": repeats, "epochs": epochs}
    parts: dict[str, Callable[[], Iterator[Finding]]] = {
        "level": lambda: level(amount, not ignore_trainings),
        "race": lambda: race(amount, not ignore_trainings),
        "bound": lambda: bound(amount, not ignore_trainings),
        "power": lambda: power(amount, not ignore_trainings),
        "oracle": lambda: oracle(amount, not ignore_trainings),
        "luck": lambda: luck(amount, not ignore_trainings, output),
    }
    if amount.repetitions:
        parts |= {
            name: lambda name=name: scene(name, amount, count, size, output)  # type: ignore[misc]
            for name in trained.SCENES
        }
    failed = False
    for name in [name for name in parts if not only or name in only]:
        for sentence, good in parts[name]():
            failed |= not good
            click.echo(sentence if good else f"{sentence}: WRONG")
    if failed:
        raise SystemExit(1)


def _allowed(what: str, rate: float, times: int) -> Finding:
    error = (rate * (1 - rate) / max(times, 1)) ** 0.5
    allowed = most(ALPHA, times)
    return (
        f"{what} in {100 * rate:.1f} ± {100 * error:.1f} % of {times}; {100 * ALPHA:g} % are "
        f"allowed, and by chance {100 * allowed:.1f} %",
        rate <= allowed,
    )


def _blind(where: str, rate: float) -> Finding:
    return (
        f"{where}: a test that ignores training luck would be wrong in {100 * rate:.0f} %; the "
        f"check finds that from {100 * BLIND:.0f} % on",
        rate >= BLIND,
    )


def _kept(
    folder: Path, times: int, answer: Callable[[int], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The answers, each from the disk where it is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    for at in range(times):
        path = folder / f"{at}.json"
        if not path.exists():
            write(path, json.dumps(answer(at)), sync=True)
        yield json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    check()
