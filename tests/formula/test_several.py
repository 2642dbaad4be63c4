"""Records of several variables: gradient and Hessian against mpmath, in every dialect."""

import copy
import itertools
import pickle
from functools import cache
from typing import Annotated, Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.mathtext import MathTextParser
from numba import njit

import lossmith
from lossmith import NonNegative, Positive, Real
from lossmith.engine.cpu import source
from lossmith.engine.pointwise import pointwise, register
from lossmith.errors import FormulaError, InputError, ParameterError, UnsupportedError
from lossmith.formula import ledger, numpy_math, properties, several
from lossmith.formula import record as records
from lossmith.formula import words as w
from lossmith.formula.calculus import base, derivative, partial
from lossmith.formula.domain import Interval
from lossmith.formula.exact import function
from lossmith.formula.latex import latex, text
from lossmith.formula.lowering import make
from lossmith.formula.primitives import hold
from lossmith.formula.record import Formula
from lossmith.formula.written import written

DIGITS = 60
DRAWN = settings(deadline=None, derandomize=True, max_examples=25)


@records.several
def dice(tp: NonNegative, fp: NonNegative, fn: NonNegative, smooth: Positive = 1.0) -> Any:
    return (fp + fn) / (2 * tp + fp + fn + smooth)


@records.several
def gaussian(mean: Real, log_scale: Real, target: Real, beta: NonNegative = 0.5) -> Any:
    """Seitzer et al. 2022: the weight σ^(2β) has no gradient."""
    z = (target - mean) * w.exp(-log_scale)
    return w.hold(w.exp(2 * beta * log_scale)) * (log_scale + z**2 / 2)


@records.several
def between(score: Real, low: Real, gap: Positive) -> Any:
    """An ordinal class between two cut points, right in both tails."""
    b, a = low + gap - score, low - score
    return w.softplus(-b) + w.softplus(a) - w.log(w.complement(-gap))


@records.several
def overlap(
    x: Real, y: Real, width: Positive, height: Positive,
    x2: Real, y2: Real, width2: Positive, height2: Positive,
) -> Any:  # fmt: skip
    """1 - intersection / union of two boxes: eight variables, and a kink wherever edges meet."""

    def shared(c: Any, size: Any, c2: Any, size2: Any) -> Any:
        high = w.minimum(c + size / 2, c2 + size2 / 2)
        return w.maximum(high - w.maximum(c - size / 2, c2 - size2 / 2), 0)

    both = shared(x, width, x2, width2) * shared(y, height, y2, height2)
    return 1 - both / (width * height + width2 * height2 - both)


@records.several
def weighted(t0: Real, exp: Real, power: Positive = 1.5) -> Any:
    """Names that a program uses itself, and a weight made of the variables."""
    return w.hold(abs(t0 - exp)) ** power * w.log_cosh(t0 - 2 * exp)


RECORDS = {r.name: r for r in (dice, gaussian, between, overlap, weighted)}
SMALL = [name for name in RECORDS if name != "overlap"]  # SymPy takes seconds over its Hessian
NAMES = {name: [v.name for v in r.variables] for name, r in RECORDS.items()}


def numbers(domain: Interval) -> st.SearchStrategy[float]:
    """From all over a domain, and no ties: at a kink a difference quotient means nothing."""
    size = st.floats(0.0625, 4.0).map(lambda x: x * 1.0137)
    return size if domain.low >= 0 else st.tuples(size, st.sampled_from((-1.0, 1.0))).map(np.prod)


@st.composite
def points(draw: st.DrawFn, name: str) -> tuple[list[float], list[float]]:
    record = RECORDS[name]
    at = [float(draw(numbers(v.domain))) for v in record.variables]
    return at, [float(draw(numbers(p.domain))) for p in record.shape]


def exactly(expression: Any, name: str, at: list[float], shape: list[float]) -> Any:
    names = (*NAMES[name], *(p.name for p in RECORDS[name].shape))
    return function(expression, names)(*map(mp.mpf, (*at, *shape)))


def frozen(name: str, at: list[float], shape: list[float]) -> Any:
    """ψ with what it holds as a number, of which difference quotients tell the slope."""
    inner = {h: h.args[0] for h in base(RECORDS[name]).atoms(hold)}
    held = {h: sp.Float(str(exactly(x, name, at, shape)), DIGITS) for h, x in inner.items()}
    return base(RECORDS[name]).xreplace(held)


def difference(name: str, at: list[float], shape: list[float], places: tuple[int, ...]) -> Any:
    """A central difference of ψ by the variables at these places, from its values alone."""
    expression, h = frozen(name, at, shape), mp.mpf(10) ** -15
    total = mp.mpf(0)
    for signs in itertools.product((-1, 1), repeat=len(places)):
        moved = [mp.mpf(x) for x in at]
        for place, sign in zip(places, signs, strict=True):
            moved[place] += sign * h
        total += int(np.prod(signs)) * exactly(expression, name, moved, shape)
    return total / (2 * h) ** len(places)


@pytest.mark.parametrize("name", SMALL)
@DRAWN
@given(data=st.data())
def test_gradient_and_hessian_are_the_derivatives(name: str, data: st.DataObject) -> None:
    at, shape = data.draw(points(name))
    record, count = RECORDS[name], len(at)
    gradient, hessian = several.gradient(record), several.hessian(record)
    with mp.workdps(DIGITS):
        for i in range(count):
            found = exactly(gradient[i], name, at, shape)
            assert abs(found - difference(name, at, shape, (i,))) < 1e-20 * (1 + abs(found))
        i, j = data.draw(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)))
        found = exactly(hessian[i][j], name, at, shape)
        assert abs(found - difference(name, at, shape, (i, j))) < 1e-20 * (1 + abs(found))


@pytest.mark.parametrize("name", SMALL)
def test_the_hessian_is_symmetric(name: str) -> None:
    """By construction one expression; and differentiated in the other order it is the same."""
    record, names = RECORDS[name], NAMES[name]
    hessian = several.hessian(record)
    draw = np.random.default_rng(3)
    for i, j in itertools.combinations(range(len(names)), 2):
        assert hessian[i][j] is hessian[j][i]
        other = derivative(derivative(base(record), names[j]), names[i])
        at = [float(draw.uniform(0.3, 3)) for _ in names]
        shape = [p.default for p in record.shape]
        with mp.workdps(DIGITS):
            one, two = (exactly(e, name, at, shape) for e in (hessian[i][j], other))
            assert abs(one - two) < 1e-40 * (1 + abs(one))


@pytest.mark.parametrize("name", SMALL)
@DRAWN
@given(data=st.data())
def test_numbers_over_numpy_and_torch(name: str, data: st.DataObject) -> None:
    rows = [data.draw(points(name)) for _ in range(3)]
    shape = rows[0][1]
    record, columns = RECORDS[name], np.array([at for at, _ in rows]).T
    given_ = dict(zip((p.name for p in record.shape), shape, strict=True))
    value, gradient, hessian = several.derivatives(record, *columns, **given_)
    assert (gradient.shape, hessian.shape) == (columns.shape, (len(columns), *columns.shape))
    with mp.workdps(DIGITS):
        for k, (at, _) in enumerate(rows):
            truth = np.array([float(exactly(e, name, at, shape)) for e in several.gradient(record)])
            bends = np.array(
                [[float(exactly(e, name, at, shape)) for e in r] for r in several.hessian(record)]
            )
            assert value[k] == pytest.approx(
                float(exactly(base(record), name, at, shape)), rel=1e-13
            )
            near = 1e-12 * (1 + abs(truth).max() + abs(bends).max())
            assert abs(gradient[:, k] - truth).max() < near
            assert abs(hessian[:, :, k] - bends).max() < near
    one, slopes, curvatures = by_torch(name, columns, shape)
    np.testing.assert_allclose(one, value, rtol=1e-13)
    np.testing.assert_allclose(slopes, gradient, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(curvatures, hessian, rtol=1e-11, atol=1e-11)
    assert (curvatures == curvatures.transpose(1, 0, 2)).all()


def by_torch(name: str, columns: Any, shape: list[float]) -> tuple[Any, Any, Any]:
    """Value, gradient and Hessian of the operation, by autograd twice."""
    record, names = RECORDS[name], NAMES[name]
    key = register(
        ledger.key(record), base(record), (*names, *(p.name for p in record.shape)), len(names)
    )
    x = [torch.tensor(c, requires_grad=True) for c in columns]
    value = pointwise(key).apply(*x, *shape)
    slopes = torch.autograd.grad(value.sum(), x, create_graph=True)
    rows = [
        torch.autograd.grad(s.sum(), x, retain_graph=True, materialize_grads=True) for s in slopes
    ]
    hessian = np.array([[b.numpy() for b in row] for row in rows])
    return value.detach().numpy(), np.array([s.detach().numpy() for s in slopes]), hessian


@cache
def kernel(name: str) -> Any:
    """Value and gradient as the CPU engine would compile them."""
    record = RECORDS[name]
    program = make(
        (base(record), *several.gradient(record)),
        tuple(NAMES[name]),
        tuple(p.name for p in record.shape),
    )
    text_ = source.library("float64", halves=False, stream=False)
    scope: dict[str, Any] = {"__name__": "kernel"}
    exec(text_ + "\n\n@_rule\n" + source.dialect().render(program), scope)
    arguments = ", ".join(f"a[{i}, k]" for i in range(len(program.arguments)))
    loop = f"def run(a, out):\n for k in range(a.shape[1]):\n  out[k] = program({arguments})\n"
    exec(loop, scope)
    return njit(error_model="numpy")(scope["run"])


@pytest.mark.parametrize("name", ["gaussian", "overlap"])
def test_numbers_in_a_kernel(name: str) -> None:
    record, draw = RECORDS[name], np.random.default_rng(5)
    columns = draw.uniform(0.2, 3, (len(NAMES[name]), 50))
    shape = [p.default for p in record.shape]
    entries = [base(record), *several.gradient(record)]
    expected = [
        numpy_math.function(several.program(record, e))(*columns, *shape)[0] for e in entries
    ]
    out = np.empty((50, 1 + len(columns)))
    kernel(name)(np.vstack([columns, *(np.full((1, 50), p) for p in shape)]), out)
    np.testing.assert_allclose(out.T, np.vstack(expected), rtol=1e-12, atol=1e-13)


@DRAWN
@given(at=points("overlap"))
def test_eight_variables_and_kinks(at: tuple[list[float], list[float]]) -> None:
    """Of boxes whose edges never align; apart they pull nothing, as is known of this loss."""
    distinct = [x * (1 + 0.0171 * i) for i, x in enumerate(at[0])]
    slopes, bend = several.gradient(overlap), partial(overlap, "x2", "width")
    with mp.workdps(DIGITS):
        for place in (0, 2, 5, 7):
            found = exactly(slopes[place], "overlap", distinct, [])
            truth = difference("overlap", distinct, [], (place,))
            assert abs(found - truth) < 1e-20 * (1 + abs(found))
        found = exactly(bend, "overlap", distinct, [])
        assert abs(found - difference("overlap", distinct, [], (2, 4))) < 1e-20 * (1 + abs(found))


def test_nan_in_any_variable_reaches_the_value() -> None:
    for name in SMALL:
        record = RECORDS[name]
        for place in range(len(NAMES[name])):
            at: list[Any] = [1.0 + 0.1 * i for i in range(len(NAMES[name]))]
            at[place] = np.array([np.nan, at[place]])
            value, gradient, hessian = several.derivatives(record, *at)
            assert np.isnan(value[0])
            assert np.isnan(gradient[:, 0]).all()
            assert np.isnan(hessian[..., 0]).all()
            assert np.isfinite([value[1], *gradient[:, 1]]).all()


@pytest.mark.parametrize("name", RECORDS)
def test_what_is_read(name: str) -> None:
    record = RECORDS[name]
    parser: MathTextParser[object] = MathTextParser("path")
    for order in (0, (NAMES[name][0],)):
        printed = latex(record, order)
        assert printed.count(r"\left") == printed.count(r"\right")
        if "cases" not in printed:
            parser.parse(f"${printed}$")


def test_a_few_as_they_should_read() -> None:
    assert text(dice) == "(fn + fp)/(smooth + fn + fp + 2·tp)"
    assert text(dice, ("tp",)) == "-2·(fn + fp)/(smooth + fn + fp + 2·tp)²"
    assert "hold(e^(2·beta·log_scale))" in text(gaussian)
    assert r"\operatorname{hold}" in latex(gaussian)
    assert written(dice).startswith("ψ(tp, fp, fn) = ")


def test_a_record_travels() -> None:
    for record in RECORDS.values():
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert pickle.loads(pickle.dumps(record, protocol)) is record
        assert copy.deepcopy([record])[0] is record

    @records.several
    def hidden(x: Real, y: Real) -> Any:
        return x * y

    with pytest.raises(UnsupportedError, match="at the top of a module"):
        pickle.dumps(hidden)


def test_what_a_record_is_is_in_its_key() -> None:
    def made(function: Any) -> str:
        return ledger.key(records.several(function))

    def one(x: Real, y: Real) -> Any:
        return (x - y) ** 2

    def same(x: Real, y: Real) -> Any:
        return (x - y) ** 2

    def domain(x: Real, y: Positive) -> Any:
        return (x - y) ** 2

    def formula(x: Real, y: Real) -> Any:
        return (x - y) ** 4

    for other in (same, domain, formula):
        other.__name__ = "one"
    assert made(one) == made(same)
    assert len({made(one), made(domain), made(formula)}) == 3


def refused(function: Any, says: str) -> None:
    with pytest.raises(FormulaError, match=says):
        base(records.several(function))


def test_what_cannot_be_served_is_refused_in_words() -> None:
    def no_domain(x, y: Real):  # type: ignore[no-untyped-def]
        return x * y

    def unused(x: Real, y: Real) -> Any:
        return x**2

    def not_real(x: Real, y: Positive) -> Any:
        return w.sqrt(x) * y

    def held(x: Real, y: Real) -> Any:
        return w.hold(x**2 + y)

    def on_u(u: Real, y: Real) -> Any:
        return u * y

    def branches(x: Real, y: Real, k: Positive = 1.0) -> Any:
        return (x - y) ** 2 if k != 2 else abs(x - y)

    def free(x: Real, y: Real) -> Any:
        return x * y + sp.Symbol("z")

    def nine(
        a: Real, b: Real, c: Real, d: Real, e: Real, f: Real, g: Real, h: Real, i: Real
    ) -> Any:
        return a + b + c + d + e + f + g + h + i

    refused(no_domain, "parameter 'x' has no domain")
    refused(unused, "does not depend on y; leave y out")
    refused(not_real, r"not a real number at x = -.*, y = .*narrower domain")
    refused(held, r"x, y stands inside hold\(\) only")
    refused(on_u, "give each the name of what it is")
    refused(branches, "at k = 2 the function returns another formula")
    refused(free, r"def free\(x, y, z: lossmith.Positive")
    refused(nine, "9 variables; a formula has 1 to 8")
    with pytest.raises(FormulaError, match="a scale is the unit of one variable"):
        records.several(scale=records.Scale("c", 1.0, 2))(unused)


def test_numbers_are_checked() -> None:
    with pytest.raises(InputError, match="a function of tp, fp, fn, got 2 of them"):
        several.derivatives(dice, 1.0, 2.0)
    with pytest.raises(ParameterError, match="smooth = -1"):
        several.derivatives(dice, 1.0, 2.0, 3.0, smooth=-1.0)
    with pytest.raises(InputError, match="use curve"):
        several.derivatives(ledger.LEDGER["huber"], 1.0)
    with pytest.raises(UnsupportedError, match="of tp, fp, fn"):
        properties.of(dice)
    with pytest.raises(UnsupportedError, match=r"no link takes .* \(tp, fp, fn\) yet"):
        lossmith.curve(dice, 1.0)


def test_variables_have_domains_and_words() -> None:
    @records.several
    def named(rate: Annotated[Positive, "events an hour"], y: NonNegative) -> Any:
        return rate - y * w.log(rate)

    rate, y = named.variables
    assert (rate.name, rate.why, rate.domain) == ("rate", "events an hour", Interval(low=0.0))
    assert y.domain == Interval(low=0.0, low_closed=True)
    (u,) = ledger.LEDGER["cross_entropy"].variables
    assert (u.name, u.domain.high) == ("u", 0.0)


def test_one_variable_is_a_special_case() -> None:
    u = np.linspace(-3, 3, 13)
    value, gradient, hessian = several.derivatives(ledger.LEDGER["log_cosh"], u)
    np.testing.assert_allclose(value, np.log(np.cosh(u)), atol=1e-15)
    np.testing.assert_allclose(gradient[0], np.tanh(u), rtol=1e-14)
    np.testing.assert_allclose(hessian[0, 0], 1 - np.tanh(u) ** 2, rtol=1e-12)


def test_partial_asks_for_no_order() -> None:
    assert partial(gaussian, "target", "mean") is partial(gaussian, "mean", "target")
    assert isinstance(gaussian, Formula)
