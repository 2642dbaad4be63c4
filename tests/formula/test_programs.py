"""Programs are data: every dialect knows every word, and all of them compute the same."""

import pickle
import random
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
import torch

from lossmith.engine.cpu import source
from lossmith.engine.torch_math import TORCH
from lossmith.errors import FormulaError, UnsupportedError
from lossmith.formula import numpy_math
from lossmith.formula.calculus import U, base, derivative
from lossmith.formula.dialect import FORMS, Dialect
from lossmith.formula.exact import MPMATH, function
from lossmith.formula.ledger import DIVERGENCES, LEDGER
from lossmith.formula.lowering import make
from lossmith.formula.penalty import PENALTIES
from lossmith.formula.primitives import PRIMITIVES, gauss_moment, where
from lossmith.formula.program import HELPERS, Apply, Name, Number, Program
from lossmith.formula.record import Formula

RECORDS = {**LEDGER, **DIVERGENCES, **{f"penalty {n}": r for n, r in PENALTIES.items()}}
DIALECTS = {"torch": TORCH, "NumPy": numpy_math.NUMPY, "mpmath": MPMATH, "Numba": source.dialect()}
ORDERS = (0, 1, 2)


def expressions(record: Formula) -> list[Any]:
    """Value, slope, curvature."""
    found = [base(record)]
    for _ in ORDERS[1:]:
        found.append(derivative(found[-1], "u"))
    return found


def names(record: Formula) -> tuple[str, ...]:
    return tuple(p.name for p in record.shape)


def program(record: Formula, order: int) -> Program:
    return make((expressions(record)[order],), ("u",), names(record))


@pytest.mark.parametrize("name", DIALECTS)
def test_every_word_is_in_every_dialect(name: str) -> None:
    words = {*DIALECTS[name].words, *DIALECTS[name].forms}
    assert {*PRIMITIVES} - words <= {"hold"}
    assert words >= HELPERS


@pytest.mark.parametrize("name", RECORDS)
def test_a_program_is_its_expression(name: str) -> None:
    """At 60 digits, so that what `make` rewrites, shares and orders may cost no digit at all."""
    record, draw = RECORDS[name], random.Random(name)
    for order, expression in enumerate(expressions(record)):
        run = MPMATH.function(program(record, order))
        truth = function(expression, ("u", *names(record)))
        with mp.workdps(60):
            for _ in range(8):
                u = mp.mpf(draw.choice((-1, 1)) * 10 ** draw.uniform(-2, 1.2))
                u = -abs(u) if record.family == "probability" else u
                values = [mp.mpf(draw.choice(p.domain.samples())) for p in record.shape]
                expected = truth(u, *values)
                assert abs(run(u, *values)[0] - expected) < mp.mpf(10) ** -45 * (1 + abs(expected))


@pytest.mark.parametrize("name", RECORDS)
def test_numpy_and_torch_agree(name: str) -> None:
    """To a few roundings, over the whole range and at the ends of it, and on what is not finite."""
    record, draw = RECORDS[name], random.Random(name)
    sizes = [10 ** draw.uniform(-300, 300) for _ in range(40)]
    sizes += [10 ** draw.uniform(-3, 2) for _ in range(200)]
    sizes += [0.0, 1.0, np.inf, np.nan, 5e-324, 1.7e308]
    u = np.array([*sizes, *(-s for s in sizes)])
    u = -abs(u) if record.family == "probability" else u
    for values in (
        [p.default for p in record.shape],
        [p.domain.samples()[1] for p in record.shape],
    ):
        for order in ORDERS:
            lowered = program(record, order)
            (found,) = numpy_math.function(lowered)(u, *values)
            (other,) = TORCH.function(lowered)(torch.from_numpy(u), *values)
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, other.numpy(), rtol=2e-14, atol=1e-300)


def test_a_program_is_data() -> None:
    for record in RECORDS.values():
        lowered = make(tuple(expressions(record)), ("u",), names(record))
        again = pickle.loads(pickle.dumps(lowered))
        assert again == lowered
        assert hash(again) == hash(lowered)
        assert again.operations == lowered.operations
        assert TORCH.render(again) == TORCH.render(lowered)


def test_what_stands_in_a_program() -> None:
    c = sp.Symbol("c", positive=True)
    lowered = make((where(U < 1, c / 3, U**2),), ("u",), ("c",))
    assert lowered.arguments == ("u", "p_c")
    (output,) = lowered.outputs
    third = Apply("*", (Number(1 / 3, "1/3"), Name("p_c")))
    condition = Apply("<", (Name("u"), Number(1.0)))
    choice = Apply("where", (condition, third, Apply("square", (Name("u"),))))
    assert output == Apply("keep_nan", (Name("u"), choice))
    assert lowered.operations == {"keep_nan", "where", "square", "*", "<"}
    assert lowered.arithmetic
    assert not make((sp.exp(U),), ("u",)).arithmetic


def test_another_language_is_a_table() -> None:
    """A few forms, and the words that it brings; what it lacks is refused with its name."""
    lines = Dialect(
        "Basic",
        {"exp"},
        FORMS
        | {
            "where": lambda say, c, a, b: f"({say(c)} ? {say(a)} : {say(b)})",
            "keep_nan": lambda say, u, x: say(x),
        },
        lambda number: f"{number.value:g}",
        "let {name} = ({arguments}) =>",
        "  const {name} = {value};",
        lambda values: f"  return [{', '.join(values)}];",
    )
    lowered = make((where(U < 1, sp.exp(U), 2 * sp.exp(U)),), ("u",))
    assert lines.render(lowered, "psi").splitlines() == [
        "let psi = (u) =>",
        "  const t0 = exp(u);",
        "  return [((u < 1) ? t0 : (t0 * 2))];",
    ]
    with pytest.raises(UnsupportedError, match="Basic has no log_cosh"):
        lines.render(program(LEDGER["log_cosh"], 0))


def test_a_constant_keeps_every_digit_that_a_dialect_can_hold() -> None:
    expression = U * sp.Rational(1, 3) + sp.pi * U**2 + gauss_moment(U, 7)
    run = MPMATH.function(make((expression,), ("u",)))
    with mp.workdps(60):
        u = mp.mpf("0.7")
        expected = u / 3 + mp.pi * u**2 + u**7 * mp.exp(-u * u)
        assert abs(run(u)[0] - expected) < mp.mpf(10) ** -57
    (exact,) = numpy_math.function(make((expression,), ("u",)))(np.array([0.7]))
    assert exact[0] == pytest.approx(float(expected), rel=1e-15)


def test_numpy_keeps_single_precision() -> None:
    single = np.linspace(-3, -1, 7, dtype=np.float32)
    for record in RECORDS.values():
        for order in ORDERS:
            values = [p.default for p in record.shape]
            (found,) = numpy_math.function(program(record, order))(single, *values)
            assert found.dtype == np.float32


def test_what_has_no_place_in_a_program_is_named() -> None:
    with pytest.raises(FormulaError, match="gamma"):
        make((sp.gamma(U),), ("u",))
