"""What a linear head is asked for, before any logits: rows of a block, rows that count."""

from __future__ import annotations

from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.amp import is_autocast_available

from lossmith.engine import looking
from lossmith.link.counting import counted
from lossmith.link.link import Call

# A block's logits: large enough that its matrix products run at full speed, and few enough that
# they stay small beside the gradient of any weight that is worth the trouble.
_BYTES = {"cpu": 32 << 20}
_BYTES_ELSEWHERE = 256 << 20
_SMALL = 4 << 20  # less is not worth cutting up
_LEAST_ROWS = 64


@dataclass(slots=True)
class Head:
    """A checked call whose logits are still to be made, one row of features per loss.

    `call.prediction` only stands for the logits: shape, dtype and device, one number of memory.
    """

    call: Call
    features: Tensor  # (rows, D)
    weight: Tensor  # (C, D)
    bias: Tensor | None
    block: int | None  # rows; None: chosen here

    @property
    def inputs(self) -> tuple[Tensor | None, ...]:
        """What an engine makes gradients of."""
        return self.features, self.weight, self.bias

    @property
    def count(self) -> int:
        """How many losses it has, dropped ones included."""
        return self.features.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        """What is computed in."""
        return self.call.dtype

    def strip(self) -> tuple[Tensor | None, ...]:
        """Take its tensors out, as `Call.strip` does."""
        held = (*self.inputs, *self.call.strip())
        self.features = self.weight = self.bias = None  # type: ignore[assignment]
        return held

    def filled(self, tensors: tuple[Tensor | None, ...]) -> Head:
        """A copy with its tensors back."""
        head = copy(self)
        head.features, head.weight, head.bias, *rest = tensors  # type: ignore[assignment]
        head.call = self.call.filled(tuple(rest))
        return head

    @property
    def rows(self) -> int:
        """Rows of a block."""
        if self.block is not None:
            return self.block
        size = self.weight.shape[0] * self.dtype.itemsize
        most = _BYTES.get(self.features.device.type, _BYTES_ELSEWHERE) // size
        return max(_LEAST_ROWS, _SMALL // size, min(most, self.features.shape[0] // 8))


def why_dense(head: Head) -> str | None:
    """None if blocks run; else why all logits are made at once, by plain operations."""
    if (why := looking.watched()) is not None:
        return why
    call = head.call
    for t in (*head.inputs, call.target):
        if t is not None and type(t) not in looking.PLAIN:
            return "an argument is a tensor subclass"
    for t in (call.weight, call.class_weight, call.alpha, *call.parameters):
        if isinstance(t, Tensor) and t.requires_grad:
            return "a weight of rows or classes, or a parameter of the loss, requires a gradient"
    if any(isinstance(t, Tensor) and t.dim() for t in call.parameters):
        return "a parameter of the loss is a tensor that may vary by row"
    return None


def with_tensors(call: Call, **changes: Any) -> Call:
    """A copy of a call with some of its tensors changed."""
    return replace(call, **changes)


def kept(call: Call) -> Tensor | None:
    """Which rows count; None if nothing says that some do not.

    A dropped row must leave the matrix products too: its logits have a gradient of 0, but 0 times
    a NaN among its features would reach the weight. A label that is none stays in, for the engine
    to refuse it.
    """
    return counted(call, call.prediction.dtype, trusted=False).keep


def dense_logits(head: Head) -> Tensor:
    features, keep = head.features.to(head.dtype), kept(head.call)
    if keep is not None:
        features = torch.where(keep.unsqueeze(1), features, 0.0)
    bias = None if head.bias is None else head.bias.to(head.dtype)
    with no_autocast(head.features):
        return F.linear(features, head.weight.to(head.dtype), bias)


def no_autocast(features: Tensor) -> Any:
    """A loss is computed in float32 under autocast, and the scores that it sees are part of it."""
    kind = features.device.type
    return torch.autocast(kind, enabled=False) if is_autocast_available(kind) else nullcontext()
