"""A verdict follows from numbers by the claim's rule: each rule meets made-up numbers."""

from collections.abc import Iterable
from math import inf, isnan, sqrt

import numpy as np
import pytest
from scipy import stats

from lossmith.errors import InputError
from lossmith.lab.claims import ledger
from lossmith.lab.claims.claim import Claim, Part, Verdict
from lossmith.lab.claims.measure import Measure, exact, over_seeds, written

HOLDS, IN_PART, NOT = Verdict.HOLDS, Verdict.IN_PART, Verdict.NOT
Ends = float | tuple[float, float]


def made(numbers: dict[str, Ends]) -> dict[str, Measure]:
    """Numbers by name: a float is exact, a pair is an interval."""
    found = {}
    for key, value in numbers.items():
        low, high = value if isinstance(value, tuple) else (value, value)
        found[key] = Measure(key, (low + high) / 2 if low != high else low, low, high)
    return found


def each(names: Iterable[str], value: Ends) -> dict[str, Ends]:
    return dict.fromkeys(names, value)


# name: (numbers under which the claim holds, changes for "in part", changes for "does not hold")
CASES: dict[str, tuple[dict[str, Ends], dict[str, Ends], dict[str, Ends]]] = {
    "hinge": (
        {"cost_inside": 0.5, "cost_outside": 0.0, "right_yet_costs": (0.03, 0.05),
         "kept_hinge": (0.08, 0.12), "kept_logistic": 1.0, "moved_hinge": (0.0, 0.001)},
        {"moved_hinge": (0.0, 0.02)},
        {"kept_hinge": (0.4, 0.6)},
    ),
    "ramp": (
        {"cap_hinge": inf, "cap_ramp": 2.0, "flips_cancer": (0.01, 0.02),
         "flips_digits": (0.01, 0.02), "outliers_cancer": (0.01, 0.1),
         "outliers_digits": (0.01, 0.1), "clean_cancer": 0.0, "clean_digits": 0.0},
        {"flips_digits": (-0.02, 0.01)},
        {"flips_cancer": (-0.01, 0.02), "flips_digits": (-0.02, 0.01)},
    ),
    "center": (
        {"order": (0.5, 1.0), "rise": (1.1, 1.5), "gain_2": (0.001, 0.01),
         "gain_32": (0.001, 0.01)},
        {"gain_32": (-0.01, 0.01)},
        {"rise": (0.9, 1.5)},
    ),
    "focal": (
        {"precision_gain": (0.01, 0.02), "recall_gain": (0.01, 0.1), "others_gain": (-0.001, 0.0)},
        {"others_gain": (-0.02, -0.01)},
        {"precision_gain": (-0.01, 0.02)},
    ),
    "sparsity": (
        {"zeros_l1": (0.5, 0.8), "zeros_l2": 0.0, "real": (0.4, 0.6), "decoys": (0.0, 0.1),
         "network_l1": (0.6, 0.7), "network_l2": 0.0, "gap_l1": (-0.01, 0.01)},
        {"network_l1": (0.4, 0.7)},
        {"zeros_l2": 0.1},
    ),
    "jumps": (
        {"several": 0.0, "by_sex": (0.2, 0.6), "kept_l1": (0.9, 1.0), "kept_l2": (0.06, 0.07)},
        {"by_sex": (-0.1, 0.2)},
        {"kept_l1": (0.05, 0.2)},
    ),
    "outliers": (
        {"rise_l2": (0.9, 1.2), "rise_l1": (0.0, 0.1), "rise_smooth_l1": (0.0, 0.1),
         "rise_tukey_biweight": (-0.1, 0.1)},
        {"rise_tukey_biweight": (0.2, 0.5)},
        {"rise_l2": (0.1, 0.3)},
    ),
    "smoothing": (
        {"finer": (0.5, 1.0), "rate": 3.0, "rise_smooth_l1": (0.0, 0.1), "rise_l2": (0.9, 1.2)},
        {"finer": (0.1, 1.0)},
        {"finer": (0.1, 1.0), "rate": (0.0, 1.0), "rise_smooth_l1": (0.8, 1.0)},
    ),
    "sigmoid_l2": (
        {"convex_brier": 0.0, "convex_binary_cross_entropy": 1.0, "broken_brier": (0.2, 0.4),
         "broken_binary_cross_entropy": 0.0, "follows_binary_cross_entropy": 1.0,
         "follows_brier": 0.0, "stuck_brier": (0.1, 0.2), "stuck_binary_cross_entropy": 0.0},
        {"stuck_brier": (-0.1, 0.2)},
        {"convex_brier": 1.0},
    ),
    "entropy": (
        {"kl": 1e-15, "entropy": (0.2, 0.4), "logistic": 0.0, "likelihood": 1e-16, "fit": 1e-6},
        {"fit": 1e-2},
        {"kl": 1e-6},
    ),
    "surrogates": (
        {"convex": 0.0, "smooth": 1.0, "slope": 0.0}
        | each((f"bounds_{k}" for k in ("hinge", "logistic", "exponential")), 1.0)
        | each((f"calibrated_{k}" for k in ("hinge", "logistic", "exponential")), 1.0)
        | each((f"above_{k}" for k in ("hinge", "logistic", "exponential")), 0.0)
        | each((f"agrees_{k}" for k in ("hinge", "logistic", "exponential")), 1.0),
        {"agrees_hinge": (0.8, 0.9)},
        {"above_logistic": -0.1},
    ),
    "boosting": (
        {"cuts": 1.0, "weights": 1e-15, "votes": 1.0},
        {"weights": 1e-3},
        {"votes": (0.9, 0.99)},
    ),
    "structural": (
        {"diabetes_error_gain_20": (0.1, 0.2), "cancer_error_gain_20": (0.01, 0.02),
         "diabetes_error_gain_300": (-0.01, 0.01), "cancer_error_gain_300": (-0.005, 0.01)},
        {"cancer_error_gain_20": (-0.01, 0.02)},
        {"cancer_error_gain_20": (-0.01, 0.02), "diabetes_error_gain_20": (-0.1, 0.2)},
    ),
    "overfitting": (
        {"first_clean": (0.1, 0.2), "first_noisy": (0.1, 0.2), "test_clean": (0.0, 0.05),
         "rest_clean": (-0.005, 0.01), "test_noisy": (0.0, 0.05), "rest_noisy": (-0.005, 0.01)},
        {"test_clean": (0.0, 0.2)},
        {"rest_noisy": (-0.4, -0.2)},
    ),
    "saturation": (
        {"gradient": 1e-16, "pull_binary_cross_entropy_20": 1.0, "pull_brier_20": 1e-9,
         "lead": (0.5, 0.9)},
        {"lead": (-0.1, 0.3)},
        {"gradient": 1e-3},
    ),
}  # fmt: skip


def test_every_claim_has_a_case_and_a_number() -> None:
    assert list(CASES) == list(ledger.CLAIMS)
    assert [claim.number for claim in ledger.CLAIMS.values()] == list(range(1, 16))


@pytest.mark.parametrize("name", CASES)
def test_made_up_numbers_give_each_verdict(name: str) -> None:
    claim = ledger.CLAIMS[name]
    good, partly, bad = CASES[name]
    assert claim.judge(made(good)) is HOLDS
    assert claim.judge(made(good | partly)) is IN_PART
    assert claim.judge(made(good | bad)) is NOT


@pytest.mark.parametrize("name", CASES)
def test_no_part_of_a_rule_is_decoration(name: str) -> None:
    """With numbers that say nothing, every part that asks something of the data fails."""
    claim = ledger.CLAIMS[name]
    nothing = {key: Measure(key, 0.0, -inf, inf) for key in CASES[name][0]}
    assert not all(claim.answers(nothing))
    assert claim.judge(nothing) is not HOLDS


@pytest.mark.parametrize(
    ("answers", "heart", "verdict"),
    [
        ((True, True), None, HOLDS),
        ((True, False), None, IN_PART),
        ((False, False), None, NOT),
        ((True, False), 0, IN_PART),
        ((False, True), 0, NOT),
        ((True, True), 0, HOLDS),
    ],
)
def test_parts_make_the_verdict(
    answers: tuple[bool, ...], heart: int | None, verdict: Verdict
) -> None:
    parts = tuple(
        Part(f"part {place}", lambda _, a=answer: a, place == heart)  # type: ignore[misc]
        for place, answer in enumerate(answers)
    )
    claim = Claim(1, "x", "", (), "", "", parts, lambda _: None)  # type: ignore[arg-type,return-value]
    assert claim.judge({"given": over_seeds("", [0.5, 0.5])}) is verdict
    assert claim.judge({"missing": over_seeds("", [0.5, float("nan")])}) is Verdict.OPEN
    assert "(a) part 0" in claim.rule
    assert ("[heart]" in claim.rule) == (heart is not None)


def test_the_interval_is_that_of_the_t_distribution() -> None:
    values = [0.91, 0.93, 0.9, 0.95, 0.92]
    found = over_seeds("", values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    corrected = over_seeds("", values, overlap=1 / 3)
    assert (corrected.high - corrected.mean) / (found.high - found.mean) == pytest.approx(
        sqrt((1 / 5 + 1 / 3) * 5)
    )


def test_one_value_and_a_value_that_is_none_support_nothing() -> None:
    for values in ([0.5], [0.5, float("nan")], [0.5, inf]):
        found = over_seeds("", values)
        assert (found.low, found.high) == (-inf, inf)
        assert not found.low > 0
    assert isnan(over_seeds("", [0.5, float("nan")]).mean)
    assert over_seeds("", [0.5, inf]).as_data()["mean"] is None


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.9314, "%", "93.1 %"),
        (-0.0123, "%", "−1.23 %"),
        (0.0, "", "0"),
        (1234.5, "", "1234"),
        (1e-9, "", "1.0e−09"),
        (inf, "", "∞"),
        (3e-17, "%", "0 %"),
    ],
)
def test_numbers_are_written_for_people(value: float, unit: str, text: str) -> None:
    assert written(value, unit) == text


def test_an_exact_number_has_no_interval() -> None:
    assert str(exact("", 1.0)) == "1"
    assert str(over_seeds("", [0.1, 0.3], "%")).startswith("20.0 % [")


def test_a_claim_is_found_by_name_or_number() -> None:
    assert ledger.find("ramp").number == 2
    assert ledger.find("15").name == "saturation"
    assert ledger.find("sigmoid-l2").number == 9
    with pytest.raises(InputError, match="did you mean ramp"):
        ledger.find("ramps")
