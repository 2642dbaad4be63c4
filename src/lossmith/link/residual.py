"""u = prediction - target, in units of the scale."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lossmith.link.link import Call, Link, Psi
from lossmith.link.shapes import same, tensors


class Residual(Link):
    """Real targets of the prediction's shape, one loss for each element."""

    name = "residual"
    family = "residual"
    natural = True
    u = "u = prediction - target"

    def check(
        self, name: str, prediction: Any, target: Any, argument: str = "target"
    ) -> tuple[Any, Tensor]:
        tensors(name, prediction, target)
        return same(name, prediction, target), target

    def losses(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> Tensor:
        return scaled(call, psi, z - target)

    def derivatives(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        slope, curvature = (scaled(call, psi, z - target, order) for order in (1, 2))
        return slope, curvature


def scaled(call: Call, psi: Psi, r: Tensor, order: int = 0) -> Tensor:
    """ψ(r) = s^power·ψ₀(r/s), or its derivative of an order in r."""
    scale, s = call.loss.formula.scale, call.scale
    if scale is None:
        return psi(r, order=order)
    value, power = psi(r / s, order=order), scale.power - order
    for _ in range(abs(power)):  # one by one: s² may overflow where s²·ψ₀ does not
        value = value * s if power > 0 else value / s
    return value
