"""A call whose classes lie on several ranks, as one rank has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from lossmith.link.links import Linked
from lossmith.risk.classes.collectives import copied
from lossmith.risk.ranks import Group


@dataclass(slots=True)
class Split:
    """A checked call on one rank. `first` and `classes`: where its shard lies among all classes.

    What is given for each class (class_weight, alpha, parameters that are no single number) is
    given for all classes, or for those of this rank.
    """

    loss: Linked
    logits: Tensor  # (N, classes of this rank, d1, …)
    target: Tensor  # indices among all classes, or this rank's shard of a distribution
    parameters: tuple[Any, ...]
    group: Group
    first: int
    classes: int
    weight: Tensor | None
    mask: Tensor | None
    class_weight: Tensor | None
    alpha: Tensor | None
    whole: bool  # per-class numbers: of all classes, or of this rank's
    label_smoothing: float
    ignore_index: int
    look: bool  # whether values may be looked at

    @property
    def hard(self) -> bool:
        """Whether the target is an index per row (not a distribution)."""
        return not self.target.is_floating_point()

    def per_class(self) -> list[tuple[str, Tensor]]:
        """What is given for each class, by name."""
        found = [("class_weight", self.class_weight), ("alpha", self.alpha)]
        for spec, value in zip(self.loss.formula.parameters, self.parameters, strict=True):
            if isinstance(value, Tensor) and value.dim():
                found.append((spec.name, value))
        return [(name, value) for name, value in found if value is not None]

    def shard(self, per_class: Tensor, padding: float = 0.0) -> Tensor:
        """This rank's part of one number per class, shaped for the logits."""
        if self.whole:
            if per_class.requires_grad:  # each rank sees to its own entries
                (per_class,) = copied([per_class], self.group)
            per_class = per_class.narrow(0, self.first, self.logits.shape[1])
        if not per_class.shape[0]:
            per_class = F.pad(per_class, (0, 1), value=padding)  # as the logits are padded
        return per_class.view(1, -1, *(1,) * (self.logits.dim() - 2))
