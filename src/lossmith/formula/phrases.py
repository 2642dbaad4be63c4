"""Properties in words and simple numbers."""

from __future__ import annotations

import math
from fractions import Fraction

from lossmith.formula.domain import Interval
from lossmith.formula.traits import Known


def number(x: float) -> str:
    """For reading: a simple fraction as one, otherwise six digits."""
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    simple = Fraction(x).limit_denominator(64)
    if simple.denominator not in (1, 2, 5, 10) and abs(x - simple) < 1e-12 * abs(x):
        return str(simple)
    return f"{x:.6g}"


def said(known: Known) -> str:
    return "unknown" if known is None else "yes" if known else "no"


def curved(plain: Known, strictly: Known, strength: float | None) -> str:
    if not plain:
        return said(plain)
    if strength:
        return f"yes, strongly: {number(strength)}"
    return "yes, strictly" if strictly else "yes"


def constant(x: float | None) -> str:
    return "unknown" if x is None else "no" if math.isinf(x) else f"yes: {number(x)}"


def bounds(lowest: float | None, highest: float | None) -> str:
    if lowest is None or highest is None:
        return "unknown"
    answer = "yes" if math.isfinite(lowest) and math.isfinite(highest) else "no"
    return f"{answer}: from {number(lowest)} to {number(highest)}"


def times(order: float | None) -> str:
    if order is None:
        return "unknown"
    words = {-1: "no: the value jumps", 0: "no: the slope jumps", 1: "once", 2: "twice"}
    return words.get(int(order), f"{order:g} times") if math.isfinite(order) else "without end"


def dominates(factor: float | None) -> str:
    if factor is None:
        return "unknown"
    if factor <= 1:
        return "yes" if factor == 1 else f"yes (even times {number(factor)})"
    if math.isinf(factor):
        return "no, whatever the factor"
    in_bits = math.isclose(factor, 1 / math.log(2))
    return "in bits: divided by log 2" if in_bits else f"times {number(factor)}"


def place(where: Interval | None) -> str:
    """The minimiser in words: u = 0, |u| ≤ 0.1, u ≥ 1, u → ∞."""
    if where is None:
        return "unknown"
    low, high = where.low, where.high
    if low == high:
        return f"u {'→' if math.isinf(low) else '='} {number(low)}"
    if math.isinf(low) and math.isinf(high):
        return "every u"
    if math.isinf(high):
        return f"u {'≥' if where.low_closed else '>'} {number(low)}"
    if math.isinf(low):
        return f"u {'≤' if where.high_closed else '<'} {number(high)}"
    left, right = "≤" if where.low_closed else "<", "≤" if where.high_closed else "<"
    if low == -high and where.low_closed == where.high_closed:
        return f"|u| {right} {number(high)}"
    return f"{number(low)} {left} u {right} {number(high)}"
