"""A loss's own parameters, tuned with the learning rate by Optuna: as many trainings for each.

Which parameters are its own, and where they are looked for, follows from the record: from a quarter
to four times the value given, or the whole of a domain with two ends. A parameter that slants a
residual loss, such as the level of a quantile, says what is to be predicted and is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossmith.errors import InputError
from lossmith.formula.record import Parameter
from lossmith.lab.compare.candidates import Candidate

WIDE = 4.0  # times the value given, and a part of it
EDGE = 0.05  # of a domain with two ends that is left out at each
_AT = np.array([0.013, 0.31, 0.97, 2.6, 9.1])


@dataclass(frozen=True)
class Choice:
    """One setting of a loss: the learning rate and its parameters."""

    rate: float
    parameters: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Range:
    """Where a parameter is looked for."""

    low: float
    high: float

    @property
    def log(self) -> bool:
        """Whether by ratios: where it stays above 0."""
        return self.low > 0


def ranges(candidate: Candidate) -> dict[str, Range]:
    """The parameters of a loss that may be tuned."""
    record = candidate.record
    if record is None:
        return {}
    given = dict(candidate.parameters)
    found = {p.name: _range(p, given[p.name]) for p in record.parameters}
    return {name: r for name, r in found.items() if not _slants(candidate, name, r)}


def _range(parameter: Parameter, value: float) -> Range:
    low, high = parameter.domain.low, parameter.domain.high
    if math.isfinite(low) and math.isfinite(high):
        edge = EDGE * (high - low)
        return Range(low + edge, high - edge)
    if low >= 0:
        return Range(value / WIDE, value * WIDE) if value > 0 else Range(low, low + WIDE / 2)
    # Around the value by what it measures; half the way to an end that is there.
    step = max(abs(value), 1.0)
    return Range(
        max(value - step, (value + low) / 2) if math.isfinite(low) else value - step,
        min(value + step, (value + high) / 2) if math.isfinite(high) else value + step,
    )


def _slants(candidate: Candidate, name: str, over: Range) -> bool:
    """Whether a residual loss treats the two signs apart anywhere in the range."""
    if candidate.task != "regression":
        return False
    for value in (over.low, over.high):
        curves = candidate.at({name: value}).curve(np.concatenate([_AT, -_AT]))
        if curves is None or not np.allclose(curves[0][: len(_AT)], curves[0][len(_AT) :]):
            return True
    return False


class Study:
    """The search for one loss in one fold. It begins with the values given at every rate."""

    def __init__(
        self, candidate: Candidate, rates: Sequence[float], most: int, seed: Sequence[int]
    ) -> None:
        optuna = library()
        self.ranges = ranges(candidate) if candidate.extra("tuned") else {}
        self.given = dict(candidate.parameters)
        self.rates = Range(min(rates), max(rates))
        # With one rate and no parameters there is one choice, and nothing to search.
        self.left = most if self.ranges or len(rates) > 1 else 1
        number = int(np.random.SeedSequence(list(seed)).generate_state(1)[0])
        early = max(len(rates), most // 2)
        sampler = optuna.samplers.TPESampler(seed=number, n_startup_trials=early)
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        for rate in rates:
            own = {n: min(max(self.given[n], r.low), r.high) for n, r in self.ranges.items()}
            self.study.enqueue_trial({"learning rate": rate, **own})
        self.asked: Any = None

    def ask(self) -> Choice | None:
        """What to train next; None once there was enough."""
        if not self.left:
            return None
        self.left -= 1
        self.asked = self.study.ask()
        rate = self._drawn("learning rate", self.rates)
        own = {name: self._drawn(name, over) for name, over in self.ranges.items()}
        return Choice(rate, tuple((self.given | own).items()))

    def tell(self, score: float | None) -> None:
        """How good that was; None if it diverged."""
        if score is None:
            self.study.tell(self.asked, state=library().trial.TrialState.FAIL)
        else:
            self.study.tell(self.asked, score)

    def _drawn(self, name: str, over: Range) -> float:
        """To three digits, which is more than a fold can tell."""
        if over.low == over.high:
            return over.low
        found = self.asked.suggest_float(name, over.low, over.high, log=over.log)
        return float(f"{found:.3g}")


def library() -> Any:
    """Optuna, or a sentence that says how to get it."""
    try:
        import optuna
    except ImportError:
        raise InputError("--tune needs Optuna: pip install 'lossmith[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
