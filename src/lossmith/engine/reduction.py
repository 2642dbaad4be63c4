"""From losses and their weights to (total, mass), and from there to a number: one place divides.

A mass is a number where an engine counts on the CPU, and else a tensor without dimensions.
"""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor


def summed(losses: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """The pair (total, mass) of losses with their weights applied; None: all weights are 1."""
    if weight is None:
        # No float() of the count, which torch.export would take for a constant.
        mass = torch.full((), losses.numel(), dtype=losses.dtype, device=losses.device)
    else:
        mass = weight.sum()
    return losses.sum(), mass


def divide(total: Tensor, mass: Tensor) -> Tensor:
    """total / mass, and a connected 0 where the mass is 0."""
    empty = mass == 0
    return torch.where(empty, total * 0.0, total / torch.where(empty, 1.0, mass))


def reduced(losses: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """Losses with their weights applied as total / mass, as their total, or as they are."""
    if reduction == "none":
        return losses
    total, mass = summed(losses, weight)
    return divide(total, mass) if reduction == "mean" else total


@overload
def share(mass: float) -> float: ...
@overload
def share(mass: float | Tensor) -> float | Tensor: ...
def share(mass: float | Tensor) -> float | Tensor:
    """1 / mass, what one loss of weight 1 counts in a mean; 0 where the mass is 0."""
    if type(mass) is float or not isinstance(mass, Tensor):
        return 1.0 / mass if mass else 0.0
    return mass.reciprocal().masked_fill_(mass == 0, 0.0)
