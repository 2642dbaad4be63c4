"""What a mode's numbers are held against, and the one way of comparing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lossmith.lab.support.rows import ROWS, Batch, Row

CLOSE = (1e-9, 1e-11)  # relative and absolute, of everything that is computed in float64
SEED = 3
Loss = Callable[[Tensor, Tensor], Tensor]


class MismatchError(Exception):
    """Numbers, shapes or dtypes that are not what they must be: a defect, never a cell."""


def same(what: str, got: Tensor, want: Tensor, close: tuple[float, float] = CLOSE) -> None:
    """`got` equals `want`, or a mismatch that says by how much it does not."""
    if got.shape != want.shape:
        raise MismatchError(f"{what} has shape {tuple(got.shape)}, not {tuple(want.shape)}")
    try:
        torch.testing.assert_close(
            got.detach(), want.detach(), rtol=close[0], atol=close[1], check_dtype=False
        )
    except AssertionError as error:
        raise MismatchError(f"{what}: {' '.join(str(error).split())}") from None


def batch(row: Row, count: int = ROWS, seed: int = SEED) -> Batch:
    """Fresh leaves each time."""
    return row.draw(count, seed)


def value(row: Row, z: Tensor, t: Tensor) -> Tensor:
    """The mean."""
    return row.each(z, t).mean()


def value_and_slope(row: Row, z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and its gradient, by torch from the plain lines."""
    return run(lambda a, b: value(row, a, b), z, t)


def run(loss: Loss, z: Tensor, t: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
    """Value and gradient of a scalar loss; a gradient that does not exist is 0."""
    z = z.detach().clone().requires_grad_()
    out = loss(z, t)
    (slope,) = torch.autograd.grad(out, z, allow_unused=True, **options)
    return out, torch.zeros_like(z) if slope is None else slope


def plain_run(row: Row, loss: Loss, z: Tensor, t: Tensor, what: str, close: Any = CLOSE) -> None:
    """A scalar loss and its gradient are those of the plain lines."""
    want = value_and_slope(row, z, t)
    got = run(loss, z, t)
    same(f"{what}: value", got[0], want[0], close)
    same(f"{what}: gradient", got[1], want[1], close)
