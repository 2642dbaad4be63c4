"""How far e^x rises above its tangent, and e^(a x) above 1: for kernels in either float type.

What follows the marker stands after vector32.py or vector64.py in every kernel, in whose words and
constants it is written.
"""

import numpy as np

from lossmith.engine.cpu.vector32 import (
    _EXP,
    _HALF,
    _LARGEST,
    _ONE,
    _POWER,
    _SLIGHT,
    _TWO,
    K,
    _at_least,
    _at_most,
    _polynomial,
    _rule,
    absolute,
    exp,
    expm1,
    where,
)  # fmt: skip

# kernel text

_POWER_END = K(1.5 if K is np.float32 else 0.5)  # of the polynomial's range


@_rule
def exp_excess(x):
    """e^x - 1 - x; by the tail of e^x itself near 0, where the difference would cancel."""
    far = (_HALF * expm1(x) - _HALF * _at_most(x, _LARGEST)) * _TWO
    return where(absolute(x) < K(0.34), (x * x) * _polynomial(x, _EXP), far)


@_rule
def exp_rise(x, a):
    """(e^t - 1) / a, t = a x; for a small t by way of x, for t may have lost its digits then."""
    t = a * x
    small = absolute(t) < _ONE
    ratio = (expm1(t) / where(small, t, a)) * where(small, x, _ONE)
    return where(absolute(t) < _SLIGHT, x, ratio)


@_rule
def exp_rise_da(x, a):
    """Its derivative in a: x^2 ((t - 1) e^t + 1) / t^2, a polynomial in t where it cancels."""
    t = a * x
    held = _at_least(t, -_LARGEST)
    far = (((held - _ONE) * exp(held) + _ONE) / a) / a
    return where(absolute(t) < _POWER_END, x * (x * _polynomial(t, _POWER)), far)
