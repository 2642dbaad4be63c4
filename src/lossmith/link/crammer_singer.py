"""u = z_target - max of the other scores: the true class against its strongest rival."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lossmith.errors import ShapeError
from lossmith.link.classes import OfClasses
from lossmith.link.link import Call, Psi, hot, part
from lossmith.link.reach import Reach, falls, times
from lossmith.link.softmax import CERTAIN

if TYPE_CHECKING:
    from lossmith.formula.algebra import Properties


class CrammerSinger(OfClasses):
    """A margin formula over several classes, by two of their scores."""

    name = "crammer_singer"
    family = "margin"
    u = "u = z_target - max of the other logits"

    def check(
        self, name: str, prediction: Any, target: Any, argument: str = "target"
    ) -> tuple[Any, Tensor]:
        found = super().check(name, prediction, target, argument)
        if prediction.shape[1] < 2:
            raise ShapeError(f"{name}: one class has no rival; logits need at least 2 classes.")
        return found

    def losses(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> Tensor:
        if call.hard:
            own = torch.gather(z, 1, target.unsqueeze(1)).squeeze(1)
            rival = torch.where(hot(target, z), -torch.inf, z).max(1).values
            return psi(ahead_of(own, rival), label=target)
        first = z.max(1, keepdim=True)
        best = hot(first.indices.squeeze(1), z)
        second = torch.where(best, -torch.inf, z).max(1, keepdim=True).values
        apart = ahead_of(z, torch.where(best, second, first.values))
        return part(psi, apart, target).sum(1)

    def derivatives(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        if call.hard:
            own = target.unsqueeze(1)
            rival = torch.where(hot(target, z), -torch.inf, z).max(1, keepdim=True)
            ahead = ahead_of(torch.gather(z, 1, own), rival.values)
            none = torch.zeros_like(z)

            def spread(order: int, sign: float) -> Tensor:
                each = psi(ahead, label=own, order=order)
                return none.scatter(1, own, each).scatter_add(1, rival.indices, sign * each)

        else:
            first = z.max(1, keepdim=True)
            best = hot(first.indices.squeeze(1), z)
            second = torch.where(best, -torch.inf, z).max(1, keepdim=True)
            ahead = ahead_of(z, torch.where(best, second.values, first.values))

            def spread(order: int, sign: float) -> Tensor:
                each = part(partial(psi, order=order), ahead, target)
                top = torch.gather(each, 1, first.indices)
                rest = sign * (each.sum(1, keepdim=True) - top)
                each = each.scatter_add(1, first.indices, rest)
                return each.scatter_add(1, second.indices, sign * top)

        # A pair of scores moves u, one up and one down: both have its curvature.
        return spread(1, -1.0), spread(2, 1.0)

    def why_no_kernel(self, call: Call) -> str | None:
        return indices_only(self.name, call)

    def reach(self, curve: Properties) -> Reach:
        """Two scores move u, one up and one down; where two rivals tie, the slope jumps over."""
        return Reach(
            True if curve.convex and falls(curve) else False if curve.convex is False else None,
            times(math.sqrt(2), curve.lipschitz),
            times(2.0, curve.lipschitz),
            0.0 if curve.lipschitz == 0 else math.inf,
            curve.lowest,
            curve.highest,
        )


def ahead_of(own: Tensor, rival: Tensor) -> Tensor:
    """own - rival, and certain without a rival: not infinite, where a derivative may be NaN."""
    return torch.where((rival == -torch.inf) & (own > -torch.inf), CERTAIN, own - rival)


def indices_only(name: str, call: Call) -> str | None:
    """Why margins over classes have no kernel for a distribution."""
    if call.hard and not call.label_smoothing:
        return None
    return f"the {name} kernel takes class indices without smoothing"
