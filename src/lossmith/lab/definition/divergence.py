"""Divergences of two distributions along dimension 1, as the textbook has them, in float64."""

from __future__ import annotations

import torch
from torch import Tensor


def _parts(a: Tensor, b: Tensor) -> Tensor:
    """a log(a/b), and 0 where a is."""
    some = a > 0
    ratio = torch.where(some, a, 1.0) / torch.where(some, b, 1.0)
    return torch.where(some, a * torch.log(ratio), 0.0)


def kl(q: Tensor, p: Tensor, direction: str = "forward") -> Tensor:
    """KL(p‖q) by row, p the target; reverse: KL(q‖p)."""
    return _parts(p, q).sum(1) if direction == "forward" else _parts(q, p).sum(1)


def js(q: Tensor, p: Tensor) -> Tensor:
    """Half the divergences of both from their middle."""
    middle = (p + q) / 2
    return (_parts(p, middle) + _parts(q, middle)).sum(1) / 2


BY_NAME = {"kl_divergence": kl, "js_divergence": js}
