"""Which engine runs a call, and why. One place decides."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.compiler import is_compiling

from lossmith.engine.cpu.machine import without
from lossmith.engine.looking import PLAIN
from lossmith.link.link import Call, Linked

_HALVES = (torch.bfloat16, torch.float16)
_DTYPES = (torch.float32, torch.float64, *_HALVES)
_TARGETS = (*_DTYPES, torch.int64, torch.int32, torch.bool, torch.uint8)
# Kernels read halves into float32, so one that computes in float64 has no way to a half's bits.
_PAIRS = frozenset((p, t) for p in _DTYPES for t in _TARGETS) - {
    (torch.float64, half) for half in _HALVES
}
# What prediction and target may be, as one fact.
_SERVED = frozenset((a, b, p, t) for a in PLAIN for b in PLAIN for p, t in _PAIRS)
_LEARNED = "a parameter is a tensor: it may be learned or vary by element"
# Scales and parameters for which nothing inside a kernel leaves the numbers of its type without the
# result: the least scale s, the largest s^power of ψ(r) = s^power·ψ₀(r/s), the largest parameter.
# Below that, what is lost is ψ₀ itself where it is subnormal (docs/architecture.md, Limits).
_SINGLE = (2.0**-60, 2.0**60, 2.0**100)
_DOUBLE = (2.0**-500, 2.0**500, 2.0**900)
_transform, _tracing = torch._C._functorch.peek_interpreter_stack, torch._C._get_tracing_state
_dispatch_modes, _function_modes = (
    torch._C._len_torch_dispatch_stack,
    torch._C._len_torch_function_stack,
)


def why_not_cpu(call: Call) -> str | None:
    """None if the CPU engine runs this call; else the reason why the reference engine does."""
    prediction, target = call.prediction, call.target
    if is_compiling():
        return "torch.compile traces plain operations and fuses them itself"
    facts = (type(prediction), type(target), prediction.dtype, target.dtype)
    if facts not in _SERVED or not prediction.is_cpu or without() is not None:
        return _why_no_kernel(prediction, target)
    if _transform() is not None:
        return "a torch.func transform is active"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation is active"
    if _dispatch_modes() or _function_modes():
        return "a dispatch mode is active"
    if _tracing() is not None:
        return "torch.jit.trace records plain operations"
    if target.requires_grad:
        return "the target requires a gradient"
    if call.weight is not None and (why := _why_not(call.weight, "weight")):
        return why
    if call.mask is not None and (why := _why_not(call.mask, "mask")):
        return why
    if call.class_weight is not None and (why := _why_not(call.class_weight, "class weight")):
        return why
    if call.parameters:
        for p in call.parameters:
            if type(p) is not float and isinstance(p, Tensor):
                return _LEARNED
        if (why := _out_of_reach(call.loss, call.parameters, prediction.dtype)) is not None:
            return why
    alpha = call.alpha
    if alpha is not None and type(alpha) is not float:
        if not call.loss.classes or alpha.requires_grad:
            return _LEARNED
        if type(alpha) not in PLAIN:
            return "alpha is a tensor subclass"
    return call.loss.link.why_no_kernel(call)


def _why_no_kernel(prediction: Tensor, target: Tensor) -> str:
    if type(prediction) not in PLAIN or type(target) not in PLAIN:
        return "the prediction or target is a tensor subclass"
    if not prediction.is_cpu:
        return f"there is no kernel for the device {prediction.device.type!r} yet"
    if without() is not None:
        return f"no kernel can be made here: {without()}"
    return f"there is no kernel for {prediction.dtype} against {target.dtype}"


@lru_cache(maxsize=1024)
def _out_of_reach(loss: Linked, parameters: tuple[float, ...], dtype: torch.dtype) -> str | None:
    """Why the type that a kernel computes in is too narrow for the parameters; None: it is not."""
    scale = loss.formula.scale
    least, most, largest = _DOUBLE if dtype == torch.float64 else _SINGLE
    if scale is not None:
        high = most ** (1.0 / scale.power) if scale.power > 0 else largest
        if not least < parameters[-1] < high:
            return f"{scale.name} = {parameters[-1]:g} leaves the range of the kernels' numbers"
    for p in parameters:
        # A parameter as good as 0 has the limit of a formula where u leaves the range of its type.
        if not -largest < p < largest or 0.0 < abs(p) < least:
            return f"a parameter of {p:g} leaves the range of the kernels' numbers"
    return None


def _why_not(option: Tensor, name: str) -> str | None:
    if type(option) not in PLAIN:
        return f"the {name} is a tensor subclass"
    return f"the {name} requires a gradient" if option.requires_grad else None
