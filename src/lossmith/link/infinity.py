"""Infinite scores get the limit of what there is beside them, and its slope.

They are held at a number that no exponential tells from infinity, and let go again where only that
made a result large.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def beyond(dtype: torch.dtype) -> float:
    """As good as infinity to an exponential, and its multiples are still finite."""
    return float(torch.finfo(dtype).max) / (2.0**64 if dtype == torch.float64 else 2.0**24)


class _Held(torch.autograd.Function):
    """Infinities held at large numbers, where scores are meant +∞ alone, and one of a row.

    Its slope is 1 there as well, which no clamp of torch's has: the limit of a gradient is wanted.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, both: bool) -> Tensor:
        most = beyond(z.dtype)
        if both:
            return z.clamp(-most, most)
        several = (z == torch.inf).sum(1, keepdim=True) > 1  # their difference has no limit
        return torch.where(several, torch.nan, z).clamp(max=most)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None: ...

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        return upstream, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Any) -> Tensor:
        return tangent.clone()


def held(z: Tensor, *, both: bool = False) -> Tensor:
    """+∞ among the scores of a row held at a large number; with `both`, any infinity."""
    return z if torch.compiler.is_compiling() else _Held.apply(z, both)


def let_go(value: Tensor, infinite: Tensor) -> Tensor:
    """Infinite again where it is only so large because a score was held; its slope stays."""
    far = infinite & (torch.abs(value) > beyond(value.dtype) / 2**40)
    return value + torch.where(far, torch.copysign(value.new_full((), torch.inf), value), 0.0)


def log_softmax(z: Tensor) -> Tensor:
    """log p over dimension 1; a single score of +∞ is certain."""
    if torch.compiler.is_compiling():
        return torch.log_softmax(z, 1)
    found = torch.log_softmax(held(z), 1)
    return let_go(found, (z == torch.inf).any(1, keepdim=True))
