"""From `focal:gamma=2,ramp` to losses that can be trained."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

import lossmith
from lossmith.errors import InputError
from lossmith.formula.record import Formula

PROBABILITY = "probability"
MARGIN = "margin"
CENTER = "center"  # the parameter that every candidate takes besides its own


class Criterion(nn.Module):
    """The mean loss of a batch, plus λ times the center loss of its features if asked for."""

    def __init__(self, loss: nn.Module, classes: int, hidden: int, weight: float) -> None:
        super().__init__()
        self.loss, self.weight = loss, weight
        self.center = lossmith.CenterLoss(classes, hidden) if weight else None

    def forward(self, scores: Tensor, features: Tensor, labels: Tensor) -> Tensor:
        value: Tensor = self.loss(scores, labels)
        if self.center is not None:
            value = value + self.weight * self.center(features, labels)
        return value


@dataclass(frozen=True)
class Candidate:
    """A loss in the race: how to build it, and how to name and draw it."""

    name: str
    parameters: tuple[tuple[str, float], ...]
    record: Formula
    center: float = 0.0  # λ of a center loss on the hidden features, beside the loss itself

    @property
    def spec(self) -> str:
        """The words that ask for this candidate on the command line."""
        given = ",".join(f"{key}={value:g}" for key, value in self._numbers)
        return f"{self.name}:{given}" if given else self.name

    @property
    def _numbers(self) -> tuple[tuple[str, float], ...]:
        return self.parameters + (((CENTER, self.center),) if self.center else ())

    @property
    def phrase(self) -> str:
        """The name inside a sentence."""
        words = self.name.replace("_", " ").replace("cross entropy", "cross-entropy")
        given = ", ".join(f"{key} = {value:g}" for key, value in self._numbers).replace("-", "−")
        return f"{words} ({given})" if given else words

    @property
    def label(self) -> str:
        """The name at the head of a row or a sentence."""
        return self.phrase[0].upper() + self.phrase[1:]

    @property
    def gives_probabilities(self) -> bool:
        """Whether softmax of the scores is what this loss trains."""
        return self.record.family == PROBABILITY

    def build(self, classes: int, hidden: int) -> Criterion:
        """Make what is trained: called with scores (N, C), hidden features and classes (N,)."""
        given: dict[str, Any] = dict(self.parameters)
        if self.gives_probabilities:
            loss = getattr(lossmith, _class_name(self.name))(**given)
        else:
            loss = lossmith.CrammerSinger(self.name, **given)
        return Criterion(loss, classes, hidden, self.center)

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
    numbers = _numbers(name, given)
    center = numbers.pop(CENTER, 0.0)
    if not 0 <= center < float("inf"):
        raise InputError(f"{name}: {CENTER} is the weight of a center loss, not {center:g}")
    parameters = record.bind(numbers)
    candidate = Candidate(name, tuple(parameters.items()), record, center)
    candidate.build(2, 2)  # whatever the loss itself refuses is refused now, not after minutes
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
