"""What people read: it means the same as what is computed, and it is set as a paper would."""

import random

import mpmath as mp
import pytest
import sympy as sp
from matplotlib.mathtext import MathTextParser

from lossmith.formula import latex, primitives, words
from lossmith.formula.calculus import U, base, derivative, symbols
from lossmith.formula.exact import function
from lossmith.formula.ledger import LEDGER
from lossmith.formula.printers import line, tex
from lossmith.formula.reading import MEANING, log_cosh, readable, sigma
from lossmith.formula.record import Formula, residual

ORDERS = (0, 1, 2)
MEANT = {"sigma": lambda x: 1 / (1 + mp.exp(-x)), "log_cosh": lambda x: mp.log(mp.cosh(x))}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", LEDGER)
def test_what_is_read_is_what_is_computed(name: str, order: int) -> None:
    record = LEDGER[name]
    shown = readable(record, order)
    given = symbols(record)
    run = sp.lambdify([U, *given.values()], shown, modules=[MEANT, "mpmath"])
    expression = base(record)
    for _ in range(order):
        expression = derivative(expression, "u")
    exact = function(expression, ("u", *(p.name for p in record.shape)))
    draw = random.Random(name)
    with mp.workdps(60):
        for _ in range(12):
            values = {p.name: mp.mpf(p.default) * draw.uniform(0.9, 1.1) for p in record.parameters}
            u = mp.mpf(draw.uniform(-6, 6))
            u = -abs(u) if record.family == "probability" else u
            scale = values[record.scale.name] if record.scale else mp.mpf(1)
            power = record.scale.power - order if record.scale else 0
            shape = [values[p.name] for p in record.shape]
            truth = scale**power * exact(u / scale, *shape)
            assert abs(run(u, *values.values()) - truth) < mp.mpf(10) ** -25 * (1 + abs(truth))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", LEDGER)
def test_the_text_is_plain(name: str, order: int) -> None:
    text = latex.text(LEDGER[name], order)
    for wrong in ("**", "*", "Piecewise", "Eq(", "sqrt", "Abs", "(-1)", ".0", "--", "+ -", "1/2·"):
        assert wrong not in text
    assert "\n" not in text
    assert text.count("(") == text.count(")")
    for primitive in primitives.PRIMITIVES:
        if primitive not in ("tanh", "log_cosh"):
            assert primitive not in text


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", LEDGER)
def test_the_latex_is_well_formed(name: str, order: int) -> None:
    text = latex.latex(LEDGER[name], order)
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") == text.count(r"\right")
    assert text.count(r"\begin{cases}") == text.count(r"\end{cases}") <= 1
    parser: MathTextParser[object] = MathTextParser("path")
    inside = text.removeprefix(r"\begin{cases} ").removesuffix(r" \end{cases}")
    for part in inside.split(r"\\"):
        for piece in part.split(r"& \text{for}\:"):
            piece = piece.replace(r"& \text{otherwise}", "").strip()
            parser.parse(f"${piece}$")  # raises on what is no mathematics


EXPECTED = {
    ("huber", 0): "u²/2 where |u| ≤ delta; delta·|u| - delta²/2 otherwise",
    ("tukey_biweight", 1): "u·(1 - u²/c²)² where |u| ≤ c; 0 otherwise",
    ("pseudo_huber", 2): "1/(1 + u²/delta²)^(3/2)",
    ("cauchy", 1): "u/(1 + u²/c²)",
    ("ramp", 0): "1 - s where u < s; 1 - u where u < 1; 0 otherwise",
    ("epsilon_insensitive", 0): "0 where |u| ≤ epsilon; |u| - epsilon otherwise",
    ("binary_focal", 0): "σ(-u)^gamma·log(1 + e^(-u))",
    ("generalized_cross_entropy", 0): "(1 - e^(q·u))/q",
    ("focal", 0): "-u·(1 - e^u)^gamma",
    ("savage", 0): "σ(-2·u)²",
}


@pytest.mark.parametrize(("name", "order"), EXPECTED)
def test_a_few_as_they_should_read(name: str, order: int) -> None:
    assert latex.text(LEDGER[name], order) == EXPECTED[name, order]


def test_cases_powers_and_fractions_in_latex() -> None:
    ramp = latex.latex(LEDGER["ramp"])
    assert ramp.startswith(r"\begin{cases} 1 - s & \text{for}\: u < s")
    assert latex.latex(LEDGER["savage"]) == r"\sigma^{2}\left(- 2 u\right)"
    assert latex.latex(LEDGER["smooth_l1"]).count(r"\frac{u^{2}}{2 \beta}") == 1


def test_the_limit_of_barron_is_named() -> None:
    assert latex.text(LEDGER["barron"]).endswith("(its limit where alpha = 0)")


def own(function: object) -> Formula:
    record = residual(function)
    assert isinstance(record, Formula)
    return record


def test_decimals_are_read_as_fractions() -> None:
    def half(u: sp.Expr) -> sp.Expr:
        return 0.5 * u**2 + 0.1 * u

    assert latex.text(own(half)) in ("u²/2 + u/10", "u·(u/2 + 1/10)", "u·(5·u + 1)/10")


def test_two_conditions_at_once() -> None:
    def band(u: sp.Expr) -> sp.Expr:
        return words.where((u > 1) & (u < 2), u, 0)

    assert latex.text(own(band)) == "u where u < 2 and u > 1; 0 otherwise"


def test_every_primitive_can_be_read() -> None:
    for name in primitives.PRIMITIVES:
        assert name in MEANING


def test_powers_of_a_primitive_are_in_brackets() -> None:
    x = sp.Symbol("x", positive=True)
    assert line(sp.exp(x) ** sp.Symbol("k")) in ("(e^x)^k", "e^(k·x)")
    assert line(sp.log(x) ** 2) == "log(x)²"
    assert line((1 + x**2) ** sp.Rational(-3, 2)) == "1/(x² + 1)^(3/2)"
    assert line(sigma(x) ** -2) == "1/σ(x)²"
    assert tex(log_cosh(x) ** 2) == r"\left(\log\cosh\left(x\right)\right)^{2}"
