"""The same shape in every way that memory can hold it; what lies between is poison."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_Lay = Callable[[Tensor], Tensor]


def _poison(x: Tensor) -> float:
    return float("nan") if x.is_floating_point() else 99 if x.dtype != torch.bool else 1


def _strided(x: Tensor) -> Tensor:
    if not x.dim():
        return x
    wide = torch.full((*x.shape[:-1], 2 * x.shape[-1]), _poison(x), dtype=x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def _reversed(x: Tensor) -> Tensor:
    order = tuple(reversed(range(x.dim())))
    return x.permute(order).contiguous().permute(order)


def _second_last(x: Tensor) -> Tensor:
    """Dimension 1 next to each other in memory: channels last, whatever the rank."""
    return x.movedim(1, -1).contiguous().movedim(-1, 1) if x.dim() > 1 else x


def _offset(x: Tensor) -> Tensor:
    """A piece of something longer, at an address that no vector likes."""
    long = torch.full((x.numel() + 5,), _poison(x), dtype=x.dtype)
    long[3 : 3 + x.numel()] = x.reshape(-1)
    return long[3 : 3 + x.numel()].view(x.shape)


def _expanded(x: Tensor) -> Tensor:
    return x[:1].expand(x.shape) if x.dim() and x.shape[0] else x


def _overlapping(x: Tensor) -> Tensor:
    """Windows over one line of numbers: every element but the ends lies in several rows."""
    if x.dim() < 2 or not x.numel():
        return x
    strides = (1,) * x.dim()
    longest = sum(n - 1 for n in x.shape) + 1
    return torch.as_strided(x.reshape(-1)[:longest].clone(), x.shape, strides)


LAYOUTS: dict[str, _Lay] = {
    "contiguous": lambda x: x.contiguous(),
    "strided": _strided,
    "reversed": _reversed,
    "channels_last": _second_last,
    "offset": _offset,
    "expanded": _expanded,
    "overlapping": _overlapping,
}
SHARED = ("expanded", "overlapping")  # one number in several places: none can be changed alone


def lay(x: Tensor, layout: str) -> Tensor:
    """A tensor of x's shape and dtype in another layout, its numbers x's or some of them."""
    return LAYOUTS[layout](x)


def memory(x: Tensor) -> Tensor:
    """A copy of all bytes under a tensor, those between its elements too."""
    whole = torch.empty(0, dtype=torch.uint8)
    return whole.set_(x.untyped_storage()).clone()
