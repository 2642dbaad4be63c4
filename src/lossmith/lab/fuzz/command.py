"""`lossmith fuzz`: inputs nobody thought of, for as long as you like."""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lossmith.errors import InputError
from lossmith.lab.output import need_folder, write

if TYPE_CHECKING:
    from rich.console import Console

    from lossmith.lab.fuzz.worker import Done


@click.command()
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="How long.",
)
@click.option("--only", help="Kinds of cases, parted by commas; all of them if not given.")
@click.option("--seed", help="Repeat a run, as far as its time allows; fresh if not given.")
@click.option("--repeat", metavar="KIND:SEED:INDEX", help="Judge one case again, as it was named.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write counts and findings to this file.",
)
def fuzz(
    minutes: float, only: str | None, seed: str | None, repeat: str | None, json_file: Path | None
) -> None:
    """Draw inputs for the library, and hold each answer against a definition of its own.

    \b
    calls     every loss, link and face: shapes around every block, panel and vector, memory
              layouts, dtypes, options, dropped rows full of NaN, threads, learned parameters
    heads     linear heads in blocks
    formulas  losses as a person might write them, value to curvature, against mpmath
    numbers   every record over all floats, parameters at the ends of their domains

    Cases run in a process of their own, so that a crash or a hang is a finding, too. Every finding
    names its case: give the name to --repeat.

    Exit code 1 if anything was found.

    \b
    Examples:
        lossmith fuzz --minutes 60
        lossmith fuzz --only calls --seed 7
        lossmith fuzz --repeat calls:7:123
    """  # noqa: D301 - click's own mark
    from rich.console import Console

    from lossmith.lab.fuzz.worker import KINDS, judged, run

    if repeat is not None:
        kind, _, name = repeat.partition(":")
        if kind not in KINDS or not name:
            raise InputError(
                f"--repeat: {repeat!r} is no case; give KIND:SEED:INDEX as a finding prints it, "
                f"KIND one of {', '.join(KINDS)}."
            )
        fault = judged(kind, name, KINDS[kind])
        print(fault or f"{repeat}: nothing is wrong")
        sys.exit(1 if fault else 0)
    kinds = tuple(k.strip() for k in only.split(",")) if only else tuple(KINDS)
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"--only: {kind!r} is none of {', '.join(KINDS)}.")
    if json_file is not None:
        need_folder(json_file)
    seed = secrets.token_hex(4) if seed is None else seed
    console = Console()
    counts = dict.fromkeys(kinds, 0)
    found: list[Done] = []
    watch = _Watch(console, minutes)
    for done in run({kind: KINDS[kind] for kind in kinds}, seed, 60 * minutes):
        counts[done.kind] += 1
        if done.fault:
            found.append(done)
            console.print(
                f"{done.kind}:{done.name}: {done.fault}",
                soft_wrap=True,
                highlight=False,
                markup=False,
            )
        watch.tell(counts, found)
    report = ", ".join(f"{n} {kind}" for kind, n in counts.items())
    print(f"seed {seed}: {report} in {minutes:g} minutes, {len(found)} findings")
    if json_file is not None:
        findings = [{"case": f"{d.kind}:{d.name}", "fault": d.fault} for d in found]
        text = json.dumps({"seed": seed, "counts": counts, "findings": findings}, indent=1)
        write(json_file, text)
    if found:
        sys.exit(1)


class _Watch:
    """A line now and then, so that nobody wonders: ten of them in all."""

    def __init__(self, console: Console, minutes: float) -> None:
        self.console, self.start, self.step = console, time.monotonic(), 6 * minutes
        self.next = self.step

    def tell(self, counts: dict[str, int], found: list[Done]) -> None:
        spent = time.monotonic() - self.start
        if spent >= self.next:
            self.next += self.step
            line = f"{spent / 60:.1f} min: {sum(counts.values())} cases, {len(found)} findings"
            self.console.print(line, highlight=False)
