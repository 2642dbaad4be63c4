"""What is settled for a loss beside its parameters, each option once.

Functions, Modules, checks, docstrings and the .pyi are made from these. An option says what it
takes as data (words, an interval, one number per class …), and `face/settings.py` holds a value
against that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lossmith.formula.domain import Interval


@dataclass(frozen=True)
class Words:
    """One of some words."""

    allowed: tuple[str, ...]


@dataclass(frozen=True)
class Number:
    """A number in an interval; `learned`: or a tensor of such numbers."""

    domain: Interval
    learned: bool = False


@dataclass(frozen=True)
class Index:
    """A whole number that fits an int64."""


@dataclass(frozen=True)
class PerClass:
    """A tensor with one number, not negative, for each class."""

    not_one: str = ""  # why a single number says nothing, where people may give one


@dataclass(frozen=True)
class PerLoss:
    """A tensor with one entry for each loss, or a size of 1 where it repeats."""


@dataclass(frozen=True)
class Option:
    """One option: what it is called, its type for the .pyi, its default, and what it means."""

    name: str
    type: str
    default: Any
    meaning: str
    takes: Words | Number | Index | PerClass | PerLoss
    remedy: str = ""  # the end of an error: what to give instead
    field: str = ""  # of a Call, where that has another name: whether the last word was given

    @property
    def text(self) -> str:
        """The default as source text."""
        return f'"{self.default}"' if isinstance(self.default, str) else repr(self.default)


SAMPLE_WEIGHT = Option(
    "sample_weight", "Tensor | None", None,
    "one weight per loss; 2 counts twice, 0 drops. The mass is the sum of the weights",
    PerLoss(),
)  # fmt: skip
MASK = Option(
    "mask", "Tensor | None", None, "True keeps; dropped before the formula", PerLoss()
)  # fmt: skip
DATA = (SAMPLE_WEIGHT, MASK)  # what comes with every batch besides prediction and target

REDUCTION = Option(
    "reduction", 'Literal["mean", "sum", "none"]', "mean",
    '"mean" = total / mass, "sum" = total = Σ weight·loss, "none" = one loss each',
    Words(("mean", "sum", "none")),
    ' Use "mean" (total / mass), "sum" (total) or "none".',
)  # fmt: skip
LABELS = Option(
    "labels", 'Literal["binary", "signed"]', "binary",
    'target values: "binary" for 0 … 1, "signed" for -1 and 1; never guessed',
    Words(("binary", "signed")),
    ' Use "binary" (0 … 1) or "signed" (±1).',
    "signed",
)  # fmt: skip
POSITIVE_ALPHA = Option(
    "alpha", "float | None", None,
    "weight of the positive class in [0, 1], the negative gets 1 - alpha; part of the loss, not "
    "of the mass",
    Number(Interval(0.0, 1.0, low_closed=True, high_closed=True), learned=True),
    ". It is the weight of the positive class (the negative class gets 1 - alpha); None weights "
    "both by 1.",
)  # fmt: skip
CLASS_ALPHA = Option(
    "alpha", "Tensor | None", None,
    "one weight per class, each at its share of the label; part of the loss, not of the mass "
    "(which class_weight is)",
    PerClass(
        "with several classes it would only multiply every loss alike, as a learning rate does. "
        "Give one weight for each class, alpha=torch.tensor([...]), or None. The pair alpha and "
        "1 - alpha belongs to two classes: see binary_focal."
    ),
)  # fmt: skip
CLASS_WEIGHT = Option(
    "class_weight", "Tensor | None", None,
    "one weight per class; a row weighs as its true class (a distribution: its mean)",
    PerClass(),
)  # fmt: skip
LABEL_SMOOTHING = Option(
    "label_smoothing", "float", 0.0,
    "share of the label spread evenly over the allowed classes, in [0, 1)",
    Number(Interval(0.0, 1.0, low_closed=True)),
    "; it is a number, 0 for no smoothing.",
)  # fmt: skip
IGNORE_INDEX = Option(
    "ignore_index", "int", -100, "rows with this class index are dropped", Index()
)  # fmt: skip
DIRECTION = Option(
    "direction", 'Literal["forward", "reverse"]', "forward",
    '"forward" averages over the target, "reverse" over the prediction',
    Words(("forward", "reverse")),
    ' Use "forward", KL(target‖prediction), or "reverse", KL(prediction‖target).',
    "reverse",
)  # fmt: skip
