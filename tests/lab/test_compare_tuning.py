"""A loss's own parameters are found where they are planted, with the same budget for every loss."""

import sys
from pathlib import Path

import pytest

from lab.compare_tools import SMALL, call, numbers
from lossmith.errors import InputError
from lossmith.formula.ledger import LEDGER
from lossmith.lab.compare import tuning
from lossmith.lab.compare.candidates import BASELINES, FAMILIES, parse
from lossmith.lab.compare.plan import resolve
from lossmith.lab.compare.settings import Settings
from lossmith.lab.data.load import load


@pytest.mark.parametrize("task", BASELINES)
def test_every_range_lies_in_its_domain_and_holds_the_default(task: str) -> None:
    for name, record in LEDGER.items():
        if record.family not in FAMILIES[task]:
            continue
        candidate = parse([f"{name}:seed=1"], task)[1]
        for own, over in tuning.ranges(candidate).items():
            about = next(p for p in record.parameters if p.name == own)
            assert over.low < over.high
            for end in (over.low, over.high):
                candidate.at({own: about.check(end, name)}).build(2, 2, None)
            assert over.low <= about.default <= over.high or about.domain.high_closed


def test_what_is_to_be_predicted_is_not_tuned() -> None:
    found = {c.name: set(tuning.ranges(c)) for c in parse(
        ["pinball:tau=0.9,expectile:tau=0.2,huber,barron,epsilon_insensitive"], "regression"
    )}  # fmt: skip
    assert found == {
        "l2": set(), "pinball": set(), "expectile": set(), "huber": {"delta"},
        "barron": {"alpha", "c"}, "epsilon_insensitive": {"epsilon"},
    }  # fmt: skip


def test_without_optuna_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'lossmith\[tune\]'"):
        resolve(Settings(data="iris", tune=4), load("iris"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--tune", "2"], "--tune must be at least 3"),
        (["--losses", "focal:tuned=1"], "tuned=1 needs --tune N"),
        (["--losses", "focal:tuned=2", "--tune", "4"], "tuned=1 tunes the parameters"),
    ],
)
def test_wrong_words_are_refused(words: list[str], says: str) -> None:
    result = call("iris", *words)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_study_finds_the_best_and_spends_its_budget() -> None:
    candidate = parse(["focal:tuned=1"], "classification")[1]
    study = tuning.Study(candidate, (0.001, 0.01), 40, (0, 1))
    told = []
    while (choice := study.ask()) is not None:
        gamma = dict(choice.parameters)["gamma"]
        score = -((gamma - 4.0) ** 2) - abs(choice.rate - 0.004)
        told.append((score, choice))
        study.tell(None if len(told) == 5 else score)
    assert len(told) == 40
    assert [c.rate for _, c in told[:2]] == [0.001, 0.01]
    assert [dict(c.parameters)["gamma"] for _, c in told[:2]] == [2, 2]
    best = max(told, key=lambda entry: entry[0])[1]
    assert dict(best.parameters)["gamma"] == pytest.approx(4, abs=0.5)
    plain = tuning.Study(parse(["focal"], "classification")[1], (0.001, 0.01), 6, (0, 1))
    drawn = [plain.ask() for _ in range(6)]
    assert {dict(c.parameters)["gamma"] for c in drawn if c} == {2.0}
    assert len({c.rate for c in drawn if c}) == 6


def test_tuned_losses_run_and_say_what_they_took(tmp_path: Path) -> None:
    words = ["iris", *SMALL, "--outliers", "0", "--losses", "focal,hinge", "--tune", "3", "--fresh"]
    found = numbers(tmp_path, *words, "--model", "linear")
    specs = [c["spec"] for c in found["candidates"]]
    assert specs == ["cross_entropy", "focal:gamma=2,tuned=1", "hinge"]
    (condition,) = found["conditions"]
    assert len(condition["tuned"]["focal:gamma=2,tuned=1"]["gamma"]) == 3
    tried = {(trial["loss"], len(trial["tuning"])) for trial in found["trials"]}
    assert tried == {("cross_entropy", 1), ("focal:gamma=2,tuned=1", 3), ("hinge", 1)}
    again = numbers(tmp_path, *words, "--model", "linear")
    assert again["trials"] == found["trials"]
