"""The net: formulas are drawn, and both engines agree with jets at many digits, or refuse."""

import itertools

import pytest

from lossmith.lab.fuzz.formulas import cases, judge

SEEDS = (1, 2, 3)
EACH = 4


@pytest.mark.parametrize("seed", SEEDS)
def test_drawn_formulas(seed: int) -> None:
    found = [judge(case) for case in itertools.islice(cases(seed), EACH)]
    assert [f for f in found if f] == []


def test_the_judge_sees_a_wrong_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slope that is off by one part in a million is found."""
    import lossmith

    whole = lossmith.derivatives

    def off(*given: object, **settings: object) -> object:
        found = whole(*given, **settings)
        return found._replace(gradient=found.gradient * (1 + 1e-5))

    monkeypatch.setattr("lossmith.derivatives", off)
    drawn = itertools.islice(cases(1), 4)
    assert any("reference slope" in (judge(case) or "") for case in drawn)
