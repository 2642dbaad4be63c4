"""What may be wrong with training data, as conditions that a comparison runs under."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lossmith.errors import InputError

Kind = Literal["clean", "label_noise", "outliers", "imbalance"]

# The option that asks for a kind; "clean" is the share 0 of any.
OPTIONS: dict[Kind, str] = {
    "clean": "--outliers",
    "label_noise": "--label-noise",
    "outliers": "--outliers",
    "imbalance": "--imbalance",
}


@dataclass(frozen=True)
class Condition:
    """One way, and how much, the training rows are spoiled; the test rows never are."""

    kind: Kind
    amount: float = 0.0

    @property
    def key(self) -> str:
        """A short name for files and tables."""
        return "clean" if self.kind == "clean" else f"{self.kind}={self.amount:g}"

    def title(self, task: str) -> str:
        """The condition in words."""
        if self.kind == "clean":
            return "The data as they are"
        if self.kind == "label_noise":
            return f"{100 * self.amount:g} % of the training labels wrong"
        if self.kind == "imbalance":
            return f"Training rows thinned out to 1:{self.amount:g}"
        what = "targets" if task == "regression" else "rows"
        return f"{100 * self.amount:g} % of the training {what} are outliers"


CLEAN = Condition("clean")


def read(
    label_noise: tuple[float, ...], outliers: tuple[float, ...], imbalance: tuple[float, ...]
) -> tuple[Condition, ...]:
    """The conditions that the options ask for, the clean one first; () when none was given."""
    asked: list[Condition] = []
    shares: tuple[tuple[Kind, tuple[float, ...]], ...] = (
        ("label_noise", label_noise),
        ("outliers", outliers),
    )
    for kind, amounts in shares:
        for share in amounts:
            if not 0 <= share < 1:
                raise InputError(
                    f"{OPTIONS[kind]} is a share of the training rows: "
                    f"at least 0 and below 1, not {share:g}"
                )
        _different(kind, amounts, "share")
        asked += [Condition(kind, share) if share else CLEAN for share in amounts]
    for ratio in imbalance:
        if not 1 <= ratio < float("inf"):
            raise InputError(
                f"--imbalance 100 keeps 1 training row of a rare class for every 100 of the "
                f"largest: give a number of at least 1, not {ratio:g}"
            )
    _different("imbalance", imbalance, "ratio")
    asked += [Condition("imbalance", ratio) for ratio in imbalance]
    first = [CLEAN] if CLEAN in asked else []
    return tuple(first + [condition for condition in asked if condition != CLEAN])


def _different(kind: Kind, amounts: tuple[float, ...], what: str) -> None:
    """Conditions are told apart by their keys, which hold six digits."""
    if len({Condition(kind, amount).key for amount in amounts}) < len(amounts):
        raise InputError(f"{OPTIONS[kind]} names the same {what} twice")


def suited(conditions: tuple[Condition, ...], task: str) -> None:
    """Refuse a condition that the task has no meaning for."""
    for condition in conditions:
        if task == "regression" and condition.kind in ("label_noise", "imbalance"):
            raise InputError(
                f"{OPTIONS[condition.kind]} is about classes, and this target is a number: "
                "use --outliers"
            )
