"""Printers for people: LaTeX, and one line of plain text."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from lossmith.formula.symbols import moving

Expr = Any
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class _Order:
    """A sum begins with a term that is added, if it has one."""

    def _as_ordered_terms(self, e: Expr, order: str | None = None) -> list[Expr]:
        terms: list[Expr] = list(super()._as_ordered_terms(e, order=order))  # type: ignore[misc]
        first = next((t for t in terms if not t.could_extract_minus_sign()), terms[0])
        return [first, *(t for t in terms if t is not first)]


class _Latex(_Order, LatexPrinter):
    def _print_sigma(self, e: Expr, exp: str | None = None) -> str:
        raised = f"^{{{exp}}}" if exp else ""
        return rf"\sigma{raised}\left({self._print(e.args[0])}\right)"

    def _print_log_cosh(self, e: Expr, exp: str | None = None) -> str:
        text = rf"\log\cosh\left({self._print(e.args[0])}\right)"
        return rf"\left({text}\right)^{{{exp}}}" if exp else text


class _Line(_Order, StrPrinter):
    def _print_sigma(self, e: Expr) -> str:
        return f"σ({self._print(e.args[0])})"

    def _print_log_cosh(self, e: Expr) -> str:
        return f"log cosh({self._print(e.args[0])})"

    def _print_Abs(self, e: Expr) -> str:
        return f"|{self._print(e.args[0])}|"

    def _print_exp(self, e: Expr) -> str:
        return "e" + self._raised(e.args[0])

    def _print_Pow(self, e: Expr, rational: bool = False) -> str:
        return self._print_Mul(e)

    def _print_Mul(self, e: Expr) -> str:
        """The sign, what is multiplied, and under one bar what is divided by."""
        coefficient, factors = sp.Integer(1), []
        for factor in sp.Mul.make_args(e):
            if factor.is_Rational:
                coefficient *= factor
            else:
                factors.append(factor)
        above: list[str] = []
        below: list[str] = []
        if abs(coefficient.p) != 1:
            above.append(str(abs(coefficient.p)))
        if coefficient.q != 1:
            below.append(str(coefficient.q))
        for factor in self._sorted(factors):
            power, exponent = factor.as_base_exp() if factor.is_Pow else (factor, sp.Integer(1))
            under = exponent.is_number and exponent.is_negative
            (below if under else above).append(self._power(power, -exponent if under else exponent))
        sign = "-" if coefficient < 0 else ""
        text = sign + ("·".join(above) or "1")
        if not below:
            return text
        return f"{text}/{below[0]}" if len(below) == 1 else f"{text}/({'·'.join(below)})"

    @staticmethod
    def _sorted(factors: list[Expr]) -> list[Expr]:
        """Parameters, then variables, then functions, then sums."""

        def rank(f: Expr) -> int:
            power = f.as_base_exp()[0] if f.is_Pow else f
            if power.is_Symbol:
                return 1 if moving(power) else 0
            return 3 if power.is_Add else 2

        return sorted(factors, key=rank)

    def _power(self, power: Expr, exponent: Expr) -> str:
        if exponent == sp.Rational(1, 2):
            inner = self._print(power)
            return f"√{inner}" if power.is_Symbol else f"√({inner})"
        text = self._print(power)
        if exponent == 1:
            return f"({text})" if power.is_Add or power.is_Piecewise else text
        plain = power.is_Symbol or (power.is_Function and not isinstance(power, sp.exp))
        return (text if plain else f"({text})") + self._raised(exponent)

    def _raised(self, exponent: Expr) -> str:
        if exponent.is_Integer and exponent > 0:
            return str(exponent).translate(_RAISED)
        text = self._print(exponent)
        return f"^{text}" if exponent.is_Symbol else f"^({text})"

    def _print_Relational(self, e: Expr) -> str:
        signs = {"<=": "≤", ">=": "≥", "==": "=", "!=": "≠"}
        return f"{self._print(e.lhs)} {signs.get(e.rel_op, e.rel_op)} {self._print(e.rhs)}"

    def _print_And(self, e: Expr) -> str:
        return " and ".join(sorted(map(self._print, e.args)))

    def _print_Or(self, e: Expr) -> str:
        return " or ".join(sorted(map(self._print, e.args)))

    def _print_Piecewise(self, e: Expr) -> str:
        *head, (last, condition) = e.args
        parts = [f"{self._print(v)} where {self._print(c)}" for v, c in head]
        end = "otherwise" if condition == sp.true else f"where {self._print(condition)}"
        return "; ".join([*parts, f"{self._print(last)} {end}"])


def line(expression: Expr) -> str:
    """An expression as one line of plain text."""
    return str(_Line().doprint(expression))


def tex(expression: Expr) -> str:
    """An expression as LaTeX."""
    return str(_Latex().doprint(expression))
