"""Calls of every loss: shape, memory, dtype, options, threads and face drawn.

`draw` decides everything in words and numbers; `tensors.make` makes what a case says, and `judge`
holds the library against the definition. Sizes are drawn around those at which the engines
change their ways: vectors, panels, blocks, shares of a thread.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

from lossmith.formula.ledger import DIVERGENCES, LEDGER
from lossmith.lab.definition.loss import EVEN
from lossmith.lab.definition.psi import MARGIN, PROBABILITY, RESIDUAL
from lossmith.lab.fuzz.layouts import LAYOUTS

FORMULAS = {
    "residual": tuple(RESIDUAL),
    "norm": EVEN,
    "margin": tuple(MARGIN),
    "softmax": tuple(PROBABILITY),
    "crammer_singer": tuple(MARGIN),
    "one_vs_rest": tuple(MARGIN),
    "divergence": ("kl_divergence", "js_divergence"),
}
_LINKS = ("residual",) * 3 + ("norm",) * 2 + ("margin",) * 3 + ("softmax",) * 5 + (
    "crammer_singer", "crammer_singer", "one_vs_rest", "one_vs_rest", "divergence"
)  # fmt: skip
_LABELLED = ("softmax", "crammer_singer", "one_vs_rest")  # whose targets are labels over classes
# total: the pair of total and mass; reference: the other engine; second: a derivative of the
# gradient; derivatives: lossmith.derivatives.
FACES = ("function",) * 5 + ("module", "module", "total", "reference", "second", "derivatives")
_FLOATS = ("float32", "float32", "float64", "bfloat16", "float16")
_NEAR = (8, 16, 32, 64, 128, 256, 1024, 2048, 4096, 65536, 131072)
_CLASSES = (2, 2, 3, 3, 4, 5, 7, 8, 10, 15, 16, 17, 21, 31, 32, 33, 64, 65, 100, 127, 128, 129, 260)
_IGNORED = (-100, -1, 0, 1, 255, 2**31)
_MOST = 1 << 17  # elements; a few cases are larger, see `_size`


@dataclass(frozen=True)
class Case:
    """Everything that decides a call. `seed` draws the numbers in the tensors."""

    link: str
    formula: str
    face: str
    shapes: tuple[tuple[int, ...], ...]  # of the prediction: one call each
    layouts: tuple[str, ...]  # of prediction, target, weight, mask
    dtype: str
    labels: str  # real, index, hard, soft, signed, probabilities, logits
    target_dtype: str
    parameters: tuple[tuple[str, float], ...]
    learned: str  # "", "one", or "many": a number each for columns or classes
    weight: str  # "", or its dtype
    mask: bool
    narrow: bool  # weight and mask have a size of 1 here and there
    class_weight: bool
    alpha: bool
    smoothing: float
    ignore_index: int
    forbidden: bool
    reduction: str
    direction: str
    threads: int
    seed: int

    @property
    def elementwise(self) -> bool:
        return self.link in ("residual", "margin")

    @property
    def axis(self) -> int | None:
        """The dimension that one loss sees whole."""
        return None if self.elementwise else -1 if self.link == "norm" else 1

    def rows(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the losses."""
        if self.axis is None:
            return shape
        place = self.axis % len(shape)
        return shape[:place] + shape[place + 1 :]


def draw(random: random.Random) -> Case:
    """A call that the library takes."""
    link = random.choice(_LINKS)
    formula = random.choice(FORMULAS[link])
    elementwise = link in ("residual", "margin")
    face = random.choice(FACES)
    if link == "divergence" and face == "derivatives":
        face = "function"
    dtype = "float64" if face == "second" else random.choice(_FLOATS)
    labels, target_dtype = _labels(random, link, dtype)
    learned = random.choice(("one", "many")) if random.random() < 0.1 else ""
    parameters = tuple(_parameters(random, formula))
    smooth = link == "softmax" and face != "derivatives"
    # The definition of a margin over classes compares every class with every other.
    most = 1000 if link == "softmax" else 129
    sizes = [
        _size(random) if elementwise else _points(random) if link == "norm" else _rows(random, most)
        for _ in range(_calls(random))
    ]
    return Case(
        link, formula, face,
        shapes=tuple(sizes),
        layouts=tuple(_layout(random) for _ in range(4)),
        dtype=dtype, labels=labels, target_dtype=target_dtype,
        parameters=parameters,
        learned=learned if parameters and face != "derivatives" else "",
        weight=random.choice(("float32", "float64", "int64")) if random.random() < 0.4 else "",
        mask=random.random() < 0.3,
        narrow=random.random() < 0.3,
        class_weight=link in _LABELLED and random.random() < 0.3,
        alpha=formula in ("focal", "binary_focal") and link in ("margin", "softmax")
        and random.random() < 0.5,
        smoothing=random.choice((0.05, 0.3)) if smooth and random.random() < 0.25 else 0.0,
        ignore_index=random.choice(_IGNORED) if labels == "index" else -100,
        forbidden=link in _LABELLED and random.random() < 0.15,
        reduction=random.choice(("mean", "mean", "sum", "none")),
        direction=random.choice(("forward", "reverse")),
        threads=random.choice((1, 2, 2, 3)),
        seed=random.randrange(2**32),
    )  # fmt: skip


def _calls(random: random.Random) -> int:
    """How many: the first compiles a kernel, which takes longer than all others together."""
    return random.choice((1, 2, 4, 6))


def _layout(random: random.Random) -> str:
    return "contiguous" if random.random() < 0.4 else random.choice(tuple(LAYOUTS))


def _labels(random: random.Random, link: str, dtype: str) -> tuple[str, str]:
    if link in ("residual", "norm"):
        return "real", random.choice((dtype, dtype, "float32", "float64", "int64", "bfloat16"))
    if link == "divergence":
        # A distribution rounded to half precision adds up to 1 by three digits only, and so far
        # the divergences of two such rows are a matter of definition.
        wide = "float32" if dtype in ("bfloat16", "float16") else dtype
        return random.choice(("probabilities", "logits")), random.choice((wide, "float64"))
    if link == "margin":
        labels = random.choice(("hard", "hard", "soft", "signed"))
        kinds: tuple[str, ...] = (dtype, "float32", "int64", "int32")
        if labels == "soft":
            kinds = (dtype, "float32", "float64")
        elif labels == "hard":
            kinds = (*kinds, "bool", "uint8")
        return labels, random.choice(kinds)
    if random.random() < 0.7:
        return "index", random.choice(("int64", "int64", "int32", "uint8"))
    return "soft", random.choice((dtype, "float64"))


def _parameters(random: random.Random, formula: str) -> list[tuple[str, float]]:
    record, found = (LEDGER | DIVERGENCES)[formula], []
    for p in record.parameters:
        if random.random() < 0.35:
            continue  # its default
        scale = record.scale is not None and p.name == record.scale.name
        low, high = (0.3, 3.0) if scale else (max(p.domain.low, -3.0), min(p.domain.high, 4.0))
        value: float = random.choice((random.randint(-3, 3), random.uniform(low, high)))
        # Close to the ends of a domain, and where barron changes its form, digits are another
        # matter (`numbers`); here they would only hide what goes wrong with memory.
        if low + 0.05 <= value <= high - 0.05 and (abs(value) > 0.05 or value == 0):
            found.append((p.name, float(value)))
    return found


def _size(random: random.Random) -> tuple[int, ...]:
    """Of elements: few in up to four dimensions, or many, near a limit of the engines."""
    if random.random() < 0.5:
        return tuple(random.choice((1, 1, 2, 3, 5, 8)) for _ in range(random.randrange(5)))
    if random.random() < 0.05:
        return (0,) if random.random() < 0.5 else (3, 0, 2)
    if random.random() < 0.02:
        return ((1 << 21) + random.randint(-9, 9),)  # gradients past the cache, memory used again
    near = random.choice(_NEAR) + random.choice((-9, -1, 0, 0, 1, 2, 7))
    columns = random.choice((1, 1, 2, 3, 7))
    near = max(1, near)
    return (near,) if columns == 1 else (max(1, near // columns), columns)


def _points(random: random.Random) -> tuple[int, ...]:
    """Of points: rows as elements have them, and few coordinates, or many."""
    size = random.choice((1, 2, 2, 3, 3, 4, 7, 8, 17, 64, 129))
    rows = _size(random)
    while math.prod(rows) * size > _MOST:
        rows = tuple(max(1, n // 2) for n in rows)
    return (*rows, size)


def _rows(random: random.Random, most: int) -> tuple[int, ...]:
    """Of rows of classes: rows near a panel, and examples that a panel crosses."""
    classes = 1000 if random.random() < 0.02 else random.choice(_CLASSES)
    classes = min(classes, most)
    inner = tuple(
        random.choice((1, 2, 3, 4, 5, 7, 16, 31, 33))
        for _ in range(random.choice((0, 0, 1, 1, 2, 3)))
    )
    rows = 1
    for n in inner:
        rows *= n
    wanted = random.choice((1, 2, 3, 5, 40, 63, 64, 65, 128, 130, 256, 257, 600, 5000))
    first = max(1, min(wanted, _MOST // classes) // rows)
    if random.random() < 0.03:
        first = 0
    while first * rows * classes > _MOST:
        inner, rows = inner[1:], rows // inner[0]
    return (first, classes, *inner)


def settings(case: Case) -> dict[str, Any]:
    """The plain numbers among a call's arguments."""
    given: dict[str, Any] = {} if case.learned else dict(case.parameters)
    if case.link == "margin":
        given["labels"] = "signed" if case.labels == "signed" else "binary"
    elif case.link == "divergence":
        if case.formula == "kl_divergence":
            given["direction"] = case.direction
    elif case.link in _LABELLED:
        given["ignore_index"] = case.ignore_index
        if case.smoothing:
            given["label_smoothing"] = case.smoothing
    return given
