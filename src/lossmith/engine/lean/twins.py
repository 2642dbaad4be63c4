"""Torch's own fused operations of a loss: which of them keep our digits, and run in its stead.

The name stands in the record (`twin`). `FUSED` keep the digits that `lossmith accuracy` asks for,
kinks and both ends of a dtype included; the others do not, or are not one operation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from lossmith.formula.record import Formula

_aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Fused:
    """value(z, t, reduction) and slope(upstream, z, t, reduction); a scale comes last in both."""

    value: Callable[..., Tensor]
    slope: Callable[..., Tensor]


FUSED = {
    "mse_loss": Fused(_aten.mse_loss, _aten.mse_loss_backward),
    "huber_loss": Fused(_aten.huber_loss, _aten.huber_loss_backward),
    "smooth_l1_loss": Fused(_aten.smooth_l1_loss, _aten.smooth_l1_loss_backward),
}
NOT = {
    "l1_loss": "is no fused operation: five, and a sixth and seventh for its slope",
    "soft_margin_loss": "overflows below margin -88 in float32",
    "binary_cross_entropy_with_logits": "has p - t for a slope, without the digits of 1 - p, and "
    "z + log(1 + e^-z) for the value of a negative, without those of e^z",
    "cross_entropy": "loses 1 - p where p rounds to 1: at margin 17 value and slope are 0 in "
    "float32",
}
_REACH = (2.0**-60, 2.0**60)  # of scales: squares of what is smaller than that are 0


@lru_cache(maxsize=256)
def fused(formula: Formula) -> Fused | None:
    """The operation that runs a formula, if its record names one that does."""
    named = re.match(r"torch\.nn\.functional\.(\w+)", formula.twin)
    return FUSED.get(named[1]) if named and formula.builtin else None


def within_reach(scale: float) -> bool:
    return _REACH[0] < scale < _REACH[1]
