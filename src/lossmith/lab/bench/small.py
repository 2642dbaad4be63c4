"""A batch of 64 numbers, where what is timed is Python: public function, backward, .grad reset."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import lossmith
from lossmith.formula.ledger import LEDGER
from lossmith.lab.bench import data, race, rivals, truth
from lossmith.lab.bench.result import Result, Row, Target
from lossmith.lab.bench.settings import Settings

COUNT, ROWS_AND_CLASSES = 64, (8, 8)


def _small(settings: Settings) -> Iterator[Result]:
    for name, record in LEDGER.items():
        ours, theirs = getattr(lossmith, name), None
        if record.family == "probability":
            prediction, target = data.classes(*ROWS_AND_CLASSES)
        else:
            prediction, target = data.elementwise(record.family, COUNT)
        plain = rivals.composition(name)
        expected = truth.in_float64(plain, prediction, target)
        if name in rivals.TWINS:
            rival = race.Rival("torch's own", rivals.TWINS[name], Target("cost", 1.5))
        else:
            rival = race.Rival("eager", plain, Target("cost", 1.0))
        if name in rivals.SIGNED:
            ours = partial(ours, labels="signed")
            target = theirs = 2 * target - 1
        contest = race.Race(
            "small", "64 elements", name, ours, (rival,), prediction, target, expected, theirs
        )
        yield from race.run(
            contest,
            rounds=settings.rounds(21),
            calls=20 if settings.quick else 200,
            budget=settings.seconds(1.5),
        )


ROWS = (Row("small", lambda _: len(LEDGER), _small),)
