"""What can stand in a sum of losses: the operators +, -, *, / and the names of inputs.

A sum is an `Objective`, which lives on a floor further on. That floor cannot be imported from
here, so the package's page leaves a door: a function that fetches the class at its first use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lossmith.errors import LossmithError
from lossmith.formula.domain import as_number

_doors: list[Callable[[], Any]] = []


def door(fetch: Callable[[], Any]) -> None:
    """Say where the class of sums is found; the last word counts."""
    _doors[:] = [fetch]


def _objective(value: Any) -> Any:
    if not _doors:
        raise LossmithError("sums of losses need the whole package: import lossmith first.")
    return _doors[0]().of(value)


class Summand:
    """A loss, a penalty, or a sum of them: `CrossEntropy() + 0.01 * CenterLoss(10, 64)`.

    A Module that inherits from this takes part in sums; see `lossmith.Objective`.
    """

    __array_ufunc__ = None  # NumPy's numbers leave the product to us

    def __add__(self, other: Any) -> Any:
        return _objective(self).plus(other)

    def __radd__(self, other: Any) -> Any:
        if as_number(other) == 0:  # where sum(...) begins
            return _objective(self)
        return _objective(other).plus(self)

    def __sub__(self, other: Any) -> Any:
        return _objective(self).plus(_objective(other).times(-1.0))

    def __rsub__(self, other: Any) -> Any:
        return _objective(other).plus(_objective(self).times(-1.0))

    def __neg__(self) -> Any:
        return _objective(self).times(-1.0)

    def __mul__(self, weight: Any) -> Any:
        return _objective(self).times(weight)

    __rmul__ = __mul__

    def __truediv__(self, number: Any) -> Any:
        return _objective(self).over(number)

    def on(self, **names: str | None) -> Any:
        """The same term, taking its inputs under other names.

        `CrossEntropy().on(logits="coarse_logits", target="coarse")` takes `coarse_logits=` and
        `coarse=` in the call of an objective. None leaves an optional input out: with
        `.on(sample_weight=None)` a weight that is meant for other terms does not reach this one.
        """
        return _objective(self).on(**names)

    def named(self, name: str) -> Any:
        """The same term under a name of your own, in logs, errors and the state_dict."""
        return _objective(self).named(name)
