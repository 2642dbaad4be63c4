"""`lossmith list` and `lossmith properties`: every loss, and what holds for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from lossmith.formula.record import Formula

FAMILIES = ("residual", "margin", "probability", "divergence")
PIPED_WIDTH = 120


@click.command("list")
@click.option("--family", type=click.Choice(FAMILIES), help="Only the losses of one family.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def list_(family: str | None, as_json: bool) -> None:
    """List every loss: family, name, defaults, and its main properties.

    The properties are computed from the formula at its default parameters. `lossmith show NAME`
    has all of them, at any parameters.

    \b
    Examples:
      lossmith list
      lossmith list --family margin
    """  # noqa: D301 - click's own mark
    from lossmith.lab.look import answers

    records = answers.choose((), family)
    if as_json:
        answers.dump([answers.as_data(record, record.defaults) for record in records])
        return
    console = _console()
    _tables(console, records, leave_out=("symmetric", "least at"))
    console.print(f"{len(records)} losses. One of them in full: lossmith show NAME", style="dim")


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def properties(names: tuple[str, ...], as_json: bool) -> None:
    """Print the properties of every loss, or of those NAMEd, with their constants.

    They are computed from each formula at its default parameters, as a function of u: kinks are
    solved for, suprema searched for at 40 digits, tails followed to 10^8192. For other
    parameters: lossmith show NAME --parameter value.

    \b
    Examples:
      lossmith properties
      lossmith properties huber ramp --json
    """  # noqa: D301 - click's own mark
    from lossmith.lab.look import answers

    records = answers.choose(names)
    if as_json:
        answers.dump([answers.as_data(record, record.defaults) for record in records])
        return
    console = _console()
    _tables(console, records)
    for column, meaning in answers.COLUMNS.items():
        console.print(f"{column}: {meaning}.", style="dim")


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=PIPED_WIDTH, highlight=False)


def _tables(console: Console, records: list[Formula], leave_out: tuple[str, ...] = ()) -> None:
    from rich import box
    from rich.table import Table

    from lossmith.lab.look import answers

    for family, rows in answers.table(records).items():
        columns = [name for name in rows[0][1] if name not in leave_out]
        table = Table(
            title=f"{family}: {answers.MEANING[family]}",
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
        )
        table.add_column("loss", no_wrap=True)
        table.add_column("defaults")
        for name in columns:
            table.add_column(name, justify="right" if name in NUMBERS else "left")
        for record, cells in rows:
            table.add_row(
                record.name, answers.settings(record.defaults), *(cells[name] for name in columns)
            )
        console.print(table)


NUMBERS = ("Lipschitz", "smooth", "highest", "slopes")
