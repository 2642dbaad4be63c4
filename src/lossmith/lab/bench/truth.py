"""Is a result right? Value and gradient against the plain composition in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
# float32 with room for eager compositions, which round several times; a wrong formula, a lost
# factor or a lost element is orders of magnitude outside.
VALUE, RELATIVE, ABSOLUTE = 1e-5, 2e-4, 1e-6


class Truth(NamedTuple):
    """A reduced loss and its gradient."""

    value: float
    gradient: Tensor


def evaluate(loss: Loss, prediction: Tensor, target: Tensor) -> Truth:
    """Value and gradient of a reduced loss."""
    leaf = prediction.detach().requires_grad_()
    value = loss(leaf, target)
    value.backward()
    gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
    return Truth(float(value.detach()), gradient)


def in_float64(loss: Loss, prediction: Tensor, target: Tensor) -> Truth:
    """The truth: `loss`, a plain composition, of the same numbers in float64."""
    if target.is_floating_point():
        target = target.double()
    return evaluate(loss, prediction.double(), target)


def problem(found: Truth, truth: Truth) -> str:
    """What is wrong with a result, or nothing.

    A gradient may be off by 2e-4 of itself and 1e-6 of the largest, its sum of magnitudes by 2e-5.
    """
    if not abs(found.value - truth.value) <= VALUE * max(abs(truth.value), 1e-30):
        return f"value {found.value:.9g}, in float64 {truth.value:.9g}"
    size = truth.gradient.abs()
    allowed = RELATIVE * size + ABSOLUTE * float(size.max())
    error = (found.gradient.double() - truth.gradient).abs()
    bad = ~(error <= allowed)
    if bad.any():
        place = int(bad.flatten().nonzero()[0])
        return (
            f"{int(bad.sum())} slopes, the first at {place}: "
            f"{float(found.gradient.flatten()[place]):.9g}, "
            f"in float64 {float(truth.gradient.flatten()[place]):.9g}"
        )
    whole, expected = float(found.gradient.abs().sum(dtype=torch.float64)), float(size.sum())
    if not abs(whole - expected) <= 2 * VALUE * expected:
        return f"the slopes' magnitudes sum to {whole:.9g}, in float64 to {expected:.9g}"
    return ""
