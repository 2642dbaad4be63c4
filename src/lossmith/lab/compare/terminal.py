"""What a person sees while the trials go on, and the tables at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import nan

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from lossmith.lab.compare.contest import Race
from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.sentences import verdict
from lossmith.lab.compare.settings import Language, Settings
from lossmith.lab.compare.statistics import Interval
from lossmith.lab.compare.summary import Outcome, Row
from lossmith.lab.compare.trial import Trial
from lossmith.lab.compare.words import NONE, estimand, scaled

PIPED_WIDTH = 110  # of a table that goes into a file or another program
PARTS = 10  # plain lines of progress where there is no terminal
# Beside the metric that decides, as far as the width allows.
BESIDE = {
    "classification": ("accuracy", "macro_f1", "worst_recall", "log_loss"),
    "binary": ("accuracy", "rare_recall", "auc", "log_loss"),
    "regression": ("mae", "rmse", "median_error", "p95_error"),
}

# Called after each trial with the trial.
Watch = Callable[[Trial], None]


@contextmanager
def watching(console: Console, total: int) -> Iterator[Watch]:
    """Up to the next look: a bar in a terminal, elsewhere a plain line now and then.

    Both tell the time left.
    """
    if not console.is_terminal:
        yield _plain(console, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trials,"),
        TimeRemainingColumn(compact=True),
        TextColumn("to go"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=total)

        def watch(last: Trial) -> None:
            progress.update(task, advance=1, description=_where(last))

        yield watch


def _plain(console: Console, total: int) -> Watch:
    begin = time.monotonic()
    console.print(f"{total} trials to run", highlight=False)
    done = 0

    def watch(last: Trial) -> None:
        nonlocal done
        done += 1
        if done * PARTS // total > (done - 1) * PARTS // total:
            left = (time.monotonic() - begin) / done * (total - done)
            console.print(
                f"trial {done} of {total} ({_where(last)}), about {left:.0f} s to go",
                highlight=False,
            )

    return watch


def looked(console: Console, race: Race) -> None:
    """Say how a race stands after a look."""
    if race.looks:
        after = f"{race.condition.key}: after {race.looks[-1].repeats} repeats"
        left = f"{len(race.inside)} of {len(race.repeats)} losses may be the best"
        goes = "that is enough" if race.why else "these go on"
        console.print(f"{after} {left}; {goes}", highlight=False)


def _where(trial: Trial) -> str:
    return f"{trial.condition.key}, repeat {trial.repeat}, fold {trial.fold}"


def show(
    console: Console, outcomes: Sequence[Outcome], settings: Settings, task: str, language: Language
) -> None:
    """Print a table and a verdict for each condition."""
    for outcome in outcomes:
        console.print()
        console.print(table(outcome, task))
        console.print(Text(verdict(outcome, language)))
        for row in outcome.rows:
            if row.failed:
                words = f"{row.candidate.label} {row.verdict_on_failure} ({row.failed[0]})."
                console.print(Text(words))
        used, most = outcome.trainings["used"], outcome.trainings["most"]
        decided = f"Decided by {METRICS[outcome.metric].label}: {outcome.reason}."
        console.print(Text(f"{decided} Trainings used: {used} of {most}.", style="dim"))
    console.print()
    console.print(
        Text(
            f"{estimand(settings.folds)} ± reaches to the ends of the 95 % interval over new rows "
            "and new trainings; ● may be the best, where others were put out (model confidence "
            "set; 5 % errors over all looks and metrics).",
            style="dim",
        )
    )


def table(outcome: Outcome, task: str) -> Table:
    """The table of one condition."""
    beside = [name for name in BESIDE[task] if name != outcome.metric][:2]
    made = Table(title=outcome.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    made.add_column("", no_wrap=True)
    made.add_column("loss")
    heads = (_head(outcome.metric), "vs baseline", "behind ≤")
    for head in (*heads, *(_head(name) for name in beside)):
        made.add_column(head, justify="right")
    for row in outcome.rows:
        best = outcome.told and row.candidate.spec in outcome.best
        cells = _cells(row, row is outcome.rows[0], outcome.metric, beside)
        made.add_row("●" if best else "", row.candidate.label, *cells)
    return made


def _head(name: str) -> str:
    label = METRICS[name].label
    return f"{label}, %" if METRICS[name].unit == "percent" else label


def _cells(row: Row, is_baseline: bool, metric: str, beside: Sequence[str]) -> list[str]:
    if row.failed:
        return ["diverged", f"{len(row.failed)} of {row.trials}", NONE, *(NONE for _ in beside)]
    return [
        scaled(row.metrics[metric], metric),
        "baseline" if is_baseline else scaled(row.difference, metric, sign="+"),
        _behind(row, metric),
        *(_mean(row, name) for name in beside),
    ]


def _behind(row: Row, metric: str) -> str:
    if row.bound is not None:
        return scaled(Interval(row.bound, nan), metric)
    return NONE if row.p_value is None else f"out after {row.repeats}"


def _mean(row: Row, name: str) -> str:
    return scaled(row.metrics.get(name), name).partition(" ± ")[0]
