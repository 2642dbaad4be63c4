"""From `focal:gamma=2,ramp` to losses that can be trained."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

import lossmith
from lossmith.errors import InputError
from lossmith.formula.record import Formula

PROBABILITY = "probability"
MARGIN = "margin"


@dataclass(frozen=True)
class Candidate:
    """A loss in the race: how to build it, and how to name and draw it."""

    name: str
    parameters: tuple[tuple[str, float], ...]
    record: Formula

    @property
    def spec(self) -> str:
        """The words that ask for this candidate on the command line."""
        given = ",".join(f"{key}={value:g}" for key, value in self.parameters)
        return f"{self.name}:{given}" if given else self.name

    @property
    def phrase(self) -> str:
        """The name inside a sentence."""
        words = self.name.replace("_", " ").replace("cross entropy", "cross-entropy")
        given = ", ".join(f"{key} = {value:g}" for key, value in self.parameters).replace("-", "−")
        return f"{words} ({given})" if given else words

    @property
    def label(self) -> str:
        """The name at the head of a row or a sentence."""
        return self.phrase[0].upper() + self.phrase[1:]

    @property
    def gives_probabilities(self) -> bool:
        """Whether softmax of the scores is what this loss trains."""
        return self.record.family == PROBABILITY

    def build(self) -> nn.Module:
        """Make the loss: called with scores (N, C) and classes (N,), it answers with the mean."""
        given: dict[str, Any] = dict(self.parameters)
        if not self.gives_probabilities:
            return lossmith.CrammerSinger(self.name, **given)
        made: nn.Module = getattr(lossmith, _class_name(self.name))(**given)
        return made

    def over_margin(self, margin: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """Value and pull (minus the slope) for two classes, at each margin of the right one.

        With two classes the probability of the right one is the sigmoid of its margin, so
        losses of a probability and losses of a margin share one axis: u = log sigmoid(m),
        and du/dm = sigmoid(-m).
        """
        given: dict[str, Any] = dict(self.parameters)
        if not self.gives_probabilities:
            value = lossmith.curve(self.record, margin, **given)
            return value, -lossmith.curve(self.record, margin, order=1, **given)
        u = -np.logaddexp(0.0, -margin)
        value = lossmith.curve(self.record, u, **given)
        return value, -lossmith.curve(self.record, u, order=1, **given) / (1.0 + np.exp(margin))


def parse(texts: Sequence[str], baseline: str) -> list[Candidate]:
    """Read the candidates, baseline first whether or not it was named."""
    found: list[Candidate] = [_read(baseline)]
    for text in texts:
        for item in _items(text):
            candidate = _read(item)
            if candidate.spec == found[0].spec:
                continue
            if candidate.spec in {other.spec for other in found}:
                raise InputError(f"--losses names {candidate.spec} twice")
            found.append(candidate)
    return found


def _items(text: str) -> list[str]:
    """Part a list at its commas; a piece such as `c=2` belongs to the loss before it."""
    items: list[str] = []
    for piece in (piece.strip() for piece in text.split(",")):
        if re.match(r"\w+\s*=", piece) and items:
            items[-1] += "," + piece
        elif piece:
            items.append(piece)
        else:
            raise InputError(f"--losses {text!r} has an empty place between its commas")
    return items


def _read(item: str) -> Candidate:
    name, _, given = item.partition(":")
    name = name.strip().replace("-", "_")
    record = lossmith.formula_of(name)
    if record.family not in (PROBABILITY, MARGIN):
        raise InputError(
            f"{name} is a {record.family} loss, and this comparison trains a classifier: "
            f"choose a probability or a margin loss (lossmith list shows them)"
        )
    parameters = record.bind(_numbers(name, given))
    candidate = Candidate(name, tuple(parameters.items()), record)
    candidate.build()  # whatever the loss itself refuses is refused now, not after minutes
    return candidate


def _numbers(name: str, given: str) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for assignment in filter(None, given.split(",")):
        key, sign, value = (part.strip() for part in assignment.partition("="))
        if not sign:
            raise InputError(f"{name}: write a parameter as name=number, not {assignment!r}")
        try:
            numbers[key] = float(value)
        except ValueError:
            raise InputError(f"{name}: {key} must be a number, not {value!r}") from None
    return numbers


def _class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
