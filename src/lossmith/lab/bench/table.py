"""The results as a table in the terminal and, shorter, as Markdown for a page."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from lossmith.lab.bench.launches import Launches
from lossmith.lab.bench.result import Kind, Result
from lossmith.lab.bench.timing import Spread

NONE = "–"
FEW = 4  # results of one kind that the page shows one by one
_SIGN: dict[Kind, str] = {"faster": "≥", "cost": "≤", "seconds": "≤"}


def number(value: float, kind: Kind) -> str:
    """`3.6×`, or `0.42 s` for a time."""
    if kind == "seconds":
        return duration(value)
    return f"{value:.2f}×" if value < 9.95 else f"{value:.1f}×"


def duration(seconds: float | None) -> str:
    """With three digits, in s, ms or µs."""
    if seconds is None:
        return NONE
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            return f"{seconds / size:.3g} {unit}"
    return NONE


def figure(result: Result) -> str:
    """The median and, in brackets, the quartiles; or why there is none."""
    if result.wrong:
        return "WRONG"
    if result.figure is None or result.target is None:
        return NONE
    kind, f = result.target.kind, result.figure
    return f"{number(f.middle, kind)} ({_range(f, kind)})"


def _range(f: Spread, kind: Kind) -> str:
    return f"{number(f.low, kind).rstrip('×')} … {number(f.high, kind).rstrip('×')}"


def goal(result: Result) -> str:
    """The target, as `≥ 3.50×`."""
    if result.target is None:
        return NONE
    return f"{_SIGN[result.target.kind]} {number(result.target.limit, result.target.kind)}"


def verdict(result: Result) -> str:
    """Met, missed, WRONG, or the note that says why it is neither."""
    if result.wrong:
        return f"WRONG against float64: {result.wrong}"
    if result.met is None:
        return result.note or NONE
    return "met" if result.met else "missed"


def groups(results: Iterable[Result]) -> list[list[Result]]:
    """Results of the same work against the same target, in the order they came."""
    order: dict[Any, list[Result]] = {}
    for result in results:
        order.setdefault((result.row, result.work, result.rival, result.target), []).append(result)
    return list(order.values())


def table(results: Sequence[Result]) -> Table:
    """Every result, under a heading for each work."""
    made = Table(box=box.SIMPLE_HEAD)
    made.add_column("work and loss")
    made.add_column("against", no_wrap=True)
    for head in ("ours", "theirs", "ratio or time (quartiles)", "target"):
        made.add_column(head, justify="right", no_wrap=True)
    made.add_column("")
    ordered = [result for group in groups(results) for result in group]
    for work, same in groupby(ordered, key=lambda r: r.work):
        block = list(same)
        alone = all(r.case == block[0].case for r in block)
        if not alone:
            made.add_row(Text(work, style="bold"))
        for place, result in enumerate(block):
            name = (work if place == 0 else "") if alone else f"  {result.case}"
            made.add_row(
                Text(name, style="bold" if alone else ""),
                result.rival or NONE,
                duration(result.ours),
                duration(result.theirs),
                figure(result),
                goal(result),
                Text(verdict(result), style=_style(result)),
            )
    return made


def _style(result: Result) -> str:
    if result.wrong or result.met is False:
        return "bold red"
    return "green" if result.met else "dim"


def markdown(results: Sequence[Result], about: str) -> str:
    """One line for each result, or for each kind where there are many of them."""
    lines = [
        about,
        "",
        "| work | against | median (quartiles) | target | |",
        "| --- | --- | ---: | ---: | --- |",
    ]
    for group in groups(results):
        if len(group) <= FEW:
            lines += [
                f"| {_named(r)} | {r.rival or NONE} | {figure(r)} | {goal(r)} | {verdict(r)} |"
                for r in group
            ]
        else:
            lines.append(_summary(group))
    return "\n".join(lines)


def _named(result: Result) -> str:
    if not result.case or result.work.startswith(result.case) or "binary focal" in result.work:
        return result.work
    return f"{result.work}: {result.case}"


def _summary(group: list[Result]) -> str:
    """Many losses on one line: the middle one, the worst, and who misses the target."""
    first = group[0]
    known = [(r.figure.middle, r) for r in group if r.figure is not None]
    wrong = [r.case for r in group if r.wrong]
    text, judged = NONE, first.note or NONE
    if known and first.target is not None:
        kind = first.target.kind
        pick = min if kind == "faster" else max
        worst, who = pick(known, key=lambda pair: pair[0])
        middle = statistics.median(value for value, _ in known)
        text = f"{number(middle, kind)}; worst {number(worst, kind)} ({who.case})"
        missed = [r.case for _, r in known if not r.met]
        judged = "met by all" if not missed else f"missed by {', '.join(missed)}"
    if wrong:
        judged = f"WRONG against float64: {', '.join(wrong)}"
    count = f"{first.work}: {len(group)} losses"
    return f"| {count} | {first.rival or NONE} | {text} | {goal(first)} | {judged} |"


def _counts(count: Launches) -> tuple[str, ...]:
    """Operations and megabytes, ours / theirs, and whether each is within its target."""
    operations, memory = count.within
    return (
        f"{count.ours.operations} / {count.theirs.operations}",
        "met" if operations else "missed",
        f"{count.ours.memory / 1e6:.1f} / {count.theirs.memory / 1e6:.1f}",
        "met" if memory else "missed",
    )


_WORD = {"met": "green", "missed": "bold red"}
_HEADS = ("loss", "against", "operations", "", "memory, MB", "")


def launched(counts: Sequence[Launches]) -> Table:
    """What the reference engine launches and holds, loss by loss."""
    made = Table(box=box.SIMPLE_HEAD)
    for place, head in enumerate(_HEADS):
        made.add_column(head, justify="right" if place in (2, 4) else "left", no_wrap=True)
    for count in counts:
        cells = _counts(count)
        words = (Text(cell, style=_WORD.get(cell, "")) for cell in cells)
        made.add_row(count.case, count.rival, *words)
    return made


def counted(counts: Sequence[Launches], about: str) -> str:
    """The same in Markdown."""
    lines = [about, "", f"| {' | '.join(_HEADS)} |", "| --- | --- | ---: | --- | ---: | --- |"]
    lines += [f"| {c.case} | {c.rival} | {' | '.join(_counts(c))} |" for c in counts]
    return "\n".join(lines)
