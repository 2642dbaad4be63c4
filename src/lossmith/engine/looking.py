"""Whether numbers may be looked at: not where somebody records, transforms or only pretends."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.compiler import is_compiling
from torch.nn import Parameter

T = TypeVar("T")
PLAIN = (Tensor, Parameter)
# What `autograd.grad(is_grads_batched=True)` makes, and with it `jacobian(vectorize=True)`: many
# tensors that pass for one, by a `vmap` older than torch.func and unknown to it.
is_batch = torch._C._functorch.is_legacy_batchedtensor

_transform, _tracing = torch._C._functorch.peek_interpreter_stack, torch._C._get_tracing_state
_dispatch_modes, _function_modes = (
    torch._C._len_torch_dispatch_stack,
    torch._C._len_torch_function_stack,
)


MODES = "a dispatch mode is active"


def watched() -> str | None:
    """Who sees every operation, and so must get plain ones; None: nobody does."""
    if is_compiling():
        return "torch.compile traces plain operations and fuses them itself"
    if _transform() is not None:
        return "a torch.func transform is active"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation is active"
    if _tracing() is not None:
        return "torch.jit.trace records plain operations"
    if _dispatch_modes() or _function_modes():
        return MODES
    return None


def constant_to_tracers(function: Callable[..., T]) -> Callable[..., T]:
    """While `torch.compile` traces: run this function and take its result as given.

    What `torch.compiler.assume_constant_result` does, without importing the compiler (a second).
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def recorded() -> bool:
    """Whether a tracer will run again what it sees now, with other numbers."""
    return is_compiling() or _tracing() is not None


@constant_to_tracers
def transformed() -> bool:
    """Whether a transform of torch.func is active."""
    return _transform() is not None


def readable(*values: Tensor) -> bool:
    """Whether reading the numbers of these tensors costs no wait and breaks no tracer."""
    if recorded() or transformed() or _dispatch_modes():
        return False
    return all(type(v) in PLAIN and v.is_cpu and not is_batch(v) for v in values)


def ordinary(tensor: Tensor) -> bool:
    """A tensor as torch makes them, or one that stands for such a tensor without its numbers."""
    if type(tensor) in PLAIN:
        return not is_batch(tensor)
    fake = sys.modules.get("torch._subclasses.fake_tensor")
    return fake is not None and isinstance(tensor, fake.FakeTensor)


def backward_is_plain(upstream: Tensor) -> bool:
    """Neither a differentiable backward, nor a transform of it, nor many of them at once."""
    return not torch.is_grad_enabled() and _transform() is None and ordinary(upstream)
