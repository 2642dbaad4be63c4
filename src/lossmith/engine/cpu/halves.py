"""float16 and bfloat16, read into float32 and written back with integer arithmetic.

What follows the marker goes into kernels that need it, after vector32.py, whose bit casts it uses.
Rounding is to nearest, ties to even; NaN, infinities and subnormals keep their meaning.
"""

import numpy as np

from lossmith.engine.cpu.vector32 import K, _bits, _real, _rule

# kernel text

_u4 = np.uint32


@_rule
def from_bfloat16(h):
    return _real(np.int32(_u4(h) << _u4(16)))


@_rule
def to_bfloat16(x):
    b = _u4(_bits(x))
    rounded = b + _u4(0x7FFF) + ((b >> _u4(16)) & _u4(1))
    kept = rounded if x == x else b | _u4(0x400000)  # a NaN must not round to infinity
    return np.uint16(kept >> _u4(16))


@_rule
def from_float16(h):
    b = _u4(h)
    sign = (b & _u4(0x8000)) << _u4(16)
    # Exponent and fraction in place, 112 too low in the exponent: one product mends that, and
    # turns subnormals into normal numbers on the way.
    size = _real(np.int32((b & _u4(0x7FFF)) << _u4(13))) * K(5.192296858534828e33)
    special = (b & _u4(0x7C00)) == _u4(0x7C00)
    infinite = _u4(0x7F800000) | ((b & _u4(0x3FF)) << _u4(13))
    bits = infinite if special else _u4(_bits(size))
    return _real(np.int32(bits | sign))


@_rule
def to_float16(x):
    b = _u4(_bits(x))
    sign = (b >> _u4(16)) & _u4(0x8000)
    a = b & _u4(0x7FFFFFFF)
    size = _real(np.int32(a))
    # Normal halves: rebias and round to even in integers.
    normal = (a - _u4(0x38000000) + _u4(0xFFF) + ((a >> _u4(13)) & _u4(1))) >> _u4(13)
    # Subnormal halves: adding 0.5 leaves the rounded fraction in the lowest bits.
    small = _u4(_bits(size + K(0.5))) - _u4(0x3F000000)
    h = small if size < K(6.103515625e-05) else normal
    h = _u4(0x7C00) if size >= K(65520.0) else h
    h = h if x == x else _u4(0x7E00)
    return np.uint16(h | sign)
