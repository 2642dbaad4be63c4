"""How much of a model is exactly zero: weights, rows, columns and channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from lossmith.risk.penalty.select import Rules, select


@dataclass(frozen=True)
class Zeros:
    """Of one parameter: how many weights are zero, and how many whole rows and columns.

    Rows are indices of dimension 0 (outputs; a transposed convolution's inputs), columns of
    dimension 1; `columns` is None for a vector.
    """

    name: str
    shape: tuple[int, ...]
    zeros: int
    rows: int
    columns: int | None

    @property
    def total(self) -> int:
        """How many weights there are."""
        return int(torch.Size(self.shape).numel())


@dataclass(frozen=True)
class Sparsity:
    """What `lossmith.sparsity` found: one entry for each parameter; print it for a table."""

    parameters: tuple[Zeros, ...]

    @property
    def zeros(self) -> int:
        """Zero weights in all."""
        return sum(p.zeros for p in self.parameters)

    @property
    def total(self) -> int:
        """Weights in all."""
        return sum(p.total for p in self.parameters)

    @property
    def share(self) -> float:
        """Zero weights of all weights; 0 where there are none at all."""
        return self.zeros / self.total if self.total else 0.0

    def __str__(self) -> str:
        head = ("parameter", "shape", "zeros", "of", "share", "zero rows", "zero columns")
        lines = [head, *map(_line, self.parameters)]
        lines.append(("all", "", str(self.zeros), str(self.total), f"{self.share:.1%}", "", ""))
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )


def sparsity(model: Any, only: Rules = None, skip: Rules = None) -> Sparsity:
    """Count what is exactly zero; print the result for a table.

    Parameters:
        model: a model, an iterable of parameters, or a dict of them by name.
        only (default None): which parameters, as in `Penalty`; None: all but biases and the
            parameters of normalisation layers.
        skip (default None): parameters to leave out.

    Errors:
        InputError if no parameter is left.
    """
    return Sparsity(
        tuple(_zeros(f.name, f.parameter) for f in select("sparsity", model, only, skip))
    )


@torch.no_grad()
def _zeros(name: str, parameter: torch.Tensor) -> Zeros:
    zero = parameter == 0
    flat = zero.reshape(zero.shape[0], -1) if zero.dim() else zero.reshape(1, 1)
    columns = None
    if zero.dim() > 1:
        columns = int(zero.movedim(1, 0).reshape(zero.shape[1], -1).all(1).sum())
    return Zeros(name, tuple(zero.shape), int(zero.sum()), int(flat.all(1).sum()), columns)


def _line(p: Zeros) -> tuple[str, ...]:
    shape = "×".join(map(str, p.shape))
    rows, columns = (
        "" if n is None or not p.shape else f"{n}/{p.shape[i]}"
        for i, n in enumerate((p.rows, p.columns))
    )
    return p.name, shape, str(p.zeros), str(p.total), f"{p.zeros / p.total:.1%}", rows, columns
