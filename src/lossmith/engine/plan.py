"""What code a call needs, apart from its tensors: what it asks for, and what is written into it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from lossmith.link.link import Linked

Reduction = Literal["mean", "sum", "none"]
Output = Literal["total", "mean", "total+gradient", "mean+gradient", "values", "gradient"]


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
    body: str  # the link's name for what is done with an element, or a row
    axis: int | None  # which dimension of the prediction one loss sees whole
    form: str  # of ψ, which the program is written from
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
