"""Losses over rows of class scores, on batches of a language model's and a classifier's size."""

from __future__ import annotations

from collections.abc import Iterator

import lossmith
from lossmith.lab.bench import data, race, rivals, truth
from lossmith.lab.bench.result import Result, Row, Target
from lossmith.lab.bench.settings import Settings

SHAPES = ((1024, 32000), (16384, 1000))
NAMES = ("cross_entropy", "focal")


def _classes(settings: Settings) -> Iterator[Result]:
    for rows, count in SHAPES:
        rows = settings.size(rows)
        prediction, target = data.classes(rows, count)
        for name in NAMES:
            plain = rivals.composition(name)
            eager = rivals.TWINS.get(name, plain)
            contest = race.Race(
                "classes", f"{name}, {rows} × {count}", name, getattr(lossmith, name),
                (
                    race.Rival("eager", eager, Target("faster", 6.0)),
                    race.compile_rival(eager, Target("faster", 4.0), quick=settings.quick),
                ),
                prediction, target, truth.in_float64(plain, prediction, target),
            )  # fmt: skip
            yield from race.run(contest, rounds=settings.rounds(11), budget=settings.seconds(12))


ROWS = (Row("classes", lambda _: len(SHAPES) * len(NAMES), _classes),)
