"""From ψ to its proximal operator and its subdifferential, by solving each of its pieces.

prox(x, t) = argmin_u ½(u - x)² + t·ψ(u). On a smooth piece a minimum solves u + t·ψ'(u) = x; at a
cut c, where the slope jumps from l to r, it sits at c itself for every x in [c + t·l, c + t·r].
So there are a few candidates, each with the x for which it is a local minimum. Where ψ is convex
these never overlap; else the candidate with the smallest ½(u - x)² + t·ψ(u) is the answer. Which
one holds is read off x, not off sums that cancel, so a weight near the threshold keeps its digits.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath as mp
import sympy as sp

from lossmith.errors import UnsupportedError
from lossmith.formula.calculus import U, base
from lossmith.formula.pieces import DIGITS, Piece, concrete, pieces, real
from lossmith.formula.primitives import hold
from lossmith.formula.record import Formula

Expr = Any
X, T = sp.Symbol("x", real=True), sp.Symbol("t", positive=True)


@dataclass(frozen=True)
class Cut:
    """A point between two pieces: the slopes on both sides, and whether ψ is lower just there."""

    at: Expr
    left: Expr
    right: Expr
    dip: bool  # as |w|⁰ at 0: then it is a local minimum for every x

    @property
    def kink(self) -> bool:
        return self.dip or self.left != self.right


@dataclass(frozen=True)
class Candidate:
    """u as an expression of x and t, a local minimum where low ≤ x ≤ high; within [floor, roof].

    With `low` None the bounds do not say so: it is a number where it is one of the candidates.
    """

    u: Expr
    low: Expr | None
    high: Expr | None
    floor: Expr
    roof: Expr


@dataclass(frozen=True)
class Prox:
    """All candidates, cuts first, and what is known of them.

    Where ψ is even, only those with u ≥ 0 are here: apply them to |x|, then put the sign back.
    """

    candidates: tuple[Candidate, ...]
    even: bool
    unique: bool  # exactly one candidate holds at each x


def _smooth(formula: Formula, shape: tuple[float, ...]) -> tuple[Piece, ...]:
    """The pieces of ψ₀, of a formula that follows its own slope."""
    if base(formula).has(hold):
        raise UnsupportedError(
            f"{formula.name}: a formula with hold() has no proximal operator and no "
            "subdifferential, for its slope is, on purpose, not that of its value. Add it to the "
            "loss instead, or write it without hold()."
        )
    return pieces(formula, shape_values(formula, shape))


def shape_values(formula: Formula, values: tuple[float, ...]) -> tuple[float, ...]:
    """The parameters of ψ₀: the scale is 1, for ψ(w) = s^power·ψ₀(w/s) is left to the caller."""
    return values + ((1.0,) if formula.scale else ())


@lru_cache(maxsize=512)
def cuts(formula: Formula, shape: tuple[float, ...]) -> tuple[Cut, ...]:
    """Where the pieces of ψ₀ meet, from left to right."""
    whole = concrete(formula, shape_values(formula, shape))
    found = []
    for left, right in itertools.pairwise(_smooth(formula, shape)):
        at = left.high
        sides = _end(left, 0, True), _end(right, 0, False)
        dip = all(sp.N(whole.subs(U, at) - side) < 0 for side in sides)
        found.append(Cut(at, _end(left, 1, True), _end(right, 1, False), dip))
    return tuple(found)


def _end(piece: Piece, order: int, right: bool) -> Expr:
    """The one-sided limit at an end of a piece, exactly where it can be."""
    value = piece.derivative(order).subs(U, piece.high if right else piece.low)
    if value.is_finite and not value.has(sp.nan):
        return sp.nsimplify(value) if value.is_rational else value
    with mp.workdps(DIGITS):
        limit = piece.limit(order, right)
        return sp.oo * int(mp.sign(limit)) if mp.isinf(limit) else sp.Float(str(limit), DIGITS)


@lru_cache(maxsize=512)
def is_even(formula: Formula, shape: tuple[float, ...]) -> bool:
    found = _smooth(formula, shape)
    return all(
        sp.simplify(one.expression.subs(U, -U) - other.expression) == 0 and one.low == -other.high
        for one, other in zip(found, reversed(found), strict=True)
    )


@lru_cache(maxsize=512)
def prox(formula: Formula, shape: tuple[float, ...]) -> Prox:
    """The proximal operator of ψ₀ with these shape parameters.

    Errors:
        UnsupportedError if u + t·ψ'(u) = x has no short solution on some piece.
    """
    even = is_even(formula, shape)
    smooth = _smooth(formula, shape)
    corners = cuts(formula, shape)
    if even:
        smooth = tuple(p for p in smooth if p.low >= 0)
        corners = tuple(c for c in corners if c.at >= 0)
    kinks = tuple(c for c in corners if c.kink)
    found = [
        Candidate(
            c.at,
            -sp.oo if c.dip or (even and c.at == 0) else c.at + T * c.left,
            sp.oo if c.dip else c.at + T * c.right,
            c.at,
            c.at,
        )
        for c in kinks
    ]
    for piece in smooth:
        found += _solve(formula, piece)
    curvatures = [p.constant(2) for p in smooth]
    unique = not any(c.dip for c in kinks) and all(c.left <= c.right for c in kinks)
    unique = unique and all(q is not None and q >= 0 for q in curvatures)
    return Prox(tuple(found), even, unique)


def _solve(formula: Formula, piece: Piece) -> list[Candidate]:
    """Where u + t·ψ'(u) = x on one piece."""
    slope = piece.derivative(1)
    equation, _ = sp.fraction(sp.together(U + T * slope - X))
    roots: list[Expr] = []
    if equation.is_polynomial(U) and sp.degree(equation, U) <= 2:
        roots = sp.solve(equation, U)
    if not roots:
        raise UnsupportedError(
            f"{formula.name}: no proximal operator, for u + t·({slope}) = x has no short solution "
            "in u. Write ψ in pieces whose slope is linear, or a ratio of polynomials that leaves "
            "a quadratic equation; where ψ is smooth, add it to the loss instead."
        )
    if piece.constant(2) is None:
        return [Candidate(root, None, None, piece.low, piece.high) for root in roots]
    low, high = (
        end + T * slope.subs(U, end) if end.is_finite else end for end in (piece.low, piece.high)
    )
    (root,) = roots
    return [Candidate(sp.collect(sp.simplify(root), X), low, high, piece.low, piece.high)]


def slopes(formula: Formula, shape: tuple[float, ...]) -> tuple[Expr, Expr]:
    """The ends of the subdifferential of ψ₀, as expressions in u: equal where ψ is smooth."""
    ends = []
    for right in (False, True):
        branches: list[tuple[Expr, Expr]] = []
        for piece in _smooth(formula, shape):
            branches.append((piece.derivative(1), sp.Lt(U, piece.high)))
            corner = next((c for c in cuts(formula, shape) if c.at == piece.high), None)
            if corner is not None and corner.kink:
                side = corner.right if right else corner.left
                if corner.dip:
                    side = sp.oo if right else -sp.oo
                branches.append((side, sp.Eq(U, piece.high)))
        branches[-1] = (branches[-1][0], sp.true)
        ends.append(sp.Piecewise(*branches, evaluate=False))
    return ends[0], ends[1]


def at(value: Expr) -> float:
    """A cut as a float."""
    with mp.workdps(DIGITS):
        return float(real(value)) if value.is_finite else float(value)
