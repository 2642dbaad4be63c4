"""From `focal:gamma=2,ramp` to losses that can be trained."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lossmith
from lossmith.errors import InputError, ParameterError
from lossmith.formula.record import Formula
from lossmith.lab.compare.criterion import Criterion, Loss
from lossmith.link.links import link

Array = NDArray[np.float64]

BASELINES = {
    "classification": "cross_entropy",
    "binary": "binary_cross_entropy",
    "regression": "l2",
}
# Chosen for a task when nothing is asked for: one of each character, not every loss there is.
CHOSEN = {
    "classification": (
        *("cross_entropy:center=0.01", "focal", "generalized_cross_entropy", "poly1"),
        *("hinge", "ramp"),
    ),
    "binary": (
        *("binary_focal", "generalized_cross_entropy", "squared_hinge", "hinge", "ramp"),
        *("savage", "exponential"),
    ),
    "regression": ("l1", "huber", "log_cosh", "cauchy", "tukey_biweight"),
}
FAMILIES = {
    "classification": ("probability", "margin"),
    "binary": ("margin", "probability"),
    "regression": ("residual",),
}
# What any candidate takes besides the parameters of its loss.
EXTRAS = {
    "center": "λ of a center loss on the hidden features, beside the loss itself",
    "balanced": "1 weights each row by the inverse frequency of its class among the training rows",
    "tuned": "1 tunes its own parameters with the learning rate (with --tune)",
    "seed": "other first weights and batches: the same loss once more, to see what luck does",
}


def number(value: float) -> str:
    """The shortest text that reads back as this number."""
    text = f"{value:g}"
    return text if float(text) == value else repr(float(value))


@dataclass(frozen=True)
class Candidate:
    """A loss in the race: how to build it, and how to name and draw it."""

    name: str
    task: str
    parameters: tuple[tuple[str, float], ...]
    loss: Loss = field(compare=False)  # a record of ours, or a function of (prediction, target)
    extras: tuple[tuple[str, float], ...] = ()

    @property
    def spec(self) -> str:
        """The words that ask for this candidate on the command line."""
        given = ",".join(f"{key}={number(value)}" for key, value in self._numbers)
        return f"{self.name}:{given}" if given else self.name

    @property
    def _numbers(self) -> tuple[tuple[str, float], ...]:
        return self.parameters + self.extras

    def extra(self, name: str) -> float:
        """One of EXTRAS, 0 where it was not asked for."""
        return dict(self.extras).get(name, 0.0)

    def at(self, given: Mapping[str, float]) -> Candidate:
        """The same loss with some of its parameters changed."""
        return replace(self, parameters=tuple({**dict(self.parameters), **given}.items()))

    @property
    def record(self) -> Formula | None:
        """The formula; a person's plain function has none."""
        return getattr(self.loss, "formula", None)

    @property
    def phrase(self) -> str:
        """The name inside a sentence."""
        words = self.record.title if self.record else self.name.replace("_", " ")
        given = ", ".join(f"{key} = {number(value)}" for key, value in self._numbers)
        return f"{words} ({given.replace('-', '−')})" if given else words

    @property
    def label(self) -> str:
        """The name at the head of a row or a sentence."""
        return self.phrase[0].upper() + self.phrase[1:]

    @property
    def gives_probabilities(self) -> bool:
        """Whether this loss trains scores whose softmax or sigmoid is meant as a probability."""
        record = self.record
        if record is None or (record.family == "margin" and self.task != "binary"):
            return False
        return link(record).link.probable(record)

    @cached_property
    def start(self) -> Candidate | None:
        """The convex relative that the record names, with the same extras; None if it has none.

        Its classes count alike. A capped loss does not move what lies far on the wrong side, and
        there a convex one without weights leaves the whole of a rare class.
        """
        record = self.record
        if record is None or not record.start:
            return None
        first = lossmith.formula_of(record.start)
        loss = getattr(lossmith, record.start)
        kept = {key: value for key, value in self.extras if key != "tuned"}
        extras = kept | ({} if self.task == "regression" else {"balanced": 1.0})
        given = tuple(first.defaults.items())
        return Candidate(first.name, self.task, given, loss, tuple(extras.items()))

    def build(
        self, classes: int, features: int, class_weight: Array | None, unit: float = 1.0
    ) -> Criterion:
        """Make what is trained, for scores, features and targets of a batch."""
        return Criterion(
            self.loss,
            self.task,
            dict(self.parameters),
            class_weight=class_weight if self.extra("balanced") else None,
            center=(classes, features, self.extra("center")),
            unit=unit if self.record is not None else 1.0,
        )

    def curve(self, u: Array) -> tuple[Array, Array] | None:
        """Value and pull (minus the slope) over the residual, or the margin of the right class.

        With two classes the probability of the right one is the sigmoid of its margin, so
        losses of a probability and losses of a margin share one axis: u = log sigmoid(m),
        and du/dm = sigmoid(-m). A plain function, and a center loss, have no such curve.
        """
        record = self.record
        if record is None or self.extra("center"):
            return None
        given: dict[str, Any] = dict(self.parameters)
        if record.family != "probability":
            value = lossmith.curve(record, u, **given)
            return value, -lossmith.curve(record, u, order=1, **given)
        at = -np.logaddexp(0.0, -u)
        value = lossmith.curve(record, at, **given)
        return value, -lossmith.curve(record, at, order=1, **given) / (1.0 + np.exp(u))


def parse(
    texts: Sequence[str],
    task: str,
    own: Mapping[str, Any] | None = None,
    baseline: str | None = None,
) -> list[Candidate]:
    """Read the candidates, baseline first whether or not it was named.

    With no text these are the ones chosen for the task, and every one of the person's `own`.
    """
    mine = own or {}
    asked = list(texts) or [",".join((*CHOSEN[task], *mine))]
    found = [_read(baseline or BASELINES[task], task, mine)]
    for text in asked:
        for item in _items(text):
            candidate = _read(item, task, mine)
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
            items[-1] += ("," if ":" in items[-1] else ":") + piece
        elif piece:
            items.append(piece)
        else:
            raise InputError(f"--losses {text!r} has an empty place between its commas")
    return items


def _read(item: str, task: str, own: Mapping[str, Any]) -> Candidate:
    name, _, given = item.partition(":")
    name = name.strip().replace("-", "_")
    loss: Any = own[name] if name in own else lossmith.formula_of(name)
    record = loss if isinstance(loss, Formula) else getattr(loss, "formula", None)
    if name not in own:
        loss = getattr(lossmith, name)
    if record is not None and record.family not in FAMILIES[task]:
        needed = " or a ".join(FAMILIES[task])
        raise InputError(
            f"{name} is a {record.family} loss, and the task is {task}: "
            f"choose a {needed} loss (lossmith list shows them)"
        )
    numbers = _numbers(name, given)
    extras = tuple((key, numbers.pop(key)) for key in EXTRAS if numbers.get(key))
    for key in EXTRAS:
        numbers.pop(key, None)  # an extra of 0 is as good as none
    _check(name, dict(extras), task, record)
    if record is not None:
        numbers = record.bind(numbers)
    candidate = Candidate(name, task, tuple(numbers.items()), loss, extras)
    try:
        candidate.build(2, 2, np.ones(2))  # what the loss refuses is refused now, not after minutes
    except TypeError as error:  # a person's function without such an argument
        raise ParameterError(f"{name}: {error}") from None
    return candidate


def _check(name: str, extras: Mapping[str, float], task: str, record: Formula | None) -> None:
    if "center" in extras and not 0 < extras["center"] < float("inf"):
        raise InputError(f"{name}: center is the weight of a center loss, not {extras['center']:g}")
    if "center" in extras and task == "regression":
        raise InputError(f"{name}: a center loss needs classes, and this task is regression")
    if "balanced" in extras and (extras["balanced"] != 1 or task == "regression" or record is None):
        raise InputError(
            f"{name}: balanced=1 weights the rows of each class alike; "
            "it needs classes, and a loss that takes weights"
        )
    if "tuned" in extras and (extras["tuned"] != 1 or record is None):
        raise InputError(f"{name}: tuned=1 tunes the parameters of a formula, and nothing else")
    if "seed" in extras and not (extras["seed"] > 0 and float(extras["seed"]).is_integer()):
        raise InputError(f"{name}: seed is a positive whole number, not {extras['seed']:g}")


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
