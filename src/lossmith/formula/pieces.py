"""A formula with numbers for its parameters, cut into pieces on each of which it is smooth.

The cuts are solved for exactly: where a condition of a `where` changes, and where the inside of an
absolute value or a sign is zero. 0 is always a cut, so that every piece has one sign of u.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from lossmith.errors import UnsupportedError
from lossmith.formula.calculus import U, base, derivative, polish, symbols, tidy
from lossmith.formula.exact import certain, function
from lossmith.formula.primitives import abs_minus_log1p, softsign
from lossmith.formula.record import Formula

Expr = Any
Real = Any  # an mpmath number
DIGITS = 40
MOST = 4000  # further digits that a limit may ask for


@dataclass(frozen=True)
class Piece:
    """An open interval, and one expression without conditions that holds on it."""

    low: Expr
    high: Expr
    expression: Expr

    def derivative(self, order: int) -> Expr:
        """The expression, its slope (1), its curvature (2), ..."""
        result = self.expression
        for _ in range(order):
            result = derivative(result, "u")
        return result

    def constant(self, order: int) -> Expr | None:
        """The derivative's value if it is the same everywhere on the piece, else None."""
        expression = self.derivative(order)
        return None if U in expression.free_symbols else expression

    def exact(self, order: int, u: Real) -> Real:
        """The derivative inside the piece, at the digits in force."""
        return _exact(polish(self.derivative(order)))(u)

    def limit(self, order: int, right: bool) -> Real:
        """The one-sided limit of a derivative at an end of the piece; ±inf where it diverges."""
        return _limit(self, order, right)

    @cached_property
    def ends(self) -> tuple[float, float]:
        return float(self.low), float(self.high)


@lru_cache(maxsize=4096)
def _exact(expression: Expr) -> Any:
    return function(expression, ("u",))


@lru_cache(maxsize=8192)
def _limit(piece: Piece, order: int, right: bool) -> Real:
    """At a finite end the value itself, where there is one; else along ever closer points."""
    fixed = piece.constant(order)
    end = piece.high if right else piece.low
    with mp.workdps(DIGITS):
        if fixed is not None:
            return mp.mpf(sp.N(fixed, DIGITS))
        if end.is_finite:
            there = real(end)
            try:
                return piece.exact(order, there)
            except (ZeroDivisionError, ValueError, TypeError, OverflowError):
                pass  # 0 · ∞, 0 / 0: approach it

    def values() -> Iterator[Real]:
        other = piece.low if right else piece.high
        for k in range(2, 10 if end.is_finite else 14):
            step = sp.Integer(10) ** (2**k)
            with mp.workdps(DIGITS + (2 ** (k + 1) if end.is_finite else 0)):
                if end.is_finite:
                    width = sp.Min(1, abs(end - other)) if other.is_finite else sp.Integer(1)
                    u = real(end) + (-1 if right else 1) * real(width) / real(step)
                else:
                    u = real(step) if right else -real(step)
                # A slope like 4u³/(1 + u⁴) - 4u⁷/(1 + u⁴)² cancels some power of u.
                yield +certain(expression, u, DIGITS + min(40 * 2**k, MOST))

    expression = polish(piece.derivative(order))
    return settle(values())


def settle(values: Iterator[Real]) -> Real:
    """Where a sequence goes whose steps grow or shrink at least geometrically.

    Steps in one direction that do not shrink (a logarithm's double) diverge.
    """
    with mp.workdps(DIGITS):
        before, last = next(values), next(values)
        step = last - before
        ratio = mp.mpf(0)
        for value in values:
            new = value - last
            if abs(value) > mp.mpf(10) ** 60:
                return mp.sign(value) * mp.inf
            if abs(value) < mp.mpf(10) ** -60 and abs(last) < mp.mpf(10) ** -30:
                return value
            tiny, small = abs(value) * mp.mpf(10) ** -25, abs(value) * mp.mpf(10) ** -9
            if abs(new) <= tiny and abs(step) <= small:
                return value
            ratio = new / step if step else mp.mpf(0)
            step, last = new, value
        if ratio >= mp.mpf("0.9"):
            return mp.sign(step) * mp.inf
        return last


def real(x: Expr) -> Real:
    """A SymPy number as an mpmath number, at the digits in force."""
    return mp.mpf(x.p) / x.q if x.is_Rational else mp.mpf(sp.N(x, mp.mp.dps)._mpf_)


@lru_cache(maxsize=512)
def concrete(formula: Formula, values: tuple[float, ...]) -> Expr:
    """ψ with these parameters (in the order of the record) as an expression in u alone."""
    names = symbols(formula)
    given = dict(zip(names, map(exactly, values), strict=True))
    expression = base(formula).subs([(names[p.name], given[p.name]) for p in formula.shape])
    if formula.scale is not None:
        s = given[formula.scale.name]
        expression = s**formula.scale.power * expression.subs(U, U / s)
    return sp.piecewise_fold(expression)


def exactly(value: float) -> Expr:
    """The decimal a person meant: 0.1 is one tenth."""
    return sp.Rational(repr(float(value)))


@lru_cache(maxsize=512)
def pieces(formula: Formula, values: tuple[float, ...]) -> tuple[Piece, ...]:
    """The smooth pieces from left to right. A loss of a log-probability lives on u ≤ 0."""
    expression = concrete(formula, values).replace(
        lambda e: isinstance(e, abs_minus_log1p | softsign), _with_abs
    )
    top = sp.Integer(0) if formula.family == "probability" else sp.oo
    cuts = sorted({sp.Integer(0), *_cuts(expression)}, key=real)
    ends = [-sp.oo, *(c for c in cuts if c < top), top]
    return tuple(
        Piece(low, high, tidy(_resolve(expression, _inside(low, high))))
        for low, high in itertools.pairwise(ends)
    )


def _with_abs(e: Expr) -> Expr:
    """Their third (second) derivative jumps at 0; written with |x|, that can be seen."""
    size = sp.Abs(e.x)
    return size - sp.log(1 + size) if isinstance(e, abs_minus_log1p) else e.x / (1 + size)


def _inside(low: Expr, high: Expr) -> Expr:
    if low.is_finite and high.is_finite:
        return (low + high) / 2
    return low + 1 if low.is_finite else high - 1


def _resolve(e: Expr, at: Expr) -> Expr:
    """The expression that holds around `at`, without conditions, absolute values and signs."""
    if isinstance(e, sp.Piecewise):
        return next(_resolve(value, at) for value, condition in e.args if holds(condition, at))
    if not e.args:
        return e
    if isinstance(e, sp.Abs | sp.sign):
        inner = _resolve(e.args[0], at)
        with mp.workdps(DIGITS):
            positive = U not in inner.free_symbols or _exact(inner)(real(at)) > 0
        if U in inner.free_symbols:
            one = sp.Integer(1 if positive else -1)
            return one * inner if isinstance(e, sp.Abs) else one
    return e.func(*(_resolve(a, at) for a in e.args))


def holds(condition: Expr, at: Expr) -> bool:
    if condition in (sp.true, sp.false):
        return bool(condition)
    with mp.workdps(DIGITS):
        return bool(_exact(condition)(real(at)))


def _cuts(expression: Expr) -> set[Expr]:
    found: set[Expr] = set()
    for relation in expression.atoms(sp.core.relational.Relational):
        found |= _roots(relation.lhs - relation.rhs)
    for inner in expression.atoms(sp.Abs, sp.sign):
        found |= _roots(inner.args[0])
    return found


def _roots(e: Expr) -> set[Expr]:
    """Where e is zero: in radicals if e is made of polynomials and |·|, else by bisection."""
    if U not in e.free_symbols:
        return set()
    sizes = sorted(e.atoms(sp.Abs), key=sp.default_sort_key)
    found: set[Expr] = set()
    for signs in itertools.product((1, -1), repeat=len(sizes)):
        plain = e.subs([(a, s * a.args[0]) for a, s in zip(sizes, signs, strict=True)])
        if not plain.is_polynomial(U):
            return _bisected(e)
        if U in plain.free_symbols:
            roots = map(_number, sp.real_roots(plain, U))
            found |= {r for r in roots if _signed(sizes, signs, r)}
    return found


def _number(root: Expr) -> Expr:
    """A root as a fraction or in radicals, else to forty digits: SymPy knows little of its own."""
    if root.is_rational:
        return sp.nsimplify(root)
    return sp.Float(sp.N(root, DIGITS), DIGITS) if root.has(sp.CRootOf) else root


def _signed(sizes: list[Expr], signs: tuple[int, ...], u: Expr) -> bool:
    """Whether what stands between the bars has these signs here, or is zero."""
    with mp.workdps(DIGITS):
        insides = [_exact(size.args[0])(real(u)) for size in sizes]
        return all(s * x >= -(mp.mpf(10) ** -25) for s, x in zip(signs, insides, strict=True))


def _bisected(e: Expr) -> set[Expr]:
    """Roots at which e changes its sign, found on a grid that is fine near 0 and in [-50, 50]."""
    f = sp.lambdify(U, e, modules=["numpy"]) if not e.atoms(sp.Function) else None
    wide = np.geomspace(1e-6, 1e9, 1500)
    grid = np.unique(np.concatenate([-wide, np.linspace(-50, 50, 2001), wide]))
    with mp.workdps(DIGITS):
        run = _exact(e)
        signs = np.sign(f(grid)) if f else np.array([float(mp.sign(run(mp.mpf(x)))) for x in grid])
        found = {exactly(x) for x in grid[signs == 0]}
        for i in np.flatnonzero(signs[1:] * signs[:-1] < 0):
            low, high = mp.mpf(grid[i]), mp.mpf(grid[i + 1])
            for _ in range(4 * DIGITS):
                middle = (low + high) / 2
                low, high = (middle, high) if run(middle) * signs[i] > 0 else (low, middle)
            found.add(sp.Float(str(low), DIGITS))
    return found


def bound(formula: Formula, given: Mapping[str, float]) -> tuple[float, ...]:
    """Checked parameter values in the order of the record."""
    if formula.several:
        raise UnsupportedError(
            f"{formula.name}: pieces, kinks and properties are those of one variable, and this is "
            f"a function of {', '.join(v.name for v in formula.several)}; several.derivatives has "
            "its gradient and Hessian."
        )
    return tuple(formula.bind(given).values())
