"""`lossmith show NAME`: everything about one loss on one page, and its curves as a picture."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lossmith.errors import InputError
from lossmith.lab.output import make_room, write

if TYPE_CHECKING:
    from lossmith.formula.record import Formula

WIDTH = 96
WIDEST = 40  # a longer branch does not push the conditions of the others to the right
PICTURES = (".png", ".svg", ".pdf")
ORDERS = ("ψ(u)", "ψ'(u)", "ψ''(u)")


@click.command(
    context_settings={"ignore_unknown_options": True},
    options_metavar="[--PARAMETER VALUE]... [OPTIONS]",
)
@click.argument("words", nargs=-1, required=True, metavar="NAME", type=click.UNPROCESSED)
@click.option("--latex", "as_latex", is_flag=True, help="Print the formulas as LaTeX too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option(
    "--plot",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also draw value, slope and curvature into this file (.png, .svg or .pdf).",
)
def show(words: tuple[str, ...], as_latex: bool, as_json: bool, picture: Path | None) -> None:
    """Show all about the loss NAME.

    Formula, slope, curvature, parameters, properties with their constants, kinks with the
    subgradient taken there, when to use it, its twin elsewhere, its source. Everything is
    computed from the formula, at the parameters that are given and the defaults of the others.

    \b
    Examples:
      lossmith show huber
      lossmith show tukey_biweight --c 3 --plot tukey.png
      lossmith show ramp --s -0.5 --latex
    """  # noqa: D301 - click's own mark
    from lossmith.lab.look import answers

    names, given = answers.read_settings(words)
    if len(names) != 1:
        raise click.UsageError(f"show takes one NAME, got {len(names)}: {' '.join(names) or '-'}")
    (record,) = answers.choose((names[0],))
    values = record.bind(given)
    if picture is not None and picture.suffix.lower() not in PICTURES:
        raise InputError(f"--plot {picture}: give a name that ends in {', '.join(PICTURES)}.")
    if as_json:
        answers.dump(_data(record, values))
    else:
        for line in page(record, values, as_latex):
            click.echo(line)
    if picture is not None:
        make_room(picture)
        draw(record, values, picture)
        click.echo(f"plot written to {picture}", err=as_json)


def page(record: Formula, values: dict[str, float], as_latex: bool = False) -> list[str]:
    """The lines of text that `lossmith show` prints."""
    from lossmith.formula import kinks, properties
    from lossmith.lab.look import answers
    from lossmith.link.links import link

    at = f" at {answers.settings(values)}" if values else ""
    lines = [f"{record.name}: a {record.family} loss, {answers.MEANING[record.family]}", ""]
    for paragraph in record.doc.split("\n\n"):
        lines += [*_wrapped(paragraph), ""]
    lines += ["Formula", *_formulas(record), ""]
    if as_latex:
        lines += ["LaTeX", *_latex(record), ""]
    if record.parameters:
        lines += ["Parameters", *_parameters(record, values), ""]
    rows = properties.of(record, **values).rows()
    lines += [f"Properties{at}", *_columns(rows), ""]
    own = link(record).link
    if own.classes:  # what a person optimises is not u
        seen = own.reach(own.curve(record, **values)).rows()
        lines += [f"In the {own.word}{at}", *_columns(seen), ""]
    corners = kinks.kinks(record, **values)
    if corners:
        lines += [f"Kinks{at}", *(f"  {answers.kink_text(k)}" for k in corners), ""]
    if record.start:
        lines += ["Start", *_wrapped(f"train {record.start} first, then go on with this one"), ""]
    if record.twin:
        lines += ["Twin", *_wrapped(record.twin), ""]
    if record.cite:
        lines += ["Source", *_wrapped(record.cite), ""]
    return lines[:-1]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), WIDTH, initial_indent="  ", subsequent_indent="  ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _formulas(record: Formula) -> list[str]:
    from lossmith.formula import latex

    lines = []
    for order, name in enumerate(ORDERS):
        branches = latex.branches(record, order)
        width = max((len(value) for value, _ in branches if len(value) <= WIDEST), default=0)
        for place, (value, when) in enumerate(branches):
            head = f"  {name:6} = " if place == 0 else " " * 11
            lines.append(f"{head}{value:{width}}  {when}".rstrip())
    return lines


def _latex(record: Formula) -> list[str]:
    from lossmith.formula import latex

    names = (r"\psi(u)", r"\psi'(u)", r"\psi''(u)")
    return [f"  {name} = {latex.latex(record, order)}" for order, name in enumerate(names)]


def _parameters(record: Formula, values: dict[str, float]) -> list[str]:
    scale = record.scale.name if record.scale else None
    rows = []
    for p in record.parameters:
        unit = " (a scale, in units of u)" if p.name == scale else ""
        why = f": {p.why}" if p.why else ""
        rows.append((f"{p.name} = {values[p.name]:g}", f"in {p.domain}{unit}"))
        rows += [("", line) for line in textwrap.wrap(f"default {p.default:g}{why}", WIDTH - 20)]
    return _columns(rows)


def _columns(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(left) for left, _ in rows)
    return [f"  {left:{width}}  {right}".rstrip() for left, right in rows]


def _data(record: Formula, values: dict[str, float]) -> dict[str, Any]:
    from dataclasses import asdict

    from lossmith.formula import kinks, latex
    from lossmith.lab.look import answers
    from lossmith.link.links import link

    own = link(record).link
    seen = asdict(own.reach(own.curve(record, **values)))
    words = ("value", "slope", "curvature")
    corners = [asdict(k) for k in kinks.kinks(record, **values)]
    return answers.as_data(record, values) | {
        "in_prediction": {name: answers.plain(value) for name, value in seen.items()},
        "formula": {word: latex.text(record, order) for order, word in enumerate(words)},
        "latex": {word: latex.latex(record, order) for order, word in enumerate(words)},
        "domains": {
            p.name: {"domain": str(p.domain), "default": p.default, "why": p.why}
            for p in record.parameters
        },
        "kinks": [{name: answers.plain(v) for name, v in k.items()} for k in corners],
        "use": record.doc,
        "twin": record.twin,
        "source": record.cite,
    }


def draw(record: Formula, values: dict[str, float], picture: Path) -> None:
    """Value, slope and curvature side by side, into a file."""
    from lossmith.lab.picture.curves import plot

    figure = plot(record, parameters=values)[0].get_figure(root=True)
    if figure is not None:
        made = io.BytesIO()
        figure.savefig(made, dpi=150, format=picture.suffix[1:].lower())
        write(picture, made.getvalue())
