"""Predictions and targets to measure on: the same ones in every run."""

from __future__ import annotations

import torch
from torch import Tensor

GRID = 1024.0


def _on_grid(numbers: Tensor) -> Tensor:
    return (numbers * GRID).round() / GRID


def elementwise(family: str, count: int, *, signed: bool = False) -> tuple[Tensor, Tensor]:
    """float32 predictions and targets of a residual or margin loss.

    They lie on a grid, half a step apart from each other and from 0 and ±1, so that residuals are
    exact, and neither float32 nor float64 ever stands on a kink.
    """
    draw = torch.Generator().manual_seed(0)
    prediction = _on_grid(2 * torch.randn(count, generator=draw)) + 0.5 / GRID
    if family == "residual":
        return prediction, _on_grid(torch.randn(count, generator=draw))
    target = (torch.rand(count, generator=draw) < 0.3).float()
    return prediction, 2 * target - 1 if signed else target


def classes(rows: int, count: int) -> tuple[Tensor, Tensor]:
    """float32 logits and class indices."""
    draw = torch.Generator().manual_seed(0)
    return torch.randn(rows, count, generator=draw), torch.randint(count, (rows,), generator=draw)
