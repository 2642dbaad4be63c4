"""`lossmith accuracy`: every formula against the same expression at 60 digits."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lossmith.errors import InputError
from lossmith.lab.output import need_folder, write

if TYPE_CHECKING:
    from rich.console import Console

    from lossmith.lab.accuracy.measure import Row

PIPED_WIDTH = 120


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--engine",
    type=click.Choice(["all", "cpu", "reference", "lean", "numpy"]),
    default="all",
    show_default=True,
    help="Whose results to check: every engine's (lean: the reference's short forms), or the "
    "programs' over NumPy's arrays.",
)
@click.option(
    "--points",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="About how many arguments for each formula and dtype; kinks and extremes always count.",
)
@click.option("--all", "everything", is_flag=True, help="Print every row, not the worst ones only.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write every row to this file.",
)
def accuracy(
    names: tuple[str, ...], engine: str, points: int, everything: bool, json_file: Path | None
) -> None:
    """Compare every loss, or those NAMEd, with 60-digit arithmetic over all floats.

    The error is |got - truth| / (|f(u)| + |u·f'(u)|) for value, slope and curvature f, in float32
    (target 1e-6) and float64 (target 1e-13): at kinks and their neighbours, zero, every order of
    magnitude, where exponentials saturate, and at the largest numbers. An absolute error below the
    smallest normal number is underflow, not an error. A result must be finite where the truth is.

    The CPU engine's kernels hold value and slope; curvature is the reference engine's there too.
    Probability losses are checked as ψ(u), u = log p, and as g(m), the same through the margin m
    of the true class, which is what class labels run.

    Exit code 1 if a target is missed.

    \b
    Examples:
        lossmith accuracy
        lossmith accuracy focal huber --points 5000 --engine cpu --all
    """  # noqa: D301 - click's own mark
    from rich.console import Console

    from lossmith.formula.ledger import LEDGER, find

    records = [find(name) for name in names] or list(LEDGER.values())
    for record in records:
        if record.family == "divergence":
            raise InputError(
                f"{record.name} has no kernel to measure; its tests hold its accuracy."
            )
    if json_file is not None:
        need_folder(json_file)
    engines = ("cpu", "reference", "lean") if engine == "all" else (engine,)
    rows = _measure(records, engines, points)
    output = Console()
    if not output.is_terminal:
        output = Console(width=PIPED_WIDTH)
    _show(output, rows, everything)
    if json_file is not None:
        write(json_file, json.dumps([as_data(r) for r in rows], indent=1) + "\n")
    sys.exit(0 if all(row.passed for row in rows) else 1)


def _measure(records: Sequence[Any], engines: Sequence[Any], points: int) -> list[Row]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from lossmith.lab.accuracy.measure import TARGETS, measure

    rows: list[Row] = []
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(records) * len(TARGETS))
        for record in records:
            for dtype in TARGETS:
                progress.update(task, description=f"{record.name} {dtype}")
                rows += measure(record, dtype, engines, points)
                progress.advance(task)
    return rows


def as_data(row: Row) -> dict[str, Any]:
    """A row for JSON, which has no infinity: such numbers become text."""
    data = asdict(row) | {"target": row.target, "passed": row.passed}
    return {
        k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in data.items()
    }


def _show(console: Console, rows: list[Row], everything: bool) -> None:
    from rich.table import Table

    table = Table(title="Worst error against 60 digits", title_justify="left", box=None)
    for heading in ("loss", "of", "dtype", "engine"):
        table.add_column(heading, no_wrap=True)
    for heading in ("error", "target", "at", "got", "truth"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    chosen = rows if everything else _worst(rows)
    for row in sorted(chosen, key=lambda r: (r.loss, r.dtype, r.quantity, r.variable)):
        table.add_row(
            *(row.loss, f"{row.quantity}({row.variable})", row.dtype, row.engine[:3]),
            *(f"{row.error:.1e}", f"{row.target:.0e}", f"{row.where:.4g}"),
            *(f"{row.got:.4g}", _short(row.truth)),
            "[green]ok[/]" if row.passed else "[bold red]MISS[/]",
        )
    console.print(table)
    missed = sum(not row.passed for row in rows)
    tested = sum(row.points for row in rows)
    console.print(
        f"{len(rows)} rows, {tested} comparisons: "
        + (f"{missed} rows miss their target." if missed else "every target is met."),
        highlight=False,
    )
    if not everything:
        console.print(
            "Shown: the worst of each loss and dtype, and every miss; --all shows the rest."
        )


def _worst(rows: list[Row]) -> list[Row]:
    """The worst row of each loss and dtype, and every miss."""
    worst: dict[tuple[str, str], Row] = {}
    for row in rows:
        known = worst.get((row.loss, row.dtype))
        if known is None or row.error > known.error:
            worst[row.loss, row.dtype] = row
    return [row for row in rows if not row.passed or row in worst.values()]


def _short(truth: str) -> str:
    """Four digits of a number that may be far outside the floats."""
    mantissa, e, exponent = truth.partition("e")
    if len(exponent) > 6:
        return "0" if exponent.startswith("-") else "huge"
    return f"{float(mantissa):.4g}{e}{exponent}"
