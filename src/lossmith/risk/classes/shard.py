"""A call whose classes lie on several ranks, as one rank has it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from lossmith.link.link import Call
from lossmith.risk.classes.collectives import copied
from lossmith.risk.ranks import Group


@dataclass(slots=True)
class Split:
    """A checked call on one rank. `first` and `classes`: where its shard lies among all classes.

    What is given for each class (class_weight, alpha, parameters that are no single number) is
    given for all classes, or for those of this rank.
    """

    call: Call  # its prediction: the logits of this rank's classes, (N, classes, d1, …)
    group: Group
    first: int
    classes: int
    whole: bool  # per-class numbers: of all classes, or of this rank's
    look: bool  # whether values may be looked at

    def per_class(self) -> list[tuple[str, Tensor]]:
        """What is given for each class, by name."""
        found = [("class_weight", self.call.class_weight), ("alpha", self.call.alpha)]
        for spec, value in zip(
            self.call.loss.formula.parameters, self.call.parameters, strict=True
        ):
            if isinstance(value, Tensor) and value.dim():
                found.append((spec.name, value))
        return [(name, value) for name, value in found if value is not None]

    def shard(self, per_class: Tensor, padding: float = 0.0) -> Tensor:
        """This rank's part of one number per class, shaped for the logits."""
        if self.whole:
            if per_class.requires_grad:  # each rank sees to its own entries
                (per_class,) = copied([per_class], self.group)
            per_class = per_class.narrow(0, self.first, self.call.prediction.shape[1])
        if not per_class.shape[0]:
            per_class = F.pad(per_class, (0, 1), value=padding)  # as the logits are padded
        return per_class.view(1, -1, *(1,) * (self.call.prediction.dim() - 2))
