"""`lossmith matrix`: every option in every combination, against a plain definition."""

from __future__ import annotations

import json
import random
import secrets
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lossmith.errors import InputError
from lossmith.lab.output import need_folder, write

if TYPE_CHECKING:
    from lossmith.lab.matrix.draw import Case


@click.command()
@click.option("--losses", help="Names, parted by commas; all of them if not given.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many combinations.")
@click.option("--seconds", type=click.FloatRange(min=0), help="Stop after so many seconds.")
@click.option("--seed", type=int, help="Repeat a draw; a fresh one, printed, if not given.")
@click.option(
    "--engine",
    type=click.Choice(["cpu", "lean", "reference", "all"]),
    default="all",
    show_default=True,
    help="Whose results to check. A kernel is compiled for nearly every combination once.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the result and every miss to this file.",
)
def matrix(
    losses: str | None,
    limit: int | None,
    seconds: float | None,
    seed: int | None,
    engine: str,
    json_file: Path | None,
) -> None:
    """Compare losses under every combination of their options with a plain float64 definition.

    Labels × weights × mask and ignore_index × label smoothing × reduction × shape × memory layout
    × dtype, for every margin loss, every probability loss, every margin loss behind CrammerSinger
    and OneVsRest, and every residual loss of a distance (Radial); values, and gradients of two
    backwards with uneven upstream gradients. Forbidden classes (logits of -inf), alpha, class
    weights of 0 and many classes are mixed in. Combinations come in random order, so a limited run
    is a fair sample.

    Exit code 1 if a combination misses its tolerance.

    \b
    Examples:
        lossmith matrix --limit 500
        lossmith matrix --losses focal,CrammerSinger(hinge) --engine cpu
    """  # noqa: D301 - click's own mark
    from lossmith.lab.matrix.draw import LOSSES, cases

    names = tuple(n.strip() for n in losses.split(",")) if losses else LOSSES
    for name in names:
        if name not in LOSSES:
            raise InputError(f"--losses: {name!r} is none of {', '.join(LOSSES)}.")
    if json_file is not None:
        need_folder(json_file)
    seed = secrets.randbits(32) if seed is None else seed
    every = cases(names)
    random.Random(seed).shuffle(every)
    result = sweep(every[:limit], seed, engine, seconds)
    print(f"seed {seed}: {result['combinations']} of {len(every)} combinations", end=", ")
    print(f"{result['runs']} runs, {result['seconds']:.0f} s, {len(result['missed'])} missed")
    for dtype, (value, slope) in result["worst"].items():
        print(f"  {dtype:9} worst error: value {value:.1e}, gradient {slope:.1e}")
    for miss in result["missed"][:10]:
        print(f"  missed: {miss}")
    if json_file is not None:
        write(json_file, json.dumps({"seed": seed, "of": len(every), **result}, indent=1))
    if result["missed"]:
        sys.exit(1)


def sweep(every: list[Case], seed: int, engine: str, seconds: float | None) -> dict[str, Any]:
    """Measure combinations in their order, until they or the time run out."""
    from lossmith.lab.matrix.draw import TOLERANCE, measure

    engines = ("cpu", "lean", "reference") if engine == "all" else (engine,)
    worst = {dtype: [0.0, 0.0] for dtype in TOLERANCE}
    missed: list[dict[str, Any]] = []
    start, done, runs = time.monotonic(), 0, 0
    for case in every:
        if seconds is not None and time.monotonic() - start > seconds:
            break
        done += 1
        for name in engines:
            runs += 1
            errors = measure(case, seed, name)
            known, allowed = worst[case.dtype], TOLERANCE[case.dtype]
            if all(e <= a for e, a in zip(errors, allowed, strict=True)):  # and not NaN
                worst[case.dtype] = [max(a, b) for a, b in zip(known, errors, strict=True)]
            else:
                missed.append(asdict(case) | {"engine": name, "seed": seed, "errors": errors})
    spent = time.monotonic() - start
    return {
        "combinations": done, "runs": runs, "seconds": spent, "worst": worst, "missed": missed
    }  # fmt: skip
