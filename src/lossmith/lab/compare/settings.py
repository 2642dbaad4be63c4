"""Everything that decides the digits of a comparison, in one frozen record."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from lossmith.errors import InputError

DEFAULT_LOSSES = (
    *("cross_entropy", "cross_entropy:center=0.01", "focal", "generalized_cross_entropy"),
    *("hinge", "ramp"),
)
DEFAULT_NOISE = (0.0, 0.4)
BASELINE = "cross_entropy"


@dataclass(frozen=True)
class Settings:
    """One comparison: which data, which losses, under which conditions, with which budget."""

    data: str = "digits"
    losses: tuple[str, ...] = DEFAULT_LOSSES
    label_noise: tuple[float, ...] = DEFAULT_NOISE
    seeds: int = 5
    first_seed: int = 0
    epochs: int = 60
    hidden: int = 64
    batch_size: int = 32
    learning_rate: float = 1e-3
    test_share: float = 0.3

    def __post_init__(self) -> None:
        """Refuse what cannot be run, in one sentence each."""
        for name in ("seeds", "epochs", "hidden", "batch_size"):
            if getattr(self, name) < 1:
                option = name.replace("_", "-")
                raise InputError(f"--{option} must be at least 1, not {getattr(self, name)}")
        if self.first_seed < 0:
            raise InputError(f"--seed must not be negative, and it is {self.first_seed}")
        if not 0 < self.learning_rate < float("inf"):
            raise InputError(f"--learning-rate must be above 0, not {self.learning_rate:g}")
        if not 0 < self.test_share < 1:
            raise InputError(f"the test share must lie between 0 and 1, not {self.test_share:g}")
        if not self.label_noise:
            raise InputError("give at least one share of spoiled labels, for example 0")
        for share in self.label_noise:
            if not 0 <= share < 1:
                raise InputError(
                    f"--label-noise is the share of wrong training labels: "
                    f"at least 0 and below 1, not {share:g}"
                )
        if len(set(self.label_noise)) < len(self.label_noise):
            raise InputError("--label-noise names the same share twice")

    @property
    def seed_list(self) -> list[int]:
        """The seeds in the order in which they run."""
        return list(range(self.first_seed, self.first_seed + self.seeds))

    def command(self) -> str:
        """The command line that gives the same digits, every default written out."""
        words = ["lossmith", "compare", self.data, "--losses", ",".join(self.losses)]
        for share in self.label_noise:
            words += ["--label-noise", f"{share:g}"]
        words += ["--seeds", str(self.seeds), "--seed", str(self.first_seed)]
        words += ["--epochs", str(self.epochs), "--hidden", str(self.hidden)]
        words += ["--batch-size", str(self.batch_size)]
        words += ["--learning-rate", f"{self.learning_rate:g}"]
        return shlex.join(words)
