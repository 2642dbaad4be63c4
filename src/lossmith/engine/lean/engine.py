"""The lean reference: value and first gradients of a call as one operation of autograd.

It runs wherever torch does: every result is a torch operation, nothing is read back, and what a
call does not ask for is not launched. Slopes come from the formula, and go back to the prediction
by the closed form of the link; a graph, and with it every further derivative, is the road of
`reference.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossmith.engine import eager, labels, looking
from lossmith.engine.lean import elementwise, multiclass, softmax, twins
from lossmith.engine.plan import Output
from lossmith.engine.protocol import LEARNED, Number, Result
from lossmith.engine.reference import working_dtype
from lossmith.link.counting import cut, may_ignore
from lossmith.link.link import Call

_HALVES = (torch.float16, torch.bfloat16)
_BODIES = {
    "residual": elementwise.residual,
    "margin": elementwise.margin,
    "softmax": softmax.softmax,
    "crammer_singer": multiclass.crammer_singer,
    "one_vs_rest": multiclass.one_vs_rest,
}
_ORDERS: dict[Output, tuple[int, ...]] = {
    "total": (0,), "mean": (0,), "values": (0,),
    "total+gradient": (0, 1), "mean+gradient": (0, 1), "gradient": (1,),
}  # fmt: skip


class Lean:
    """See above; the protocol says what each of these owes."""

    name = "reference"
    does = ""  # it has reasons only: those of the engines before it

    def why_not(self, call: Call, output: Output) -> str | None:
        """None if it runs this call; else why a graph of torch operations does."""
        del output
        if (why := looking.watched()) not in (None, looking.MODES):  # they see plain operations
            return why
        if call.loss.link.body not in _BODIES:
            return f"the link {call.loss.link.name!r} has no short road yet"
        tensors = (call.prediction, call.target, call.weight, call.mask, call.class_weight)
        if any(isinstance(p, Tensor) for p in call.parameters):
            return LEARNED
        for tensor in (*tensors, call.alpha):
            if isinstance(tensor, Tensor):
                if not looking.ordinary(tensor):
                    return "a tensor is of another sort: a subclass, or many of them at once"
                if tensor is not call.prediction and tensor.requires_grad:
                    return "more than the prediction requires a gradient"
        return None

    def ahead(self, call: Call, mean: bool) -> Number | None:
        """A guess, at least; None in half precision, and where a twin saves the inputs only."""
        if call.prediction.dtype in _HALVES or _twin(call) is not None:
            return None
        if call.loss.classes:
            return 1.0
        if call.prediction.is_cpu:  # wider than the gradient, which may not hold what comes of it
            return 1.0 if not mean else 1.0 / count if (count := call.count) else 0.0
        # What there is to multiply by is one number with what the backward multiplies by.
        c = elementwise.coefficient(call, working_dtype(call.prediction))
        return 1.0 / c if c * (1.0 / c) == 1.0 else 1.0

    def divides(self, call: Call) -> bool:
        """Where the mass is the count: a mean is one operation then, as a sum is."""
        if not call.count or (call.loss.classes and may_ignore(call)):
            return False
        return call.weight is None and call.mask is None and call.class_weight is None

    def scale(self, gradient: Tensor, step: Number) -> Any:
        if type(step) is not float or step != 1.0:
            gradient.mul_(step)

    def run(
        self, call: Call, output: Output, factor: Number = 1.0, upstream: Tensor | None = None
    ) -> Result:
        """Sums, gradient and values; see the protocol."""
        with torch.no_grad():
            labels.refuse(call)
            result = _run(call, output, factor, upstream)
            if looking.readable(call.prediction) and not _finite(result):
                result = eager.run(call, output, factor, upstream)
                if output.startswith("mean"):
                    result.total = result.total / call.count
            return result


def _run(call: Call, output: Output, factor: Number, upstream: Tensor | None) -> Result:
    orders, dtype = _ORDERS[output], working_dtype(call.prediction)
    which, link = cut(call, dtype), call.loss.link
    z = call.prediction.detach().to(dtype)
    target = which.target if call.loss.classes and call.hard else which.target.to(dtype)
    number = factor if 1 in orders else 1.0
    each = which.weight
    if upstream is not None:
        each = upstream.to(dtype) if each is None else upstream * each
    twin, whole = _twin(call), which.weight is None and which.dropped is None
    if twin is not None:
        reduction = 0 if output == "values" or not whole else 1 if output == "mean" else 2
        losses, gradient = _by_twin(call, twin, z, target, orders, number, reduction)
    elif call.loss.classes:
        by = number
        if each is not None:
            by = each if type(number) is float and number == 1.0 else each * number
        losses, gradient = _BODIES[link.body](call, z, target, orders, by)
    else:
        losses, gradient = _BODIES[link.body](call, z, target, orders, number)
    if gradient is not None:
        if each is not None and not call.loss.classes:
            gradient = gradient.mul_(each)
        gradient = which.out(gradient, link.axis).to(call.prediction.dtype)
    if losses is None:
        return Result(0.0, 0.0, (gradient,))
    if which.weight is not None:
        losses = losses.mul_(which.weight)
    losses = which.out(losses)
    if output == "values":
        losses = elementwise.times(losses, factor).to(call.dtype)
        return Result(0.0, 0.0, (), losses)
    if twin is not None and whole:
        total = losses
    else:
        total = losses.mean() if output.startswith("mean") else losses.sum()
    return Result(total, which.mass(dtype), (gradient,) if gradient is not None else ())


def _twin(call: Call) -> twins.Fused | None:
    found = twins.fused(call.loss.formula)
    if found is None or (call.scale is not None and not twins.within_reach(call.scale)):
        return None
    return found


def _by_twin(
    call: Call,
    twin: twins.Fused,
    z: Tensor,
    target: Tensor,
    orders: tuple[int, ...],
    by: Number,
    reduction: int,
) -> elementwise.Pair:
    scale = () if call.scale is None else (call.scale,)
    value = twin.value(z, target, reduction, *scale) if 0 in orders else None
    if 1 not in orders:
        return value, None
    up = by.to(z.dtype) if isinstance(by, Tensor) else z.new_full((), by)
    return value, twin.slope(up, z, target, 0, *scale)


def _finite(result: Result) -> bool:
    for x in (result.total, *result.gradients, result.values):
        if isinstance(x, Tensor) and not torch.isfinite(x.sum()):
            return False
    return True


LEAN = Lean()
