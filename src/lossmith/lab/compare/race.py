"""A race: after each look, only losses that may still be the best get more repeats.

The looks share what may be spent on errors, so by the union bound a loss that is as good as the
best is put out in no more than ALPHA of all races, whenever they end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.statistics import (
    Estimate,
    Table,
    behind,
    estimate,
    model_confidence_set,
)

LOOKS = (2, 4, 7, 10)
ALPHA = 0.05  # of errors in all, for a condition
HEADLINE = 0.04  # of it for the metric that decides, in even parts over the looks
BESIDE = 3  # other metrics at most, which share the rest
OTHER = (ALPHA - HEADLINE) / BESIDE
FEWEST = 10  # means of folds from which training luck can be told; with 6, 5 % become 9
VISIBLE = 2.2  # floors that a gap with its error has to reach, or no repeat can make it count
SURE = 3.0  # errors that a gap needs to be told in most runs


@dataclass(frozen=True, eq=False)
class Look:
    """What the trainings say after some repeats, of the losses that were in until then."""

    repeats: int
    share: float  # of errors that this look may make
    judged: tuple[str, ...]
    p: dict[str, float]
    inside: tuple[str, ...]  # the best mean first
    bounds: dict[str, float]  # by how much each inside is behind the best at most
    among: Estimate  # of those inside, in their order

    @property
    def pick(self) -> str:
        """The loss that is least far behind at worst; of equals the better mean."""
        return min(self.inside, key=lambda loss: self.bounds[loss])

    @property
    def hope(self) -> bool:
        """Whether endless repeats could still tell any two of those inside."""
        e = self.among
        return bool((e.gaps + e.errors > VISIBLE * e.floor).any())


def looks(settings: Settings) -> tuple[int, ...]:
    """After how many repeats it is looked; the last is the most that may be run."""
    if settings.fixed:
        return (settings.repeats,)
    early = [at for at in LOOKS if at < settings.repeats and at * settings.folds >= FEWEST]
    return (*early, settings.repeats)


def look(
    table: Table, losses: Sequence[str], repeats: int, share: float, trainings: bool = True
) -> Look:
    """Judge losses by their row values. `trainings` as in `estimate`."""
    p = model_confidence_set(estimate(table, trainings=trainings))
    places = [
        place for place in np.argsort(table.z.mean((0, 1)), kind="stable") if p[place] > share
    ]
    among = estimate(table.some(repeats, places), trainings=trainings)
    inside = tuple(losses[place] for place in places)
    limits = dict(zip(inside, behind(among, share).tolist(), strict=True))
    named = dict(zip(losses, p.tolist(), strict=True))
    return Look(repeats, share, tuple(losses), named, inside, limits, among)


def why_over(at: Look, margin: float, last: bool) -> str:
    """Why nothing more has to be run: "" while it has."""
    if len(at.inside) == 1:
        return "one"
    if at.bounds[at.pick] <= margin:
        return "margin"
    if not at.hope:
        return "rows"
    return "budget" if last else ""
