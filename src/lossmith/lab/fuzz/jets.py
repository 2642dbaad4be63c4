"""Value, slope, curvature and parameter derivatives carried through a calculation, at many digits.

The oracle for drawn formulas: sums, products, powers, exponentials and logarithms of truncated
Taylor series in mpmath, with no SymPy and no rule of the library. With noise switched on, every
rounding of a floating-point evaluation is acted out, which shows how many digits one can keep.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp

Real = Any
DIGITS = 160


@dataclass
class Room:
    """What one evaluation does to each number, and what it has seen of them."""

    noise: float = 0.0
    draw: random.Random = field(default_factory=lambda: random.Random(0))
    least: Real = field(
        default_factory=lambda: mp.inf
    )  # the smallest number but 0, and the largest
    most: Real = field(default_factory=lambda: mp.mpf(0))
    edge: bool = False  # a comparison was a tie, or nearly
    gap: Real = field(default_factory=lambda: mp.inf)  # the nearest that was none
    tie: bool = False  # exactly, whatever u is
    branch: bool = False  # one of branches, or of an |x| that only touches 0
    choice: bool = False  # of the larger of two that are equal and do not go on alike
    jump: bool = False  # of a sign
    kinks: set[Real] = field(default_factory=set)  # slopes of what lies in |x| and is 0

    def round(self, x: Real) -> Real:
        if self.noise:
            return x * (1 + self.noise * self.draw.uniform(-1, 1)) if x else x
        if x:
            size = abs(x)
            self.least, self.most = min(self.least, size), max(self.most, size)
        return x

    def compare(self, a: Real, b: Real, branch: bool = True) -> None:
        """Take note of a tie, where the answer is a convention."""
        if abs(a - b) <= mp.mpf("1e-4") * (abs(a) + abs(b)):
            self.edge = True
            self.branch |= branch
            self.tie |= a == b
            if a != b:
                self.gap = min(self.gap, abs(a - b) / (abs(a) + abs(b)))


@dataclass
class Jet:
    """x, ∂x/∂u, ∂²x/∂u², and ∂x/∂θ for every parameter."""

    room: Room
    x: Real
    d: Real
    dd: Real
    by: list[Real]

    def _made(self, x: Real, d: Real, dd: Real, by: list[Real]) -> Jet:
        r = self.room.round
        return Jet(self.room, r(x), r(d), r(dd), [r(b) for b in by])

    def constant(self, value: Any) -> Jet:
        return Jet(self.room, mp.mpf(value), mp.mpf(0), mp.mpf(0), [mp.mpf(0) for _ in self.by])

    def through(self, f: Real, f1: Real, f2: Real) -> Jet:
        """f(x), given its value and its first two derivatives there."""
        r = self.room.round
        return self._made(
            f, f1 * self.d, r(f2 * self.d**2) + r(f1 * self.dd), [f1 * b for b in self.by]
        )

    def __add__(self, other: Jet) -> Jet:
        by = [a + b for a, b in zip(self.by, other.by, strict=True)]
        return self._made(self.x + other.x, self.d + other.d, self.dd + other.dd, by)

    def __mul__(self, other: Jet) -> Jet:
        a, b, r = self, other, self.room.round
        return self._made(
            a.x * b.x,
            r(a.d * b.x) + r(a.x * b.d),
            r(a.dd * b.x) + r(2 * a.d * b.d) + r(a.x * b.dd),
            [r(p * b.x) + r(a.x * q) for p, q in zip(a.by, b.by, strict=True)],
        )

    def __neg__(self) -> Jet:
        return Jet(self.room, -self.x, -self.d, -self.dd, [-b for b in self.by])

    def __sub__(self, other: Jet) -> Jet:
        return self + -other

    def __truediv__(self, other: Jet) -> Jet:
        return self * other.to(-1)

    def to(self, n: Any) -> Jet:
        """x^n for a number n; a negative x has whole powers only."""
        n = mp.mpf(n)
        if n == 0:
            return self.constant(1)
        if self.x == 0 and mp.isint(n) and n > 0:
            zero = mp.mpf(0)
            return self.through(zero, mp.mpf(1) if n == 1 else zero, mp.mpf(2) if n == 2 else zero)
        if self.x < 0 and not mp.isint(n):
            raise ValueError("not real")
        if self.x == 0 and n > 0:
            return self.through(self.x, mp.nan, mp.nan)  # the limits are taken beside it
        power = self.x**n
        return self.through(power, n * power / self.x, n * (n - 1) * power / self.x**2)

    def power(self, exponent: Jet) -> Jet:
        """x^y where y has derivatives too."""
        if not any([exponent.d, exponent.dd, *exponent.by]):
            return self.to(exponent.x)
        if self.x == 0 and exponent.x > 0:
            return self.through(self.x, mp.nan, mp.nan)
        if self.x <= 0:
            raise ValueError("not real")
        return exp(exponent * log(self))


def exp(a: Jet) -> Jet:
    e = mp.exp(a.x)
    return a.through(e, e, e)


def log(a: Jet) -> Jet:
    if a.x <= 0:
        raise ValueError("not real")
    return a.through(mp.log(a.x), 1 / a.x, -1 / a.x**2)


def absolute(a: Jet) -> Jet:
    if a.x == 0:
        a.room.kinks.add(a.d)
    return -a if a.x < 0 else a


def sign(a: Jet) -> Jet:
    return a.constant(mp.sign(a.x))


def quiet(function: Callable[..., Jet]) -> Callable[..., Jet]:
    """A word of the library is one step: noise comes to what goes in and out, not inside."""

    def run(a: Jet, *rest: Jet) -> Jet:
        room, silent = a.room, Room()
        inner = [Jet(silent, j.x, j.d, j.dd, j.by) for j in (a, *rest)]
        if room.noise:
            inner[0].x = room.round(a.x)
        result = function(*inner)
        made = Jet(room, mp.mpf(0), mp.mpf(0), mp.mpf(0), a.by)
        return made._made(result.x, result.d, result.dd, result.by)

    return run


def _one(a: Jet) -> Jet:
    return a.constant(1)


def _half(a: Jet) -> Jet:
    return a.constant(mp.mpf(1) / 2)


def _sigmoid(a: Jet) -> Jet:
    return _one(a) / (_one(a) + exp(-a))


def _tanh(a: Jet) -> Jet:
    return (exp(a) - exp(-a)) / (exp(a) + exp(-a))


def _root(a: Jet) -> Jet:
    return (_one(a) + a * a).to(mp.mpf(1) / 2)


def _box_cox(a: Jet, power: Jet) -> Jet:
    if power.x == 0 and not any(power.by):
        return log(_one(a) + a * a) * _half(a)
    two = a.constant(2)
    return ((_one(a) + a * a).power(power) - _one(a)) / (two * power)


# Every word by its textbook definition; what cancels there does so at 160 digits.
_DEFINED: dict[str, Callable[..., Jet]] = {
    "sigmoid": _sigmoid,
    "logistic_density": lambda a: _sigmoid(a) * _sigmoid(-a),
    "softplus": lambda a: log(_one(a) + exp(a)),
    "expm1": lambda a: exp(a) - _one(a),
    "log1p": lambda a: log(_one(a) + a),
    "log_cosh": lambda a: log((exp(a) + exp(-a)) * _half(a)),
    "tanh": _tanh,
    "abs_minus_log1p": lambda a: absolute(a) - log(_one(a) + absolute(a)),
    "softsign": lambda a: a / (_one(a) + absolute(a)),
    "hypot1m1": lambda a: _root(a) - _one(a),
    "unit": lambda a: a / _root(a),
    "rhypot": lambda a: _one(a) / _root(a),
    "log1p_square": lambda a: log(_one(a) + a * a),
    "gauss_rise": lambda a: _one(a) - exp(-(a * a)),
    "gauss_moment": lambda a, n: a.to(n.x) * exp(-(a * a)),
    "complement": lambda a: _one(a) - exp(a),
    "half_boxcox1p": _box_cox,
}
WORDS: dict[str, Callable[..., Jet]] = {
    "exp": exp,
    "log": log,
    "abs": absolute,
    "sign": sign,
    "hold": lambda a: a.constant(a.x),
    "sqrt": lambda a: a.to(mp.mpf(1) / 2),
    **{name: quiet(f) for name, f in _DEFINED.items()},
}
