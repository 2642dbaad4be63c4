"""The same expression evaluated at many digits by mpmath: the oracle of every accuracy check.

The oracle reads the expression itself and shares nothing with the programs of the engines. MPMATH
is the dialect that runs such a program at as many digits, so that what a program computes can be
told from how its engine rounds.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import mpmath as mp
import sympy as sp

from lossmith.formula.dialect import FORMS, Dialect
from lossmith.formula.program import Number

Expr = Any
SAFE = 25  # digits that a sum must keep


def _complement(u: Any) -> Any:
    return -mp.expm1(u)


def _exp_excess(x: Any) -> Any:
    if abs(x) > 0.1:
        return mp.expm1(x) - x
    return x * x * _series(x, lambda k: mp.factorial(k + 2))  # Σ x^k / k! from k = 2


def _exp_rise(x: Any, a: Any) -> Any:
    return mp.expm1(a * x) / a if a else x


def _exp_rise_da(x: Any, a: Any) -> Any:
    t = a * x
    if abs(t) > 0.1:
        return ((t - 1) * mp.exp(t) + 1) / a**2
    return x * x * _series(t, lambda k: mp.factorial(k) * (k + 2))


def _series(x: Any, divisor: Callable[[int], Any]) -> Any:
    """Σ x^k / divisor(k) for |x| ≤ 0.1, to every digit."""
    total, power, k = mp.mpf(0), mp.mpf(1), 0
    while abs(power) > mp.eps**2:
        total, power, k = total + power / divisor(k), power * x, k + 1
    return total


def _half_boxcox1p(x: Any, a: Any) -> Any:
    t = mp.log1p(x * x)
    return t / 2 if a == 0 else mp.expm1(a * t) / (2 * a)


def _half_boxcox1p_da(x: Any, a: Any) -> Any:
    t = mp.log1p(x * x)
    if a == 0:
        return t * t / 4
    return (t * mp.exp(a * t) - mp.expm1(a * t) / a) / (2 * a)


# Definitions in mpmath's own words, on purpose not those of any engine.
DEFINITIONS: dict[str, Callable[..., Any]] = {
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "expm1": mp.expm1,
    "exp_excess": _exp_excess,
    "exp_rise": _exp_rise,
    "exp_rise_da": _exp_rise_da,
    "log1p": mp.log1p,
    "log_cosh": lambda x: abs(x) + mp.log1p(mp.expm1(-2 * abs(x)) / 2),
    "tanh": mp.tanh,
    "abs_minus_log1p": lambda x: abs(x) - mp.log1p(abs(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "hypot1m1": lambda x: x * x / (1 + mp.sqrt(1 + x * x)),
    "unit": lambda x: x / mp.sqrt(1 + x * x),
    "rhypot": lambda x: 1 / mp.sqrt(1 + x * x),
    "log1p_square": lambda x: mp.log1p(x * x),
    "half_boxcox1p": _half_boxcox1p,
    "half_boxcox1p_da": _half_boxcox1p_da,
    "logistic_density": lambda x: mp.exp(-abs(x)) / (1 + mp.exp(-abs(x))) ** 2,
    "gauss_rise": lambda x: -mp.expm1(-x * x),
    "gauss_moment": lambda x, n: x ** int(n) * mp.exp(-x * x),
    "complement": _complement,
    "bernoulli": lambda u: u / mp.expm1(u) if u else mp.mpf(1),
    "hold": lambda x: x,
    "sign": mp.sign,
    "Abs": abs,
}


def _divide(x: Any, y: Any) -> Any:
    """As floats do it: infinite or NaN where y is 0."""
    return x / y if y else x * mp.inf if x else mp.nan


def _power(x: Any, a: Any) -> Any:
    if not x and a < 0:
        return mp.inf
    return x**a if x >= 0 or a == mp.floor(a) else mp.nan


def _constant(number: Number) -> str:
    """Every digit of what the constant stands for: 1/3, and not the float next to it."""
    if not number.exact:
        return f"K({number.value!r})"
    return re.sub(r"(?<![\w.])\d[\d.]*(e[-+]?\d+)?", lambda found: f"K('{found[0]}')", number.exact)


MPMATH = Dialect(
    "mpmath",
    DEFINITIONS
    | {name: getattr(mp, name) for name in ("exp", "pi", "euler", "catalan")}
    | {
        "K": mp.mpf,
        "absolute": abs,
        "divide": _divide,
        "power": _power,
        "ipow": lambda x, n: x**n,
        "square": lambda x: x * x,
        "log": lambda x: mp.log(x) if x >= 0 else mp.nan,
        "sqrt": lambda x: mp.sqrt(x) if x >= 0 else mp.nan,
        "where": lambda condition, yes, no: yes if condition else no,
        "keep_nan": lambda u, x: u if mp.isnan(u) else x,
        "E": mp.e,
        "EulerGamma": mp.euler,
        "Catalan": mp.catalan,
        "GoldenRatio": mp.phi,
    },
    FORMS | {"/": lambda say, above, below: f"divide({say(above)}, {say(below)})"},
    _constant,
)


@lru_cache(maxsize=1024)
def function(expression: Expr, arguments: tuple[str, ...]) -> Callable[..., Any]:
    """The expression as a function of mpmath numbers, arguments by position."""
    # Under names of their own: a parameter may be called exp.
    own = {s: sp.Symbol(f"p_{s.name}", **s.assumptions0) for s in expression.free_symbols}
    by_name = {s.name: other for s, other in own.items()}
    symbols = [by_name.get(n, sp.Symbol(f"p_{n}")) for n in arguments]
    compiled = sp.lambdify(symbols, expression.xreplace(own), modules=[DEFINITIONS, "mpmath"])
    return lambda *values: mp.mpf(compiled(*values))


def certain(expression: Expr, u: Any, most: int) -> Any:
    """The expression of u with ever more digits, until no sum inside has cancelled them away.

    `most`: where to stop; a sum that is still nothing but rounding is 0 as far as can be seen.
    """
    run, parts = _sums(expression)
    digits = mp.mp.dps
    while True:
        with mp.workdps(digits):
            value, *terms = run(u)
            lost = max((_lost(terms[a:b]) for a, b in parts), default=0)
            if lost + SAFE <= digits or digits >= most:
                return mp.mpf(value)
        digits = min(most, 2 * digits)


@lru_cache(maxsize=4096)
def _sums(expression: Expr) -> tuple[Callable[..., Any], list[tuple[int, int]]]:
    """The expression and the terms of each sum in it, in one function; where each sum's lie."""
    sums = [s for s in expression.atoms(sp.Add) if s.free_symbols]
    ends = list(itertools.accumulate((len(s.args) for s in sums), initial=0))
    terms = [term for s in sums for term in s.args]
    u = sp.Symbol("p_u", real=True)
    both = [e.xreplace({s: u for s in e.free_symbols}) for e in (expression, *terms)]
    return sp.lambdify(u, both, [DEFINITIONS, "mpmath"], cse=True), list(itertools.pairwise(ends))


def _lost(terms: list[Any]) -> float:
    """How many digits cancel in a sum; all of them if nothing is left of terms that are not 0."""
    largest, total = max(map(abs, terms)), abs(mp.fsum(terms))
    if not largest or not mp.isfinite(largest):
        return 0
    return float(mp.log10(largest / total)) if total else math.inf


def evaluate(expression: Expr, u: float, parameters: Mapping[str, float], digits: int = 60) -> Any:
    """ψ(u) to `digits` digits. Tiny and huge arguments get as many more as they cancel away."""
    magnitude = abs(math.log10(abs(u))) if u and math.isfinite(u) else 0.0
    run = function(expression, ("u", *parameters))
    with mp.workdps(int(digits + 3 * magnitude)):
        return +run(mp.mpf(u), *(mp.mpf(v) for v in parameters.values()))
