"""`lossmith compare`: read the options, run, print, write."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from lossmith.errors import InputError
from lossmith.lab.compare.settings import BASELINE, DEFAULT_LOSSES, DEFAULT_NOISE, Settings

EPILOG = """
\b
Examples:
  lossmith compare
  lossmith compare --label-noise 0.4 --losses focal:gamma=1,ramp
  lossmith compare wine --seeds 10 --epochs 100 --output out/wine.html
"""


@click.command(epilog=EPILOG, context_settings={"show_default": True})
@click.argument("data", default=Settings.data)
@click.option(
    "--losses",
    multiple=True,
    metavar="LIST",
    default=[",".join(DEFAULT_LOSSES)],
    show_default=False,
    help="Losses by name, with commas between; parameters after a colon, as in "
    "focal:gamma=2,ramp:s=-1. Cross-entropy is the baseline and always runs first.  "
    f"[default: {', '.join(DEFAULT_LOSSES)}]",
)
@click.option(
    "--label-noise",
    "label_noise",
    multiple=True,
    type=float,
    metavar="SHARE",
    default=DEFAULT_NOISE,
    help="Share of training labels to make wrong; the test labels stay true. "
    "Give it again for a further condition.",
)
@click.option("--seeds", type=int, default=Settings.seeds, help="How many seeds.")
@click.option("--seed", "first_seed", type=int, default=Settings.first_seed, help="The first seed.")
@click.option("--epochs", type=int, default=Settings.epochs, help="Passes over the training data.")
@click.option("--hidden", type=int, default=Settings.hidden, help="Width of the hidden layer.")
@click.option("--batch-size", type=int, default=Settings.batch_size, help="Examples per step.")
@click.option(
    "--learning-rate", type=float, default=Settings.learning_rate, help="Adam's step size."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("out/compare.html"),
    help="Where to write the page.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write every number to this file.",
)
def compare(
    data: str,
    losses: tuple[str, ...],
    label_noise: tuple[float, ...],
    seeds: int,
    first_seed: int,
    epochs: int,
    hidden: int,
    batch_size: int,
    learning_rate: float,
    output: Path,
    json_file: Path | None,
) -> None:
    """Find out which loss suits DATA.

    Trains the same small network under each loss with the same budget, over several seeds. Each
    seed draws a new split, new first weights and new label noise, the same for every loss, so the
    losses are compared in pairs. Prints a table for each condition and writes one page with the
    learning curves and the curves of the losses. The same command gives the same digits.

    DATA is digits, breast_cancer, iris or wine; all four ship with scikit-learn.
    """
    settings = Settings(
        data=data,
        losses=losses,
        label_noise=label_noise,
        seeds=seeds,
        first_seed=first_seed,
        epochs=epochs,
        hidden=hidden,
        batch_size=batch_size,
        learning_rate=learning_rate,
    )
    _run(settings, output, json_file)


def _run(settings: Settings, output: Path, json_file: Path | None) -> None:
    from dataclasses import replace

    from rich.console import Console

    from lossmith.lab.compare import candidates, data, experiment, record, report, summary, terminal

    begin = time.perf_counter()
    field = candidates.parse(settings.losses, baseline=BASELINE)
    dataset = data.load(settings.data)
    settings = replace(
        settings, data=dataset.name, losses=tuple(candidate.spec for candidate in field)
    )
    for path in filter(None, (output, json_file)):
        _make_room(path)
    messages = Console(stderr=True)
    with terminal.watching(messages, settings) as watch:
        runs = experiment.run_all(dataset, field, settings, watch)
    conditions = summary.summarize(runs, field, settings)
    seconds = time.perf_counter() - begin

    tables = Console()
    if not tables.is_terminal:
        tables = Console(width=terminal.PIPED_WIDTH)
    terminal.show(tables, conditions, settings)

    everything = record.as_data(settings, conditions, runs, seconds)
    _write(output, report.page(dataset, field, settings, conditions, runs, everything))
    if json_file:
        _write(json_file, record.as_text(everything))
    written = " and ".join(str(path) for path in (output, json_file) if path)
    messages.print(
        f"{len(runs)} runs in {seconds:.0f} s; wrote {written}", highlight=False, soft_wrap=True
    )


def _make_room(path: Path) -> None:
    """Find out before the runs, not after them, that a file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {path.parent}: {error.strerror}") from None
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"cannot write {path}: permission denied")


def _write(path: Path, text: str) -> None:
    """Write beside the place and then move, so that a page is never half old and half new."""
    draft = path.with_name(f".{path.name}.part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
