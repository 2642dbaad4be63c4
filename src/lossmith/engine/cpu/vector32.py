"""Mathematics in float32 that LLVM can vectorise: no library call, no branch, no other type.

The whole text of this file opens every generated float32 kernel, so it stands alone;
`vector64.py` has the same functions in float64. What the compiler may and may not do:

* its one liberty is "contract" (a * b + c in one rounding), so NaN and infinity keep their
  meaning; the error-free arithmetic of pairs (`_exact`) does not get even that;
* a choice is `where`, with both sides computed, which becomes a blend and never a branch;
* no float is converted to an integer, which NaN would make undefined: adding a number so large
  that its last bit counts ones leaves the integer in the lowest bits of the sum.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

K, _I = np.float32, np.int32
_REAL, _WHOLE = types.float32, types.int32

_RULES = dict(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
_rule = njit(error_model="numpy", fastmath={"contract"}, **_RULES)
_exact = njit(error_model="numpy", fastmath=False, **_RULES)


def _table(*numbers):
    return tuple(K(number) for number in numbers)


# Polynomials, highest power first, made by `tools/fit_polynomials.py`.
# fmt: off
# (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2
_EXP = _table(
    0.001394633, 0.008366521, 0.041666284, 0.16666543, 0.5
)
# (log(1 + z) - z) / z^2 for 1 + z from sqrt(1/2) to sqrt(2)
_LOG = _table(
    -0.07777945, 0.1277727, -0.13114044, 0.14196156, -0.16627094, 0.20001636, -0.25000778,
    0.33333325, -0.49999997
)
# log(1 + e) / e for e from 0 to 1
_LOG1P = _table(
    -0.0032440017, 0.019851342, -0.05695928, 0.10603625, -0.15305573, 0.19675931, -0.24954131,
    0.3332996, -0.49999902, 1.0
)
# (2 atanh(s) - 2 s) / s^3 in s^2, where (1 + s) / (1 - s) runs from sqrt(1/2) to sqrt(2)
_ATANH = _table(
    0.23330994, 0.28550798, 0.40000123, 0.6666667
)
# log(cosh(x)) / x^2 in x^2 for |x| <= 3/4
_LOG_COSH = _table(
    -0.00042967184, 0.0020140624, -0.0066986294, 0.022216199, -0.08333305, 0.5
)
# ((t - 1) e^t + 1) / t^2 for |t| <= 3/2
_POWER = _table(
    2.4635935e-07, 2.606438e-06, 2.2099435e-05, 0.00017337542, 0.00119037, 0.006944619,
    0.033333402, 0.124999955, 0.3333333, 0.5
)
# fmt: on

_INF, _NAN, _LARGEST = K(np.inf), K(np.nan), K(3.4028234663852886e38)
_SMALLEST = K(1.1754943508222875e-38)  # of the normal numbers
_SLIGHT = K(2.0**-40)  # (e^t - 1) / t is 1, and t times 2^-16 would be subnormal long before t is
_ZERO, _ONE, _TWO, _HALF = K(0), K(1), K(2), K(0.5)
# ln 2 in two parts; the first has so few bits that its product with an exponent is exact.
_LN2_HIGH, _LN2_LOW = K(0.693145751953125), K(1.4286068e-06)
_PER_LN2 = K(1.442695)
# Adding it rounds to a whole number n; its lowest bits then hold n + 127, the bits of 2^n.
_ROUND = K(12582912.0 + 127)
_MANTISSA = _I(23)
# Bit patterns.
_SQRT_HALF, _EXPONENT, _FOUR = _I(0x3F3504F3), _I(-0x800000), _I(0x40800000)


def _cast(kind, to, llvm):
    return intrinsic(lambda _, x: (to(kind), lambda _, b, __, args: b.bitcast(args[0], llvm)))


_bits, _real = _cast(_REAL, _WHOLE, ir.IntType(32)), _cast(_WHOLE, _REAL, ir.FloatType())
_three = _REAL(_REAL, _REAL, _REAL)
_fma = intrinsic(lambda _, x, y, z: (_three, lambda _, b, __, args: b.fma(*args)))


@intrinsic
def where(_, c, a, b):
    """Choose a if c, else b: a select from the start, so that there is no branch to remove."""
    return _REAL(types.boolean, _REAL, _REAL), lambda _, b, __, args: b.select(*args)


def _instruction(name):
    @intrinsic
    def instruction(_, x):
        get = lambda module: module.declare_intrinsic(name, [ir.FloatType()])  # noqa: E731
        return _REAL(_REAL), lambda _, builder, __, args: builder.call(get(builder.module), args)

    return instruction


absolute, sqrt = _instruction("llvm.fabs"), _instruction("llvm.sqrt")


@intrinsic
def _polynomial(_, x, table):
    """Horner's rule, unrolled while the code is made: a loop over a tuple would go by memory."""

    def emit(context, builder, signature, args):
        flags = ("contract",)
        total = builder.extract_value(args[1], 0)
        for k in range(1, len(table)):
            total = builder.fmul(total, args[0], flags=flags)
            total = builder.fadd(total, builder.extract_value(args[1], k), flags=flags)
        return total

    return _REAL(_REAL, table), emit


# Selection and algebra.
sign = _rule(lambda x: where(x > _ZERO, _ONE, where(x < _ZERO, -_ONE, x)))
square = _rule(lambda x: x * x)
# NaN passes.
_at_least = _rule(lambda x, low: where(x < low, low, x))
_at_most = _rule(lambda x, high: where(x > high, high, x))
_within = _rule(lambda x, low, high: _at_most(_at_least(x, low), high))
_held = _rule(lambda x, bound: _within(x, -bound, bound))


@_rule
def ipow(x, n):
    """x^n for a literal n from 0 to 15; once n is put in, what it does not need is gone."""
    square = x * x
    fourth = square * square
    y = where((n & 1) != 0, x, _ONE) * where((n & 2) != 0, square, _ONE)
    return (y * where((n & 4) != 0, fourth, _ONE)) * where((n & 8) != 0, fourth * fourth, _ONE)


# Exponentials. e^x = 2^n (1 + q): every function takes its own sum of s = 2^n and s q.
@_rule
def _exponential(x, rest, shift):
    """2^(n + shift) and q with 2^n (1 + q) = e^(x + rest), for x within bounds; -0.0 is no rest."""
    start = _ROUND + shift
    summed = x * _PER_LN2 + start
    n = summed - start
    r = ((x - n * _LN2_HIGH) - n * _LN2_LOW) + rest
    return _real(_I(_bits(summed) << _MANTISSA)), (r * r) * _polynomial(r, _EXP) + r


@_rule
def _exp_of_sum(x, rest):
    """In two steps, away from the limit first, so that it neither overflows early nor flushes."""
    below = x < _ZERO
    shift = where(below, K(32), K(-32))
    s, q = _exponential(_within(x, K(-105.0), K(90.0)), rest, shift)
    return (s * q + s) * where(below, K(2.0**-32), K(2.0**32))


exp = _rule(lambda x: _exp_of_sum(x, K(-0.0)))


@_rule
def _decay(y):
    """e^-y for y >= 0; 0 at the far end, by way of the subnormal numbers."""
    s, q = _exponential(_at_least(-y, K(-105.0)), K(-0.0), K(32))
    return (s * q + s) * K(2.0**-32)


@_rule
def _expm1_of_sum(x, rest):
    """(e^(x + rest) - 1) / 2^16: who divides it by a large number gets over the overflow."""
    s, q = _exponential(_within(x, K(-30.0), K(99.0)), rest, K(-16))
    return s * q + (s - K(2.0**-16))


@_rule
def expm1(x):
    """e^x - 1; half of it first, which overflows only where the whole does."""
    s, q = _exponential(_within(x, K(-30.0), K(89.0)), K(-0.0), -_ONE)
    return (s * q + (s - _HALF)) * _TWO


@_rule
def complement(u):
    """1 - e^u for u <= 0."""
    s, q = _exponential(_at_least(u, K(-30.0)), K(-0.0), _ZERO)
    return (_ONE - s) - s * q


@_rule
def bernoulli(u):
    """u / (e^u - 1)."""
    ratio = (where(u > K(99.0), _ZERO, u) * K(2.0**-16)) / _expm1_of_sum(u, K(-0.0))
    return where(absolute(u) < _SLIGHT, _ONE, ratio)


@_rule
def tanh(x):
    """By 1 - e^(-2 |x|), which is right near 0."""
    c = complement(K(-2) * absolute(x))
    t = c / (_TWO - c)
    return where(x < _ZERO, -t, t)


@_rule
def sigmoid(x):
    """1 / (1 + e^-x), right in both tails: e^x / (1 + e^x) on the left."""
    e = _decay(absolute(x))
    inverse = _ONE / (_ONE + e)
    return where(x < _ZERO, e * inverse, inverse)


logistic_density = _rule(lambda x: sigmoid(x) * sigmoid(-x))
gauss_rise = _rule(lambda x: complement(-(x * x)))  # 1 - e^(-x^2)
# x^n e^(-x^2) for a literal n from 0 to 4; where x is held, the exponential is 0
gauss_moment = _rule(lambda x, n: _decay(square(_held(x, K(10.5)))) * ipow(_held(x, K(10.5)), n))


# Logarithms. log(2^k (1 + z)) = k ln 2 + z - tail(z), with 1 + z from sqrt(1/2) to sqrt(2).
@_rule
def _log_tail(z):
    """z - log(1 + z)."""
    return -(z * z) * _polynomial(z, _LOG)


_log1p_unit = _rule(lambda e: e * _polynomial(e, _LOG1P))  # log(1 + e) for e from 0 to 1


# The exponent k of x = 2^k m as it sits in the bits, m from sqrt(1/2) to sqrt(2); and k itself.
_exponent = _rule(lambda x: _I(_I(_bits(x) - _SQRT_HALF) & _EXPONENT))
_count = _rule(lambda exponent: K(_I(exponent >> _MANTISSA)))
_log_of_parts = _rule(lambda k, z: k * _LN2_HIGH + (z - (_log_tail(z) - k * _LN2_LOW)))


@_rule
def _parts(x):
    """k and z with x = 2^k (1 + z), for x > 0, subnormal or not."""
    small = x < _SMALLEST
    scaled = where(small, x * K(2.0**24), x)
    exponent = _exponent(scaled)
    z = _real(_I(_bits(scaled) - exponent)) - _ONE
    return _count(exponent) + where(small, K(-24), _ZERO), z


@_rule
def log(x):
    """Log 0 is -infinity; a negative number has none."""
    k, z = _parts(x)
    y = where(x == _INF, x, _log_of_parts(k, z))
    return where(x > _ZERO, y, where(x == _ZERO, -_INF, _NAN))


@_rule
def _parts_of_sum(y, one):
    """k, z, rounding of z in one + y = 2^k (1 + z); one is 1 or 0; a small y loses nothing."""
    exponent = _exponent(one + y)
    four = _real(_I(_FOUR - exponent))  # 4 / 2^k, a normal number for every k
    y, rest = _real(_I(_bits(y) - exponent)), (K(0.25) * one) * four - _ONE
    z = y + rest
    return _count(exponent), z, y - (z - rest)


@_rule
def log1p(x):
    """log(1 + x)."""
    k, z, _ = _parts_of_sum(x, _ONE)
    y = where(x == _INF, x, _log_of_parts(k, z))
    return where(x > -_ONE, y, where(x == -_ONE, -_INF, _NAN))


@_rule
def abs_minus_log1p(x):
    """|x| - log(1 + |x|); the logarithm of a huge |x| is lost beside it, so that is held."""
    a = absolute(x)
    k, z, lost = _parts_of_sum(_at_most(a, K(2.0**40)), _ONE)
    return ((a - k * _LN2_HIGH) - z) + (_log_tail(z) - (k * _LN2_LOW + lost))


# log(1 + e^x); sigmoid takes the same exponential, so a program that has both computes one.
softplus = _rule(lambda x: where(x > _ZERO, x, _ZERO) + _log1p_unit(_decay(absolute(x))))


@_rule
def log_cosh(x):
    """log(cosh(x)): |x| - log 2 + log(1 + e^(-2 |x|)), or a polynomial where that cancels."""
    a, y = absolute(x), x * x
    # 1 - (1 - e^(-2a)): not as exact as e^(-2a), but the exponential that tanh needs as well
    far = (a - _LN2_HIGH) + (_log1p_unit(_ONE - complement(-(_TWO * a))) - _LN2_LOW)
    return where(a < K(0.75), y * _polynomial(y, _LOG_COSH), far)


# Infinity over infinity is nothing, so x is held; in the next four (of 1 + x^2, which may be too
# large for the type) at a number beside which 1 is lost, and then |x| itself is the root.
softsign = _rule(lambda x: _held(x, _LARGEST) / (_ONE + absolute(_held(x, _LARGEST))))
_hypot1 = _rule(lambda x: sqrt(square(_held(x, K(2.0**30))) + _ONE))
_or_far = _rule(lambda x, near: where(absolute(x) > K(2.0**30), absolute(x), near))
hypot1m1 = _rule(lambda x: _or_far(x, x * x / (_ONE + _hypot1(x))))  # sqrt(1 + x^2) - 1
rhypot = _rule(lambda x: _ONE / _or_far(x, _hypot1(x)))  # 1 / sqrt(1 + x^2)
unit = _rule(lambda x: _held(x, K(2.0**30)) / _hypot1(x))  # x / sqrt(1 + x^2)


@_rule
def _scaled(x):
    """|x| and the 1 to add to its square, or where |x| is large |x| / 2^(half of 132) and 0."""
    a = absolute(x)
    far = a > K(2.0**40)
    scaled = a * where(far, K(2.0**-66), _ONE)
    return scaled, where(far, _ZERO, _ONE), where(far, K(132), _ZERO)


@_rule
def log1p_square(x):
    """log(1 + x^2)."""
    v, one, more = _scaled(x)
    k, z, _ = _parts_of_sum(v * v, one)
    return where(v < _INF, _log_of_parts(k + more, z), v)


# Powers, by pairs: (high, low) is high + low, known to more bits than the type holds.
@_exact
def _log_pair(k, z):
    """log(2^k (1 + z)), z exact, and its derivative in z at k = 0, by (1 + s) / (1 - s) = 1 + z."""
    d = z + _TWO
    inverse = _ONE / d
    s = z * inverse
    s_low = (_fma(-s, d, z) - s * (z - (d - _TWO))) * inverse
    w = s * s
    low = _TWO * s_low + s * (w * _polynomial(w, _ATANH))
    whole, part = k * _LN2_HIGH, _TWO * s
    high = whole + part
    low = ((whole - high) + part) + (low + k * _LN2_LOW)
    return high, low, K(4) * (inverse * inverse) * (_ONE + w)


# The same sum, with no more in low than the rounding of high.
_settled = _exact(lambda high, low: (high + low, (high - (high + low)) + low))


@_exact
def _log1p_square_pair(x):
    v, one, more = _scaled(_at_most(absolute(x), _LARGEST))
    y = v * v
    sum_ = one + y
    back = sum_ - one
    lost = ((one - (sum_ - back)) + (y - back)) + _fma(v, v, -y)
    exponent = _exponent(sum_)
    z = _real(_I(_bits(sum_) - exponent)) - _ONE
    high, low, slope = _log_pair(_count(exponent) + more, z)
    lost = lost * (K(0.25) * _real(_I(_FOUR - exponent)))
    return _settled(high, low + lost * slope)


@_exact
def _times(a, high, low):
    """The product as a pair; where it is beyond every exponential, the rest may be NaN: none."""
    product = a * high
    rest = _fma(a, high, -product) + a * low
    return product, where(absolute(product) < K(2 * 99.0), rest, _ZERO)


@_rule
def power(x, a):
    """x^a for x >= 0; log 0 and log infinity are finite here, so that 0 times them is 0."""
    k, z = _parts(x)
    high, low, _ = _log_pair(k, z)
    high, low = _settled(high, low)
    high = where(x == _ZERO, -_LARGEST, where(x == _INF, _LARGEST, high))
    product, rest = _times(a, high, low)
    return where(x >= _ZERO, _exp_of_sum(product, rest), _NAN)


@_rule
def half_boxcox1p(x, a):
    """((1 + x^2)^a - 1) / (2a) = L (e^t - 1) / (2t), L = log(1 + x^2), t = a L: right at a = 0."""
    high, low = _log1p_square_pair(x)
    product, rest = _times(a, high, low)
    t = product + rest
    ratio = where(absolute(t) < _SLIGHT, K(2.0**-16), _expm1_of_sum(product, rest) / t)
    y = where(t > K(99.0), _INF, (high * ratio) * K(2.0**15))
    return where(absolute(x) == _INF, where(a < _ZERO, -_HALF / a, _INF), y)


@_rule
def half_boxcox1p_da(x, a):
    """Its derivative in a: L^2 ((t - 1) e^t + 1) / (2t^2), a polynomial in t where it cancels."""
    high, low = _log1p_square_pair(x)
    product, rest = _times(a, high, low)
    t = product + rest
    s, q = _exponential(_within(product, K(-30.0), K(99.0)), rest, K(-16))
    v = high / t
    far = ((((t - _ONE) * (s * q + s) + K(2.0**-16)) * v) * v) * K(2.0**15)
    y = where(absolute(t) < K(1.5), _HALF * high * (high * _polynomial(t, _POWER)), far)
    y = where(t > K(99.0), _INF, y)
    return where(absolute(x) == _INF, where(a < _ZERO, _HALF / (a * a), _INF), y)
