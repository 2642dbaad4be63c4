"""The few checks that look at numbers, on the CPU only: elsewhere that would wait for the device.

Small tensors that stay the same from call to call are looked at once, and logits at the calls
number 1, 2, 4, 8 … of each loss, so that a training loop pays nothing.
"""

from __future__ import annotations

import warnings
import weakref

import torch
from torch import Tensor

from lossmith.engine.labels import tolerance
from lossmith.engine.looking import readable
from lossmith.errors import ParameterError
from lossmith.formula.record import Parameter as Specification

_ROWS = 32  # as many as are looked at
_seen: dict[tuple[int, str], tuple[weakref.ref[Tensor], int]] = {}
_calls: dict[str, int] = {}


def non_negative(name: str, argument: str, value: Tensor) -> None:
    """One number per class, each finite and not below 0."""
    if not readable(value):
        return
    found = _seen.get((id(value), argument))
    version = -1 if value.is_inference() else value._version
    if found is not None and found[0]() is value and found[1] == version >= 0:
        return
    bad = ~((value >= 0) & (value < torch.inf))
    if bad.any():
        k = int(bad.nonzero()[0])
        raise ParameterError(
            f"{name}: {argument}[{k}] = {value[k].item():g}; the weight of a class must be finite "
            "and not negative. Use 0 to leave a class out."
        )
    if len(_seen) > 64:
        _seen.clear()
    _seen[id(value), argument] = (weakref.ref(value), version)


def inside(name: str, spec: Specification, value: Tensor) -> None:
    """A parameter that is a tensor lies in its domain, as a number must."""
    if not readable(value):
        return
    found = _seen.get((id(value), spec.name))
    version = -1 if value.is_inference() else value._version
    if found is not None and found[0]() is value and found[1] == version >= 0:
        return
    some, domain = value.detach(), spec.domain
    above = some >= domain.low if domain.low_closed else some > domain.low
    below = some <= domain.high if domain.high_closed else some < domain.high
    bad = ~(above & below & some.isfinite())
    if bad.any():
        place = tuple(bad.nonzero()[0].tolist())
        at = f"[{', '.join(map(str, place))}]" if place else ""
        raise ParameterError(
            f"{name}: {spec.name}{at} = {some[place].item():g} is outside {domain}. The default is "
            f"{spec.default:g}. lossmith.keep_inside(module) keeps what a Module learns in its "
            "domain."
        )
    if len(_seen) > 64:
        _seen.clear()
    _seen[id(value), spec.name] = (weakref.ref(value), version)


def expect_logits(name: str, key: str, logits: Tensor) -> None:
    """Warn, once per loss and process, of probabilities where logits are due."""
    if torch.compiler.is_compiling():
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
            stacklevel=4,
        )
