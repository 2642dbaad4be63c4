"""A formula as people read it, printed from the record."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter

from lossmith.formula.calculus import scaled
from lossmith.formula.record import Formula

Expr = Any

# How each primitive is written on paper; {0} and {1} are its arguments.
_LATEX = {
    "sigmoid": r"\sigma\left({0}\right)",
    "softplus": r"\log\left(1 + e^{{{0}}}\right)",
    "expm1": r"\left(e^{{{0}}} - 1\right)",
    "log1p": r"\log\left(1 + {0}\right)",
    "log_cosh": r"\log\cosh\left({0}\right)",
    "tanh": r"\tanh\left({0}\right)",
    "abs_minus_log1p": r"\left(\left|{0}\right| - \log\left(1 + \left|{0}\right|\right)\right)",
    "softsign": r"\frac{{{0}}}{{1 + \left|{0}\right|}}",
    "hypot1m1": r"\left(\sqrt{{1 + \left({0}\right)^2}} - 1\right)",
    "unit": r"\frac{{{0}}}{{\sqrt{{1 + \left({0}\right)^2}}}}",
    "rhypot": r"\frac{{1}}{{\sqrt{{1 + \left({0}\right)^2}}}}",
    "log1p_square": r"\log\left(1 + \left({0}\right)^2\right)",
    "boxcox1p": r"\frac{{\left(1 + \left({0}\right)^2\right)^{{{1}}} - 1}}{{{1}}}",
    "boxcox1p_da": r"\partial_a\frac{{\left(1 + \left({0}\right)^2\right)^a - 1}}{{a}}\Big|_{{a={1}}}",
    "gauss_rise": r"\left(1 - e^{{-\left({0}\right)^2}}\right)",
    "gauss_moment": r"\left({0}\right)^{{{1}}} e^{{-\left({0}\right)^2}}",
    "complement": r"\left(1 - e^{{{0}}}\right)",
    "bernoulli": r"\frac{{{0}}}{{e^{{{0}}} - 1}}",
}


class _Printer(LatexPrinter):
    def _print_PrimitiveBase(self, e: Expr, exp: str | None = None) -> str:
        text = _LATEX[type(e).__name__].format(*(self._print(a) for a in e.args))
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class _TextPrinter(sp.printing.str.StrPrinter):
    """One line of plain text, for the terminal."""

    _NAMES = {  # noqa: RUF012 - a constant table
        "sigmoid": "σ({0})", "softplus": "log(1 + e^({0}))", "expm1": "(e^({0}) - 1)",
        "log1p": "log(1 + {0})", "log_cosh": "log cosh({0})", "tanh": "tanh({0})",
        "abs_minus_log1p": "(|{0}| - log(1 + |{0}|))", "softsign": "({0})/(1 + |{0}|)",
        "hypot1m1": "(√(1 + ({0})²) - 1)", "unit": "({0})/√(1 + ({0})²)",
        "rhypot": "1/√(1 + ({0})²)", "log1p_square": "log(1 + ({0})²)",
        "boxcox1p": "((1 + ({0})²)^({1}) - 1)/({1})",
        "gauss_rise": "(1 - e^(-({0})²))", "gauss_moment": "({0})^{1}·e^(-({0})²)",
        "complement": "(1 - e^({0}))", "bernoulli": "({0})/(e^({0}) - 1)",
    }  # fmt: skip

    def _print_PrimitiveBase(self, e: Expr) -> str:
        name = type(e).__name__
        arguments = [self._print(a) for a in e.args]
        return self._NAMES.get(name, name + "({0})").format(*arguments)

    def _print_Abs(self, e: Expr) -> str:
        return f"|{self._print(e.args[0])}|"

    def _print_exp(self, e: Expr) -> str:
        return f"e^({self._print(e.args[0])})"

    def _print_Pow(self, e: Expr, rational: bool = False) -> str:
        text = super()._print_Pow(e, rational=rational)
        return str(text).replace("**", "^")

    def _print_Piecewise(self, e: Expr) -> str:
        *head, (last, _) = e.args
        parts = [f"{self._print(v)} where {self._print(c)}" for v, c in head]
        return "; ".join([*parts, f"{self._print(last)} otherwise"])


def latex(formula: Formula, order: int = 0) -> str:
    """ψ, ψ' or ψ'' of a record as LaTeX, scale included."""
    return str(_Printer().doprint(scaled(formula, order)))


def text(formula: Formula, order: int = 0) -> str:
    """ψ, ψ' or ψ'' of a record as one line of plain text, scale included."""
    return str(_TextPrinter().doprint(scaled(formula, order)))
