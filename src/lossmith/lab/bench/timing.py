"""Rounds that interleave, and ratios taken within a round.

A machine's speed wanders by more than the differences looked for, and it wanders slowly: works
that take turns, A B C A B C, meet the same weather, so the ratio of a round is steadier than the
ratio of two averages.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Work = Callable[[], object]
LEAST = 3  # rounds, whatever the budget: fewer have no spread


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    low: float
    middle: float
    high: float


def spread(numbers: Iterable[float]) -> Spread:
    """Of one number, all three are that number."""
    found = sorted(numbers)
    if len(found) == 1:
        return Spread(found[0], found[0], found[0])
    return Spread(*statistics.quantiles(found, n=4, method="inclusive"))


def ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """The spread of above / below, round by round."""
    return spread(a / b for a, b in zip(above, below, strict=True))


def interleave(
    works: Sequence[Work],
    *,
    rounds: int,
    calls: int = 1,
    budget: float = float("inf"),
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
    """Seconds that one call of each work takes, a list of rounds for each.

    Each round gives every work `calls` calls in a row. After `budget` seconds no round is begun,
    unless there are fewer than three.
    """
    found: list[list[float]] = [[] for _ in works]
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for work in works:
            work()
        begin = clock()
        for done in range(rounds):
            if done >= LEAST and clock() - begin >= budget:
                break
            for work, seconds in zip(works, found, strict=True):
                start = clock()
                for _ in range(calls):
                    work()
                seconds.append((clock() - start) / calls)
    finally:
        if collecting:
            gc.enable()
    return found
