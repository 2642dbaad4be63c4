"""What a person sees while the runs go on, and the tables at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isnan

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from lossmith.lab.compare.experiment import Watch
from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.statistics import Interval
from lossmith.lab.compare.summary import Condition, Row
from lossmith.lab.compare.train import Run
from lossmith.lab.compare.verdict import verdict

NONE = "–"
PIPED_WIDTH = 110  # of a table that goes into a file or another program


@contextmanager
def watching(console: Console, settings: Settings) -> Iterator[Watch]:
    """A bar in a terminal; elsewhere a plain line per condition and seed."""
    if not console.is_terminal:
        yield _plain(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs,"),
        TimeRemainingColumn(compact=True),
        TextColumn("to go"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("preparing the losses", total=None)

        def watch(done: int, total: int, last: Run | None) -> None:
            what = _where(last) if last else None
            progress.update(task, completed=done, total=total, description=what)

        yield watch


def _plain(console: Console) -> Watch:
    shown: set[tuple[float, int]] = set()

    def watch(done: int, total: int, last: Run | None) -> None:
        if last is None:
            console.print(f"{total} runs", highlight=False)
        elif (last.label_noise, last.seed) not in shown:
            shown.add((last.label_noise, last.seed))
            console.print(f"run {done} of {total}: {_where(last)}", highlight=False)

    return watch


def _where(run: Run) -> str:
    return f"{100 * run.label_noise:g} % wrong labels, seed {run.seed}"


def show(console: Console, conditions: Sequence[Condition], settings: Settings) -> None:
    """Print a table and a verdict for each condition."""
    for condition in conditions:
        console.print()
        console.print(table(condition))
        console.print(Text(verdict(condition, settings.seeds)))
    reach = (
        "± reaches to the ends of the 95 % interval over the seeds; " if settings.seeds > 1 else ""
    )
    console.print()
    console.print(
        Text(
            f"{reach}● cannot be told from the best (paired t-tests, Holm over all pairs).",
            style="dim",
        )
    )


def table(condition: Condition) -> Table:
    """The table of one condition."""
    made = Table(
        title=condition.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD
    )
    made.add_column("", no_wrap=True)
    made.add_column("loss")
    for head in ("accuracy, %", "vs baseline", "macro-F1", "log-loss", "s/run"):
        made.add_column(head, justify="right", no_wrap=True)
    for row in condition.rows:
        best = row.candidate.spec in condition.best
        made.add_row("●" if best else "", *_cells(row, row is condition.rows[0]))
    return made


def _cells(row: Row, is_baseline: bool) -> list[str]:
    seconds = f"{row.seconds:.2f}"
    if row.diverged:
        seeds = ", ".join(str(seed) for seed in row.diverged)
        return [row.candidate.label, "diverged", f"seed {seeds}", NONE, NONE, seconds]
    return [
        row.candidate.label,
        scaled(row.accuracy),
        "baseline" if is_baseline else scaled(row.difference, sign="+"),
        _mean(row.macro_f1, "{:.3f}"),
        _mean(row.log_loss, "{:.3f}"),
        seconds,
    ]


def _mean(value: Interval | None, pattern: str) -> str:
    return NONE if value is None else pattern.format(value.mean)


def scaled(value: Interval | None, factor: float = 100, digits: int = 1, sign: str = "") -> str:
    """`97.8 ± 0.6`, or a dash where there is nothing to show."""
    if value is None:
        return NONE
    mean = f"{factor * value.mean:{sign}.{digits}f}".replace("-", "−")
    if isnan(value.half_width):
        return mean
    return f"{mean} ± {factor * value.half_width:.{digits}f}"
