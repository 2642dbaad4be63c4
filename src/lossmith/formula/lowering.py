"""From expressions to a program: parts shared, products in the order that overflows last.

The program keeps NaN: a comparison drops it, so an output that could lose it is passed through
`keep_nan`. Arguments that could be taken for a word have a prefix.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sympy as sp
from sympy.core.relational import Relational
from sympy.simplify.cse_main import tree_cse

from lossmith.errors import FormulaError
from lossmith.formula.calculus import polish
from lossmith.formula.dialect import Dialect
from lossmith.formula.primitives import PrimitiveBase, gauss_moment
from lossmith.formula.program import Apply, Name, Node, Number, Program

Expr = Any
_STEP = 15  # the highest power that `ipow` of the engines takes
_ONE = Number(1.0)
_FUNCTIONS = {sp.exp: "exp", sp.log: "log", sp.Abs: "absolute", sp.sign: "sign"}
_spelled = Dialect("Python", ()).say  # what factors are sorted by


def word(parameter: str) -> str:
    """What a parameter is called in a program, and in the loop around it."""
    return f"p_{parameter}"


def variable_words(variables: tuple[str, ...]) -> tuple[str, ...]:
    """What the variables are called there: the one variable as it is, several with a prefix."""
    return variables if len(variables) == 1 else tuple(f"v_{name}" for name in variables)


@lru_cache(maxsize=1024)
def make(
    outputs: tuple[Expr, ...], variables: tuple[str, ...], parameters: tuple[str, ...] = ()
) -> Program:
    """The program of expressions in these variables and parameters, arguments in that order."""
    moving = variable_words(variables)
    names = {p: word(p) for p in parameters} | dict(zip(variables, moving, strict=True))
    outputs = tuple(_renamed(polish(e), names) for e in outputs)
    # The plain tree of shared parts: SymPy's further rewriting splits x^a into x^b · x^(a-b).
    shared, finals = tree_cse(list(outputs), sp.numbered_symbols("t"), opt_subs={}, order="none")
    shared, finals = _inline_squares(shared, finals)
    constant = set(map(word, parameters))
    for s, e in shared:
        if {x.name for x in e.free_symbols} <= constant:
            constant.add(s.name)
    lower = _Lowering({s.name for s, e in shared if isinstance(e, sp.exp)}, constant)
    for s, e in shared:
        lower.steps.append((s.name, lower(e)))
    results = tuple(
        _keep_nan(lower(final), output, moving)
        for final, output in zip(finals, outputs, strict=True)
    )
    return Program((*moving, *map(word, parameters)), tuple(lower.steps), results)


def _renamed(expression: Expr, names: dict[str, str]) -> Expr:
    table = {
        s: sp.Symbol(names[s.name], **s.assumptions0)
        for s in expression.free_symbols
        if names.get(s.name, s.name) != s.name
    }
    return expression.xreplace(table)


def _inline_squares(shared: list[Any], finals: list[Expr]) -> tuple[list[Any], list[Expr]]:
    """Write u² in place again: a product may then multiply by u twice, and overflow only last.

    A compiler shares the multiplication where it stays one.
    """
    squares = {s: e for s, e in shared if e.is_Pow and e.exp == 2 and e.base.is_Symbol}
    rest = [(s, e.xreplace(squares)) for s, e in shared if s not in squares]
    return rest, [e.xreplace(squares) for e in finals]


def _keep_nan(node: Node, output: Expr, variables: Sequence[str]) -> Node:
    names = {s.name for s in output.free_symbols}
    for variable in variables:
        if variable not in names or output.has(sp.Piecewise):
            node = Apply("keep_nan", (Name(variable), node))
    return node


class _Lowering:
    """Nodes of expressions; what they need before them becomes a step."""

    def __init__(self, decaying: set[str], constant: set[str]) -> None:
        self.decaying = decaying  # the shared parts that are exponentials
        self.constant = constant  # parameters, and shared parts made of nothing else
        self.steps: list[tuple[str, Node]] = []
        self._named = 0

    def __call__(self, e: Expr) -> Node:
        if e.is_Symbol:
            return Name(e.name)
        if e.is_Number or e.is_NumberSymbol:
            return _number(float(e), e)
        if e.is_Add:
            return Apply("+", tuple(map(self, e.as_ordered_terms())))
        if e.is_Mul:
            return self._product(e)
        if e.is_Pow:
            return self._power(e)
        if isinstance(e, sp.Piecewise):
            return self._choice(e)
        if isinstance(e, gauss_moment):
            return self._gauss_moment(e)
        return self._apply(e)

    def _apply(self, e: Expr) -> Node:
        if isinstance(e, Relational | sp.And | sp.Or):
            sign = e.rel_op if isinstance(e, Relational) else "&" if isinstance(e, sp.And) else "|"
            return Apply(sign, tuple(map(self, e.args)))
        name = type(e).__name__ if isinstance(e, PrimitiveBase) else _FUNCTIONS.get(e.func)
        if name is None:
            raise FormulaError(f"{e} has no place in a program; use the functions of primitives.")
        return Apply(name, tuple(map(self, e.args)))

    def _choice(self, e: Expr) -> Node:
        *head, (last, _) = e.args
        node = self(last)
        for value, condition in reversed(head):
            node = Apply("where", (self(condition), self(value), node))
        return node

    def _named_part(self, node: Node) -> Node:
        """A name for a part that is written several times."""
        if isinstance(node, Name):
            return node
        name = f"s{self._named}"
        self._named += 1
        self.steps.append((name, node))
        return Name(name)

    def _ipow(self, node: Node, n: int) -> Node:
        """x^n in steps that engines have: they know n up to 15, where products stay short."""
        if n <= _STEP:
            return Apply("ipow", (node, n)) if n > 1 else node
        x = self._named_part(node)
        more, rest = divmod(n, 8)
        power = self._ipow(self._named_part(Apply("ipow", (x, 8))), more)
        return Apply("*", (power, self._ipow(x, rest))) if rest else power

    def _gauss_moment(self, e: Expr) -> Node:
        """xⁿe^(-x²); n above 4 as a product over y = x/√k, where no factor vanishes too soon."""
        x, n = self(e.args[0]), int(e.args[1])
        if n <= 4:
            return Apply("gauss_moment", (x, n))
        fours, rest = divmod(n, 4)
        k = fours + (rest > 0)
        small, size = 1 / sp.sqrt(k), sp.sqrt(sp.Integer(k) ** rest)
        y = self._named_part(Apply("*", (x, _number(float(1 / sp.sqrt(k).n(20)), small))))
        four = Apply("*", (self(sp.Integer(k**2)), Apply("gauss_moment", (y, 4))))
        whole = self._ipow(four, fours)
        if not rest:
            return whole
        last = Apply("*", (_number(float(size.n(20)), size), Apply("gauss_moment", (y, rest))))
        return Apply("*", (whole, last))

    def _power(self, e: Expr) -> Node:
        base, exponent = e.args
        if exponent == sp.Rational(1, 2):
            return Apply("sqrt", (self(base),))
        if exponent == 2:
            return Apply("square", (self(base),))
        if exponent.is_Integer and exponent > 0:
            return self._ipow(self(base), int(exponent))
        if exponent.is_number and exponent < 0:
            below = base if exponent == -1 else sp.Pow(base, -exponent, evaluate=False)
            return self._over(_ONE, self(below), e)
        return Apply("power", (self(base), self(exponent)))

    def _product(self, e: Expr) -> Node:
        """A product in the order that overflows last: what decays first, then c·x before ·x."""
        coefficient, rest = e.as_coeff_Mul()
        above, below, squares = [], [], []
        for factor in rest.args if rest.is_Mul else (rest,):
            base, exponent = factor.as_base_exp()
            if exponent.is_number and exponent.is_negative:
                below.append(self(sp.Pow(base, -exponent)))
            elif exponent == 2 and base.is_Symbol:
                squares.append(base)
            else:
                above.append((not self._decays(factor), self(factor)))
        factors = [node for _, node in sorted(above, key=lambda f: (f[0], _spelled(f[1])))]
        size = abs(coefficient)
        if size != 1:
            factors.insert(0 if size < 1 else len(factors), self(size))
        for base in squares:
            factors += [self(base), self(base)]
        node = _times(factors)
        if below:
            node = self._over(node, _times(below), rest)
        # The sign stands outside, so that σ(2u) and σ(-2u) are seen to share |2u|.
        return Apply("-", (node,)) if coefficient < 0 else node

    def _over(self, above: Node, below: Node, e: Expr) -> Node:
        """A ratio; of two plain numbers Python's own would raise where the second is 0."""
        safe = all(s.is_positive for s in e.free_symbols)
        if {s.name for s in e.free_symbols} <= self.constant and not safe:
            return Apply("divide", (above, below))
        return Apply("/", (above, below))

    def _decays(self, e: Expr) -> bool:
        return isinstance(e, sp.exp) or (e.is_Symbol and e.name in self.decaying)


def _times(factors: Sequence[Node]) -> Node:
    return Apply("*", tuple(factors)) if len(factors) > 1 else factors[0] if factors else _ONE


def _number(value: float, exact: Expr) -> Number:
    """A constant, and in words what it is, if no float is equal to it."""
    if not exact.is_finite or (exact.is_Number and sp.Rational(exact) == sp.Rational(value)):
        return Number(value)
    return Number(value, sp.sstr(exact, full_prec=True))
