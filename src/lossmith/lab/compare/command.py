"""`lossmith compare`: read the options, run, print, write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from lossmith.errors import InputError
from lossmith.lab.compare.settings import LANGUAGES, MODELS, RATES, Language, Settings
from lossmith.lab.output import make_room, need_apart, need_ours, special, write
from lossmith.lab.processes import need_processes

# How our own files begin, which a run may replace under names that nobody gave.
GENERATOR, TABLE = 'content="lossmith compare"', "condition,decided_by,loss,among_best,"
DEFAULT_OUTPUT = Path("out/compare.html")
EPILOG = """
\b
Examples:
  lossmith compare
  lossmith compare --label-noise 0.4 --losses focal:gamma=1,ramp
  lossmith compare houses.csv --target price --model linear
  lossmith compare breast_cancer --imbalance 100 --repeats 4
  lossmith compare diabetes --outliers 0.1 --losses-from mine.py --output out/mine
"""


def _path(**more: bool) -> click.Path:
    return click.Path(path_type=Path, **more)


@click.command(epilog=EPILOG, context_settings={"show_default": True})
@click.argument("data", default=Settings.data)
@click.option("--target", metavar="COLUMN", help="The column to predict.")
@click.option(
    "--task",
    type=click.Choice(["classification", "binary", "regression"]),
    help="What to predict.  [default: as the target looks]",
)
@click.option(
    "--losses",
    multiple=True,
    metavar="LIST",
    show_default=False,
    help="Losses by name, with commas between; parameters after a colon, as in "
    "focal:gamma=2,ramp:s=-1. Any loss also takes center=λ (a center loss on the hidden "
    "features), balanced=1 (weights that make the classes count alike) and seed=N (the same loss "
    "with other luck). The baseline always runs first: cross_entropy, binary_cross_entropy or l2."
    "  [default: chosen for the task]",
)
@click.option(
    "--losses-from",
    "losses_from",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE.py",
    help="Losses of your own, to be named in --losses. The file is executed, with all your rights, "
    "here and in the workers: name no file that you do not trust.",
)
@click.option(
    "--label-noise",
    "label_noise",
    multiple=True,
    type=float,
    metavar="SHARE",
    help="Give this share of the training labels another class. Again for a further condition; "
    "0 is the data as they are.  [default: the data as they are, and for built-in data 0.4]",
)
@click.option(
    "--outliers",
    multiple=True,
    type=float,
    metavar="SHARE",
    help="Move this share of the training targets up by 5 to 10 of their standard deviations; "
    "with classes, the features of this share of the training rows instead, each up or down.",
)
@click.option(
    "--imbalance",
    multiple=True,
    type=float,
    metavar="R",
    help="Thin out the training rows of the rarer half of the classes to 1:R of the largest.",
)
@click.option(
    "--goal",
    metavar="GOAL",
    help="What is to be predicted: mean, median, quantile:0.9 or expectile:0.9 of a number; class, "
    "probability or ranking. It sets the metric that decides, the baseline and the losses that are "
    "tried.  [default: class; the median, or the mean where many targets are 0]",
)
@click.option(
    "--metric",
    help="What decides, stops the training and picks the learning rate: accuracy, "
    "balanced_accuracy, macro_f1, worst_recall, rare_recall, auc, average_precision, log_loss, "
    "brier, calibration_error; mae, rmse, median_error, p95_error, pinball, asymmetric_rmse."
    "  [default: as the goal has it]",
)
@click.option(
    "--model",
    default=Settings.model,
    help=f"{', '.join(MODELS)} (images), or MODULE:FACTORY of your own: the module is imported, "
    "and FACTORY(shape, outputs) gives a torch.nn.Module.",
)
@click.option("--hidden", type=int, default=Settings.hidden, help="Width of the hidden layer.")
@click.option("--folds", type=int, default=Settings.folds, help="Parts of the rows to judge by.")
@click.option(
    "--repeats",
    type=int,
    default=Settings.repeats,
    help="How often to part them anew, at most: after 2, 4, 7 and 10 times, losses that cannot be "
    "the best are left out, and the race ends once it is decided.",
)
@click.option("--fixed", is_flag=True, help="All repeats for every loss, without a look before.")
@click.option(
    "--margin",
    type=float,
    default=Settings.margin,
    help="A difference that does not matter: points of a share, percent of an error of the "
    "baseline, hundredths of log-loss.",
)
@click.option("--seed", type=int, default=Settings.seed, help="Seed of the first repeat.")
@click.option("--epochs", type=int, default=Settings.epochs, help="Most passes over the rows.")
@click.option(
    "--patience", type=int, default=Settings.patience, help="Epochs without progress to stop after."
)
@click.option(
    "--batch-size",
    type=int,
    default=Settings.batch_size,
    help="Rows per step; 0 gives about 40 steps an epoch.",
)
@click.option(
    "--learning-rates",
    metavar="LIST",
    default=",".join(f"{rate:g}" for rate in RATES),
    help="Adam's step sizes, of which each loss gets the one that validates best in each fold.",
)
@click.option(
    "--inner-folds",
    type=int,
    default=Settings.inner_folds,
    help="Inner splits, of 5, over which the learning rate is picked.",
)
@click.option(
    "--tune",
    type=int,
    default=Settings.tune,
    help="Trainings for each loss in each fold, by Optuna over the range of the learning rates and "
    "the loss's own parameters (gamma, q, delta …), the same number for every loss.  [0: the "
    "learning rates alone]",
)
@click.option("--jobs", type=int, default=0, help="Processes; 0 for one per core.")
@click.option(
    "--backend",
    type=click.Choice(["loky", "dask", "ray"]),
    default="loky",
    help="Who runs the trials: processes of this machine, or a cluster.",
)
@click.option("--cluster", metavar="ADDRESS", help="Of the Dask scheduler or the Ray head.")
@click.option(
    "--output",
    type=_path(),
    default=DEFAULT_OUTPUT,
    help="The page, or a folder for it. Finished trials are kept in a folder beside the page, or "
    "in that folder; the same command goes on where it was stopped.",
)
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default="en",
    help="Of the verdict: English or Chinese; --json has both.",
)
@click.option("--fresh", is_flag=True, help="Discard the trials that an earlier run left there.")
@click.option(
    "--json",
    "json_file",
    type=_path(dir_okay=False),
    help="Also write every number to this file, and the table as CSV beside it.",
)
@click.pass_context
def compare(
    context: click.Context,
    /,
    data: str,
    label_noise: tuple[float, ...],
    outliers: tuple[float, ...],
    imbalance: tuple[float, ...],
    learning_rates: str,
    jobs: int,
    backend: str,
    cluster: str | None,
    output: Path,
    language: Language,
    fresh: bool,
    json_file: Path | None,
    **rest: object,
) -> None:
    """Find out which loss suits DATA.

    Trains the same model under each loss with the same budget, on repeated folds, and tunes the
    learning rate for each loss, because losses differ in scale. It is a race: losses that cannot
    be the best get no further repeats, and it ends once it is decided. Prints a verdict and a
    table for each condition, and writes one page. The same command gives the same digits, whatever
    the number of processes.

    DATA is a file (CSV, TSV, Parquet, Arrow, npz, IDX), a folder of images by class, or the name
    of a data set that ships with scikit-learn, such as digits, breast_cancer, wine or diabetes.
    """
    from lossmith.lab.compare import conditions

    settings = Settings(
        data=data,
        conditions=conditions.read(label_noise, outliers, imbalance),
        learning_rates=_rates(learning_rates),
        **rest,  # type: ignore[arg-type]
    )
    need_processes("--jobs", jobs, least=0)
    if cluster and backend == "loky":
        raise InputError("--cluster is for --backend dask or --backend ray")
    page, folder = places(output)
    table = json_file.with_suffix(".csv") if json_file and not special(json_file) else None
    own = Path(settings.losses_from) if settings.losses_from else None
    need_apart(
        {"--output": page, "--json": json_file, "the table beside --json": table},
        {"DATA": Path(data), "--losses-from": own},
    )
    if page != output:
        need_ours(page, GENERATOR)
    if table:
        need_ours(table, TABLE)
    if context.get_parameter_source("output") is click.core.ParameterSource.DEFAULT:
        folder = folder / "*"  # a folder of its own for every comparison that nobody named
    _run(settings, page, folder, (json_file, table), fresh, (jobs, backend, cluster), language)


def places(output: Path) -> tuple[Path, Path]:
    """The page and the folder of the trials."""
    if output.suffix.lower() in (".html", ".htm"):
        return output, output.with_suffix(".trials")
    return output / "compare.html", output


def _rates(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(",") if word.strip())
    except ValueError:
        raise InputError(f"--learning-rates {text!r} is no list of numbers") from None


def _run(
    settings: Settings,
    page: Path,
    folder: Path,
    data_files: tuple[Path | None, Path | None],
    fresh: bool,
    engine: tuple[int, str, str | None],
    language: Language,
) -> None:
    from joblib import cpu_count
    from rich.console import Console

    from lossmith.lab.compare import (
        contest,
        jobs,
        plan,
        record,
        remarks,
        report,
        store,
        summary,
        terminal,
    )
    from lossmith.lab.compare.race import looks
    from lossmith.lab.compare.trial import Trial
    from lossmith.lab.data.load import load

    begin = time.perf_counter()
    made = plan.resolve(settings, load(settings.data, settings.target, settings.task))
    json_file, table = data_files
    for path in filter(None, (page, json_file, table)):
        make_room(path)
    manifest = store.manifest(made)
    if folder.name == "*":
        folder = folder.with_name(f"{made.dataset.name}-{store.short_name(manifest)}")
    messages = Console(stderr=True)
    remarks.before(messages, made.look, made.goal)
    trials = made.trials
    kept = store.Store(folder, manifest, [trial.key for trial in trials])
    with kept.opened(fresh):
        found = kept.load()
        most = f"{'' if settings.fixed or len(looks(settings)) == 1 else 'at most '}{len(trials)}"
        if found:
            messages.print(
                f"{len(found)} of {most} trials were on the disk already", highlight=False
            )
        before = len(found)
        count, backend, cluster = engine
        try:
            with jobs.workers(
                made.work, made.dataset, count or cpu_count(), backend, cluster, kept.lent
            ) as run:

                def execute(wanted: list[Trial]) -> jobs.Results:
                    if not wanted:
                        return
                    with terminal.watching(messages, len(wanted)) as watch:
                        for trial, result in run(wanted):
                            kept.save(trial.key, result)
                            yield trial, result
                            watch(trial)

                races = contest.run(
                    made, found, execute, lambda race: terminal.looked(messages, race)
                )
        except KeyboardInterrupt:
            messages.print(
                f"{len(found)} of {most} trials are kept in {kept.folder}; the same "
                "command goes on from there",
                highlight=False,
                soft_wrap=True,
            )
            raise
        results = summary.results_of(races)
        outcomes = summary.summarize(made, races)
        seconds = time.perf_counter() - begin
        everything = record.as_data(made, outcomes, results, seconds, language)
        tables = Console()
        if not tables.is_terminal:
            tables = Console(width=terminal.PIPED_WIDTH)
            remarks.before(tables, made.look, made.goal)  # for whoever reads the file
        terminal.show(tables, outcomes, settings, made.work.task, language)
        remarks.show(tables, everything)
        written = [page]
        write(page, report.page(everything))
        if json_file:
            write(json_file, record.as_text(everything))
            written.append(json_file)
        if table:
            write(table, record.as_csv(everything))
            written.append(table)
    _say(messages, len(found) - before, time.perf_counter() - begin, written, folder)


def _say(console: object, ran: int, seconds: float, written: Sequence[Path], folder: Path) -> None:
    names = ", ".join(str(path) for path in written)
    console.print(  # type: ignore[attr-defined]
        f"{ran} trials in {seconds:.0f} s; wrote {names}; trials are kept in {folder}",
        highlight=False,
        soft_wrap=True,
    )
