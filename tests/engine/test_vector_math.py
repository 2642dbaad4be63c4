"""The CPU engine's math primitives against mpmath, their bad values, and that they vectorise."""

import importlib.util
import re
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from numba import njit

BAD = (np.nan, np.inf, -np.inf, 0.0)
nan, inf = np.nan, np.inf


@pytest.fixture(params=[32, 64], ids=["float32", "float64"])
def vector(request):
    return importlib.import_module(f"lossmith.engine.cpu.vector{request.param}")


def loop(vector, expression):
    """As the generated kernels do it: the expression in a plain loop, compiled by Numba."""
    names = {**vars(vector), "njit": njit}
    text = f"def run(x, y, a):\n for i in range(len(x)):\n  u = x[i]\n  y[i] = {expression}\n"
    exec(text, names)
    return njit(error_model="numpy", fastmath={"contract"})(names["run"])


def evaluate(vector, expression, x, a=0.0):
    x = np.asarray(x, dtype=vector.K)
    y = np.empty_like(x)
    loop(vector, expression)(x, y, vector.K(a))
    return y


def softplus(u):
    return u + mp.log1p(mp.exp(-u)) if u > 0 else mp.log1p(mp.exp(u))


def log_cosh(u):
    return softplus(2 * abs(u)) - abs(u) - mp.log(2)


def box_cox(u, a):
    log = mp.log1p(u * u)
    return mp.expm1(a * log) / (2 * a) if a else log / 2


def box_cox_slope(u, a):
    log = mp.log1p(u * u)
    t = a * log
    if abs(t) < 1e-8:
        return log**2 * (mp.mpf(1) / 2 + t / 3 + t**2 / 8) / 2
    return log**2 * ((t - 1) * mp.exp(t) + 1) / (2 * t**2)


# expression: (truth, domain, u times its slope where that is what one rounding of u costs)
FUNCTIONS = {
    "exp(u)": (mp.exp, "real", lambda u: u * mp.exp(u)),
    "expm1(u)": (mp.expm1, "real", lambda u: u * mp.exp(u)),
    "log(u)": (mp.log, "positive", lambda u: 1),
    "log1p(u)": (mp.log1p, "above -1", lambda u: u / (1 + u)),
    "sqrt(u)": (mp.sqrt, "positive", None),
    "sigmoid(u)": (lambda u: 1 / (1 + mp.exp(-u)), "real", lambda u: u * mp.exp(min(u, -u))),
    "logistic_density(u)": (
        lambda u: mp.exp(-abs(u)) / (1 + mp.exp(-abs(u))) ** 2,
        "real",
        lambda u: u * mp.exp(-abs(u)),
    ),
    "softplus(u)": (softplus, "real", lambda u: u / (1 + mp.exp(-u))),
    "tanh(u)": (mp.tanh, "real", None),
    "log_cosh(u)": (log_cosh, "real", None),
    "softsign(u)": (lambda u: u / (1 + abs(u)), "real", None),
    "abs_minus_log1p(u)": (lambda u: abs(u) - mp.log1p(abs(u)), "real", None),
    "hypot1m1(u)": (lambda u: mp.sqrt(1 + u * u) - 1, "real", None),
    "rhypot(u)": (lambda u: 1 / mp.sqrt(1 + u * u), "real", None),
    "unit(u)": (lambda u: u / mp.sqrt(1 + u * u), "real", None),
    "log1p_square(u)": (lambda u: mp.log1p(u * u), "real", None),
    "gauss_rise(u)": (lambda u: -mp.expm1(-u * u), "real", None),
    "gauss_moment(u, 0)": (lambda u: mp.exp(-u * u), "real", lambda u: u**2 * mp.exp(-u * u)),
    "gauss_moment(u, 1)": (lambda u: u * mp.exp(-u * u), "real", lambda u: u**3 * mp.exp(-u * u)),
    "gauss_moment(u, 4)": (
        lambda u: u**4 * mp.exp(-u * u),
        "real",
        lambda u: u**6 * mp.exp(-u * u),
    ),
    "complement(u)": (lambda u: -mp.expm1(u), "negative", None),
    "bernoulli(u)": (lambda u: u / mp.expm1(u), "real", lambda u: u * u * mp.exp(min(u, -u))),
    "ipow(u, 2)": (lambda u: u**2, "real", None),
    "ipow(u, 7)": (lambda u: u**7, "real", None),
    "square(u)": (lambda u: u**2, "real", None),
}
WITH_PARAMETER = {
    "power(u, a)": (lambda u, a: u**a, "positive", (0, 1e-30, 0.3, 2, -1.5, 17.3, -40, 80, 1e4)),
    "half_boxcox1p(u, a)": (box_cox, "real", (0, 1e-12, -1e-4, 0.25, 0.5, 1, -2, 5, 40)),
    "half_boxcox1p_da(u, a)": (box_cox_slope, "real", (0, 1e-12, -1e-4, 0.25, 0.5, 1, -2, 5, 40)),
}


def arguments(vector, domain):
    """The whole range of the type, a plain stretch, and numbers just off 1."""
    draw, info = np.random.default_rng(7), np.finfo(vector.K)
    far, near = np.log10(info.max) - 0.1, np.log10(info.eps)
    x = np.concatenate(
        [
            10 ** draw.uniform(-far, far, 120),
            10 ** draw.uniform(-4, 2.8, 120),
            draw.uniform(0, 5, 120),
            1 + 10 ** draw.uniform(near, -0.3, 60) * draw.choice([-1, 1], 60),
            [1e-30, 1.0, 2.0, 1e30 if vector.K is np.float32 else 1e300],
        ]
    )
    if domain == "real":
        x = x * draw.choice([-1, 1], len(x))
    elif domain == "negative":
        x = -x
    elif domain == "positive":
        x = np.concatenate([x, info.smallest_subnormal * draw.integers(1, 1000, 20)])
    elif domain == "above -1":
        x = np.concatenate([x, -x[x < 1], -draw.uniform(0, 1, 100)])
    return x.astype(vector.K)


def worst(vector, x, y, truth, slope=None):
    """The largest |error| / (|f| + |x f'|); an error below the smallest normal number is none."""
    info, largest = np.finfo(vector.K), (0, None)
    for at, found in zip(x.tolist(), y.tolist(), strict=True):
        with mp.workdps(40 + 2 * abs(mp.floor(mp.log10(abs(at)))) if abs(at) < 1 else 40):
            u = mp.mpf(at)
            true = mp.mpf(truth(u))
            if abs(true) > 0.999999 * float(info.max):
                assert abs(found) > 0.99 * info.max, (at, found)
                continue
            assert np.isfinite(found), (at, found, mp.nstr(true))
            error = abs(mp.mpf(found) - true)
            if error <= float(info.tiny):
                continue
            scale = abs(true) + (abs(slope(u)) if slope else 0)
            largest = max(largest, (float(error / scale), at))
    return largest


@pytest.mark.parametrize("expression", FUNCTIONS)
def test_accuracy(vector, expression):
    truth, domain, slope = FUNCTIONS[expression]
    x = arguments(vector, domain)
    error, at = worst(vector, x, evaluate(vector, expression, x), truth, slope)
    assert error <= (4e-7 if vector.K is np.float32 else 5e-15), at


@pytest.mark.parametrize("expression", WITH_PARAMETER)
def test_accuracy_with_parameter(vector, expression):
    truth, domain, parameters = WITH_PARAMETER[expression]
    x = arguments(vector, domain)
    run = loop(vector, expression)
    for a in parameters:
        y, a = np.empty_like(x), vector.K(a)
        run(x, y, a)
        error, at = worst(vector, x, y, lambda u, a=a: truth(u, mp.mpf(float(a))))
        assert error <= (6e-7 if vector.K is np.float32 else 5e-15), (at, a)


LIMITS = {  # at NaN, infinity, -infinity, 0
    "absolute(u)": (nan, inf, inf, 0),
    "sign(u)": (nan, 1, -1, 0),
    "where(u < K(0), K(1), u)": (nan, inf, 1, 0),
    "exp(u)": (nan, inf, 0, 1),
    "expm1(u)": (nan, inf, -1, 0),
    "log(u)": (nan, inf, nan, -inf),
    "log1p(u)": (nan, inf, nan, 0),
    "sigmoid(u)": (nan, 1, 0, 0.5),
    "logistic_density(u)": (nan, 0, 0, 0.25),
    "softplus(u)": (nan, inf, 0, np.log(2)),
    "tanh(u)": (nan, 1, -1, 0),
    "log_cosh(u)": (nan, inf, inf, 0),
    "softsign(u)": (nan, 1, -1, 0),
    "abs_minus_log1p(u)": (nan, inf, inf, 0),
    "hypot1m1(u)": (nan, inf, inf, 0),
    "rhypot(u)": (nan, 0, 0, 1),
    "unit(u)": (nan, 1, -1, 0),
    "log1p_square(u)": (nan, inf, inf, 0),
    "gauss_rise(u)": (nan, 1, 1, 0),
    "gauss_moment(u, 0)": (nan, 0, 0, 1),
    "gauss_moment(u, 3)": (nan, 0, 0, 0),
    "complement(-absolute(u))": (nan, 1, 1, 0),
    "bernoulli(u)": (nan, 0, inf, 1),
    "ipow(u, 3)": (nan, inf, -inf, 0),
    "power(u, K(0))": (nan, 1, nan, 1),
    "power(u, K(2))": (nan, inf, nan, 0),
    "power(u, K(-2))": (nan, 0, nan, inf),
    "half_boxcox1p(u, K(0))": (nan, inf, inf, 0),
    "half_boxcox1p(u, K(-2))": (nan, 0.25, 0.25, 0),
    "half_boxcox1p(u, K(1))": (nan, inf, inf, 0),
    "half_boxcox1p_da(u, K(0))": (nan, inf, inf, 0),
    "half_boxcox1p_da(u, K(-2))": (nan, 0.125, 0.125, 0),
    "half_boxcox1p_da(u, K(1))": (nan, inf, inf, 0),
}


@pytest.mark.parametrize("expression", LIMITS)
def test_limits(vector, expression):
    # twenty times over, so that the vector loop meets them and not only what follows it
    y = evaluate(vector, expression, BAD * 20).reshape(20, 4)
    np.testing.assert_allclose(y, np.tile(LIMITS[expression], (20, 1)), rtol=4e-7)


def test_outside_the_domain(vector):
    assert np.isnan(evaluate(vector, "log(u)", [-1, -1e-30])).all()
    assert np.isnan(evaluate(vector, "power(u, a)", [-1, -1e-30], 2.0)).all()
    np.testing.assert_equal(evaluate(vector, "log1p(u)", [-1, -1.5]), [-inf, nan])
    assert np.isnan(evaluate(vector, "power(u, a)", [0.5, 2.0], nan)).all()


def test_gradual_underflow(vector):
    low = np.log(float(np.finfo(vector.K).tiny)) - 5
    y = evaluate(vector, "exp(u)", [low])
    assert 0 < y[0] < np.finfo(vector.K).tiny


@pytest.mark.parametrize("expression", [*FUNCTIONS, *WITH_PARAMETER])
def test_vectorises(vector, expression):
    run = loop(vector, expression)
    run(np.ones(4, vector.K), np.ones(4, vector.K), vector.K(1))
    (text,) = run.inspect_llvm().values()
    lanes = "float" if vector.K is np.float32 else "double"
    assert re.search(rf"<\d+ x {lanes}>", text), "the loop stayed scalar"
    (machine,) = run.inspect_asm().values()
    assert not re.search(r"\bcall\w*\s+\*?\w*(exp|log|pow|tanh|sqrt|floor|fma)", machine)


def test_same_names():
    names = [
        {name for name in vars(importlib.import_module(f"lossmith.engine.cpu.vector{width}"))}
        for width in (32, 64)
    ]
    assert {n for n in names[0] if not n.startswith("_")} == {
        n for n in names[1] if not n.startswith("_")
    }


@pytest.mark.parametrize("name", ["vector32", "vector64"])
def test_coefficients_are_the_fitted_ones(name):
    path = Path(__file__).parents[2] / "tools/fit_polynomials.py"
    tool = importlib.util.spec_from_file_location("fit_polynomials", path)
    module = importlib.util.module_from_spec(tool)
    tool.loader.exec_module(module)
    width = int(name[-2:])
    for table in module.TABLES[width]:
        fitted, _ = module.fit(width, table)
        np.testing.assert_allclose(module.in_source(width, table), fitted, rtol=1e-6)
