"""`lossmith claims`: try what the articles say, print the verdicts, write the page."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from lossmith.errors import InputError
from lossmith.lab.output import make_room, need_apart, write
from lossmith.lab.processes import need_processes

EPILOG = """
\b
Examples:
  lossmith claims
  lossmith claims --only ramp --only 9 --seeds 50
  lossmith claims --quick --json out/claims.json
"""
SEEDS, QUICK_SEEDS = 20, 3
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(epilog=EPILOG, context_settings={"show_default": True})
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="A claim by name or number; give it again for a further one. All, if left out.",
)
@click.option("--quick", is_flag=True, help="Smaller experiments and fewer seeds: a look, no more.")
@click.option(
    "--seeds",
    type=int,
    help=f"How many seeds, at least 2.  [default: {SEEDS}, with --quick {QUICK_SEEDS}]",
)
@click.option("--jobs", type=int, default=2, help="How many claims to try at a time.")
@click.option("--output", type=_FILE, default=Path("out/claims.html"), help="Where the page goes.")
@click.option("--json", "json_file", type=_FILE, help="Also write every number to this file.")
@click.option("--list", "only_list", is_flag=True, help="List the claims and stop.")
def claims(
    only: tuple[str, ...],
    quick: bool,
    seeds: int | None,
    jobs: int,
    output: Path,
    json_file: Path | None,
    only_list: bool,
) -> None:
    """Try fifteen claims of two articles about losses on real data.

    Each claim is an experiment on data that ships with scikit-learn, with Lossmith's own losses.
    Its numbers come with 95 % intervals over the seeds, and a rule that was written down before
    turns them into a verdict: holds, holds in part, or does not hold. Writes one page with every
    figure. The same command gives the same digits.
    """
    from lossmith.lab.claims import ledger

    chosen = [ledger.find(name) for name in only] or list(ledger.CLAIMS.values())
    chosen = sorted({claim.number: claim for claim in chosen}.values(), key=lambda c: c.number)
    if only_list:
        for claim in chosen:
            click.echo(f"{claim.number:>2}  {claim.name:<12}{claim.title}")
        return
    count = (QUICK_SEEDS if quick else SEEDS) if seeds is None else seeds
    if count < 2:
        raise InputError(f"--seeds {count}: an interval needs at least 2 seeds.")
    need_processes("--jobs", jobs)
    need_apart({"--output": output, "--json": json_file}, {})
    for path in filter(None, (output, json_file)):
        make_room(path)

    from lossmith.lab.claims import page, trial
    from lossmith.lab.claims.claim import Budget

    begin = time.perf_counter()
    results = {}
    for result in trial.every([c.name for c in chosen], Budget(tuple(range(count)), quick), jobs):
        results[result.name] = result
        click.echo(
            f"{len(results)}/{len(chosen)}  {result.name}: {result.verdict} "
            f"({result.seconds:.0f} s)",
            err=True,
        )
    seconds = time.perf_counter() - begin
    data = page.as_data(chosen, results, count, quick, seconds)
    for claim in chosen:
        result = results[claim.name]
        click.echo(f"{claim.number:>2}  {claim.title}: {result.verdict}")
        for sentence in result.evidence.sentences:
            click.echo(click.wrap_text(sentence, 96, "    ", "    "))
    write(output, page.html(chosen, results, data))
    if json_file:
        write(json_file, json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    written = " and ".join(str(path) for path in (output, json_file) if path)
    click.echo(f"{len(chosen)} claims in {seconds:.0f} s; wrote {written}", err=True)
