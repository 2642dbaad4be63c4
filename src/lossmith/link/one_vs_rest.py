"""u = ±z_k for every class k, their losses summed: one binary problem for each class."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lossmith.link.classes import OfClasses
from lossmith.link.crammer_singer import indices_only
from lossmith.link.link import Call, Psi, hot, part
from lossmith.link.reach import Reach
from lossmith.link.softmax import CERTAIN

if TYPE_CHECKING:
    from lossmith.formula.algebra import Properties


class OneVsRest(OfClasses):
    """A margin formula over several classes, by each score alone."""

    name = "one_vs_rest"
    family = "margin"
    u = "the sum over classes of ψ(u), u = z for the target class and -z for the others"

    def losses(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> Tensor:
        z = torch.where(z == -torch.inf, -CERTAIN, z)  # forbidden: surely not this class
        if call.hard:
            return psi(torch.where(hot(target, z), z, -z)).sum(1)
        return (part(psi, z, target) + part(psi, -z, 1 - target)).sum(1)

    def derivatives(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        barred = z == -torch.inf
        z = torch.where(barred, -CERTAIN, z)
        found = []
        for order, sign in ((1, -1.0), (2, 1.0)):
            slope = partial(psi, order=order)
            if call.hard:
                own = hot(target, z)
                each = slope(torch.where(own, z, -z))
                each = torch.where(own, each, sign * each)
            else:
                each = part(slope, z, target) + sign * part(slope, -z, 1 - target)
            found.append(torch.where(barred, 0.0, each))
        return found[0], found[1]

    def why_no_kernel(self, call: Call) -> str | None:
        return indices_only(self.name, call)

    def reach(self, curve: Properties) -> Reach:
        """The Hessian is diagonal; how long the gradient is, the number of classes says."""
        slope, low, high = curve.lipschitz, curve.lowest, curve.highest
        known = slope if slope in (0.0, math.inf) else None
        return Reach(
            curve.convex, known, known, curve.smooth,
            0.0 if low is not None and low >= 0 else None,
            0.0 if high == 0 else None,
        )  # fmt: skip
