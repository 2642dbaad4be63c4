"""Weights that change with the step: functions of the step, from a whole number to a number."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

from lossmith.errors import ParameterError
from lossmith.formula.domain import as_number


@dataclass(frozen=True)
class _Ramp:
    """The numbers of a way from one weight to another, checked."""

    start: float
    stop: float
    steps: int
    after: int = 0

    def __post_init__(self) -> None:
        name = type(self).__name__
        for argument in ("start", "stop"):
            value: Any = getattr(self, argument)
            number = as_number(value)
            if number is None or not math.isfinite(number):
                raise ParameterError(f"{name}: {argument} = {value!r}; it must be a finite number.")
        for argument, least in (("steps", 1), ("after", 0)):
            value = getattr(self, argument)
            if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
                raise ParameterError(
                    f"{name}: {argument} = {value!r}; it must be a whole number of steps, at least "
                    f"{least}."
                )

    def _share(self, step: int) -> float:
        """How much of the way is gone."""
        return min(max((step - self.after) / self.steps, 0.0), 1.0)

    def _at(self, share: float) -> float:
        """Both ends are met exactly."""
        return self.start * (1 - share) + self.stop * share


class LinearRamp(_Ramp):
    """A weight that goes from one number to another in equal steps, then stays.

    `LinearRamp(0.0, 0.01, steps=1000) * CenterLoss(10, 64)` warms a term up; with start > stop it
    fades one out. See `lossmith.Objective` for who counts the steps.

    Formula:
        w(k) = start + (stop - start)·r, r = (k - after) / steps, held in [0, 1]

    Shapes:
        k, the step, is a whole number; w(k) is a number.

    Parameters:
        start: the weight up to step `after`.
        stop: the weight from step `after + steps` on, exactly.
        steps: how many steps the way takes, at least 1.
        after (default 0): the step at which it begins.

    Errors:
        ParameterError for numbers that are not finite, and steps below 1.
    """

    def __call__(self, step: int) -> float:
        """The weight at this step."""
        return self._at(self._share(step))


class CosineRamp(_Ramp):
    """A weight that goes from one number to another along half a cosine, then stays.

    It begins and ends with slope 0; the usual way to let a term fade in or out without a jolt.

    Formula:
        w(k) = start + (stop - start)·(1 - cos πr)/2, r = (k - after) / steps, held in [0, 1]

    Shapes:
        k, the step, is a whole number; w(k) is a number.

    Parameters:
        start: the weight up to step `after`.
        stop: the weight from step `after + steps` on, exactly.
        steps: how many steps the way takes, at least 1.
        after (default 0): the step at which it begins.

    Errors:
        ParameterError for numbers that are not finite, and steps below 1.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5, there for the learning rate.
    """

    def __call__(self, step: int) -> float:
        """The weight at this step."""
        return self._at((1 - math.cos(math.pi * self._share(step))) / 2)
