"""Which engine runs a call, and why. One place decides."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from lossmith.engine.looking import PLAIN
from lossmith.engine.plan import Call

_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_TARGETS = (*_DTYPES, torch.int64, torch.int32, torch.bool, torch.uint8)
_MULTICLASS_MARGIN = ("crammer_singer", "one_vs_rest")
_LEARNED = "a parameter is a tensor"
_transform, _tracing = torch._C._functorch.peek_interpreter_stack, torch._C._get_tracing_state
_dispatch_modes, _function_modes = (
    torch._C._len_torch_dispatch_stack,
    torch._C._len_torch_function_stack,
)


def why_not_cpu(call: Call) -> str | None:
    """None if the CPU engine runs this call; else the reason why the reference engine does."""
    prediction, target = call.prediction, call.target
    if torch.compiler.is_compiling():
        return "torch.compile traces plain operations and fuses them itself"
    if type(prediction) not in PLAIN or type(target) not in PLAIN:
        return "the prediction or target is a tensor subclass"
    if not prediction.is_cpu:
        return f"there is no kernel for the device {prediction.device.type!r} yet"
    if prediction.dtype not in _DTYPES or target.dtype not in _TARGETS:
        return f"there is no kernel for {prediction.dtype} against {target.dtype}"
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
    for p in call.parameters:
        if isinstance(p, Tensor):
            return f"{_LEARNED}: it may be learned or vary by element"
    if isinstance(call.alpha, Tensor) and (call.alpha.requires_grad or not call.loss.classes):
        return f"{_LEARNED}: it may be learned or vary by element"
    if call.loss.kind in _MULTICLASS_MARGIN and (not call.hard or call.label_smoothing):
        return f"the {call.loss.kind} kernel takes class indices without smoothing"
    return None


def _why_not(option: Tensor, name: str) -> str | None:
    if type(option) not in PLAIN:
        return f"the {name} is a tensor subclass"
    return f"the {name} requires a gradient" if option.requires_grad else None
