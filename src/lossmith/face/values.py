"""The few checks that look at numbers, on the CPU only: elsewhere that would wait for the device.

Small tensors that stay the same from call to call are looked at once, and logits at the calls
number 1, 2, 4, 8 … of each loss, so that a training loop pays nothing.
"""

from __future__ import annotations

import warnings
import weakref

import torch
from torch import Tensor
from torch.compiler import is_compiling

from lossmith.engine.looking import readable
from lossmith.errors import ParameterError
from lossmith.formula.domain import Interval
from lossmith.formula.record import Parameter as Specification
from lossmith.link.counting import tolerance

_ROWS = 32  # as many as are looked at
_NOT_NEGATIVE = Interval(0.0, low_closed=True)
_seen: dict[tuple[int, int], tuple[weakref.ref[Tensor], int, Interval]] = {}
_calls: dict[str, int] = {}


def non_negative(name: str, argument: str, value: Tensor) -> None:
    """One number per class, each finite and not below 0."""
    bad = _outside(value, _NOT_NEGATIVE)
    if bad is not None:
        (k,) = bad
        raise ParameterError(
            f"{name}: {argument}[{k}] = {value[k].item():g}; the weight of a class must be finite "
            "and not negative. Use 0 to leave a class out."
        )


def inside(name: str, spec: Specification, value: Tensor) -> None:
    """A parameter that is a tensor lies in its domain, as a number must."""
    place = _outside(value, spec.domain)
    if place is not None:
        at = f"[{', '.join(map(str, place))}]" if place else ""
        raise ParameterError(
            f"{name}: {spec.name}{at} = {value[place].item():g} is outside {spec.domain}. The "
            f"default is {spec.default:g}. lossmith.keep_inside(module) keeps what a Module learns "
            "in its domain."
        )


def _outside(value: Tensor, domain: Interval) -> tuple[int, ...] | None:
    """The first place where a tensor leaves a domain; None if nowhere, or if it cannot be read.

    What was found inside is remembered for this tensor, as it is now, and this very domain: the
    same tensor may be a parameter of another loss. The domain is kept too, for the number by which
    it is found belongs to another object once it is gone.
    """
    if not readable(value):
        return None
    key = (id(value), id(domain))
    found = _seen.get(key)
    version = -1 if value.is_inference() else value._version
    if found is not None and found[0]() is value and found[1] == version >= 0:
        return None
    some = value.detach()
    above = some >= domain.low if domain.low_closed else some > domain.low
    below = some <= domain.high if domain.high_closed else some < domain.high
    bad = ~(above & below & some.isfinite())
    if bad.any():
        return tuple(bad.nonzero()[0].tolist())
    if len(_seen) > 64:
        _seen.clear()
    _seen[key] = (weakref.ref(value), version, domain)
    return None


def expect_logits(name: str, key: str, logits: Tensor, level: int = 4) -> None:
    """Warn, once per loss and process, of probabilities where logits are due."""
    if is_compiling():
        return
    calls = _calls[key] = _calls.get(key, 0) + 1
    if calls & (calls - 1) or not readable(logits) or not logits.numel():
        return
    some = logits.detach()
    some = some[:_ROWS] if some.dim() == 2 else some[0].flatten(1)[:, :_ROWS].T
    if some.shape[0] < 2 or some.shape[1] < 2:
        return
    some = some.to(torch.float32)
    if (
        some.amin() >= 0
        and some.amax() <= 1
        and (some.sum(1) - 1).abs().amax() <= tolerance(logits.dtype)
    ):
        _calls[key] = -(1 << 62)  # said once
        warnings.warn(
            f"{name}: the logits look like probabilities: all lie in [0, 1] and rows sum to 1. "
            "The loss applies the softmax itself; give it the scores before the softmax (or "
            "log p, whose softmax is p again).",
            UserWarning,
            stacklevel=level,
        )
