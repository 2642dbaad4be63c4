"""The rows that every loss gets wrong: a person should look at their labels.

Only training rows are ever spoiled, so the labels here are those of the data themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossmith.lab.compare import kept
from lossmith.lab.compare.first_look import FAR
from lossmith.lab.compare.influence import Said, absolute
from lossmith.lab.compare.sentences import TABLE
from lossmith.lab.compare.settings import LANGUAGES, Language
from lossmith.lab.compare.summary import Outcome

Array = NDArray[np.float64]
MOST = 20  # rows that are listed
NAMED = 5  # of them in the sentence
ALWAYS = 0.9  # share of its trainings from which a loss counts as wrong on a row
_ROBUST = 1.4826  # from the median of absolute errors to their robust deviation


@dataclass(frozen=True)
class HardRow:
    """A row that every loss got wrong at least once."""

    row: int | str  # where a person finds it: its number in the file, or the name of its picture
    place: int  # among the rows of the data set, from 0
    given: str | float  # the label, or the target
    said: str | float | None  # instead: the class said most often, or the median prediction
    agreed: int | None  # trainings that said this class
    wrong: int  # trainings that were wrong …
    trainings: int  # … of all, over losses and repeats
    losses: int  # that were wrong in at least ALWAYS of their trainings
    surprise: float | None  # mean log-loss, over the losses that give probabilities
    error: float | None  # mean absolute error


def hard_rows(outcome: Outcome, language: Language) -> dict[str, Any] | None:
    """The worst rows, and a sentence if any is as good as always wrong; None for a loss alone."""
    race = outcome.race
    if len(race.finished) < 2:
        return None
    dataset = race.evidence.plan.dataset
    said = [race.evidence.said(spec, race.repeats[spec]) for spec in race.finished]
    wrong = [_wrong(each) for each in said]
    share = np.stack([each.mean(0) for each in wrong])
    losses = (share >= ALWAYS).sum(0)
    every = losses == len(said)
    error, surprise = _sizes(said, "error"), _sizes(said, "surprise")
    size = next((found for found in (error, surprise) if found is not None), share.mean(0))
    times = np.concatenate(wrong).sum(0)
    order = np.lexsort((-size, -times, ~every))  # by the last first; equals in their own order
    worst = [int(at) for at in order if share[:, at].all()][:MOST]
    places = kept.chosen(dataset).place[worst].tolist()
    rows = [
        HardRow(
            row,
            place,
            _named(dataset.classes, said[0].target[at]),
            *_instead(said, at, dataset.classes),
            int(times[at]),
            sum(len(each) for each in wrong),
            int(losses[at]),
            _finite(surprise, at),
            _finite(error, at),
        )
        for row, place, at in zip(dataset.origin.rows(places), places, worst, strict=True)
    ]
    always = [row.row for row in rows if row.losses == len(said)]
    words = {each: _sentence(always, bool(dataset.classes), each) for each in LANGUAGES}
    return {
        "says": words[language],
        "sentences": words,
        "rows": [asdict(row) for row in rows],
        "always_wrong": int(every.sum()),  # rows that every loss gets wrong in so many trainings
        "share": ALWAYS,
        "far": None if dataset.classes else FAR,
        "judged": len(every),
        "losses": len(said),
        "counted": dataset.origin.counted,
    }


def _wrong(said: Said) -> NDArray[np.bool_]:
    """For each repeat and row whether a training was wrong; a number, if far off for its loss."""
    if "error" not in said.facts:
        return ~said.right
    error = absolute(said)
    middle = _ROBUST * np.median(error, axis=1, keepdims=True)
    # Where most rows are met exactly, the median is no unit.
    unit = np.where(middle > 0, middle, error.mean(1, keepdims=True))
    return np.asarray(error > FAR * unit)


def _sizes(said: Sequence[Said], fact: str) -> Array | None:
    """The mean size of what is kept under a name, over all trainings that have it."""
    there = [np.abs(each.facts[fact].astype(np.float64)) for each in said if fact in each.facts]
    return np.concatenate(there).mean(0) if there else None


def _instead(
    said: Sequence[Said], at: int, classes: Sequence[str]
) -> tuple[str | float | None, int | None]:
    """What most trainings said of a row, and how many those are."""
    truth = said[0].target[at]
    if not classes:
        errors = np.concatenate([each.facts["error"][:, at] for each in said])
        middle = float(truth + np.median(errors.astype(np.float64)))
        return (middle if isfinite(middle) else None), None
    answers = np.concatenate([each.facts["said"][:, at] for each in said])
    counts = np.bincount(answers[answers != truth], minlength=len(classes))
    return classes[int(counts.argmax())], int(counts.max())


def _named(classes: Sequence[str], value: Any) -> str | float:
    return classes[int(value)] if classes else float(value)


def _finite(values: Array | None, at: int) -> float | None:
    """A number that JSON can hold."""
    return None if values is None or not isfinite(values[at]) else float(values[at])


def _sentence(rows: Sequence[int | str], labels: bool, language: Language) -> str | None:
    if not rows:
        return None
    shown = ", ".join(map(str, rows[:NAMED])) + " …" * (len(rows) > NAMED)
    words = TABLE["hard labels" if labels else "hard targets"][language]
    return words.format(count=len(rows), share=f"{100 * ALWAYS:g} %", rows=shown)
