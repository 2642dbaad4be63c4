"""Mathematics in float64 that LLVM can vectorise: no library call, no branch, no other type.

The whole text of this file opens every generated float64 kernel, so it stands alone;
`vector32.py` has the same functions in float32. What the compiler may and may not do:

* its one liberty is "contract" (a * b + c in one rounding), so NaN and infinity keep their
  meaning; the error-free arithmetic of pairs (`_exact`) does not get even that;
* a choice is `where`, with both sides computed, which becomes a blend and never a branch;
* no float is converted to an integer, which NaN would make undefined: adding a number so large
  that its last bit counts ones leaves the integer in the lowest bits of the sum.

Coefficients come from `tools/fit_polynomials.py`.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

K, _I = np.float64, np.int64
_REAL, _WHOLE = types.float64, types.int64

_RULES = {
    "forceinline": True,
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
_rule = njit(fastmath={"contract"}, **_RULES)
_exact = njit(fastmath=False, **_RULES)


def _table(*numbers):
    return tuple(K(number) for number in numbers)


# Polynomials, highest power first.
# fmt: off
# (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2
_EXP = _table(
    2.5114357073127088e-08, 2.762603800021141e-07, 2.755722841723747e-06, 2.4801505339722055e-05,
    0.0001984126990238211, 0.0013888888931434355, 0.008333333333314964, 0.0416666666665775,
    0.16666666666666685, 0.5000000000000006
)
# (2 atanh(s) - 2 s) / s^3 in s^2, where (1 + s) / (1 - s) runs from sqrt(1/2) to sqrt(2)
_ATANH = _table(
    0.1308702602066113, 0.13268731941051998, 0.15386241370269593, 0.18181795606666945,
    0.22222222392058716, 0.2857142857080192, 0.4000000000000088, 0.6666666666666666
)
# the same for (1 + s) / (1 - s) from 1 to 2
_LOG1P = _table(
    0.16879123054823786, 0.1031893362275466, 0.13503015383066194, 0.15373211782603274,
    0.1818226438421648, 0.22222212465618021, 0.2857142867793784, 0.39999999999553404,
    0.6666666666666697
)
# log(cosh(x)) / x^2 in x^2 for |x| <= 1/2
_LOG_COSH = _table(
    2.2069990944535648e-05, -8.636079238808685e-05, 0.0002554573410777693, -0.000738441485895802,
    0.0021869351057393974, -0.006746031085481323, 0.022222222206278387, -0.08333333333318489,
    0.4999999999999998
)
# ((t - 1) e^t + 1) / t^2 for |t| <= 1/2
_POWER = _table(
    1.924033800918814e-09, 2.3076032788121446e-08, 2.505264340586905e-07, 2.4801274884376877e-06,
    2.204585377375369e-05, 0.0001736111151350801, 0.0011904761906660504, 0.006944444444210671,
    0.03333333333332449, 0.12500000000000494, 0.3333333333333334, 0.5
)
# fmt: on

_INF, _NAN, _LARGEST = K(np.inf), K(np.nan), K(1.7976931348623157e308)
_SMALLEST = K(2.2250738585072014e-308)  # of the normal numbers
_ZERO, _ONE, _TWO, _HALF = K(0), K(1), K(2), K(0.5)
# ln 2 in two parts; the first has so few bits that its product with an exponent is exact.
_LN2_HIGH, _LN2_LOW = K(0.6931471806019545), K(-4.2009150726810846e-11)
_PER_LN2 = K(1.4426950408889634)
# Adding it rounds to a whole number n; its lowest bits then hold n + 1023, the bits of 2^n.
_ROUND = K(6755399441055744.0 + 1023)
_MANTISSA = _I(52)
_SQRT_HALF, _EXPONENT, _FOUR = _I(0x3FE6A09E667F3BCD), _I(-0x10000000000000), _I(0x4010000000000000)  # bit patterns


@intrinsic
def _bits(typingctx, x):
    return _WHOLE(_REAL), lambda _, builder, __, args: builder.bitcast(args[0], ir.IntType(64))


@intrinsic
def _real(typingctx, i):
    return _REAL(_WHOLE), lambda _, builder, __, args: builder.bitcast(args[0], ir.DoubleType())


@intrinsic
def _fma(typingctx, x, y, z):
    return _REAL(_REAL, _REAL, _REAL), lambda _, builder, __, args: builder.fma(*args)


@intrinsic
def _select(typingctx, condition, x, y):
    """Say it as a select, so that nobody has to turn a branch into one."""
    signature = _REAL(types.boolean, _REAL, _REAL)
    return signature, lambda _, builder, __, args: builder.select(*args)


def _instruction(name):
    @intrinsic
    def instruction(typingctx, x):
        def emit(context, builder, signature, args):
            return builder.call(builder.module.declare_intrinsic(name, [ir.DoubleType()]), args)

        return _REAL(_REAL), emit

    return instruction


_fabs, _root = _instruction("llvm.fabs"), _instruction("llvm.sqrt")


@intrinsic
def _polynomial(typingctx, x, table):
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


@_rule
def where(c, a, b):
    return _select(c, a, b)


@_rule
def absolute(x):
    return _fabs(x)


@_rule
def sign(x):
    return _select(x > _ZERO, _ONE, _select(x < _ZERO, -_ONE, x))


@_rule
def square(x):
    return x * x


@_rule
def sqrt(x):
    return _root(x)


@_rule
def ipow(x, n):
    """x^n for a literal n from 2 to 8; the comparisons are gone once n is put in."""
    square = x * x
    if n == 2:
        return square
    if n == 3:
        return square * x
    fourth = square * square
    if n == 4:
        return fourth
    if n == 5:
        return fourth * x
    if n == 6:
        return fourth * square
    if n == 7:
        return fourth * (square * x)
    return fourth * fourth


@_rule
def _at_least(x, low):
    """NaN passes."""
    return _select(x < low, low, x)


@_rule
def _at_most(x, high):
    return _select(x > high, high, x)


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
    s, q = _exponential(
        _at_most(_at_least(x, K(-746.0)), K(711.0)), rest, _select(below, K(128), K(-128))
    )
    return (s * q + s) * _select(below, K(2.0**-128), K(2.0**128))


@_rule
def exp(x):
    return _exp_of_sum(x, K(-0.0))


@_rule
def _decay(y):
    """e^-y for y >= 0; 0 at the far end, by way of the subnormal numbers."""
    s, q = _exponential(_at_least(-y, K(-746.0)), K(-0.0), K(128))
    return (s * q + s) * K(2.0**-128)


@_rule
def _expm1_of_sum(x, rest):
    """(e^(x + rest) - 1) / 2^16: who divides it by a large number gets over the overflow."""
    s, q = _exponential(_at_most(_at_least(x, K(-60.0)), K(720.0)), rest, K(-16))
    return s * q + (s - K(2.0**-16))


@_rule
def expm1(x):
    return _expm1_of_sum(x, K(-0.0)) * K(2.0**16)


@_rule
def complement(u):
    """1 - e^u for u <= 0."""
    s, q = _exponential(_at_least(u, K(-60.0)), K(-0.0), _ZERO)
    return (_ONE - s) - s * q


@_rule
def bernoulli(u):
    """u / (e^u - 1)."""
    ratio = _select(u > K(720.0), _ZERO, u) / _expm1_of_sum(u, K(-0.0))
    return _select(u == _ZERO, _ONE, ratio * K(2.0**-16))


@_rule
def tanh(x):
    c = complement(K(-2) * _fabs(x))
    t = c / (_TWO - c)
    return _select(x < _ZERO, -t, t)


@_rule
def sigmoid(x):
    e = _decay(_fabs(x))
    inverse = _ONE / (_ONE + e)
    return _select(x < _ZERO, e * inverse, inverse)


@_rule
def gauss_rise(x):
    """1 - e^(-x^2)."""
    return complement(-(x * x))


@_rule
def gauss_moment(x, n):
    """x^n e^(-x^2) for a literal n from 0 to 4; the exponential is 0 where x is held."""
    held = _at_most(_at_least(x, K(-27.5)), K(27.5))
    square = held * held
    e = _decay(square)
    if n == 0:
        return e
    if n == 1:
        return e * held
    if n == 2:
        return e * square
    if n == 3:
        return e * (square * held)
    return e * (square * square)


# Logarithms. log(2^k (1 + z)) = k ln 2 + z - tail(z), with 1 + z from sqrt(1/2) to sqrt(2).


@_rule
def _log_tail(z):
    """z - log(1 + z); a division makes the polynomial half as long."""
    s, h = z / (_TWO + z), _HALF * (z * z)
    w = s * s
    return h - s * (w * _polynomial(w, _ATANH) + h)


@_rule
def _log1p_unit(e):
    """log(1 + e) for e from 0 to 1."""
    s = e / (_TWO + e)
    w = s * s
    return s * (w * _polynomial(w, _LOG1P)) + _TWO * s


@_rule
def _exponent(x):
    """The exponent k of x = 2^k m as it sits in the bits, m from sqrt(1/2) to sqrt(2)."""
    return _I(_I(_bits(x) - _SQRT_HALF) & _EXPONENT)


@_rule
def _count(exponent):
    return K(_I(exponent >> _MANTISSA))


@_rule
def _log_of_parts(k, z):
    return k * _LN2_HIGH + (z - (_log_tail(z) - k * _LN2_LOW))


@_rule
def _normal(x):
    """x and 0, or where x is subnormal 2^54 x and -54."""
    small = x < _SMALLEST
    return _select(small, x * K(2.0**54), x), _select(small, K(-54), _ZERO)


@_rule
def log(x):
    scaled, less = _normal(x)
    exponent = _exponent(scaled)
    y = _log_of_parts(_count(exponent) + less, _real(_I(_bits(scaled) - exponent)) - _ONE)
    y = _select(x == _INF, x, y)
    return _select(x > _ZERO, y, _select(x == _ZERO, -_INF, _NAN))


@_rule
def _parts_of_sum(y, one):
    """k and z with one + y = 2^k (1 + z), where one is 1 or 0: nothing of a small y is lost."""
    exponent = _exponent(one + y)
    four = _real(_I(_FOUR - exponent))  # 4 / 2^k, a normal number for every k
    z = _real(_I(_bits(y) - exponent)) + ((K(0.25) * one) * four - _ONE)
    return _count(exponent), z


@_rule
def log1p(x):
    k, z = _parts_of_sum(x, _ONE)
    y = _select(x == _INF, x, _log_of_parts(k, z))
    return _select(x > -_ONE, y, _select(x == -_ONE, -_INF, _NAN))


@_rule
def abs_minus_log1p(x):
    """|x| - log(1 + |x|); the logarithm of a huge |x| is lost beside it, so that is held."""
    a = _fabs(x)
    k, z = _parts_of_sum(_at_most(a, K(2.0**70)), _ONE)
    return ((a - k * _LN2_HIGH) - z) + (_log_tail(z) - k * _LN2_LOW)


@_rule
def softplus(x):
    return _select(x > _ZERO, x, _ZERO) + _log1p_unit(_decay(_fabs(x)))


@_rule
def log_cosh(x):
    a, y = _fabs(x), x * x
    far = (a - _LN2_HIGH) + (_log1p_unit(_decay(_TWO * a)) - _LN2_LOW)
    return _select(a < K(0.5), y * _polynomial(y, _LOG_COSH), far)


# Functions of 1 + x^2, where x^2 may be too large for the type.


@_rule
def softsign(x):
    held = _at_most(_at_least(x, -_LARGEST), _LARGEST)
    return held / (_ONE + _fabs(held))


@_rule
def _hypot1(x):
    """sqrt(1 + x^2), where |x| is held at a number that 1 does not change."""
    held = _at_most(_fabs(x), K(2.0**60))
    return _root(held * held + _ONE)


@_rule
def hypot1m1(x):
    a = _fabs(x)
    return _select(a > K(2.0**60), a, x * x / (_ONE + _hypot1(x)))


@_rule
def rhypot(x):
    a = _fabs(x)
    return _ONE / _select(a > K(2.0**60), a, _hypot1(x))


@_rule
def unit(x):
    return _at_most(_at_least(x, K(-2.0**60)), K(2.0**60)) / _hypot1(x)


@_rule
def _scaled(x):
    """|x| and the 1 to add to its square, or where |x| is large |x| / 2^(half of 1040) and 0."""
    a = _fabs(x)
    far = a > K(2.0**300)
    scaled = a * _select(far, K(2.0**-520), _ONE)
    return scaled, _select(far, _ZERO, _ONE), _select(far, K(1040), _ZERO)


@_rule
def log1p_square(x):
    v, one, more = _scaled(x)
    k, z = _parts_of_sum(v * v, one)
    return _select(v < _INF, _log_of_parts(k + more, z), v)


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


@_exact
def _log1p_square_pair(x):
    v, one, more = _scaled(_at_most(_fabs(x), _LARGEST))
    y = v * v
    sum_ = one + y
    back = sum_ - one
    lost = ((one - (sum_ - back)) + (y - back)) + _fma(v, v, -y)
    exponent = _exponent(sum_)
    z = _real(_I(_bits(sum_) - exponent)) - _ONE
    high, low, slope = _log_pair(_count(exponent) + more, z)
    return high, low + (lost * (K(0.25) * _real(_I(_FOUR - exponent)))) * slope


@_exact
def _times(a, high, low):
    """The product as a pair; where it is beyond every exponential, the rest may be NaN: none."""
    product = a * high
    rest = _fma(a, high, -product) + a * low
    return product, _select(_fabs(product) < K(2 * 720.0), rest, _ZERO)


@_rule
def power(x, a):
    """x^a for x >= 0; log 0 and log infinity are finite here, so that 0 times them is 0."""
    scaled, less = _normal(x)
    exponent = _exponent(scaled)
    z = _real(_I(_bits(scaled) - exponent)) - _ONE
    high, low, _ = _log_pair(_count(exponent) + less, z)
    high = _select(x == _ZERO, -_LARGEST, _select(x == _INF, _LARGEST, high))
    product, rest = _times(a, high, low)
    return _select(x >= _ZERO, _exp_of_sum(product, rest), _NAN)


@_rule
def boxcox1p(x, a):
    """((1 + x^2)^a - 1) / a as L (e^t - 1) / t with L = log(1 + x^2), t = a L: right at a = 0."""
    high, low = _log1p_square_pair(x)
    product, rest = _times(a, high, low)
    t = product + rest
    ratio = _select(t == _ZERO, K(2.0**-16), _expm1_of_sum(product, rest) / t)
    y = _select(t > K(720.0), _INF, ((high + low) * ratio) * K(2.0**16))
    return _select(_fabs(x) == _INF, _select(a < _ZERO, -_ONE / a, _INF), y)


@_rule
def boxcox1p_da(x, a):
    """The derivative in a: L^2 ((t - 1) e^t + 1) / t^2, a polynomial in t where that cancels."""
    high, low = _log1p_square_pair(x)
    product, rest = _times(a, high, low)
    t = product + rest
    s, q = _exponential(_at_most(_at_least(product, K(-60.0)), K(720.0)), rest, K(-16))
    log_, v = high + low, (high + low) / t
    far = ((((t - _ONE) * (s * q + s) + K(2.0**-16)) * v) * v) * K(2.0**16)
    y = _select(_fabs(t) < K(0.5), log_ * (log_ * _polynomial(t, _POWER)), far)
    y = _select(t > K(720.0), _INF, y)
    return _select(_fabs(x) == _INF, _select(a < _ZERO, _ONE / (a * a), _INF), y)
