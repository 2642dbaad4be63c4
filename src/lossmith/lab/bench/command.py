"""`lossmith bench`: read the options, measure, print, write."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lossmith.errors import InputError
from lossmith.lab.bench.settings import COUNTED, ROWS, Settings, chosen
from lossmith.lab.output import make_room, write

if TYPE_CHECKING:
    from rich.console import Console

    from lossmith.lab.bench.result import Result, Row

PIPED_WIDTH = 150  # of a table that goes into a file or another program
EPILOG = "\b\nRows:\n" + "\n".join(f"  {name:8} {what}" for name, what in ROWS.items())
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(epilog=EPILOG)
@click.option("--rows", multiple=True, metavar="LIST", help="Rows by name, with commas between.")
@click.option("--quick", is_flag=True, help="Small sizes, few repeats: does it run? No figures.")
@click.option("--threads", type=click.IntRange(1), help="How many threads.  [default: torch's]")
@click.option("--json", "json_file", type=_FILE, help="Also write every number to this file.")
@click.option(
    "--update-readme",
    is_flag=True,
    help="Put this run's table into docs/bench.md, and a few lines of it into the README.",
)
@click.option(
    "--readme",
    type=_FILE,
    default=Path("README.md"),
    show_default=True,
    help="Which README, with its docs/bench.md: what stands between the marks bench:begin and "
    "bench:end is rewritten.",
)
def bench(
    rows: tuple[str, ...],
    quick: bool,
    threads: int | None,
    json_file: Path | None,
    update_readme: bool,
    readme: Path,
) -> None:
    """Measure every loss next to what there is otherwise, side by side in one run.

    Value and gradient of each contender are held against float64 before it is timed. Contenders
    take turns; a ratio is the median over the rounds, with its quartiles. A missed target is shown
    as missed; the exit code is 1 only if a result is wrong. The row `reference` is counted, not
    timed: two runs of it give the same table.

    \b
    Examples:
      lossmith bench
      lossmith bench --rows focal,small --threads 1
      lossmith bench --rows reference
    """  # noqa: D301 - click's own mark
    if quick and update_readme:
        raise InputError("--quick measures too little for a README. Leave one of the two out.")
    from lossmith.lab.bench.pages import BLOCK, COUNTS, Pages

    names = chosen(rows)
    counted, timed = COUNTED in names, names != (COUNTED,)
    pages = Pages(readme, timed=timed, counted=counted) if update_readme else None
    if json_file:
        make_room(json_file)

    import torch
    from rich.console import Console

    from lossmith.lab.bench import launches, report, table, weather

    before = torch.get_num_threads()
    settings = Settings(names, threads or before, quick)
    messages = Console(stderr=True)
    begin, others = time.perf_counter(), weather.watch()
    torch.set_num_threads(settings.threads)
    try:
        results = list(_measure(settings, messages))
        counts = list(launches.all_cases()) if counted else []
    finally:
        torch.set_num_threads(before)
    seconds = time.perf_counter() - begin

    found = report.environment(settings) | {"others": others()}
    tables = Console()
    if not tables.is_terminal:
        tables = Console(width=PIPED_WIDTH)
    if timed:
        tables.print(table.table(results))
        tables.print(report.about(found), style="dim", highlight=False)
        if quick:
            tables.print("A quick run: these figures mean nothing.", style="bold")
    if counted:
        tables.print(table.launched(counts))
        tables.print(report.counted(), style="dim", highlight=False)
    if json_file:
        write(json_file, report.as_text(report.as_data(results, settings, found, seconds, counts)))
    if pages:
        made = {BLOCK: table.markdown(results, report.about(found))} if timed else {}
        pages.write(made | {COUNTS: table.counted(counts, report.counted())})
    messages.print(f"{len(results) + len(counts)} results in {seconds:.0f} s", highlight=False)
    wrong = [result for result in results if result.wrong]
    for result in wrong:
        messages.print(
            f"WRONG against float64: {result.work}, {result.case}: {result.wrong}", highlight=False
        )
    if wrong:
        sys.exit(1)


def _rows(settings: Settings) -> list[Row]:
    from lossmith.lab.bench import classes, elementwise, linear, small, start

    everything = (*elementwise.ROWS, *classes.ROWS, *linear.ROWS, *small.ROWS, *start.ROWS)
    return [row for row in everything if row.name in settings.rows]


def _measure(settings: Settings, messages: Console) -> Iterator[Result]:
    rows = _rows(settings)
    with _progress(messages, sum(row.steps(settings) for row in rows)) as (bar, task):
        for row in rows:
            bar.update(task, description=ROWS[row.name])
            steps, seen = row.steps(settings), 0
            cases: set[tuple[str, str]] = set()
            for result in row.run(settings):
                yield result
                cases.add((result.work, result.case))
                if len(cases) > seen and seen < steps:
                    seen += 1
                    bar.advance(task)
            bar.advance(task, steps - seen)


@contextmanager
def _progress(messages: Console, steps: int) -> Iterator[tuple[Any, Any]]:
    """A bar in a terminal; elsewhere nothing until the table."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    # The bar is drawn between contests, not by a thread beside them.
    with Progress(
        *columns,
        console=messages,
        transient=True,
        auto_refresh=False,
        disable=not messages.is_terminal,
    ) as bar:
        task = bar.add_task("", total=steps)
        bar.refresh()
        yield bar, task
