"""What a run of the bench is asked for. Imports nothing heavy: the help text reads it."""

from __future__ import annotations

from dataclasses import dataclass

from lossmith.errors import InputError

# name: what `--rows` selects by it
ROWS = {
    "focal": "binary focal loss, 4 M elements, against eager torch and torch.compile",
    "twins": "smooth L1, Huber, L1, L2, 4 M elements, against torch's own",
    "memory": "every elementwise formula, 32 M elements, against two reads and one write",
    "classes": "cross-entropy and focal loss, large batches, against eager torch and torch.compile",
    "linear": "a linear layer of 32000 classes and its loss: time and memory, against dense",
    "small": "every loss on 64 elements, against torch's own or eager torch",
    "first": "the first call of a loss in a new process, against torch.compile",
    "reference": "launches and memory of the reference engine, counted without numbers",
    "import": "import lossmith after import torch, every name loaded",
}
COUNTED = "reference"  # the row that is no race


@dataclass(frozen=True)
class Settings:
    """How much to measure, and with how many threads."""

    rows: tuple[str, ...] = tuple(ROWS)
    threads: int = 2
    quick: bool = False

    def rounds(self, many: int) -> int:
        """How many rounds: `many`, or three in a quick run."""
        return 3 if self.quick else many

    def size(self, count: int) -> int:
        """How many elements (rows): `count`, or few in a quick run."""
        return max(count // 256, 16) if self.quick else count

    def seconds(self, budget: float) -> float:
        """When to stop adding rounds."""
        return budget / 20 if self.quick else budget


def chosen(words: tuple[str, ...]) -> tuple[str, ...]:
    """The rows that `--rows a,b` names, in the order of the table; all if it names none."""
    names = {name.strip() for word in words for name in word.split(",") if name.strip()}
    unknown = sorted(names - set(ROWS))
    if unknown:
        raise InputError(f"no row {unknown[0]!r} in the bench. Rows: {', '.join(ROWS)}.")
    return tuple(name for name in ROWS if name in names or not names)
