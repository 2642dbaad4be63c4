"""Mathematics in float64 that LLVM can vectorise: no library call, no branch, no other type.

The whole text of this file opens every generated float64 kernel, so it stands alone;
`vector32.py` has the same functions in float32. What the compiler may and may not do:

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

K, _I = np.float64, np.int64
_REAL, _WHOLE = types.float64, types.int64

_RULES = dict(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
_rule = njit(error_model="numpy", fastmath={"contract"}, **_RULES)
_exact = njit(error_model="numpy", fastmath=False, **_RULES)


def _table(*numbers):
    return tuple(K(number) for number in numbers)


# Polynomials, highest power first, made by `tools/fit_polynomials.py`.
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
_SLIGHT = K(2.0**-80)  # (e^t - 1) / t is 1, and t times 2^-16 would be subnormal long before t is
_ZERO, _ONE, _TWO, _HALF = K(0), K(1), K(2), K(0.5)
# ln 2 in two parts; the first has so few bits that its product with an exponent is exact.
_LN2_HIGH, _LN2_LOW = K(0.6931471806019545), K(-4.2009150726810846e-11)
_PER_LN2 = K(1.4426950408889634)
# Adding it rounds to a whole number n; its lowest bits then hold n + 1023, the bits of 2^n.
_ROUND = K(6755399441055744.0 + 1023)
_MANTISSA = _I(52)
# Bit patterns.
_SQRT_HALF, _EXPONENT, _FOUR = _I(0x3FE6A09E667F3BCD), _I(-0x10000000000000), _I(0x4010000000000000)


def _cast(kind, to, llvm):
    return intrinsic(lambda _, x: (to(kind), lambda _, b, __, args: b.bitcast(args[0], llvm)))


_bits, _real = _cast(_REAL, _WHOLE, ir.IntType(64)), _cast(_WHOLE, _REAL, ir.DoubleType())
_three = _REAL(_REAL, _REAL, _REAL)
_fma = intrinsic(lambda _, x, y, z: (_three, lambda _, b, __, args: b.fma(*args)))


@intrinsic
def where(_, c, a, b):
    """Choose a if c, else b: a select from the start, so that there is no branch to remove."""
    return _REAL(types.boolean, _REAL, _REAL), lambda _, b, __, args: b.select(*args)


def _instruction(name):
    @intrinsic
    def instruction(_, x):
        get = lambda module: module.declare_intrinsic(name, [ir.DoubleType()])  # noqa: E731
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
    shift = where(below, K(128), K(-128))
    s, q = _exponential(_within(x, K(-746.0), K(711.0)), rest, shift)
    return (s * q + s) * where(below, K(2.0**-128), K(2.0**128))


exp = _rule(lambda x: _exp_of_sum(x, K(-0.0)))


@_rule
def _decay(y):
    """e^-y for y >= 0; 0 at the far end, by way of the subnormal numbers."""
    s, q = _exponential(_at_least(-y, K(-746.0)), K(-0.0), K(128))
    return (s * q + s) * K(2.0**-128)


@_rule
def _expm1_of_sum(x, rest):
    """(e^(x + rest) - 1) / 2^16: who divides it by a large number gets over the overflow."""
    s, q = _exponential(_within(x, K(-60.0), K(720.0)), rest, K(-16))
    return s * q + (s - K(2.0**-16))


@_rule
def expm1(x):
    """e^x - 1; half of it first, which overflows only where the whole does."""
    s, q = _exponential(_within(x, K(-60.0), K(710.0)), K(-0.0), -_ONE)
    return (s * q + (s - _HALF)) * _TWO


@_rule
def complement(u):
    """1 - e^u for u <= 0."""
    s, q = _exponential(_at_least(u, K(-60.0)), K(-0.0), _ZERO)
    return (_ONE - s) - s * q


@_rule
def bernoulli(u):
    """u / (e^u - 1)."""
    ratio = (where(u > K(720.0), _ZERO, u) * K(2.0**-16)) / _expm1_of_sum(u, K(-0.0))
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
gauss_moment = _rule(lambda x, n: _decay(square(_held(x, K(27.5)))) * ipow(_held(x, K(27.5)), n))


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


# The exponent k of x = 2^k m as it sits in the bits, m from sqrt(1/2) to sqrt(2); and k itself.
_exponent = _rule(lambda x: _I(_I(_bits(x) - _SQRT_HALF) & _EXPONENT))
_count = _rule(lambda exponent: K(_I(exponent >> _MANTISSA)))
_log_of_parts = _rule(lambda k, z: k * _LN2_HIGH + (z - (_log_tail(z) - k * _LN2_LOW)))


@_rule
def _parts(x):
    """k and z with x = 2^k (1 + z), for x > 0, subnormal or not."""
    small = x < _SMALLEST
    scaled = where(small, x * K(2.0**54), x)
    exponent = _exponent(scaled)
    z = _real(_I(_bits(scaled) - exponent)) - _ONE
    return _count(exponent) + where(small, K(-54), _ZERO), z


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
    k, z, lost = _parts_of_sum(_at_most(a, K(2.0**70)), _ONE)
    return ((a - k * _LN2_HIGH) - z) + (_log_tail(z) - (k * _LN2_LOW + lost))


# log(1 + e^x); sigmoid takes the same exponential, so a program that has both computes one.
softplus = _rule(lambda x: where(x > _ZERO, x, _ZERO) + _log1p_unit(_decay(absolute(x))))


@_rule
def log_cosh(x):
    """log(cosh(x)): |x| - log 2 + log(1 + e^(-2 |x|)), or a polynomial where that cancels."""
    a, y = absolute(x), x * x
    # 1 - (1 - e^(-2a)): not as exact as e^(-2a), but the exponential that tanh needs as well
    far = (a - _LN2_HIGH) + (_log1p_unit(_ONE - complement(-(_TWO * a))) - _LN2_LOW)
    return where(a < K(0.5), y * _polynomial(y, _LOG_COSH), far)


# Infinity over infinity is nothing, so x is held; in the next four (of 1 + x^2, which may be too
# large for the type) at a number beside which 1 is lost, and then |x| itself is the root.
softsign = _rule(lambda x: _held(x, _LARGEST) / (_ONE + absolute(_held(x, _LARGEST))))
_hypot1 = _rule(lambda x: sqrt(square(_held(x, K(2.0**60))) + _ONE))
_or_far = _rule(lambda x, near: where(absolute(x) > K(2.0**60), absolute(x), near))
hypot1m1 = _rule(lambda x: _or_far(x, x * x / (_ONE + _hypot1(x))))  # sqrt(1 + x^2) - 1
rhypot = _rule(lambda x: _ONE / _or_far(x, _hypot1(x)))  # 1 / sqrt(1 + x^2)
unit = _rule(lambda x: _held(x, K(2.0**60)) / _hypot1(x))  # x / sqrt(1 + x^2)


@_rule
def _scaled(x):
    """|x| and the 1 to add to its square, or where |x| is large |x| / 2^(half of 1040) and 0."""
    a = absolute(x)
    far = a > K(2.0**300)
    scaled = a * where(far, K(2.0**-520), _ONE)
    return scaled, where(far, _ZERO, _ONE), where(far, K(1040), _ZERO)


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
    return product, where(absolute(product) < K(2 * 720.0), rest, _ZERO)


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
    y = where(t > K(720.0), _INF, (high * ratio) * K(2.0**15))
    return where(absolute(x) == _INF, where(a < _ZERO, -_HALF / a, _INF), y)


@_rule
def half_boxcox1p_da(x, a):
    """Its derivative in a: L^2 ((t - 1) e^t + 1) / (2t^2), a polynomial in t where it cancels."""
    high, low = _log1p_square_pair(x)
    product, rest = _times(a, high, low)
    t = product + rest
    s, q = _exponential(_within(product, K(-60.0), K(720.0)), rest, K(-16))
    v = high / t
    far = ((((t - _ONE) * (s * q + s) + K(2.0**-16)) * v) * v) * K(2.0**15)
    y = where(absolute(t) < K(0.5), _HALF * high * (high * _polynomial(t, _POWER)), far)
    y = where(t > K(720.0), _INF, y)
    return where(absolute(x) == _INF, where(a < _ZERO, _HALF / (a * a), _INF), y)
