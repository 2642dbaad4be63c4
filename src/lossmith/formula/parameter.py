"""The named numbers of a loss: its variables, its parameters, and its scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lossmith.errors import ParameterError
from lossmith.formula.domain import Interval, as_number


@dataclass(frozen=True)
class Variable:
    """What data give to a formula: where it may lie, and what it is."""

    name: str
    domain: Interval
    why: str = ""


@dataclass(frozen=True)
class Parameter:
    """A named number of a loss: where it may lie, what it is by default, and why."""

    name: str
    default: float
    domain: Interval
    why: str = ""

    def check(self, value: Any, loss: str) -> float:
        """Return `value` as a float, or say why it cannot be this parameter."""
        number = as_number(value)
        if number is None:
            raise ParameterError(
                f"{loss}: {self.name} must be a real number or a tensor, "
                f"got {type(value).__name__}. It lies in {self.domain}, default {self.default:g}."
            )
        if not -math.inf < number < math.inf or number not in self.domain:  # and not NaN
            raise ParameterError(
                f"{loss}: {self.name} = {number:g} is outside {self.domain}. "
                f"The default is {self.default:g}."
            )
        return number


@dataclass(frozen=True)
class Scale:
    """ψ(r) = s^power · ψ₀(r / s): the parameter s, in units of the residual, and the power."""

    name: str
    default: float
    power: int
    why: str = ""

    @property
    def parameter(self) -> Parameter:
        return Parameter(self.name, self.default, Interval(low=0.0), self.why)
