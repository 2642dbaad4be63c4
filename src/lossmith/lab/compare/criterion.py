"""One call for every loss: scores, features and targets of a batch in, the mean loss out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import lossmith

Loss = Callable[..., Any]


class Criterion(nn.Module):
    """The mean loss of a batch, plus λ times the center loss of its features if asked for.

    A model gives one score for a number or for two classes, else one for each class. So losses of
    a margin take the score of two classes as it is, and losses of a probability take the logits
    (0, score), whose softmax is the same sigmoid; with more classes a margin loss is Crammer and
    Singer's.

    A loss of a residual gets it in units of `unit`, the spread of what a first fit leaves over, so
    that its parameters mean the same whatever share of the target can be explained.
    """

    def __init__(
        self,
        loss: Loss,
        task: str,
        parameters: Mapping[str, float],
        class_weight: NDArray[np.float64] | None,
        center: tuple[int, int, float],
        unit: float = 1.0,
    ) -> None:
        super().__init__()
        self.task = task
        self.unit = unit
        record = getattr(loss, "formula", None)
        self.padded = task == "binary" and record is not None and record.family == "probability"
        self.real = task == "regression" or (
            task == "binary" and record is not None and record.family == "margin"
        )
        if record is None:
            inspect.signature(loss).bind(None, None, **parameters)
            self.loss: Loss = lambda scores, target: loss(scores, target, **parameters)
        elif record.family == "margin" and task == "classification":
            multiclass: Any = lossmith.CrammerSinger
            self.loss = multiclass(loss, **parameters)
        else:
            module: Any = loss
            self.loss = module.Module(**parameters)
        classes, features, self.weight = center
        self.center = lossmith.CenterLoss(classes, features) if self.weight else None
        self.class_weight: Tensor | None = (
            None if class_weight is None else torch.tensor(class_weight, dtype=torch.float32)
        )

    def forward(self, scores: Tensor, features: Tensor | None, target: Tensor) -> Tensor:
        given = scores
        if self.padded:
            given = torch.stack((torch.zeros_like(scores), scores), 1)
        wanted = target.to(scores.dtype) if self.real else target
        if self.unit != 1.0:
            given, wanted = given / self.unit, wanted / self.unit
        if self.class_weight is None:
            value: Tensor = self.loss(given, wanted)
        else:
            value = self.loss(given, wanted, sample_weight=self.class_weight[target])
        if self.center is not None:
            value = value + self.weight * self.center(features, target)
        return value
