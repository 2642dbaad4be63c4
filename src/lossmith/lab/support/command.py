"""`lossmith support`: the table of losses and modes, measured and printed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lossmith.errors import InputError
from lossmith.lab.output import need_folder


@click.command()
@click.option("--losses", help="Rows, parted by semicolons; all of them if not given.")
@click.option("--modes", help="Columns, parted by semicolons; all of them if not given.")
@click.option("--quick", is_flag=True, help="Compile with aot_eager only, never with inductor.")
@click.option(
    "--markdown",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the table into this file, between its two marks.",
)
def support(losses: str | None, modes: str | None, quick: bool, markdown: Path | None) -> None:
    """Try every loss in every mode of PyTorch, and print what came of it.

    A cell is "yes" where values and derivatives equal those of the loss typed in plain float64
    torch (on meta and FakeTensor: shapes, dtypes and devices), and "no" where an error of
    Lossmith's named the reason, which is printed below the table. Anything else is a defect:
    exit code 1. The whole table takes minutes, most of them in torch's compilers.

    \b
    Examples:
        lossmith support --losses "huber;CenterLoss, paper" --modes "hessian;vmap(grad)"
        lossmith support --markdown docs/support.md
    """  # noqa: D301 - click's own mark
    from dataclasses import replace

    from rich.console import Console
    from rich.progress import Progress

    from lossmith.lab.support import page
    from lossmith.lab.support.rows import rows
    from lossmith.lab.support.table import MODES, measure, missing

    every = rows()
    chosen_rows = _chosen("--losses", losses, tuple(every))
    chosen_modes = _chosen("--modes", modes, tuple(MODES))
    absent = {mode: packages for mode in chosen_modes if (packages := missing(mode))}
    for mode, packages in absent.items():
        said = f"{mode} needs {', '.join(packages)}: pip install 'lossmith[{mode.lower()}]'"
        if modes is not None or markdown is not None:
            raise InputError(f"--modes: {said}.")
        click.echo(f"Left out: {said}.", err=True)
    chosen_modes = tuple(mode for mode in chosen_modes if mode not in absent)
    partly = len(chosen_rows) * len(chosen_modes) < len(every) * len(MODES)
    if markdown is not None and (partly or quick):
        raise InputError("--markdown writes the whole table; leave out --losses, --modes, --quick.")
    if markdown is not None:
        need_folder(markdown)
    console = Console(width=None if sys.stdout.isatty() else 240)
    cells = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(chosen_rows) * len(chosen_modes))
        for name in chosen_rows:
            row = replace(every[name], inductor=False) if quick else every[name]
            for mode in chosen_modes:
                progress.update(task, description=f"{name}: {mode}")
                cells.append(measure(row, mode))
                progress.advance(task)
    console.print(page.terminal(cells))
    for line in page.reasons(cells):
        console.print(line, markup=False, soft_wrap=True)
    if any(cell.outcome == "DEFECT" for cell in cells):
        sys.exit(1)
    if markdown is not None:
        page.write(markdown, cells)


def _chosen(option: str, given: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    if given is None:
        return known
    names = tuple(name.strip() for name in given.split(";") if name.strip())
    for name in names:
        if name not in known:
            raise InputError(f"{option}: {name!r} is none of {'; '.join(known)}.")
    return names
