"""A person's function, called on symbols: its expression in the one form that engines know.

Whatever can be wrong with a formula is found here, and said in words that name the fix: what is
refused here would else be a crash, or a wrong number, in an engine that met it first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import mpmath as mp
import sympy as sp
from sympy.core.relational import Relational
from sympy.functions.elementary.miscellaneous import MinMaxBase
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import BooleanAtom, BooleanFunction

from lossmith.errors import FormulaError
from lossmith.formula.domain import Interval
from lossmith.formula.exact import function
from lossmith.formula.primitives import PRIMITIVES, gauss_moment, hold, maximum, minimum
from lossmith.formula.record import Formula, Parameter
from lossmith.formula.symbols import moving, symbols, variables

Expr = Any
Point = tuple[float, ...]  # a number for each variable
_FUNCTIONS = (sp.exp, sp.log, sp.Abs, sp.sign, *PRIMITIVES.values())
_KNOWN = (
    *_FUNCTIONS,
    *(sp.Symbol, sp.Number, sp.NumberSymbol, sp.Add, sp.Mul, sp.Pow),
    *(sp.Piecewise, ExprCondPair, Relational, sp.And, sp.Or, BooleanAtom),
)
_SIZES = (0.001, 0.05, 0.3, 0.71, 1.7, 3.1, 30.0)  # of u, where a formula is tried
_STEPS, _TRIES = (1, 2, 3, 5, 8, 11, 12, 13), 14  # through the sizes of each of several variables
_WHOLE = (-2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # a kernel may be written for these, see plan.fix


def expression(formula: Formula, fixed: tuple[tuple[str, int], ...] = ()) -> Expr:
    """ψ₀(u; shape parameters), with whole numbers for the parameters in `fixed`."""
    names = symbols(formula) | {name: sp.Integer(value) for name, value in fixed}
    arguments = [names[p.name] for p in formula.shape]
    raw = _call(formula, arguments)
    try:
        found = sp.sympify(raw, strict=True)
    except sp.SympifyError as err:
        raise FormulaError(
            f"{formula.name}: the formula returned {type(raw).__name__}; return an expression of "
            f"{_listed(formula)}."
        ) from err
    if not isinstance(found, sp.Expr):
        raise FormulaError(
            f"{formula.name}: the formula is {found!s}, not a number; compare with where()."
        )
    found = one_form(found)
    _check(formula, found, set(arguments))
    if not formula.builtin and not fixed:  # ours are tested
        _check_learns(formula, found)
        _check_real(formula, found)
        _check_branches(formula, found)
    return found


def _call(formula: Formula, arguments: list[Any]) -> Any:
    try:
        return formula.of(variables(formula), arguments)
    except FormulaError:
        raise
    except (TypeError, AttributeError, ValueError) as err:
        raise FormulaError(
            f"{formula.name}: the formula could not be evaluated on symbols ({err}). Use where(), "
            "maximum(), minimum() instead of if, max(), min(), and the functions of "
            "lossmith.primitives instead of math, numpy or torch."
        ) from err


def one_form(e: Expr) -> Expr:
    """Several ways to write the same, as the one that derivatives and programs are made for."""
    if e.has(MinMaxBase):
        e = e.replace(sp.Max, lambda *a: _largest(a, maximum))
        e = e.replace(sp.Min, lambda *a: _largest(a, minimum))
    if e.has(sp.Piecewise):
        e = e.replace(sp.Piecewise, _plain_conditions)
    if e.has(sp.Float):
        # u**2.0 is a square, and not a power that negative numbers do not have.
        e = e.replace(
            lambda p: p.is_Pow and p.exp.is_Float,
            lambda p: p.base ** sp.Rational(repr(float(p.exp))),
        )
    # (x²)^c has no slope at 0 as a power of a square; as |x|^2c it has.
    return e.replace(
        lambda p: p.is_Pow and p.base.is_Pow and p.base.exp.is_even and p.base.base.is_real,
        lambda p: sp.Abs(p.base.base) ** (p.base.exp * p.exp),
    )


def _largest(arguments: tuple[Expr, ...], of_two: Any) -> Expr:
    """One of many by comparisons of two; a number comes last and so has the tie."""
    first, *others = sorted(arguments, key=lambda a: (a.is_number, sp.default_sort_key(a)))
    for other in others:
        first = of_two(first, other)
    return first


def _plain_conditions(*branches: Any) -> Expr:
    """Conditions in `and`, `or` and comparisons: engines have no `not` for masks."""
    plain = [
        (value, sp.to_nnf(when, simplify=False) if isinstance(when, BooleanFunction) else when)
        for value, when in branches
    ]
    return sp.Piecewise(*plain, evaluate=False)


def _check(formula: Formula, found: Expr, arguments: set[Expr]) -> None:
    name = formula.name
    free = found.free_symbols - arguments - {*variables(formula)}
    if free:
        listed = ", ".join(sorted(map(str, free)))
        raise FormulaError(
            f"{name}: free symbol {listed}. Make it a parameter: "
            f"def {name}({_listed(formula)}, {listed.split(',')[0]}: lossmith.Positive = 1.0)."
        )
    if found.has(sp.I) or found.is_real is False or found.has(sp.zoo, sp.nan, sp.oo):
        raise FormulaError(
            f"{name}: the formula is not a real number ({found}). Restrict it with where() to "
            f"the values of {_listed(formula)} on which it is real and finite."
        )
    unknown = {node.func for node in sp.preorder_traversal(found) if not isinstance(node, _KNOWN)}
    if unknown:
        listed = ", ".join(sorted(getattr(f, "__name__", str(f)) for f in unknown))
        offer = ", ".join(sorted(["exp", "log", "sqrt", "abs", "sign", "where", *PRIMITIVES]))
        raise FormulaError(
            f"{name}: unknown function {listed}. Functions known here: {offer}; those that SymPy "
            "has under the same name are taken from lossmith.primitives."
        )
    for moment in found.atoms(gauss_moment):
        if not (moment.args[1].is_Integer and moment.args[1] >= 0):
            raise FormulaError(
                f"{name}: {moment} has no whole number for n. Write 0, 1, 2, … in its place; for "
                "other powers write abs(u)**n * exp(-u**2)."
            )
    for number in found.atoms(sp.Number):
        if abs(number) > 1e308:
            raise FormulaError(
                f"{name}: {sp.N(number, 3)} is beyond the largest float64. Write it as a product "
                "whose result is not, or measure u in another unit."
            )


def _listed(formula: Formula) -> str:
    return ", ".join(v.name for v in formula.variables)


def _check_learns(formula: Formula, found: Expr) -> None:
    """Every variable moves the value, and one of them at least has a slope."""
    for v, of in zip(formula.variables, variables(formula), strict=True):
        if of not in found.free_symbols:
            spare = f"; leave {v.name} out" if formula.several else ", so nothing can be learned"
            raise FormulaError(f"{formula.name}: the formula does not depend on {v.name}{spare}.")
    if not moving(found.replace(hold, lambda x: sp.Integer(1))):
        raise FormulaError(
            f"{formula.name}: {_listed(formula)} stands inside hold() only, so every slope is 0 "
            "and nothing can be learned; hold() a factor, and leave another one free."
        )


def _points(formula: Formula) -> list[Point]:
    """Where a formula is tried: for u sizes of both signs, for several drawn from their domains."""
    if not formula.several:
        upper = () if formula.family == "probability" else _SIZES
        return [(u,) for u in (*(-size for size in _SIZES), *upper)]
    each = [_inside(v.domain) for v in formula.several]
    # Steps of several sizes, so that variables meet in ever new pairs.
    return [
        tuple(x[(k * _STEPS[i] + i) % len(x)] for i, x in enumerate(each)) for k in range(_TRIES)
    ]


def _inside(domain: Interval) -> list[float]:
    width = domain.high - domain.low
    spread = _SIZES if math.isinf(width) else [size / 31 * width for size in _SIZES]
    ends = [end for end in (domain.low, domain.high) if math.isfinite(end)] or [0.0]
    around = [end + sign * size for end in ends for size in spread for sign in (-1, 1)]
    return [x for x in around if x in domain]


def _settings(formula: Formula) -> Iterator[dict[str, float]]:
    """The defaults, then values from all over the domains, and no whole numbers among them."""
    yield {p.name: p.default for p in formula.shape}
    for k in range(3) if formula.shape else ():
        inner = {p.name: p.domain.samples()[k] for p in formula.shape}
        moved = {n: v * (1 - 0.0137) for n, v in inner.items()}
        yield {p.name: moved[p.name] if moved[p.name] in p.domain else inner[p.name]
               for p in formula.shape}  # fmt: skip


def _check_real(formula: Formula, found: Expr) -> None:
    """√u, log u and u^c are real for some u and c only, which no symbol tells: try a few."""
    run = _run(formula, found)
    for setting in _settings(formula):
        for point in _points(formula):
            try:
                run(*map(mp.mpf, (*point, *setting.values())))
            except OverflowError:
                continue  # too large for any number is real
            except (TypeError, ValueError, ZeroDivisionError):
                raise FormulaError(_not_real(formula, found, point, setting)) from None


def _run(formula: Formula, found: Expr) -> Any:
    return function(found, (*(v.name for v in formula.variables), *(p.name for p in formula.shape)))


def _not_real(formula: Formula, found: Expr, point: Point, setting: Mapping[str, float]) -> str:
    given = {v.name: x for v, x in zip(formula.variables, point, strict=True)} | dict(setting)
    at = ", ".join(f"{n} = {v:g}" for n, v in given.items())
    narrow = " or give the parameter a narrower domain" if setting else ""
    narrow = " or give a variable or parameter a narrower domain" if formula.several else narrow
    power = " A power that need not be whole takes abs(…) as its base." * found.has(sp.Pow)
    return (
        f"{formula.name}: the formula is not a real number at {at} ({found}). Restrict it with "
        f"where() to the values of {_listed(formula)} on which it is real and finite{narrow}."
        f"{power}"
    )


def _check_branches(formula: Formula, found: Expr) -> None:
    """A Python `if` on a parameter asks a symbol, whose answer is always the same.

    On numbers the function then is another formula; so it is called on numbers too.
    """
    run = _run(formula, found)
    defaults = {p.name: p.default for p in formula.shape}
    for parameter in formula.shape:
        for value in _numbers(formula, parameter):
            setting = defaults | {parameter.name: value}
            if _differs(formula, run, setting):
                raise FormulaError(
                    f"{formula.name}: at {parameter.name} = {value:g} the function returns another "
                    f"formula than for a symbol {parameter.name}. A Python if, and, or, ==, max() "
                    "or min() on a parameter cannot be followed; use where(), maximum(), "
                    f"minimum(), and Eq({parameter.name}, …) for ==."
                )


def _numbers(formula: Formula, parameter: Parameter) -> list[float]:
    code = getattr(formula.function, "__code__", None)
    written = [
        float(c)
        for c in getattr(code, "co_consts", ())
        if type(c) in (int, float) and 1e-3 < abs(c) < 1e3
    ]
    values = {parameter.default, *_WHOLE, *written}
    return sorted(v for v in values if v in parameter.domain)


def _differs(formula: Formula, run: Any, setting: Mapping[str, float]) -> bool:
    values = [*setting.values()]
    try:
        raw = sp.sympify(formula.of(variables(formula), values))
        if raw.has(sp.zoo, sp.nan, sp.oo, sp.I):
            return False
        there = function(raw, tuple(v.name for v in formula.variables))
    except (ArithmeticError, TypeError, ValueError, AttributeError):
        return False  # not defined for this number: the call will say so
    for point in _between(formula):
        try:
            a, b = run(*map(mp.mpf, (*point, *values))), there(*map(mp.mpf, point))
        except (ArithmeticError, TypeError, ValueError):
            continue
        if math.isfinite(a) and not abs(a - b) <= 1e-6 * (1 + abs(a) + abs(b)):
            return True
    return False


def _between(formula: Formula) -> list[Point]:
    """Points of no special kind."""
    if formula.several:
        return _points(formula)
    signs = (-1,) if formula.family == "probability" else (-1, 1)
    return [(sign * u,) for u in (0.2718, 1.6180, 9.8696) for sign in signs]
