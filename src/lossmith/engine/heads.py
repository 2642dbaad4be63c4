"""What a linear head is asked for, before any logits: rows of a block, rows that count."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.amp import is_autocast_available
from torch.autograd import forward_ad

from lossmith.engine.looking import PLAIN
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
    def dtype(self) -> torch.dtype:
        """What is computed in."""
        return self.call.prediction.dtype

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
    if torch.compiler.is_compiling():
        return "torch.compile traces plain operations"
    for t in (head.features, head.weight, head.bias, head.call.target):
        if t is not None and type(t) not in PLAIN:
            return "an argument is a tensor subclass"
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "a torch.func transform is active"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation is active"
    if torch._C._len_torch_dispatch_stack() or torch._C._len_torch_function_stack():
        return "a dispatch mode is active"
    if torch._C._get_tracing_state() is not None:
        return "torch.jit.trace records plain operations"
    call = head.call
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
