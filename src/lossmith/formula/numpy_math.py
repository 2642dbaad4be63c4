"""The primitives over arrays of NumPy, or of any module that has NumPy's functions.

For what wants ψ, its slope or its curvature on arrays and no torch: plots, searches, boosted trees.
Derivatives come from the formula, never from these lines, so `where` may evaluate both sides.
Every function keeps its digits over the whole finite range, in the type of its argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import numpy as np

from lossmith.formula.dialect import Dialect
from lossmith.formula.program import Program

Array = Any


def _lift(method: Callable[..., Any]) -> Callable[..., Any]:
    """Numbers alone give a number again: of NumPy's own kind it would widen what it meets."""

    @wraps(method)
    def lifted(self: Words, *parts: Any) -> Any:
        value = method(self, *parts)
        return value if any(hasattr(p, "dtype") for p in parts) else float(value)

    return lifted


def _series(x: Array, coefficients: list[float]) -> Array:
    """Horner's scheme, the highest power first."""
    total = 0.0 * x
    for c in coefficients:
        total = total * x + c
    return total


_EXCESS = [1 / math.factorial(k) for k in range(19, 1, -1)]  # Σ x^k / k! from k = 2, over x²
_RISE = [k / math.factorial(k + 1) for k in range(20, 0, -1)]  # the derivative of (e^t - 1)/t
_ODD = [1 / k for k in range(23, 1, -2)]


class Words:
    """The words of a program over the arrays of one module, `xp`."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        for name in ("exp", "expm1", "log", "log1p", "sqrt", "tanh", "power", "sign", "square"):
            setattr(self, name, _lift(_of(name)).__get__(self))

    K = staticmethod(float)
    absolute = staticmethod(abs)

    def where(self, condition: Any, yes: Any, no: Any) -> Any:
        if not hasattr(condition, "dtype"):
            return yes if condition else no
        return self.xp.where(condition, yes, no)

    def keep_nan(self, u: Array, x: Any) -> Array:
        """x, but NaN where u is NaN (comparisons lose it); numbers get u's shape and type."""
        return self.xp.where(u == u, self.xp.asarray(x, dtype=self.xp.asarray(u).dtype), u)

    def ipow(self, x: Any, n: int) -> Any:
        result = x
        for _ in range(n - 1):
            result = result * x
        return result

    @_lift
    def divide(self, x: Any, y: Any) -> Any:
        return self.xp.divide(x, y)

    @_lift
    def sigmoid(self, x: Array) -> Array:
        e = self.xp.exp(-abs(x))
        return self.xp.where(x < 0, e, 1.0) / (1 + e)

    @_lift
    def logistic_density(self, x: Array) -> Array:
        e = self.xp.exp(-abs(x))
        return e / (1 + e) / (1 + e)

    @_lift
    def softplus(self, x: Array) -> Array:
        return self.xp.maximum(x, 0.0) + self.xp.log1p(self.xp.exp(-abs(x)))

    @_lift
    def exp_excess(self, x: Array) -> Array:
        near = self.xp.clip(x, -1.0, 1.0)
        beside = self.xp.where(x == math.inf, 0.0, x)  # e^x is infinite long before
        far = self.xp.expm1(x) - beside
        return self.xp.where(abs(x) < 1, near * near * _series(near, _EXCESS), far)

    @_lift
    def exp_rise(self, x: Array, a: Any) -> Array:
        t = a * x
        small, slight = abs(t) < 1, abs(t) < 2.0**-60
        # a·x may be subnormal, or 0, where x has all its digits.
        divisor = self.xp.where(slight, 1.0, self.xp.where(small, t, self._nonzero(a)))
        ratio = self.xp.expm1(t) / divisor
        return self.xp.where(slight, x, self.xp.where(small, x * ratio, ratio))

    @_lift
    def exp_rise_da(self, x: Array, a: Any) -> Array:
        t = a * x
        near = self.xp.clip(t, -1.0, 1.0)
        held, c = self.xp.maximum(t, -800.0), self._nonzero(a)
        far = ((held - 1) * self.xp.exp(held) + 1) / c / c
        return self.xp.where(abs(t) < 1, x * x * _series(near, _RISE), far)

    @_lift
    def log_cosh(self, x: Array) -> Array:
        a = abs(x)
        e = self.xp.expm1(self.xp.minimum(a, 1.0))
        near = self.xp.log1p(e * e / (2 * (1 + e)))  # cosh a - 1 = e²/(2(1 + e))
        return self.xp.where(a < 1, near, a + self.xp.log1p(self.xp.exp(-2 * a)) - math.log(2))

    @_lift
    def softsign(self, x: Array) -> Array:
        return self.xp.where(self.xp.isinf(x), self.xp.sign(x), x / (1 + abs(x)))

    @_lift
    def abs_minus_log1p(self, x: Array) -> Array:
        a = abs(x)
        # Near zero the difference cancels: a - log(1+a) = a·s - 2(s³/3 + s⁵/5 + ...), s = a/(2+a).
        s = self.xp.where(a < 0.5, a / (2 + a), 0.0)
        near = a * s - 2 * s * (s * s) * _series(s * s, _ODD)
        far = self.xp.where(self.xp.isinf(a), a, a - self.xp.log1p(a))
        return self.xp.where(a < 0.5, near, far)

    def _within(self, x: Array) -> Array:
        """Beyond this, 1 + x² rounds to x², which must not overflow."""
        single = getattr(x, "dtype", None) == np.float32
        return abs(x) < (2.0**14 if single else 2.0**30)

    @_lift
    def rhypot(self, x: Array) -> Array:
        return self.xp.where(self._within(x), 1 / self.xp.sqrt(1 + x * x), 1 / abs(x))

    @_lift
    def unit(self, x: Array) -> Array:
        return self.xp.where(self._within(x), x / self.xp.sqrt(1 + x * x), self.xp.sign(x))

    @_lift
    def hypot1m1(self, x: Array) -> Array:
        a = abs(x)
        near = a * (a / (1 + self.xp.sqrt(1 + x * x)))
        return self.xp.where(self._within(x), near, a - 1)

    @_lift
    def log1p_square(self, x: Array) -> Array:
        return self.xp.where(self._within(x), self.xp.log1p(x * x), 2 * self.xp.log(abs(x)))

    @_lift
    def half_boxcox1p(self, x: Array, a: Any) -> Array:
        t = self.log1p_square(x)
        z = a * t
        near = 0.5 * t * self.xp.where(z == 0, 1.0, self.xp.expm1(z) / self._nonzero(z))
        far = (self.xp.power(self.rhypot(x), -2 * a) - 1) / (2 * self._nonzero(a))
        return self.xp.where(abs(z) < 1, near, far)

    @_lift
    def half_boxcox1p_da(self, x: Array, a: Any) -> Array:
        t = self.log1p_square(x)
        z = a * t
        safe = self.xp.where(abs(z) < 1, 1.0, z)
        far = (self.xp.exp(z) - self.xp.expm1(z) / safe) / safe
        return 0.5 * t * t * self.xp.where(abs(z) < 1, _series(z, _RISE), far)

    def _nonzero(self, a: Any) -> Any:
        return self.xp.where(a == 0, 1.0, a) if hasattr(a, "dtype") else a or 1.0

    @_lift
    def gauss_rise(self, x: Array) -> Array:
        return -self.xp.expm1(-x * x)

    @_lift
    def gauss_moment(self, x: Array, n: int) -> Array:
        # Beyond ±40 the product is 0 in every type, and x² must not overflow first. NaN stays.
        near = self.xp.clip(x, -40.0, 40.0)
        result = self.xp.exp(-near * near)
        for _ in range(n):
            result = result * near
        return result

    @_lift
    def complement(self, u: Array) -> Array:
        return 0.0 - self.xp.expm1(u)  # not -0 at u = 0, of which a negative power is -infinity

    @_lift
    def bernoulli(self, u: Array) -> Array:
        safe = self.xp.where(u == 0, 1.0, u)
        return self.xp.where(u == 0, 1.0, safe / self.xp.expm1(safe))


def _of(name: str) -> Callable[..., Any]:
    return lambda self, *parts: getattr(self.xp, name)(*parts)


def dialect(name: str, module: Any) -> Dialect:
    """The dialect of a module that has NumPy's functions."""
    words = Words(module)
    names = (n for n in dir(words) if not n.startswith("_") and callable(getattr(words, n)))
    return Dialect(name, {n: getattr(words, n) for n in names})


NUMPY = dialect("NumPy", np)


@lru_cache(maxsize=1024)
def function(program: Program) -> Callable[..., tuple[Any, ...]]:
    """The program over NumPy's arrays; overflow is infinite or NaN, without a warning."""
    run = NUMPY.function(program)

    def quiet(*arguments: Any) -> tuple[Any, ...]:
        with np.errstate(all="ignore"):
            return run(*arguments)

    return quiet
