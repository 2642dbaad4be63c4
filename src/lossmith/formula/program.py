"""From expressions to a short straight-line program, the one text that every engine runs.

The text names primitives only; each engine brings its own functions behind the same names, and
K(...) to give constants their type. Parameters have a prefix, so that none is taken for a word.
The program keeps NaN: a comparison drops it, so an output that could lose it is passed through
`keep_nan`.
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
_STEP = 15  # the highest power that `ipow` of the engines takes


class _Printer(PythonCodePrinter):
    decaying: set[str]  # the shared parts that are exponentials

    def __init__(self, decaying: set[str], numbers: set[str]) -> None:
        super().__init__({"fully_qualified_modules": False, "allow_unknown_functions": True})
        self.decaying = decaying
        self.numbers = numbers  # parameters, and shared parts made of nothing else
        self.ahead: list[str] = []  # lines that what is being printed needs before it
        self._named = 0

    def statement(self, e: Expr) -> tuple[list[str], str]:
        """The text of an expression, and the lines before it."""
        self.ahead = []
        text = self.doprint(e)
        return self.ahead, text

    def _name(self, text: str) -> str:
        """A name for a part that is written several times."""
        if text.isidentifier():
            return text
        name = f"s{self._named}"
        self._named += 1
        self.ahead.append(f"    {name} = {text}")
        return name

    def _ipow(self, text: str, n: int) -> str:
        """x^n in steps that engines have: they know n up to 15, where products stay short."""
        if n <= _STEP:
            return f"ipow({text}, {n})" if n > 1 else text
        x = self._name(text)
        more, rest = divmod(n, 8)
        power = self._ipow(self._name(f"ipow({x}, 8)"), more)
        return f"({power} * {self._ipow(x, rest)})" if rest else power

    def _call(self, name: str, *arguments: Expr) -> str:
        return f"{name}({', '.join(self._print(a) for a in arguments)})"

    def _print_PrimitiveBase(self, e: Expr) -> str:
        return self._call(type(e).__name__, *e.args)

    def _print_gauss_moment(self, e: Expr) -> str:
        """xⁿe^(-x²); n above 4 as a product over y = x/√k, where no factor vanishes too soon."""
        x, n = self._print(e.args[0]), int(e.args[1])
        if n <= 4:
            return f"gauss_moment({x}, {n})"
        fours, rest = divmod(n, 4)
        k = fours + (rest > 0)
        y = self._name(f"({x} * {self._print(1 / sp.sqrt(k).n(20))})")
        whole = self._ipow(f"({self._print(sp.Integer(k**2))} * gauss_moment({y}, 4))", fours)
        if not rest:
            return whole
        size = self._print(sp.sqrt(sp.Integer(k) ** rest).n(20))
        return f"({whole} * ({size} * gauss_moment({y}, {rest})))"

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
    _print_Pi = _print_Exp1 = _print_GoldenRatio = _print_EulerGamma = _print_Float
    _print_Catalan = _print_TribonacciConstant = _print_Float

    def _print_Pow(self, e: Expr, **_: Any) -> str:
        base, exponent = e.args
        if exponent == sp.Rational(1, 2):
            return self._call("sqrt", base)
        if exponent == 2:
            return self._call("square", base)
        if exponent.is_Integer and exponent > 0:
            return self._ipow(self._print(base), int(exponent))
        if exponent.is_number and exponent < 0:
            below = base if exponent == -1 else sp.Pow(base, -exponent, evaluate=False)
            return self._over("K(1.0)", self.parenthesize(below, 1000), e)
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
            under = below[0] if len(below) == 1 else f"({' * '.join(below)})"
            product = self._over(product, under, rest)
        # The sign stands outside, so that σ(2u) and σ(-2u) are seen to share |2u|.
        return f"(-({product}))" if coefficient < 0 else f"({product})"

    def _over(self, above: str, below: str, e: Expr) -> str:
        """A ratio; of two plain numbers Python's own would raise where the second is 0."""
        safe = all(s.is_positive for s in e.free_symbols)
        if {s.name for s in e.free_symbols} <= self.numbers and not safe:
            return f"divide({above}, {below})"
        return f"({above} / {below})" if above == "K(1.0)" else f"{above} / {below}"

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


def word(parameter: str) -> str:
    """What a parameter is called in a program, and in the loop around it."""
    return f"p_{parameter}"


@lru_cache(maxsize=1024)
def write(outputs: tuple[Expr, ...], arguments: tuple[str, ...], name: str = "program") -> str:
    """The source text of a function of `arguments` that returns `outputs` as a tuple.

    arguments[0] is the variable; the others are parameters.
    """
    outputs = tuple(_renamed(polish(e), arguments[1:]) for e in outputs)
    arguments = (arguments[0], *map(word, arguments[1:]))
    # The plain tree of shared parts: SymPy's further rewriting splits x^a into x^b · x^(a-b).
    shared, finals = tree_cse(list(outputs), sp.numbered_symbols("t"), opt_subs={}, order="none")
    shared, finals = _inline_squares(shared, finals)
    numbers = set(arguments[1:])
    for s, e in shared:
        if {x.name for x in e.free_symbols} <= numbers:
            numbers.add(s.name)
    printer = _Printer({s.name for s, e in shared if isinstance(e, sp.exp)}, numbers)
    lines = [f"def {name}({', '.join(arguments)}):"]
    for s, e in shared:
        ahead, text = printer.statement(e)
        lines += [*ahead, f"    {s} = {text}"]
    texts = []
    for final, output in zip(finals, outputs, strict=True):
        ahead, text = printer.statement(final)
        lines += ahead
        texts.append(_keep_nan(text, output, arguments[0]))
    lines.append("    return " + ", ".join(texts) + ("," if len(texts) == 1 else ""))
    return "\n".join(lines) + "\n"


def _renamed(expression: Expr, parameters: tuple[str, ...]) -> Expr:
    table = {
        s: sp.Symbol(word(s.name), **s.assumptions0)
        for s in expression.free_symbols
        if s.name in parameters
    }
    return expression.xreplace(table)


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
