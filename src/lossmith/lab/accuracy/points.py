"""Where a formula is tested: the numbers of a dtype at which floating point goes wrong first.

Kinks and their neighbours, zero, every order of magnitude, the busy middle, the places where
exponentials saturate, and the largest and smallest numbers there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossmith.formula.calculus import U, base
from lossmith.formula.record import Formula

Numbers = NDArray[Any]
# e^x leaves the floats (88, 709), reaches their subnormals (103, 745), or drops below one unit
# of 1 (17, 37); squares of e^x, and e^(-x²), do so earlier.
_SATURATION = (
    *(4, 6, 8, 8.5, 9.4, 10.2, 13, 16, 17, 18, 26.6, 27.3, 36, 37, 38, 44, 52, 87, 88, 89),
    *(103, 104, 150, 354, 372, 708, 709, 710, 745, 746, 1000),
)


def kinks(record: Formula, parameters: dict[str, float]) -> list[float]:
    """Where a branch of the formula ends, in u."""
    import sympy as sp

    found: set[float] = set()
    expression = base(record)
    values = {s: parameters[s.name] for s in expression.free_symbols if s != U}
    for condition in expression.atoms(sp.core.relational.Relational):
        if U in condition.free_symbols:
            edge = (condition.lhs - condition.rhs).subs(values)
            found |= {float(x) for x in sp.solve(edge, U)}
    if expression.has(sp.Abs, sp.sign):
        found.add(0.0)
    return sorted(found)


def points(record: Formula, parameters: dict[str, float], dtype: Any, count: int) -> Numbers:
    """About `count` arguments, as numbers of `dtype`; before the scale, if there is one.

    A probability formula takes u ≤ 0; so do these, for it.
    """
    draw = np.random.default_rng(len(record.name) * 1000 + count)
    info = np.finfo(dtype)
    scale = parameters[record.scale.name] if record.scale else 1.0
    edges = np.array([k * scale for k in kinks(record, parameters)])
    near = edges[:, None] * (1 + np.logspace(-15, 0, 31) * np.array([[[-1]], [[1]]]))
    share = max(8, (count - 150) // 4)
    wide = np.log10(float(info.max)) - 0.01
    logarithms = np.concatenate([draw.uniform(-31, 31, share), draw.uniform(-wide, wide, share)])
    sides = draw.choice([-1.0, 1.0], 2 * share)
    fixed = [0.0, info.max, info.max / 2, info.max**0.5, info.max ** (1 / 3), info.tiny]
    fixed += [info.smallest_subnormal, info.tiny**0.5, info.eps, info.eps**0.5, 1e-30, 1e30]
    fixed += [1e4, 1e6, 1e10]
    both = np.array([*map(float, fixed), *_SATURATION, *(scale * x for x in _SATURATION)])
    numbers = np.concatenate(
        [
            *(edges, near.ravel(), both, -both),
            draw.uniform(-20, 20, 2 * share),
            sides * 10.0**logarithms,
        ]
    ).astype(dtype)
    at = edges.astype(dtype)
    steps = [at]
    for direction in (-np.inf, np.inf):
        moved = at
        for _ in range(2):
            moved = np.nextafter(moved, dtype(direction))
            steps.append(moved)
    numbers = np.unique(np.concatenate([numbers, *steps]))
    if record.family == "probability":
        numbers = np.unique(-np.abs(numbers))
    return numbers[np.isfinite(numbers)]
