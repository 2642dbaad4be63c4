"""The words formulas are written in: SymPy's own, and functions that stay accurate everywhere.

Each class below is one stable primitive: a function that every engine knows how to evaluate to
the last digits (near zero, in both tails, without overflow), with a derivative that is again made
of primitives. A formula written in them inherits the accuracy, and so do its derivatives.

This file imports SymPy. Nothing on the road to an already compiled kernel does.
"""

from __future__ import annotations

from typing import Any

import mpmath as mp
import sympy as sp
from sympy.core.function import ArgumentIndexError

from lossmith.formula.exact import DEFINITIONS

Expr = Any  # SymPy ships no types; expressions are opaque to the type checker


class PrimitiveBase(sp.Function):
    """A named real function that engines implement under the same name.

    (SymPy's printers pass over classes between a function and `Function`, unless named ...Base.)
    """

    nargs = 1

    def _eval_is_real(self) -> bool:
        return True

    _eval_is_extended_real = _eval_is_real

    def _eval_evalf(self, prec: int) -> Expr | None:
        """A number of a number, so that Max and comparisons can tell constants apart."""
        if not all(a.is_number for a in self.args):
            return None
        with mp.workprec(prec + 20):
            numbers = (a._to_mpmath(prec + 20) for a in self.args)
            value = DEFINITIONS[type(self).__name__](*numbers)
            return sp.Float._new(mp.mpf(value)._mpf_, prec)

    @property
    def x(self) -> Expr:
        return self.args[0]


class sigmoid(PrimitiveBase):
    """1 / (1 + e^-x)."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return logistic_density(self.x)

    def _eval_power(self, exponent: Expr) -> Expr | None:
        # A runtime exponent: σ(x)^a = e^(-a·softplus(-x)) needs no power and never meets 0^0.
        return None if exponent.is_number else sp.exp(-exponent * softplus(-self.x))


class logistic_density(PrimitiveBase):
    """σ(x)σ(-x), symmetric; its derivative holds tanh(x/2), where σ(-x) - σ(x) would cancel."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return -logistic_density(self.x) * tanh(self.x / 2)

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:
        return cls(-x) if x.could_extract_minus_sign() else None


class softplus(PrimitiveBase):
    """log(1 + e^x)."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return sigmoid(self.x)


class expm1(PrimitiveBase):
    """e^x - 1."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return sp.exp(self.x)

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:
        inner = _log_sigmoid(x)
        return None if inner is None else -sigmoid(-inner)


class exp_excess(PrimitiveBase):
    """e^x - 1 - x, by how much e^x lies above its tangent at 0: never negative."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return expm1(self.x)


class exp_rise(PrimitiveBase):
    """(e^(a·x) - 1) / a, and x where a = 0: right for the smallest a too."""

    nargs = 2

    @classmethod
    def eval(cls, x: Expr, a: Expr) -> Expr | None:
        return expm1(x) if a == 1 else x if a == 0 else None

    def fdiff(self, argindex: int = 1) -> Expr:
        x, a = self.args
        return sp.exp(a * x) if argindex == 1 else exp_rise_da(x, a)


class exp_rise_da(PrimitiveBase):
    """∂/∂a of exp_rise: x²·((t - 1)·e^t + 1) / t² with t = a·x."""

    nargs = 2

    def fdiff(self, argindex: int = 1) -> Expr:
        x, a = self.args
        if argindex == 1:
            return x * sp.exp(a * x)
        return (x**2 * sp.exp(a * x) - 2 * self) / a


class log1p(PrimitiveBase):
    """log(1 + x)."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return 1 / (1 + self.x)


class log_cosh(PrimitiveBase):
    """log cosh x."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return tanh(self.x)


class tanh(PrimitiveBase):
    """tanh x; its derivative 4σ(2x)σ(-2x) does not cancel, as 1 - tanh² would."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return 4 * logistic_density(2 * self.x)


class abs_minus_log1p(PrimitiveBase):
    """|x| - log(1 + |x|)."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return softsign(self.x)


class softsign(PrimitiveBase):
    """x / (1 + |x|)."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return 1 / (1 + sp.Abs(self.x)) ** 2


class hypot1m1(PrimitiveBase):
    """√(1 + x²) - 1."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return unit(self.x)


class unit(PrimitiveBase):
    """x / √(1 + x²), called v below; v' = q³."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return rhypot(self.x) ** 3


class rhypot(PrimitiveBase):
    """1 / √(1 + x²), called q below; q' = -v·q².

    Every xⁿ(1 + x²)^c is a product of powers of v and q, and the product rule on v and q never
    subtracts two nearly equal numbers.
    """

    def fdiff(self, argindex: int = 1) -> Expr:
        return -unit(self.x) * rhypot(self.x) ** 2

    def _eval_is_positive(self) -> bool:
        return True


class log1p_square(PrimitiveBase):
    """log(1 + x²)."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return 2 * unit(self.x) * rhypot(self.x)


class half_boxcox1p(PrimitiveBase):
    """((1 + x²)^a - 1) / (2a), and log(1 + x²) / 2 where a = 0.

    Half of the Box-Cox transform, so that a = 1/2 grows as |x| and overflows no sooner.
    """

    nargs = 2

    @classmethod
    def eval(cls, x: Expr, a: Expr) -> Expr | None:
        special = {
            sp.Integer(1): lambda: x**2 / 2,
            sp.Rational(1, 2): lambda: hypot1m1(x),
            sp.Integer(0): lambda: log1p_square(x) / 2,
            sp.Integer(-1): lambda: unit(x) ** 2 / 2,
        }.get(a)
        return special() if special else None

    def fdiff(self, argindex: int = 1) -> Expr:
        x, a = self.args
        if argindex == 1:
            return unit(x) * rhypot(x) ** (1 - 2 * a)
        return half_boxcox1p_da(x, a)


class half_boxcox1p_da(PrimitiveBase):
    """∂/∂a of half_boxcox1p; a second derivative in a is not offered."""

    nargs = 2

    def fdiff(self, argindex: int = 1) -> Expr:
        x, a = self.args
        if argindex == 1:
            return unit(x) * rhypot(x) ** (1 - 2 * a) * log1p_square(x)
        raise ArgumentIndexError(self, argindex)


class gauss_rise(PrimitiveBase):
    """1 - e^(-x²)."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return 2 * gauss_moment(self.x, 1)


class gauss_moment(PrimitiveBase):
    """xⁿ e^(-x²) for a literal n: one word, because x² may overflow where the product is 0."""

    nargs = 2

    def fdiff(self, argindex: int = 1) -> Expr:
        x, n = self.args
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        falling = n * gauss_moment(x, n - 1) if n > 0 else 0
        return falling - 2 * gauss_moment(x, n + 1)


def _log_sigmoid(u: Expr) -> Expr | None:
    """m where u is log σ(m) = -softplus(-m), for 1 - e^u is σ(-m) then, without the detour."""
    found = u.could_extract_minus_sign() and isinstance(-u, softplus)
    return -(-u).args[0] if found else None


class complement(PrimitiveBase):
    """1 - e^u for u ≤ 0: the probability of everything else."""

    def fdiff(self, argindex: int = 1) -> Expr:
        return -sp.exp(self.x)

    @classmethod
    def eval(cls, u: Expr) -> Expr | None:
        inner = _log_sigmoid(u)
        return None if inner is None else sigmoid(-inner)

    def _eval_is_nonnegative(self) -> bool:
        return True


class bernoulli(PrimitiveBase):
    """u / (e^u - 1), 1 at u = 0."""

    def fdiff(self, argindex: int = 1) -> Expr:
        raise ArgumentIndexError(self, argindex)  # only made after differentiation


class hold(PrimitiveBase):
    """x without a slope: its value counts, and every derivative takes it for a constant.

    For weights that the loss itself gives, as the α of CIoU: the gradient is then, on purpose, not
    that of the value, and the record says so.
    """

    def fdiff(self, argindex: int = 1) -> Expr:
        return sp.Integer(0)

    @classmethod
    def eval(cls, x: Expr) -> Expr | None:
        return x if x.is_number or isinstance(x, hold) else None

    def _eval_is_nonnegative(self) -> bool | None:
        return self.x.is_nonnegative

    def _eval_is_positive(self) -> bool | None:
        return self.x.is_positive


def where(condition: Expr, yes: Expr, no: Expr) -> Expr:
    """`yes` where the condition holds, else `no`."""
    return sp.Piecewise((sp.sympify(yes), condition), (sp.sympify(no), True))


def maximum(a: Expr, b: Expr) -> Expr:
    """The larger of two; on a tie, and so for the slope at the kink, the second."""
    return where(sp.Gt(a, b), a, b)


def minimum(a: Expr, b: Expr) -> Expr:
    """The smaller of two; on a tie, and so for the slope at the kink, the second."""
    return where(sp.Lt(a, b), a, b)


exp, log, sqrt, sign, Rational, Eq = sp.exp, sp.log, sp.sqrt, sp.sign, sp.Rational, sp.Eq
PRIMITIVES = {cls.__name__: cls for cls in PrimitiveBase.__subclasses__()}
