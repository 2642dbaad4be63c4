"""Whether numbers may be looked at: not where somebody records, transforms or only pretends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import Parameter

T = TypeVar("T")
PLAIN = (Tensor, Parameter)
# What `autograd.grad(is_grads_batched=True)` makes, and with it `jacobian(vectorize=True)`: many
# tensors that pass for one, by a `vmap` older than torch.func and unknown to it.
is_batch = torch._C._functorch.is_legacy_batchedtensor


def constant_to_tracers(function: Callable[..., T]) -> Callable[..., T]:
    """While `torch.compile` traces: run this function and take its result as given.

    What `torch.compiler.assume_constant_result` does, without importing the compiler (a second).
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def recorded() -> bool:
    """Whether a tracer will run again what it sees now, with other numbers."""
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


@constant_to_tracers
def transformed() -> bool:
    """Whether a transform of torch.func is active."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def readable(*values: Tensor) -> bool:
    """Whether reading the numbers of these tensors costs no wait and breaks no tracer."""
    if recorded() or transformed() or torch._C._len_torch_dispatch_stack():
        return False
    return all(type(v) in PLAIN and v.is_cpu and not is_batch(v) for v in values)
