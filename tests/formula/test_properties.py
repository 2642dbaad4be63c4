"""Properties under attack: every record, at its defaults and elsewhere, and what is made of it."""

import dataclasses
import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import lossmith
from formula.attack import attack, curve
from lossmith.errors import InputError, ParameterError
from lossmith.formula import properties
from lossmith.formula.algebra import Properties
from lossmith.formula.domain import Interval
from lossmith.formula.kinks import kinks
from lossmith.formula.ledger import LEDGER
from lossmith.formula.record import Formula
from lossmith.formula.record import margin as make_margin
from lossmith.formula.record import residual as make_residual

INF = math.inf


def settings(record: Formula) -> list[dict[str, float]]:
    """The defaults, and two more points of the domain."""
    if not record.parameters:
        return [{}]
    samples = [p.domain.samples() for p in record.parameters]
    return [record.defaults] + [
        {p.name: s[i] for p, s in zip(record.parameters, samples, strict=True)} for i in (0, -1)
    ]


CASES = [(name, values) for name, record in LEDGER.items() for values in settings(record)]
CASES += [("barron", {"alpha": a, "c": 0.5}) for a in (2.0, 1.0, 0.0, -2.0, 3.0)]
CASES += [
    ("focal", {"gamma": 0.0}),
    ("ramp", {"s": 0.0}),
    ("epsilon_insensitive", {"epsilon": 0.0}),
]


@pytest.mark.parametrize(("name", "values"), CASES)
def test_every_claim_survives(name: str, values: dict[str, float]) -> None:
    record = LEDGER[name]
    claimed = properties.of(record, **values)
    assert attack(claimed, curve(record, record.bind(values))) == []


# Known from the literature or by hand: an answer that does not come from this code.
KNOWN: dict[str, dict[str, Any]] = {
    "l1": {"lipschitz": 1, "smooth": INF, "differentiable": 0, "strictly_convex": False},
    "l2": {"lipschitz": INF, "smooth": 2, "strong_convexity": 2, "differentiable": INF},
    "huber": {"lipschitz": 1, "smooth": 1, "differentiable": 1, "strictly_convex": False},
    "tukey_biweight": {
        "highest": 4.685**2 / 6, "lipschitz": 4.685 * 16 / 25 / math.sqrt(5), "smooth": 1,
        "differentiable": 2, "redescending": True, "convex": False,
    },
    "pseudo_huber": {"lipschitz": 1, "smooth": 1, "strictly_convex": True, "strong_convexity": 0},
    "log_cosh": {"lipschitz": 1, "smooth": 1, "strictly_convex": True, "strong_convexity": 0},
    "cauchy": {"lipschitz": 2.385 / 2, "smooth": 1, "highest": INF, "redescending": True},
    "welsch": {"highest": 2.985**2 / 2, "lipschitz": 2.985 * math.exp(-0.5) / math.sqrt(2)},
    "geman_mcclure": {"highest": 0.5, "lipschitz": 3 * math.sqrt(3) / 16, "redescending": True},
    "fair": {"lipschitz": 1.4, "smooth": 1, "differentiable": 2, "redescending": False},
    "squared_epsilon_insensitive": {"strictly_convex": False, "strong_convexity": 0, "smooth": 2},
    "zero_one": {"differentiable": -1, "lipschitz": INF, "convex": False, "calibrated": True},
    "hinge": {"lipschitz": 1, "differentiable": 0, "zero_one_factor": 1, "calibrated": True},
    "ramp": {"highest": 2, "convex": False, "calibrated": True, "zero_one_factor": 1},
    "perceptron": {"calibrated": False, "zero_one_factor": INF, "convex": True},
    "logistic": {"lipschitz": 1, "smooth": 0.25, "zero_one_factor": 1 / math.log(2)},
    "exponential": {"lipschitz": INF, "smooth": INF, "zero_one_factor": 1, "calibrated": True},
    "modified_huber": {"lipschitz": 4, "smooth": 2, "zero_one_factor": 1, "calibrated": True},
    "savage": {"lowest": 0, "highest": 1, "lipschitz": 16 / 27, "convex": False},
    "sigmoid_loss": {"highest": 1, "lipschitz": 0.25, "smooth": 1 / (6 * math.sqrt(3))},
    "brier": {"highest": 1, "lipschitz": 8 / 27, "convex": False, "calibrated": True},
    "binary_focal": {"convex": False, "calibrated": True, "highest": INF},
    "cross_entropy": {"lipschitz": 1, "smooth": 0, "convex": True, "concave": True},
    "focal": {"convex": False, "concave": False, "highest": INF},
    "generalized_cross_entropy": {"highest": 1 / 0.7, "concave": True, "lipschitz": 1},
    "poly1": {"lipschitz": 2, "smooth": 1, "concave": True},
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_known_answers(name: str) -> None:
    p = properties.of(LEDGER[name])
    for trait, value in KNOWN[name].items():
        assert getattr(p, trait) == pytest.approx(value, rel=1e-11, abs=1e-20), trait


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("l2", Interval(0, 0, True, True)),
        ("hinge", Interval(1, INF, True, False)),
        ("zero_one", Interval(0, INF, False, False)),
        ("logistic", Interval(INF, INF, True, True)),
        ("epsilon_insensitive", Interval(-0.1, 0.1, True, True)),
        ("cross_entropy", Interval(0, 0, True, True)),
    ],
)
def test_minimisers(name: str, where: Interval) -> None:
    found = properties.of(LEDGER[name]).minimiser
    assert found is not None
    assert (found.low, found.high) == (where.low, where.high)
    assert math.isinf(found.low) or found.low_closed == where.low_closed


@pytest.mark.parametrize("name", [n for n, r in LEDGER.items() if r.family == "margin"])
def test_calibration_by_brute_force(name: str) -> None:
    """Bartlett et al., definition 1: every wrong sign costs more than the best score."""
    u = np.concatenate([np.geomspace(1e-7, 1e3, 5000), np.linspace(0.001, 4, 4000), [1e9]])
    with np.errstate(over="ignore"):
        right, wrong = lossmith.curve(name, u), lossmith.curve(name, -u)
    at_zero = float(lossmith.curve(name, [0.0])[0])
    gaps = []
    for chance in (0.51, 0.6, 0.8, 0.95):
        best = min(np.min(chance * right + (1 - chance) * wrong), at_zero)
        against = min(np.min(chance * wrong + (1 - chance) * right), at_zero)
        gaps.append(against - best)
    assert (min(gaps) > 1e-6) == properties.of(LEDGER[name]).calibrated


FALSE = [
    ("tukey_biweight", {"convex": True}),
    ("huber", {"convex": False}),
    ("huber", {"strictly_convex": True}),
    ("log_cosh", {"strong_convexity": 0.5}),
    ("l2", {"strong_convexity": 2.1}),
    ("squared_epsilon_insensitive", {"strictly_convex": True}),
    ("huber", {"lipschitz": 0.98}),
    ("huber", {"lipschitz": 1.05}),
    ("l2", {"lipschitz": 5.0}),
    ("l1", {"lipschitz": INF}),
    ("zero_one", {"lipschitz": 1.0}),
    ("logistic", {"smooth": 0.24}),
    ("logistic", {"smooth": 0.26}),
    ("hinge", {"smooth": 1.0}),
    ("welsch", {"highest": 4.0}),
    ("welsch", {"highest": INF}),
    ("cauchy", {"highest": 100.0}),
    ("poly1", {"lowest": 0.5}),
    ("pinball", {"symmetric": False}),
    ("expectile", {"symmetric": False}),
    ("hinge", {"differentiable": 1}),
    ("fair", {"differentiable": INF}),
    ("fair", {"differentiable": 3}),
    ("tukey_biweight", {"differentiable": 1}),
    ("zero_one", {"differentiable": 0}),
    ("hinge", {"minimiser": Interval(2, INF, True, False)}),
    ("hinge", {"minimiser": Interval(0.5, INF, True, False)}),
    ("logistic", {"minimiser": Interval(3, 3, True, True)}),
    ("fair", {"redescending": True}),
    ("cauchy", {"redescending": False}),
    ("logistic", {"zero_one_factor": 1.0}),
    ("hinge", {"zero_one_factor": 1.1}),
    ("perceptron", {"zero_one_factor": 5.0}),
    ("generalized_cross_entropy", {"concave": False}),
    ("focal", {"concave": True}),
]


@pytest.mark.parametrize(("name", "claim"), FALSE)
def test_a_false_claim_is_refuted(name: str, claim: dict[str, Any]) -> None:
    record = LEDGER[name]
    false = dataclasses.replace(properties.of(record), **claim)
    assert attack(false, curve(record, record.defaults))


@pytest.mark.parametrize("c", [3.0, 0.25, -2.0])
@pytest.mark.parametrize("name", ["huber", "tukey_biweight", "expectile", "ramp", "poly1", "l1"])
def test_a_factor_carries_through(name: str, c: float) -> None:
    f = curve(LEDGER[name], LEDGER[name].defaults)
    assert attack(properties.of(LEDGER[name]).scaled_by(c), lambda u: c * f(u)) == []


def test_a_negative_factor_flips_convexity() -> None:
    p = properties.of(LEDGER["logistic"]).scaled_by(-2.0)
    assert (p.convex, p.concave, p.strictly_concave) == (False, True, True)
    assert (p.lowest, p.highest, p.lipschitz, p.smooth) == (-INF, 0.0, 2.0, 0.5)
    assert p.calibrated is False


def test_the_factor_0_leaves_nothing() -> None:
    for record in LEDGER.values():
        zero = properties.of(record).scaled_by(0.0)
        assert (zero.convex, zero.concave, zero.lipschitz, zero.highest) == (True, True, 0.0, 0.0)
        assert not zero.kinks


PAIRS = [
    ("l1", "l2"), ("huber", "cauchy"), ("tukey_biweight", "welsch"), ("l2", "epsilon_insensitive"),
    ("pinball", "log_cosh"), ("hinge", "logistic"), ("ramp", "exponential"), ("zero_one", "hinge"),
    ("perceptron", "squared_hinge"), ("sigmoid_loss", "brier"), ("cross_entropy", "focal"),
    ("generalized_cross_entropy", "poly1"), ("huber", "huber"),
]  # fmt: skip


@pytest.mark.parametrize("c", [1.0, 0.1, -1.5])
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_what_is_said_of_a_sum_holds(one: str, other: str, c: float) -> None:
    f, g = (curve(LEDGER[n], LEDGER[n].defaults) for n in (one, other))
    total = properties.of(LEDGER[one]).plus(properties.of(LEDGER[other]).scaled_by(c))
    assert not total.exact
    assert attack(total, lambda u: f(u) + c * g(u)) == []


def test_what_can_be_known_of_a_sum_is_said() -> None:
    elastic = properties.of(LEDGER["l1"]).plus(properties.of(LEDGER["l2"]))
    assert (elastic.convex, elastic.strictly_convex, elastic.strong_convexity) == (True, True, 2.0)
    assert (elastic.lipschitz, elastic.differentiable, elastic.symmetric) == (INF, 0, True)
    assert elastic.minimiser is not None
    assert (elastic.minimiser.low, elastic.minimiser.high, elastic.lowest) == (0.0, 0.0, 0.0)
    margins = properties.of(LEDGER["hinge"]).plus(properties.of(LEDGER["logistic"]))
    assert (margins.calibrated, margins.convex) == (True, True)
    assert margins.zero_one_factor == pytest.approx(1 / (1 + math.log(2)))


def test_what_cannot_be_known_of_a_sum_is_unknown() -> None:
    """Huber minus Huber is 0, Huber minus half of it is convex: nothing follows but bounds."""
    huber = properties.of(LEDGER["huber"])
    p = huber.plus(huber.scaled_by(-0.5))
    assert (p.convex, p.concave, p.highest, p.minimiser) == (None, None, None, None)
    assert p.lipschitz == 1.5
    bent = properties.of(LEDGER["tukey_biweight"]).plus(properties.of(LEDGER["l2"]))
    assert (bent.convex, bent.redescending) == (None, False)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda p: p.plus(properties.of(LEDGER["hinge"])), "no common u"),
        (lambda p: p.scaled_by(INF), "finite"),
    ],
)
def test_meaningless_algebra_is_refused(wrong: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        wrong(properties.of(LEDGER["huber"]))


def test_parameters_are_checked() -> None:
    with pytest.raises(ParameterError, match="outside"):
        properties.of(LEDGER["huber"], delta=-1.0)
    with pytest.raises(ParameterError, match="no parameter"):
        properties.of(LEDGER["huber"], c=1.0)


def test_rows_say_everything_in_words() -> None:
    rows = dict(properties.of(LEDGER["logistic"]).rows())
    assert rows["convex"] == "yes, strictly"
    assert rows["smooth"] == "yes: 1/4"
    assert rows["bounds 0-1"] == "in bits: divided by log 2"
    assert rows["minimiser"] == "u → ∞"
    assert dict(properties.of(LEDGER["huber"]).rows())["differentiable"] == "once"


# Formulas as a person might write them, each with its own difficulty.
w = lossmith.primitives
OWN: list[tuple[Any, dict[str, Any]]] = [
    (lambda u: abs(u) ** w.Rational(3, 2), {"differentiable": 1, "smooth": INF, "lipschitz": INF}),
    (lambda u: w.sqrt(abs(u)), {"differentiable": 0, "lipschitz": INF, "convex": False}),
    (lambda u: w.log_cosh(u - 1000), {"smooth": 1, "lipschitz": 1, "differentiable": INF}),
    (lambda u: w.maximum(w.maximum(u, -u), 3 * u - 2), {"lipschitz": 3, "kinks": (0.0, 1.0)}),
    (lambda u: w.where(u**2 < 2, u**2, 2), {"kinks": (-math.sqrt(2), math.sqrt(2)), "highest": 2}),
    (lambda u: w.where(w.exp(u) < 2, 0, (u - w.log(2)) ** 2), {"kinks": (math.log(2),)}),
    (lambda u: u**3, {"convex": False, "concave": False, "lowest": -INF}),
    (lambda u: abs(u) ** 3, {"differentiable": 2, "strictly_convex": True, "smooth": INF}),
    (lambda u: 0.5 * u**2 + 0.25 * u, {"minimiser": -0.25, "lowest": -1 / 32, "smooth": 1}),
    (lambda u: w.where(w.Eq(u, 0), 1, u**2), {"differentiable": -1, "convex": False}),
]


@pytest.mark.parametrize("case", range(len(OWN)))
def test_a_persons_own_formula(case: int) -> None:
    formula, expected = OWN[case]

    def own(u: Any) -> Any:
        return formula(u)

    record = make_residual(own)
    p = properties.of(record)
    for trait, value in expected.items():
        found = getattr(p, trait)
        if trait == "minimiser":
            found = found.low
        assert found == pytest.approx(value, rel=1e-9, abs=1e-15), trait
    if case != len(OWN) - 1:  # one single point is no chord that the attack would meet
        assert attack(p, curve(record, {}), places=(1000.0,) if case == 2 else ()) == []


def test_a_nonconvex_loss_that_prefers_the_wrong_sign() -> None:
    def odd(u: Any) -> Any:
        return w.where(u < 0, 0, w.exp(-((u - 1) ** 2)))

    assert properties.of(make_margin(odd)).calibrated is False


@pytest.mark.parametrize("name", LEDGER)
def test_kinks_state_what_the_values_do(name: str) -> None:
    """Value and one-sided slope at each kink, by differences of values."""
    record = LEDGER[name]
    f = curve(record, record.defaults)
    with mp.workdps(60):
        for k in kinks(record):
            u, h = mp.mpf(repr(k.u)), mp.mpf(10) ** -20
            assert float(f(u)) == pytest.approx(k.value, abs=1e-12)
            for side, limit, slope in (
                (-1, k.values[0], k.slopes[0]),
                (1, k.values[1], k.slopes[1]),
            ):
                a, b = f(u + side * h), f(u + 2 * side * h)
                assert float(a) == pytest.approx(limit, abs=1e-12)
                assert float((b - a) / (side * h)) == pytest.approx(slope, abs=1e-9)
            if k.order == 0:
                low, high = sorted(k.slopes)
                assert low <= k.slope <= high, "the slope at a kink is a (Clarke) subgradient"


def test_the_kinks_of_huber_move_with_delta() -> None:
    assert [k.u for k in kinks(LEDGER["huber"], delta=0.3)] == [-0.3, 0.3]
    assert properties.of(LEDGER["huber"], delta=0.3).lipschitz == 0.3


def test_unknown_is_a_value_of_its_own() -> None:
    p: Properties = properties.of(LEDGER["focal"])
    assert (p.symmetric, p.calibrated, p.redescending, p.zero_one_factor) == (None,) * 4
