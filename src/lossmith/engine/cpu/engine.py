"""The engine of the CPU: one fused kernel for each plan, compiled once and kept."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from lossmith.engine import looking
from lossmith.engine.cpu import launch
from lossmith.engine.cpu.machine import without
from lossmith.engine.plan import Output
from lossmith.engine.protocol import LEARNED, Number
from lossmith.link.link import Call, Linked

_HALVES = (torch.bfloat16, torch.float16)
_DTYPES = (torch.float32, torch.float64, *_HALVES)
_TARGETS = (*_DTYPES, torch.int64, torch.int32, torch.bool, torch.uint8)
# Kernels read halves into float32, so one that computes in float64 has no way to a half's bits.
_PAIRS = frozenset((p, t) for p in _DTYPES for t in _TARGETS) - {
    (torch.float64, half) for half in _HALVES
}
# What prediction and target may be, as one fact.
_SERVED = frozenset((a, b, p, t) for a in looking.PLAIN for b in looking.PLAIN for p, t in _PAIRS)
# Scales and parameters for which nothing inside a kernel leaves the numbers of its type without the
# result: the least scale s, the largest s^power of ψ(r) = s^power·ψ₀(r/s), the largest parameter.
# Below that, what is lost is ψ₀ itself where it is subnormal (docs/architecture.md, Limits).
_SINGLE = (2.0**-60, 2.0**60, 2.0**100)
_DOUBLE = (2.0**-500, 2.0**500, 2.0**900)


class Cpu:
    """Kernels for calls whose tensors lie on the CPU."""

    name, does = "cpu", "one fused kernel"

    def why_not(self, call: Call, output: Output) -> str | None:
        """None if a kernel runs this call; else the reason why not."""
        if (why := looking.watched()) is not None:
            return why
        prediction, target = call.prediction, call.target
        facts = (type(prediction), type(target), prediction.dtype, target.dtype)
        if facts not in _SERVED or not prediction.is_cpu or without() is not None:
            return _why_no_kernel(prediction, target)
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
                    return LEARNED
            if (why := _out_of_reach(call.loss, call.parameters, prediction.dtype)) is not None:
                return why
        alpha = call.alpha
        if alpha is not None and type(alpha) is not float:
            if not call.loss.classes or alpha.requires_grad:
                return LEARNED
            if type(alpha) not in looking.PLAIN:
                return "alpha is a tensor subclass"
        return call.loss.link.why_no_kernel(call)

    run = staticmethod(launch.run)

    def ahead(self, call: Call, mean: bool) -> float | None:
        """As if every loss had weight 1; halves wait for the upstream gradient."""
        if call.prediction.dtype in _HALVES:
            return None
        if not mean:
            return 1.0
        return 1.0 / count if (count := call.count) else 0.0

    def divides(self, call: Call) -> bool:
        """No: sums are numbers here, which divide at no cost."""
        return False

    def scale(self, gradient: Tensor, step: Number) -> None:
        """gradient *= step."""
        gradient.mul_(step)


CPU = Cpu()


def _why_no_kernel(prediction: Tensor, target: Tensor) -> str:
    if type(prediction) not in looking.PLAIN or type(target) not in looking.PLAIN:
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
    if type(option) not in looking.PLAIN:
        return f"the {name} is a tensor subclass"
    return f"the {name} requires a gradient" if option.requires_grad else None
