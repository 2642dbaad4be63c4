"""The verdict says what the numbers support, and no more, in both languages alike."""

import re
from collections.abc import Mapping

import pytest

from lab.compare_made import BAD, made
from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.sentences import METRIC_NAMES_ZH, TABLE, size, verdict
from lossmith.lab.compare.settings import LANGUAGES
from lossmith.lab.compare.verdict import decide

BASE = "cross_entropy"
# Each kind of verdict: the losses with their errors, how they are made, and what is said.
CASES: dict[str, tuple[dict[str, float | str], dict[str, object], str]] = {
    "one": (
        {BASE: 0.2, "focal": 0.1, "poly1": 0.21},
        {},
        r"Focal \(gamma = 2\) is best: 9\.\d % accuracy|is best: [89]\d\.\d % accuracy, "
        r"[\d.]+ to [\d.]+ points ahead of the others\. Every other loss was put out after "
        r"2 repeats \(error allowed: 5 %\)\.",
    ),
    "one of the baseline": (
        {BASE: 0.1, "focal": 0.2},
        {},
        r"Stay with cross-entropy, the baseline: it is best with [\d.]+ % accuracy, [\d.]+ points "
        r"ahead of focal \(gamma = 2\)\.",
    ),
    "switch": (
        {BASE: 0.2, "focal": 0.1, "poly1": 0.1},
        {},
        r"Leave cross-entropy: .* and .* are better by [\d.]+(?: to [\d.]+)? points\. Of these "
        r"take .*, which is at most [\d.]+ points behind the best\.",
    ),
    "stay": (
        {BASE: 0.1, "focal": 0.1, "hinge": 0.11},
        {"margin": 3.0, "seed": 3},
        r"Stay with cross-entropy: no other loss is more than [\d.]+ points ahead of it\.",
    ),
    "pick": (
        {BASE: 0.1, "focal": 0.1, "hinge": 0.11},
        {"margin": 3.0, "sure": {BASE: 0.6}},
        r"Take .*: no other loss is more than [\d.]+ points ahead of it\.",
    ),
    "rows": (
        {BASE: 0.1, "focal": 0.11},
        {"rows": 120, "noise": 1.9, "training": 0.0, "margin": 0.1},
        r"120 rows cannot tell these losses, however often they are trained: the best mean leads "
        r"by [\d.]+ points, and less than [\d.]+ points stays hidden\. .* is at most [\d.]+ points "
        r"behind the best; (?:about [\d,]+ rows|no number of rows that is worth naming) would",
    ),
    "open": (
        {BASE: 0.1, "focal": 0.13},
        {"training": 0.06, "seed": 2, "repeats": 2, "margin": 0.1, "rows": 4000, "noise": 0.01},
        r"Not decided after 2 repeats: the best mean leads by [\d.]+ points\. .* is at most "
        r"[\d.]+ points behind the best; about \d+ repeats would decide\.",
    ),
    "untested": (
        {BASE: 0.1, "focal": 0.2},
        {"repeats": 1},
        r"Not tested: .* It takes at least 2 repeats\.",
    ),
    "alone": ({BASE: BAD, "focal": 0.2}, {}, r"is the only loss that finished, with [\d.]+ % acc"),
    "alone by choice": ({BASE: 0.1}, {}, r"Only the baseline, cross-entropy, was run: [\d.]+ %"),
    "none": ({BASE: BAD, "focal": BAD}, {}, r"Every loss diverged .* smaller learning rate"),
}


@pytest.mark.parametrize("kind", CASES)
def test_every_kind_of_verdict(kind: str) -> None:
    losses, how, says = CASES[kind]
    outcome = made(losses, **how)  # type: ignore[arg-type]
    decision = decide(outcome)
    english, chinese = (verdict(outcome, language) for language in LANGUAGES)
    assert decision.kind == kind.partition(" ")[0]
    assert re.search(says, english), english
    assert len(re.findall(r"[.](?= |$)", english)) <= 3, english
    assert chinese.count("。") <= 3, chinese
    assert "{" not in english + chinese
    assert re.search("[\u4e00-\u9fff]", chinese)
    # The same numbers in both, in whatever order.
    assert sorted(_numbers(english)) == sorted(_numbers(chinese)), (english, chinese)
    # And each of them is among the facts.
    facts = _facts(outcome.metric, decision)
    assert {n for n in _numbers(english) if n not in facts} <= {"2", "5"}, (english, facts)


def _numbers(text: str) -> list[str]:
    plain = re.sub(r"\([^)]*\)(?=[^(]*\()|gamma = \S+?\)", "", text) if "gamma" in text else text
    plain = re.sub(r"\(\w+ = [^)]*\)", "", plain)
    return re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", re.sub(r"poly1|Poly1", "", plain))


def _facts(metric: str, decision: object) -> set[str]:
    found: set[str] = set()

    def walk(value: object, inside: str) -> None:
        if isinstance(value, Mapping):
            for each in value.values():
                walk(each, inside)
        elif isinstance(value, list | tuple):
            for each in value:
                walk(each, inside)
        elif isinstance(value, int) and not isinstance(value, bool):
            found.add(f"{value:,}")
        elif isinstance(value, float):
            found.update({size(value, inside), f"{100 * value:g}"})
        elif hasattr(value, "__dataclass_fields__"):
            within = getattr(value, "metric", inside)
            for name in value.__dataclass_fields__:
                walk(getattr(value, name), within)

    walk(decision, metric)
    return found


def test_what_other_metrics_say() -> None:
    agreed = made({BASE: 0.2, "focal": 0.1}, sure={BASE: 0.5, "focal": 0.9})
    assert re.search(
        r"Against cross-entropy, log-loss \(0\.\d+ against 0\.\d+\), calibration error "
        r"\(\d+\.\d against \d+\.\d %\) and worst class recall .* say the same\.$",
        verdict(agreed),
    ), verdict(agreed)
    near = {BASE: 0.1, "focal": 0.1}
    told = made(near, sure={BASE: 0.9, "focal": 0.6}, margin=0.01, repeats=2)
    assert re.search(
        r"Accuracy cannot tell them apart; log-loss can: cross-entropy 0\.\d+, focal .* 0\.\d+\.$",
        verdict(told),
    ), verdict(told)
    against = made({BASE: 0.2, "focal": 0.1}, sure={BASE: 0.8, "focal": 0.9999999})
    assert re.search(
        r"By log-loss, cross-entropy is better than focal \(gamma = 2\): cross-entropy 0\.\d+, "
        r"focal \(gamma = 2\) 1\.\d+\.$",
        verdict(against),
    ), verdict(against)
    margin = made({BASE: 0.2, "hinge": 0.1, "focal": 0.2})
    assert re.search(
        r"Hinge gives no probabilities; where they are needed, take .*, with log-loss 0\.\d+\.$",
        verdict(margin),
    ), verdict(margin)


def test_an_error_that_is_lower_is_better_and_has_the_targets_unit() -> None:
    outcome = made({"l2": 45.0, "l1": 30.0}, metric="mae")
    text = verdict(outcome)
    assert re.match(r"L1 is best: MAE (?:29|30)\.\d, 1[45]\.\d ahead of L2\.", text), text
    row = outcome.row("l1")
    assert row.difference is not None
    assert row.difference.mean == pytest.approx(-15, abs=1)
    lag = outcome.row("l2").lag
    assert lag is not None
    assert lag.mean == pytest.approx(15, abs=1)


def test_a_loss_that_diverged_has_no_numbers_and_is_not_among_the_best() -> None:
    outcome = made({BASE: 0.1, "focal": BAD, "poly1": 0.2})
    row = outcome.row("focal:gamma=2")
    assert row.failed[0] == "repeat 0, fold 0: not finite in epoch 1"
    assert len(row.failed) == row.trials == 10
    assert outcome.value(row) is None
    assert outcome.best == (BASE,)
    assert decide(outcome).failed == ("focal:gamma=2",)


def test_the_facts_of_what_is_open() -> None:
    """By the rule on the page: a gap of three errors is told, and repeats leave the floor."""
    losses, how, _ = CASES["open"]
    outcome = made(losses, **how)  # type: ignore[arg-type]
    e, d = outcome.race.looks[-1].among, decide(outcome)
    gap, floor, error = e.gaps[1, 0], e.floor[0, 1], e.errors[0, 1]
    assert d.gap == pytest.approx(gap)
    assert d.visible == pytest.approx(3 * floor)
    training = (error**2 - floor**2) * 2
    needed = training / ((gap / 3) ** 2 - floor**2)
    assert d.repeats_needed == pytest.approx(needed, rel=0.1)
    losses, how, _ = CASES["rows"]
    few = made(losses, **{**how, "seed": 3})  # type: ignore[arg-type]
    d = decide(few)
    if d.rows_needed is not None:
        e = few.race.looks[-1].among
        assert d.rows_needed == pytest.approx(
            120 * (3 * e.floor[0, 1] / e.gaps[1, 0]) ** 2, rel=0.1
        )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("margin", [0.1, 1.0, 2.0])
def test_the_pick_gives_up_less_than_the_margin_and_its_own_bound_is_said(
    seed: int, margin: float
) -> None:
    """By the rule on the page, from the looks alone."""
    losses = {BASE: 0.1, "ramp": 0.097, "hinge": 0.1, "focal": 0.1}
    outcome = made(losses, margin=margin, seed=seed, rows=600, repeats=4)
    d, last = decide(outcome), outcome.race.looks[-1]
    assert d.bound == last.bounds[str(d.pick)]
    assert size(d.bound, "accuracy") in verdict(outcome)
    least = min(last.bounds.values())
    if last.bounds.get(BASE, 1.0) <= margin / 100:
        assert d.pick == BASE
        return
    means = {
        spec: value.mean for spec in last.inside if (value := outcome.value(outcome.row(spec)))
    }
    close = {
        spec
        for spec in last.inside
        if last.bounds[spec] <= least + margin / 100
        and max(means.values()) - means[spec] <= margin / 100 + 1e-12
    }
    assert d.pick in close
    if any(outcome.row(spec).candidate.gives_probabilities for spec in close):
        assert outcome.row(str(d.pick)).candidate.gives_probabilities
    spoken = {spec for other in outcome.others for spec in other.out}
    if BASE in close - spoken:
        assert d.pick == BASE
    if least <= margin / 100 and len(last.inside) > 1:
        assert d.kind in ("stay", "pick", "switch")


def test_ramp_is_not_picked_where_the_baseline_is_as_good() -> None:
    """Ramp alone is within the margin, and cross-entropy misses it by a hair."""
    outcome = made({BASE: 0.1, "ramp": 0.094}, rows=3000, margin=1.0)
    bounds = outcome.race.looks[-1].bounds
    assert bounds["ramp:s=-1"] <= 0.01 < bounds[BASE]
    assert decide(outcome).pick == BASE
    assert verdict(outcome).startswith("Stay with cross-entropy: no other loss is more than ")


def test_losses_that_are_out_get_no_more_repeats() -> None:
    outcome = made({BASE: 0.1, "focal": 0.3, "poly1": 0.104}, margin=0.0, training=0.03)
    out = outcome.row("focal:gamma=2")
    assert out.repeats == 2
    assert out.bound is None
    assert out.p_value is not None
    assert out.p_value < 0.01
    more = outcome.row(BASE)
    assert more.repeats > 2
    used, most = outcome.trainings["used"], outcome.trainings["most"]
    assert used == 5 * sum(row.repeats for row in outcome.rows) < most == 150


def test_fixed_runs_everything_once() -> None:
    outcome = made({BASE: 0.1, "focal": 0.3}, fixed=True, repeats=3)
    assert [look.repeats for look in outcome.race.looks] == [3]
    assert outcome.race.looks[0].share == 0.04
    assert {row.repeats for row in outcome.rows} == {3}


def test_the_table_of_sentences_is_whole() -> None:
    for key, lines in TABLE.items():
        assert set(lines) == set(LANGUAGES), key
        fields = [
            {name.lower() for name in re.findall(r"{(\w+)}", lines[language])}
            for language in LANGUAGES
        ]
        assert fields[0] == fields[1], key
    assert set(METRIC_NAMES_ZH) == set(METRICS)


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (0.942, "accuracy", "94.2"),
        (0.0004, "accuracy", "0.04"),
        (0.0, "accuracy", "0.0"),
        (0.2261, "log_loss", "0.226"),
        (12.345, "log_loss", "12.3"),
        (4321.5, "mae", "4322"),
        (0.0123456, "mae", "0.0123"),
        (0, "mae", "0"),
    ],
)
def test_numbers_as_a_person_reads_them(value: float, metric: str, text: str) -> None:
    assert size(value, metric) == text
