"""The rows that every loss gets wrong: found by counting, and named as the person finds them."""

import io
import json
from collections import Counter
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from lab.compare_made import BAD, Result, planned
from lab.markup import Page
from lossmith.lab.compare import contest, remarks, report, summary
from lossmith.lab.compare.hard_rows import ALWAYS, MOST, hard_rows
from lossmith.lab.compare.hard_rows import _wrong as wrong_in
from lossmith.lab.compare.influence import Said
from lossmith.lab.compare.trial import Trial
from lossmith.lab.data.load import load

CLASSES = {"cross_entropy": 0.1, "focal": 0.12, "hinge": 0.11}
NUMBERS = {"l2": 1.0, "l1": 1.0, "huber": 1.1}


def compared(
    losses: dict[str, Any], planted: set[int], seed: int, **how: Any
) -> tuple[dict[str, Any], list[Result], summary.Outcome]:
    """What is found, the trials it is found in, and the outcome; planted rows are always wrong."""
    plan, result = planned(losses, seed=seed, **how)
    results: list[Result] = []

    def run(trial: Trial) -> Result:
        made = result(trial)
        if "rows" in made:
            rows = made["rows"]
            here = np.isin(rows["place"], list(planted))
            if "said" in rows:
                rows["said"] = np.where(here, (plan.dataset.target[rows["place"]] + 1) % 4,
                                        rows["said"])  # fmt: skip
            else:
                rows["error"] = np.where(here, np.float32(-50), rows["error"])
        results.append(made)
        return made

    races = contest.run(plan, {}, lambda wanted: ((trial, run(trial)) for trial in wanted))
    outcome = summary.summarize(plan, races)[0]
    found = hard_rows(outcome, "en")
    assert found is not None
    return found, results, outcome


def counted(results: list[Result], fact: str) -> dict[int, dict[str, list[Any]]]:
    """For each row and loss what the trainings said, by loops over the trials alone."""
    found: dict[int, dict[str, list[Any]]] = {}
    for result in results:
        if fact in result["rows"]:
            for place, value in zip(
                result["rows"]["place"].tolist(), result["rows"][fact].tolist(), strict=True
            ):
                found.setdefault(place, {}).setdefault(result["loss"], []).append(value)
    return found


@settings(max_examples=6)
@given(
    seed=st.integers(0, 2**31),
    planted=st.sets(st.integers(0, 159), max_size=30),
    repeats=st.integers(1, 4),
)
def test_what_is_listed_is_what_counting_finds(seed: int, planted: set[int], repeats: int) -> None:
    found, results, outcome = compared(
        CLASSES, planted, seed, rows=160, noise=0.8, repeats=repeats, margin=0.01
    )
    said, surprise = counted(results, "said"), counted(results, "surprise")
    truth = (np.arange(160) % 4).tolist()
    wrong = {
        row: {loss: [s != truth[row] for s in each] for loss, each in by_loss.items()}
        for row, by_loss in said.items()
    }
    always = {r for r, each in wrong.items() if all(fmean(w) >= ALWAYS for w in each.values())}
    ever = {r for r, each in wrong.items() if all(map(any, each.values()))}
    assert planted <= always
    assert found["always_wrong"] == len(always)
    assert (found["judged"], found["losses"]) == (160, 3)
    listed = [row["place"] for row in found["rows"]]
    assert len(listed) == len(set(listed)) == min(MOST, len(ever))
    assert set(listed) <= ever
    assert set(listed) >= always or len(always) > MOST
    names = outcome.race.evidence.plan.dataset.classes

    def badness(row: int) -> tuple[bool, int, float]:
        return row in always, sum(map(sum, wrong[row].values())), round(mean(row), 9)

    def mean(row: int) -> float:
        return fmean(value for each in surprise[row].values() for value in each)

    for row in found["rows"]:
        place = row["place"]
        assert row["row"] == place + 1
        assert row["given"] == names[truth[place]]
        others = Counter(s for each in said[place].values() for s in each if s != truth[place])
        assert others[names.index(row["said"])] == row["agreed"] == max(others.values())
        assert row["wrong"] == others.total()
        assert row["trainings"] == sum(map(len, said[place].values()))
        assert row["losses"] == sum(fmean(w) >= ALWAYS for w in wrong[place].values())
        assert row["surprise"] == pytest.approx(mean(place))
        assert row["error"] is None
    order = [badness(place) for place in listed]
    assert order == sorted(order, reverse=True)
    assert all(badness(row) <= order[-1] for row in ever - set(listed))
    count = sum(row["losses"] == 3 for row in found["rows"])
    assert (found["says"] is None) == (count == 0)
    if count:
        first = ", ".join(str(row + 1) for row in listed[: min(count, 5)]) + " …" * (count > 5)
        assert found["says"] == (
            f"Look at the labels of these rows: {count} of them are wrong under every loss in at "
            f"least 90 % of trainings ({first})."
        )
        assert f" {count} " in found["sentences"]["zh"]
        assert first in found["sentences"]["zh"]


@settings(max_examples=4)
@given(seed=st.integers(0, 2**31), planted=st.sets(st.integers(0, 199), max_size=5))
def test_numbers_far_off_under_every_loss(seed: int, planted: set[int]) -> None:
    found, results, outcome = compared(
        NUMBERS, planted, seed, rows=200, metric="mae", repeats=2, margin=0.01
    )
    # Of the other rows the errors lie between a half and one and a half: four robust deviations,
    # at 5.93 times their median, are out of reach.
    assert {row["place"] for row in found["rows"]} == planted
    assert found["always_wrong"] == len(planted)
    errors = counted(results, "error")
    target = outcome.race.evidence.plan.dataset.target
    for row in found["rows"]:
        own = [value for each in errors[row["place"]].values() for value in each]
        assert row["error"] == pytest.approx(fmean(map(abs, own)))
        assert row["given"] == target[row["place"]]
        assert row["said"] == pytest.approx(target[row["place"]] + median(own))
        assert row["wrong"] == row["trainings"] == len(own)
        assert row["surprise"] is row["agreed"] is None
    assert (found["says"] is None) == (not planted)
    if planted:
        assert found["says"].startswith("Look at the targets of these rows: ")


def test_where_most_errors_are_none_the_mean_is_the_unit() -> None:
    target = np.zeros(100)
    error = np.zeros((1, 100))
    error[0, 60:] = 1.0
    error[0, 8] = 90.0
    said = Said({"error": error.astype(np.float32)}, np.zeros((1, 100), np.int64), target, target)
    assert np.flatnonzero(wrong_in(said)[0]).tolist() == [8]


def test_one_loss_alone_shows_no_hard_rows() -> None:
    for losses in ({"cross_entropy": 0.1}, {"cross_entropy": 0.1, "focal": BAD}):
        plan, result = planned(losses, rows=80, repeats=2)
        races = contest.run(plan, {}, lambda wanted, of=result: ((t, of(t)) for t in wanted))
        assert hard_rows(summary.summarize(plan, races)[0], "en") is None


@settings(max_examples=15)
@given(missing=st.lists(st.booleans(), min_size=24, max_size=24))
def test_a_row_of_a_table_is_named_by_its_line(
    missing: list[bool], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The oracle is the file itself, read line by line."""
    folder = tmp_path_factory.mktemp("table")
    labels = ["" if gone else "ab"[at % 2] for at, gone in enumerate(missing)]
    labels += ["a", "b"] * 3
    lines = ["x,target", *(f"{at}.5,{label}" for at, label in enumerate(labels))]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    data = load(str(folder / "t.csv"))
    numbers = data.origin.rows(range(data.rows))
    for place, number in enumerate(numbers):
        x, label = lines[int(number) - 1].split(",")
        assert label == data.classes[data.target[place]]
        assert float(x) == data.source["x"][place]  # type: ignore[index, call-overload]
    assert "header is row 1" in data.origin.counted
    codes = np.array([float(label == "a") if label else np.nan for label in labels])
    np.savez(folder / "n.npz", X=np.arange(30.0)[:, None] ** 2, y=codes)
    data = load(str(folder / "n.npz"), "y")
    for place, number in enumerate(data.origin.rows(range(data.rows))):
        assert data.classes[data.target[place]] == str(int(labels[int(number) - 1] == "a"))
    assert data.origin.counted == "The first row is row 1."


def test_a_row_of_a_folder_is_named_by_its_picture(tmp_path: Path) -> None:
    for kind, shade in (("cat", 10), ("dog", 200)):
        (tmp_path / kind).mkdir()
        for number in range(3):
            name = f"{number}\x1b[31m.png"
            Image.new("L", (4, 4), shade + number).save(tmp_path / kind / name)
    data = load(str(tmp_path))
    names = data.origin.rows([0, 5])
    assert names == [r"cat/0\x1b[31m.png", r"dog/2\x1b[31m.png"]
    assert data.origin.counted == "Rows are named by their pictures."


@pytest.fixture(scope="module")
def record(report_folder: Path) -> dict[str, Any]:
    found = json.loads((report_folder / "numbers.json").read_text())
    assert isinstance(found, dict)
    return found


def test_the_page_shows_them_escaped_and_runs_none_of_them(record: dict[str, Any]) -> None:
    bad = "<script>alert(1)</script>"
    made = json.loads(json.dumps(record))
    row = {"row": f"{bad}.png", "place": 3, "given": bad, "said": bad, "agreed": 2, "wrong": 3,
           "trainings": 4, "losses": 1, "surprise": None, "error": None}  # fmt: skip
    for condition in made["conditions"]:
        condition["hard_rows"] |= {"rows": [row], "says": f"Look at {bad}."}
    text = report.page(made)
    page = Page(text)
    assert page.open == []
    assert text.count("<script") == report.page(record).count("<script")
    assert page.text.count(f"{bad}.png") >= 2
    assert "3 of 4" in page.text


def test_the_record_and_the_page_name_the_same_rows(record: dict[str, Any]) -> None:
    text = Page(report.page(record)).text.replace("\N{NO-BREAK SPACE}", " ")
    for condition in record["conditions"]:
        found = condition["hard_rows"]
        assert found["judged"] == 150
        assert found["losses"] == sum(not row["failed"] for row in condition["rows"])
        assert found["says"] is None or found["says"] in text
        for row in found["rows"]:
            assert f"{row['wrong']} of {row['trainings']}" in text
        # What a page is made of may lack them: one loss alone has none.
        without = {**condition, "hard_rows": None}
        assert (
            "Rows that are hard" not in Page(report.page(record | {"conditions": [without]})).text
        )


@pytest.mark.parametrize("says", [(None, None), ("First.", "Second."), (None, "Second.")])
def test_the_terminal_has_one_line_if_there_is_anything_to_say(
    record: dict[str, Any], says: tuple[str | None, ...]
) -> None:
    made = json.loads(json.dumps(record))
    before = io.StringIO()
    for condition, words in zip(made["conditions"], says, strict=True):
        condition["hard_rows"]["says"] = words
    remarks.show(Console(file=before, width=200), made)
    lines = [line for line in before.getvalue().splitlines() if line in ("First.", "Second.")]
    assert lines == [word for word in says if word][:1]
