"""From expressions to a short straight-line program, the one text that every engine runs.

The text names primitives only; each engine brings its own functions behind the same names, and
K(...) to give constants their type. The program keeps NaN: a comparison drops it, so an output
that could lose it is passed through `keep_nan`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import sympy as sp
from sympy.printing.pycode import PythonCodePrinter
from sympy.simplify.cse_main import tree_cse

from lossmith.formula.calculus import polish
from lossmith.formula.primitives import PRIMITIVES

Expr = Any


class _Printer(PythonCodePrinter):
    decaying: set[str]  # the shared parts that are exponentials

    def _call(self, name: str, *arguments: Expr) -> str:
        return f"{name}({', '.join(self._print(a) for a in arguments)})"

    def _print_PrimitiveBase(self, e: Expr) -> str:
        return self._call(type(e).__name__, *e.args)

    def _print_gauss_moment(self, e: Expr) -> str:
        return f"gauss_moment({self._print(e.args[0])}, {int(e.args[1])})"

    def _print_exp(self, e: Expr) -> str:
        return self._call("exp", *e.args)

    def _print_log(self, e: Expr) -> str:
        return self._call("log", *e.args)

    def _print_Abs(self, e: Expr) -> str:
        return self._call("absolute", *e.args)

    def _print_sign(self, e: Expr) -> str:
        return self._call("sign", *e.args)

    def _print_Float(self, e: Expr) -> str:
        return f"K({float(e)!r})"

    _print_Integer = _print_Rational = _print_NumberSymbol = _print_Float
    _print_Half = _print_One = _print_Zero = _print_NegativeOne = _print_Float

    def _print_Pow(self, e: Expr, **_: Any) -> str:
        base, exponent = e.args
        if exponent == sp.Rational(1, 2):
            return self._call("sqrt", base)
        if exponent == 2:
            return self._call("square", base)
        if exponent.is_Integer and exponent > 0:
            return f"ipow({self._print(base)}, {int(exponent)})"
        if exponent.is_number and exponent < 0:
            below = base if exponent == -1 else sp.Pow(base, -exponent, evaluate=False)
            return f"(K(1.0) / {self.parenthesize(below, 1000)})"
        return self._call("power", base, exponent)

    def _print_Mul(self, e: Expr) -> str:
        """A product in the order that overflows last: what decays first, then c·x before ·x."""
        coefficient, rest = e.as_coeff_Mul()
        above, below, squares = [], [], []
        for factor in rest.args if rest.is_Mul else (rest,):
            base, exponent = factor.as_base_exp()
            if exponent.is_number and exponent.is_negative:
                below.append(self._print(sp.Pow(base, -exponent)))
            elif exponent == 2 and base.is_Symbol:
                squares.append(base)
            else:
                above.append((not self._decays(factor), self._print(factor)))
        texts = [text for _, text in sorted(above)]
        size = abs(coefficient)
        if size != 1:
            texts.insert(0 if size < 1 else len(texts), self._print(size))
        for base in squares:
            texts += [self._print(base), self._print(base)]
        product = " * ".join(texts) or "K(1.0)"
        if below:
            product = f"{product} / " + (below[0] if len(below) == 1 else f"({' * '.join(below)})")
        # The sign stands outside, so that σ(2u) and σ(-2u) are seen to share |2u|.
        return f"(-({product}))" if coefficient < 0 else f"({product})"

    def _print_Add(self, e: Expr, order: str | None = None) -> str:
        return f"({super()._print_Add(e, order)})"

    def _decays(self, e: Expr) -> bool:
        return isinstance(e, sp.exp) or (e.is_Symbol and e.name in self.decaying)

    def _print_Piecewise(self, e: Expr) -> str:
        *head, (last, _) = e.args
        text = self._print(last)
        for value, condition in reversed(head):
            text = f"where({self._print(condition)}, {self._print(value)}, {text})"
        return text

    def _print_Relational(self, e: Expr) -> str:
        return f"({self._print(e.lhs)} {e.rel_op} {self._print(e.rhs)})"

    def _print_And(self, e: Expr) -> str:
        return "(" + " & ".join(self._print(a) for a in e.args) + ")"

    def _print_Or(self, e: Expr) -> str:
        return "(" + " | ".join(self._print(a) for a in e.args) + ")"


@lru_cache(maxsize=1024)
def write(outputs: tuple[Expr, ...], arguments: tuple[str, ...], name: str = "program") -> str:
    """The source text of a function of `arguments` that returns `outputs` as a tuple.

    arguments[0] is the variable; the others are parameters.
    """
    outputs = tuple(polish(e) for e in outputs)
    # The plain tree of shared parts: SymPy's further rewriting splits x^a into x^b · x^(a-b).
    shared, finals = tree_cse(list(outputs), sp.numbered_symbols("t"), opt_subs={}, order="none")
    shared, finals = _inline_squares(shared, finals)
    printer = _Printer({"fully_qualified_modules": False, "allow_unknown_functions": True})
    printer.decaying = {s.name for s, e in shared if isinstance(e, sp.exp)}
    lines = [f"def {name}({', '.join(arguments)}):"]
    lines += [f"    {s} = {printer.doprint(e)}" for s, e in shared]
    texts = [
        _keep_nan(printer.doprint(final), output, arguments[0])
        for final, output in zip(finals, outputs, strict=True)
    ]
    lines.append("    return " + ", ".join(texts) + ("," if len(texts) == 1 else ""))
    return "\n".join(lines) + "\n"


# Words of a program that are quick next to memory, beside plain arithmetic: roots and ratios.
_QUICK = {"softsign", "hypot1m1", "unit", "rhypot"}
_SLOW = {*PRIMITIVES, "exp", "log", "power"} - _QUICK


def is_arithmetic(text: str) -> bool:
    """Whether a program takes no exponential and no logarithm, so that memory sets its pace."""
    return not _SLOW & set(re.findall(r"(\w+)\(", text))


def _inline_squares(shared: list[Any], finals: list[Expr]) -> tuple[list[Any], list[Expr]]:
    """Write u² in place again: a product may then multiply by u twice, and overflow only last.

    A compiler shares the multiplication where it stays one.
    """
    squares = {s: e for s, e in shared if e.is_Pow and e.exp == 2 and e.base.is_Symbol}
    rest = [(s, e.xreplace(squares)) for s, e in shared if s not in squares]
    return rest, [e.xreplace(squares) for e in finals]


def _keep_nan(text: str, output: Expr, variable: str) -> str:
    names = {s.name for s in output.free_symbols}
    if variable in names and not output.has(sp.Piecewise):
        return text
    return f"keep_nan({variable}, {text})"
