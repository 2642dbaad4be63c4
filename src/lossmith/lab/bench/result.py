"""One line of the bench: what ran against what, the ratio, and whether the target is met."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from lossmith.lab.bench.settings import Settings
from lossmith.lab.bench.timing import Spread, ratios, spread

Kind = Literal["faster", "cost", "seconds"]


@dataclass(frozen=True)
class Target:
    """faster: their time over ours, at least; cost: ours over theirs, at most; seconds: at most."""

    kind: Kind
    limit: float

    def met(self, middle: float) -> bool:
        return middle >= self.limit if self.kind == "faster" else middle <= self.limit


@dataclass(frozen=True)
class Result:
    """One comparison. Without figures, `note` says why; `wrong` says which result is wrong."""

    row: str
    work: str
    case: str  # which loss
    rival: str
    target: Target | None = None
    figure: Spread | None = None  # of the kind that the target names
    ours: float | None = None  # median seconds of one call
    theirs: float | None = None
    note: str = ""
    wrong: str = ""

    @property
    def met(self) -> bool | None:
        """None if there is no target, or no figure to hold against it."""
        if self.target is None or self.figure is None:
            return None
        return self.target.met(self.figure.middle)


@dataclass(frozen=True)
class Row:
    """One row of the table of targets: how many steps it takes, and what measures them."""

    name: str
    steps: Callable[[Settings], int]
    run: Callable[[Settings], Iterator[Result]]  # at least one result for each step


def compared(
    row: str,
    work: str,
    case: str,
    rival: str,
    target: Target,
    ours: list[float],
    theirs: list[float],
    note: str = "",
) -> Result:
    """The result of a race of two, from the seconds of each round."""
    figure = ratios(theirs, ours) if target.kind == "faster" else ratios(ours, theirs)
    return Result(
        row, work, case, rival, target, figure,
        statistics.median(ours), statistics.median(theirs), note,
    )  # fmt: skip


def lasted(row: str, work: str, case: str, limit: float, seconds: list[float]) -> Result:
    """A result in plain seconds."""
    middle = statistics.median(seconds)
    return Result(row, work, case, "", Target("seconds", limit), spread(seconds), middle)
