"""What one call asks for: the tensors (Call) and, apart from them, the code it needs (Plan)."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from lossmith.link.links import Linked

Reduction = Literal["mean", "sum", "none"]
Output = Literal["total", "total+gradient", "values", "gradient"]


@dataclass(slots=True)
class Call:
    """One checked call of a loss. Written once, handed from floor to floor."""

    loss: Linked
    prediction: Tensor
    target: Tensor
    parameters: tuple[Any, ...]  # numbers or tensors, in the order of formula.parameters
    weight: Tensor | None = None
    mask: Tensor | None = None
    signed: bool = False  # margin labels are ±1 instead of 0 … 1
    alpha: Any = None  # of balanced losses: weight of the positive class, or one for each class
    class_weight: Tensor | None = None
    label_smoothing: float = 0.0
    ignore_index: int = -100

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What an engine makes gradients of."""
        return (self.prediction,)

    @property
    def count(self) -> int:
        """How many losses it has, dropped ones included."""
        shape = self.prediction.shape
        return shape.numel() // shape[1] if self.loss.classes else shape.numel()

    @property
    def dtype(self) -> torch.dtype:
        """What its loss is returned in."""
        return torch.float64 if self.prediction.dtype == torch.float64 else torch.float32

    def strip(self) -> tuple[Tensor | None, ...]:
        """Take its tensors out: autograd is to hold them, which frees them and sees changes."""
        alpha = self.alpha if self.loss.classes else None  # elsewhere it is a number
        held = (self.prediction, self.target, self.weight, self.mask, self.class_weight, alpha)
        self.prediction = self.target = None  # type: ignore[assignment]
        self.weight = self.mask = self.class_weight = None
        if alpha is not None:
            self.alpha = None
        return held

    def filled(self, tensors: tuple[Tensor | None, ...]) -> Call:
        """A copy with its tensors back: what autograd frees must not be held on to here."""
        call = copy(self)
        call.prediction, call.target, call.weight, call.mask, call.class_weight, alpha = tensors  # type: ignore[assignment]
        if alpha is not None:
            call.alpha = alpha
        return call

    @property
    def shape_parameters(self) -> tuple[Any, ...]:
        return self.parameters[: len(self.loss.formula.shape)]

    @property
    def scale(self) -> Any:
        """The scale s of ψ(r) = s^power ψ₀(r/s), or None."""
        return self.parameters[-1] if self.loss.formula.scale else None

    @property
    def hard(self) -> bool:
        """Whether a class target is an index per row (not a distribution)."""
        return not self.target.is_floating_point()


FIXABLE = frozenset((-2.0, -1.0, 0.0, 1.0, 2.0, 3.0))


@lru_cache(maxsize=1024)
def fix(
    loss: Linked, parameters: tuple[float, ...]
) -> tuple[tuple[tuple[str, int], ...], tuple[float, ...]]:
    """Shape parameters that are small whole numbers, and the others (then the scale) as numbers.

    The first kind becomes part of a kernel's text: focal with gamma = 2 squares, where a runtime
    gamma costs an exponential. Anything else stays an argument, so a sweep compiles once.
    """
    formula = loss.formula
    fixed = tuple(
        (p.name, int(v)) for p, v in zip(formula.shape, parameters, strict=False) if v in FIXABLE
    )
    names = {name for name, _ in fixed}
    rest = tuple(
        v for p, v in zip(formula.parameters, parameters, strict=True) if p.name not in names
    )
    return fixed, rest


@dataclass(frozen=True)
class Plan:
    """Everything that decides the text of a kernel, and nothing else."""

    formula: str  # a key: name of a built-in, or a fingerprint of a person's formula
    kind: str
    prediction: str  # dtypes by name
    target: str
    output: Output
    signed: bool = False
    weight: bool = False
    mask: bool = False
    balanced: bool = False
    hard: bool = True
    class_weight: bool = False
    smoothed: bool = False
    contiguous: bool = True  # classes next to each other in memory
    panels: bool = False  # few classes: rows side by side instead of one by one
    stream: bool = False  # a gradient far larger than the cache
    fixed: tuple[tuple[str, int], ...] = ()  # parameters written into the text, see `fix`
