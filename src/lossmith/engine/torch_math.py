"""The primitives over torch tensors: what the reference engine runs a program with.

Plain differentiable-free arithmetic: derivatives come from the formula, never from these lines, so
`where` may evaluate both sides. Every function keeps its digits over the whole finite range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lossmith.formula.dialect import Dialect


def where(condition: Any, yes: Any, no: Any) -> Any:
    if not isinstance(condition, Tensor):
        return yes if condition else no
    if not isinstance(yes, Tensor) and not isinstance(no, Tensor):
        # Two numbers: let the mask carry the device, and float64 every digit of the numbers.
        yes = torch.full((), yes, dtype=torch.float64, device=condition.device)
    return torch.where(condition, yes, no)


def keep_nan(u: Tensor, x: Any) -> Tensor:
    """x, but NaN where u is NaN (comparisons lose it); also gives numbers u's shape and dtype."""
    if isinstance(x, Tensor) and x.dtype != u.dtype:
        x = x.to(u.dtype)
    return torch.where(u == u, x, u)


def absolute(x: Any) -> Any:
    return abs(x)


def sign(x: Any) -> Any:
    if not isinstance(x, Tensor):
        return math.copysign(1.0, x) if x else 0.0
    return torch.where(x == x, torch.sign(x), x)


def square(x: Any) -> Any:
    return x * x


def ipow(x: Any, n: int) -> Any:
    result = x
    for _ in range(n - 1):
        result = result * x
    return result


def _lift(function: Callable[..., Tensor]) -> Callable[..., Any]:
    """Let a tensor function take a plain number too: a constant, or what parameters make."""

    def lifted(x: Any, *rest: Any) -> Any:
        if isinstance(x, Tensor):
            return function(x, *rest)
        for other in rest:
            if isinstance(other, Tensor):
                return function(other.new_full((), x), *rest)
        value = function(torch.full((), x, dtype=torch.float64), *rest)
        # A tracer may have made a variable of the number, and a mode a fake: neither is looked at.
        unseen = torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack()
        return value if unseen else value.item()

    return lifted


exp, expm1, log, log1p = (_lift(f) for f in (torch.exp, torch.expm1, torch.log, torch.log1p))
sqrt, tanh = _lift(torch.sqrt), _lift(torch.tanh)


def power(x: Any, a: Any) -> Any:
    if isinstance(x, Tensor) or isinstance(a, Tensor):
        return x**a
    return _power_of_numbers(x, a)


@_lift
def _power_of_numbers(x: Tensor, a: Any) -> Tensor:
    return x**a  # not Python's, which raises at 0 and is complex below


def divide(x: Any, y: Any) -> Any:
    """x / y of two numbers that parameters make: infinite or NaN where y is 0, as for tensors."""
    if isinstance(x, Tensor) or isinstance(y, Tensor) or y:
        return x / y
    return math.copysign(math.inf, x) * math.copysign(1.0, y) if x else math.nan


@_lift
def exp_excess(x: Tensor) -> Tensor:
    near = torch.clamp(x, -1.0, 1.0)
    series = torch.zeros_like(x)
    for k in range(19, 1, -1):  # Σ x^k / k! from k = 2
        series = series * near + 1 / math.factorial(k)
    beside = torch.where(x == torch.inf, 0.0, x)  # e^x is infinite long before
    return torch.where(torch.abs(x) < 1, near * near * series, torch.expm1(x) - beside)


def exp_rise(x: Tensor, a: Any) -> Tensor:
    t = a * x
    small = torch.abs(t) < 1
    # a·x may be subnormal, or 0, where x has all its digits.
    slight = torch.abs(t) < 2.0**-60
    ratio = torch.expm1(t) / torch.where(slight, 1.0, torch.where(small, t, _nonzero(a)))
    return torch.where(slight, x, torch.where(small, x * ratio, ratio))


def exp_rise_da(x: Tensor, a: Any) -> Tensor:
    t = a * x
    near = torch.clamp(t, -1.0, 1.0)
    series = torch.zeros_like(t)
    for k in range(20, 0, -1):  # Σ t^(k-1)·k/(k+1)!: the derivative of (e^t - 1)/t
        series = series * near + k / math.factorial(k + 1)
    held, c = torch.clamp(t, min=-800.0), _nonzero(a)
    far = ((held - 1) * torch.exp(held) + 1) / c / c
    return torch.where(torch.abs(t) < 1, x * x * series, far)


@_lift
def sigmoid(x: Tensor) -> Tensor:
    e = torch.exp(-torch.abs(x))  # torch.sigmoid loses the subnormal numbers of the left tail
    return torch.where(x < 0, e, 1.0) / (1 + e)


@_lift
def logistic_density(x: Tensor) -> Tensor:
    e = torch.exp(-torch.abs(x))
    inverse = 1 / (1 + e)
    return e * inverse * inverse


@_lift
def softplus(x: Tensor) -> Tensor:
    return torch.clamp(x, min=0) + torch.log1p(torch.exp(-torch.abs(x)))


@_lift
def log_cosh(x: Tensor) -> Tensor:
    a = torch.abs(x)
    e = torch.expm1(torch.clamp(a, max=1.0))
    near = torch.log1p(e * e / (2 * (1 + e)))  # cosh a - 1 = e²/(2(1 + e)): no cancellation
    # log 2 in digits: a global number is a variable to tracers.
    return torch.where(a < 1, near, a + torch.log1p(torch.exp(-2 * a)) - 0.6931471805599453)


@_lift
def softsign(x: Tensor) -> Tensor:
    a = torch.abs(x)
    return torch.where(torch.isinf(x), torch.sign(x), x / (1 + a))


@_lift
def abs_minus_log1p(x: Tensor) -> Tensor:
    a = torch.abs(x)
    # Near zero the difference cancels: a - log(1+a) = a·s - 2(s³/3 + s⁵/5 + ...), s = a/(2+a).
    s = a / (2 + a)
    t = s * s
    series = torch.zeros_like(t)
    for k in range(23, 1, -2):
        series = series * t + 1.0 / k
    near = a * s - 2 * s * t * series
    return torch.where(a < 0.5, near, torch.where(torch.isinf(a), a, a - torch.log1p(a)))


def _far(x: Tensor) -> float:
    """Beyond this, 1 + x² rounds to x²."""
    return 2.0**30 if x.dtype == torch.float64 else 2.0**14


@_lift
def rhypot(x: Tensor) -> Tensor:
    a = torch.abs(x)
    return torch.where(a < _far(x), torch.rsqrt(1 + x * x), 1 / a)


@_lift
def unit(x: Tensor) -> Tensor:
    a = torch.abs(x)
    return torch.where(a < _far(x), x * torch.rsqrt(1 + x * x), sign(x))


@_lift
def hypot1m1(x: Tensor) -> Tensor:
    a = torch.abs(x)
    near = a * (a / (1 + torch.sqrt(1 + x * x)))
    return torch.where(a < _far(x), near, a - 1)


@_lift
def log1p_square(x: Tensor) -> Tensor:
    a = torch.abs(x)
    return torch.where(a < _far(x), torch.log1p(x * x), 2 * torch.log(a))


@_lift
def half_boxcox1p(x: Tensor, a: Any) -> Tensor:
    t = log1p_square(x)
    at = a * t
    near = 0.5 * t * _exprel(at)
    far = (torch.pow(rhypot(x), -2 * a) - 1) / (2 * _nonzero(a))
    return torch.where(torch.abs(at) < 1, near, far)


@_lift
def half_boxcox1p_da(x: Tensor, a: Any) -> Tensor:
    t = log1p_square(x)
    z = a * t
    series = torch.zeros_like(z)
    for k in range(20, 0, -1):  # Σ z^(k-1)·k/(k+1)!: the derivative of (e^z - 1)/z
        series = series * z + k / math.factorial(k + 1)
    safe = torch.where(torch.abs(z) < 1, torch.ones_like(z), z)
    far = (torch.exp(z) - torch.expm1(z) / safe) / safe
    return 0.5 * t * t * torch.where(torch.abs(z) < 1, series, far)


def _exprel(z: Tensor) -> Tensor:
    """(e^z - 1)/z, 1 at 0."""
    safe = torch.where(z == 0, torch.ones_like(z), z)
    return torch.where(z == 0, torch.ones_like(z), torch.expm1(safe) / safe)


def _nonzero(a: Any) -> Any:
    if isinstance(a, Tensor):
        return torch.where(a == 0, torch.ones_like(a), a)
    return a or 1.0


@_lift
def gauss_rise(x: Tensor) -> Tensor:
    return -torch.expm1(-x * x)


@_lift
def gauss_moment(x: Tensor, n: int) -> Tensor:
    # Beyond ±40 the product is 0 in every dtype, and x² must not overflow first. NaN stays.
    near = torch.clamp(x, -40.0, 40.0)
    result = torch.exp(-near * near)
    for _ in range(n):
        result = result * near
    return result


@_lift
def complement(u: Tensor) -> Tensor:
    return 0.0 - torch.expm1(u)  # not -0 at u = 0, of which a negative power is -infinity


@_lift
def bernoulli(u: Tensor) -> Tensor:
    safe = torch.where(u == 0, torch.ones_like(u), u)
    return torch.where(u == 0, torch.ones_like(u), safe / torch.expm1(safe))


TORCH = Dialect(
    "torch",
    {n: f for n, f in globals().items() if callable(f) and not n.startswith("_")} | {"K": float},
)
