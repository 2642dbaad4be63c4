"""Everything that decides the digits of a comparison, in one frozen record."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal

from lossmith.errors import InputError
from lossmith.lab.compare.conditions import OPTIONS, Condition

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
MODELS = ("linear", "mlp", "cnn")
RATES = (1e-3, 4e-3, 1.6e-2)
GROUPS = 5  # parts of the training rows, from which the validation parts are taken


@dataclass(frozen=True)
class Settings:
    """One comparison: which data, which losses, under which conditions, with which budget.

    What a person leaves open (task, losses, conditions, goal, metric) `plan.resolve` fills in.
    """

    data: str = "digits"
    target: str | None = None
    task: str | None = None
    losses: tuple[str, ...] = ()
    losses_from: str | None = None
    conditions: tuple[Condition, ...] = ()
    goal: str | None = None
    metric: str | None = None
    model: str = "mlp"
    hidden: int = 64
    folds: int = 5
    repeats: int = 10
    fixed: bool = False
    margin: float = 1.0
    seed: int = 0
    epochs: int = 30
    patience: int = 5
    batch_size: int = 0
    learning_rates: tuple[float, ...] = RATES
    inner_folds: int = 1
    tune: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be run, in one sentence each."""
        for name in ("repeats", "hidden", "epochs", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} must be at least 1, not {getattr(self, name)}")
        if self.folds < 2:
            raise InputError(f"--folds must be at least 2, not {self.folds}")
        if not 1 <= self.inner_folds <= GROUPS:
            raise InputError(f"--inner-folds lies between 1 and {GROUPS}, not {self.inner_folds}")
        if self.tune and self.tune < len(self.learning_rates):
            raise InputError(
                f"--tune must be at least {len(self.learning_rates)}, a training for each of "
                f"--learning-rates to begin with, or 0, not {self.tune}"
            )
        if not 0 <= self.seed < 2**31:
            raise InputError(f"--seed must be at least 0 and below 2^31, and it is {self.seed}")
        if not 0 <= self.margin < float("inf"):
            raise InputError(
                "--margin is a difference that does not matter, in points or percent: "
                f"at least 0, not {self.margin:g}"
            )
        if self.batch_size < 0:
            raise InputError(f"--batch-size must be at least 0, not {self.batch_size}")
        if not self.learning_rates:
            raise InputError("--learning-rates needs at least one number, for example 0.01")
        for rate in self.learning_rates:
            if not 0 < rate < float("inf"):
                raise InputError(f"--learning-rates must be above 0, not {rate:g}")
        if len(set(self.learning_rates)) < len(self.learning_rates):
            raise InputError("--learning-rates names the same number twice")
        if len(set(self.conditions)) < len(self.conditions):
            raise InputError("the same condition is named twice")
        if self.model not in MODELS and ":" not in self.model:
            raise InputError(
                f"--model is {', '.join(MODELS)} or MODULE:FACTORY, not {self.model!r}"
            )

    def command(self) -> str:
        """The command line that gives the same digits, every default written out."""
        words = ["lossmith", "compare", self.data]
        for option in ("target", "task", "losses_from", "goal", "metric"):
            if (value := getattr(self, option)) is not None:
                words += [f"--{option.replace('_', '-')}", value]
        words += ["--losses", ",".join(self.losses)]
        for condition in self.conditions:
            words += [OPTIONS[condition.kind], f"{condition.amount:g}"]
        for option in ("model", "hidden", "folds", "repeats", "seed", "epochs", "patience"):
            words += [f"--{option}", str(getattr(self, option))]
        words += ["--margin", f"{self.margin:g}", *(["--fixed"] if self.fixed else [])]
        words += ["--batch-size", str(self.batch_size), "--inner-folds", str(self.inner_folds)]
        words += ["--tune", str(self.tune)] if self.tune else []
        words += ["--learning-rates", ",".join(f"{rate:g}" for rate in self.learning_rates)]
        return shlex.join(words)
