"""The race: when it looks, whom it lets go on, why it ends, and how often it says a wrong thing."""

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.compare_made import planned
from lossmith.lab.compare import contest, race
from lossmith.lab.compare.jobs import Results
from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.simulated import (
    BETTER,
    EQUAL,
    REGIMES,
    Regime,
    alarmed,
    bounds_hold,
    drawn,
    errors,
    race_alarmed,
    raced,
    shuffled,
)
from lossmith.lab.compare.statistics import Table, estimate, model_confidence_set
from lossmith.lab.compare.trial import Trial

TEN = Regime(1800, 10, 0.4, 0.15)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (2, 4, 7, 10)),
        ({"repeats": 4}, (2, 4)),
        ({"repeats": 5}, (2, 4, 5)),
        ({"repeats": 1}, (1,)),
        ({"repeats": 20}, (2, 4, 7, 10, 20)),
        ({"fixed": True}, (10,)),
        ({"folds": 3}, (4, 7, 10)),  # two repeats of three folds do not show what luck is
        ({"folds": 2}, (7, 10)),
        ({"folds": 10, "repeats": 3}, (2, 3)),
    ],
)
def test_when_it_looks(given: dict[str, int], expected: tuple[int, ...]) -> None:
    assert race.looks(Settings(**given)) == expected  # type: ignore[arg-type]


@given(seed=st.integers(0, 2**31))
def test_a_look_says_what_the_set_says(seed: int) -> None:
    luck = np.random.default_rng(seed)
    made = errors(drawn(luck, Regime(300, 2, 0.4, 0.15), BETTER))
    names = list("abcdef")
    found = race.look(made, names, 2, 0.05)
    p = model_confidence_set(estimate(made))
    assert list(found.p.values()) == p.tolist()
    assert set(found.inside) == {name for name, value in zip(names, p, strict=True) if value > 0.05}
    means = dict(zip(names, made.z.mean((0, 1)), strict=True))
    assert [means[name] for name in found.inside] == sorted(means[name] for name in found.inside)
    assert found.bounds[found.pick] == min(found.bounds.values())


def test_why_it_ends() -> None:
    luck = np.random.default_rng(1)
    made = errors(drawn(luck, REGIMES["both"]))
    names = list("abcdef")
    at = race.look(made, names, 2, 0.01)
    assert race.why_over(at, margin=1.0, last=False) == "margin"
    assert race.why_over(at, margin=0.0, last=True) in ("budget", "rows")
    far = Table(made.z + np.array([0, 9, 9, 9, 9, 9]), made.fold, made.finest)
    assert race.why_over(race.look(far, names, 2, 0.01), 0.0, last=False) == "one"
    # The same predictions under two names: nothing will ever tell them apart.
    twice = Table(made.z[:, :, [0, 0]], made.fold, made.finest)
    assert race.why_over(race.look(twice, ["a", "b"], 2, 0.01), -1.0, last=False) == "rows"
    # The training decides everything: more repeats would show any gap.
    lucky = errors(drawn(luck, Regime(4000, 2, 0.0, 0.5), (-0.1, 0.0)))
    assert race.look(lucky, ["a", "b"], 2, 1e-9).hope


def test_it_decides_for_the_better_loss_and_stops_early() -> None:
    luck = np.random.default_rng(2)
    ends = [raced(errors(drawn(luck, TEN, BETTER))) for _ in range(15)]
    assert all("0" in end[-1].inside for end in ends)
    assert sum(len(end[-1].inside) < 6 for end in ends) >= 13
    used = [
        sum(len(at.judged) * (at.repeats - before) for at, before in _steps(end)) for end in ends
    ]
    assert np.mean(used) < 0.8 * 6 * 10


def _steps(end: list[race.Look]) -> list[tuple[race.Look, int]]:
    return list(zip(end, [0, *(at.repeats for at in end)], strict=False))


def test_a_race_needs_hardly_more_than_the_fixed_design_of_equal_power() -> None:
    """Fixed: the repeats at which as many runs tell as races do, with the whole share at once."""
    luck = np.random.default_rng(3)
    made = [errors(drawn(luck, TEN, (-0.25, *EQUAL[1:]))) for _ in range(25)]
    ends = [raced(each) for each in made]
    power = np.mean([end[-1].inside == ("0",) for end in ends])
    used = np.mean(
        [sum(len(at.judged) * (at.repeats - before) for at, before in _steps(end)) for end in ends]
    )
    fixed = next(
        repeats
        for repeats in range(2, 11)
        if np.mean([_alone(each, repeats) for each in made]) >= power
    )
    assert power > 0.8
    assert used <= 1.1 * 6 * fixed


def _alone(made: Table, repeats: int) -> bool:
    part = made.some(repeats, list(range(6)))
    return race.look(part, list("012345"), repeats, race.HEADLINE).inside == ("0",)


@pytest.mark.parametrize("name", REGIMES)
def test_equal_losses_are_put_out_no_more_often_than_promised(name: str) -> None:
    """In every regime, not on average."""
    luck, times = np.random.default_rng(4), 60
    wrong = sum(alarmed(errors(drawn(luck, REGIMES[name]))) for _ in range(times))
    assert wrong <= times * 0.05 + 3 * (times * 0.05 * 0.95) ** 0.5


def test_a_whole_race_with_other_metrics_says_no_more_wrong() -> None:
    luck, times = np.random.default_rng(5), 40
    regime = Regime(300, 10, 0.2, 0.2)
    wrong = sum(race_alarmed(drawn(luck, regime)) for _ in range(times))
    assert wrong <= times * 0.05 + 3 * (times * 0.05 * 0.95) ** 0.5


def test_with_trainings_taken_for_granted_it_would_be_said_far_too_often() -> None:
    """The check can find a fault: it fails a test that counts rows alone."""
    luck = np.random.default_rng(6)
    regime = REGIMES["trainings alone"]
    wrong = [alarmed(errors(drawn(luck, regime)), trainings=False) for _ in range(40)]
    assert np.mean(wrong) > 0.15
    permuted = shuffled(errors(drawn(luck, regime)), luck)
    assert [len(np.unique(permuted.fold[r])) for r in (0, 1)] == [5, 5]
    wrong = [
        alarmed(shuffled(errors(drawn(luck, regime)), luck), trainings=False) for _ in range(40)
    ]
    assert np.mean(wrong) > 0.15


def test_the_bounds_are_true_of_known_populations() -> None:
    luck, times = np.random.default_rng(7), 80
    shift = (-0.1, -0.05, 0.0, 0.0, 0.05, 0.1)
    regime = REGIMES["both"]
    truth = regime.truth(shift)
    held = sum(bounds_hold(drawn(luck, regime, shift), truth) for _ in range(times))
    assert held >= 0.95 * times - 3 * (times * 0.05 * 0.95) ** 0.5
    # The truth is that of the draws themselves.
    many = drawn(luck, Regime(20_000, 10, 0.4, 0.15), shift)
    assert errors(many).z.mean((0, 1)) == pytest.approx(truth, abs=0.01)


@settings(derandomize=True, deadline=None, max_examples=12)
@given(seed=st.integers(0, 1000), stop=st.integers(0, 119))
def test_what_is_run_depends_on_results_alone(seed: int, stop: int) -> None:
    """Stopped after any number of trials, a race goes on to the same end, trial by trial."""
    plan, result = planned(
        {"cross_entropy": 0.1, "focal": 0.12, "poly1": 0.3}, seed=seed, repeats=8
    )

    def execute(wanted: list[Trial]) -> Results:
        for trial in wanted:
            if len(found) == stop:
                raise InterruptedError
            yield trial, result(trial)

    found: dict[str, Any] = {}
    with suppress(InterruptedError):
        contest.run(plan, found, execute)
    before = dict(found)
    asked: list[str] = []

    def rest(wanted: list[Trial]) -> Results:
        asked.extend(trial.key for trial in wanted)
        return ((trial, result(trial)) for trial in wanted)

    (resumed,) = contest.run(plan, found, rest)
    (whole,) = contest.run(plan, {}, lambda wanted: ((t, result(t)) for t in wanted))
    assert not set(asked) & before.keys()
    assert [trial.key for trial in resumed.trials] == [trial.key for trial in whole.trials]
    assert (resumed.why, resumed.inside) == (whole.why, whole.inside)
    assert [look.p for look in resumed.looks] == [look.p for look in whole.looks]
    assert [look.bounds for look in resumed.looks] == [look.bounds for look in whole.looks]
