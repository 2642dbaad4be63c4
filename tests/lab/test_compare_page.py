"""The page stands alone: it parses, asks the network for nothing, and holds everything."""

import json
import re
from pathlib import Path

import pytest

from lab.markup import Page
from lossmith.lab.compare import confusion, report
from lossmith.lab.page import drawing
from lossmith.lab.picture import style
from lossmith.lab.picture.style import looks


@pytest.fixture(scope="module")
def folder(report_folder: Path) -> Path:
    return report_folder


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "page.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_it_parses_and_closes_what_it_opens(text: str, page: Page) -> None:
    assert text.lstrip().startswith("<!doctype html>")
    assert page.open == []
    assert len(page.ids) == len(set(page.ids)), "two elements share an id"


def test_it_asks_the_network_for_nothing(text: str, page: Page) -> None:
    assert page.fetched == []
    assert "@import" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(\s*[\"']?([^)]*)", text))


def test_references_inside_drawings_point_to_something(text: str, page: Page) -> None:
    targets = re.findall(r"(?:url\(|href=\")#([^)\"]+)", text)
    assert targets
    assert set(targets) <= set(page.ids)


def test_it_names_every_loss_and_draws_every_figure(page: Page) -> None:
    plain = page.text.replace("\N{NO-BREAK SPACE}", " ")
    for name in ("Cross-entropy", "Focal (gamma = 0.5)", "Ramp (s = −1)", "Savage", "Brier"):
        assert name in plain
    spoken = [made for made in page.drawings if made.get("role") == "img"]
    assert len(spoken) == 2 * 6 + 2  # scores, two learning curves, and what stands behind them
    for made in spoken:
        title = page.words[made["aria-labelledby"] or ""]
        told = page.words[made["aria-describedby"] or ""]
        assert told.startswith(title)
        assert "Cross-entropy" in told
    every = [page.words[made["aria-describedby"] or ""] for made in spoken]
    assert sum("Savage" in words for words in every) >= 2 * 3 + 2
    silent = [drawing for drawing in page.drawings if drawing.get("role") != "img"]
    assert all(drawing.get("aria-hidden") == "true" for drawing in silent)


def test_colours_are_the_theme_s_and_each_loss_has_its_own_look(text: str, folder: Path) -> None:
    assert "#c0ff" not in text
    names = [c["spec"].partition(":")[0] for c in json.loads(
        (folder / "numbers.json").read_text())["candidates"]
    ]  # fmt: skip
    assert len(names) == 10
    made = looks(names)
    assert len({look.stroke for look in made}) == 10
    for name, look in zip(names, made, strict=True):
        colour, pattern = look.stroke
        assert name == "endless" or look == style.look(name)
        # In the key, in each table, and in a drawing.
        assert text.count(f'stroke="{colour}" stroke-width="2.6" stroke-dasharray="{pattern}"') >= 3
        assert f"stroke: {colour}" in text
    assert {f"var(--s{hue})" for hue in range(6)} <= set(re.findall(r"var\(--s\d+\)", text))
    assert "--s10:" in text
    colours = re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", text)
    assert colours == [], "a colour that would not follow the page's theme"


def test_it_holds_what_is_needed_to_run_it_again(folder: Path, page: Page) -> None:
    data = json.loads(page.data)
    assert data == json.loads((folder / "numbers.json").read_text())
    assert data["command"] in page.text
    for version in data["environment"].values():
        assert version in page.text
    for condition in data["conditions"]:
        assert condition["verdict"] in page.text.replace("\N{NO-BREAK SPACE}", " ")


def test_it_is_small(text: str) -> None:
    assert len(text) < 1_500_000


def test_the_worst_class_is_that_of_all_folds_together() -> None:
    names = ["cat", "dog", "eel"]
    folds = [[[8, 1, 1], [0, 9, 1], [3, 0, 7]], [[9, 1, 0], [6, 2, 2], [0, 0, 10]]]
    trials = [
        {"condition": "clean", "loss": "l", "status": "done", "confusion": counts}
        for counts in folds
    ]
    trials.append({"condition": "other", "loss": "l", "status": "done", "confusion": folds[0]})
    record = {
        "data": {"classes": names},
        "candidates": [{"spec": "l", "label": "L"}, {"spec": "gone", "label": "Gone"}],
        "trials": trials,
    }
    (row,) = confusion.worst(record, {"key": "clean"})
    assert (row["name"], row["members"], row["recall"]) == ("dog", 20, 11 / 20)
    assert row["taken"] == [("cat", 6 / 20), ("eel", 3 / 20)]


def test_series_differ_in_colour_or_dashes() -> None:
    looks = [drawing.stroke(place) for place in range(40)]
    assert len(set(looks)) == 40
    assert looks[0] == ("var(--s0)", "none")
    assert "var(--s0)" not in [colour for colour, _ in looks[1:]]  # ink is the baseline's alone


def test_what_the_drawings_say_is_escaped() -> None:
    figure, (axes,) = drawing.panels()
    axes.set_title('a < b & "c"')
    made = drawing.svg(figure, "name", "a < b", 'x & <script> "y"')
    page = Page(str(made))
    assert page.open == []
    assert page.words == {"name-title": "a < b", "name-desc": 'x & <script> "y"'}


@pytest.mark.parametrize("most", [0, 3, 30])
def test_clouds_of_points_keep_every_point(most: int) -> None:
    figure, (axes,) = drawing.panels()
    axes.set_axis_off()
    axes.plot(range(most), range(most), "o", color=drawing.hue(1))
    made = str(drawing.svg(figure, "cloud", "t", "d"))
    assert made.count("<use ") == most
    styled = len(re.findall(r"<(?:use|g)[^>]* style=\"[^\"]*var\(--s1\)", made))
    assert styled == (1 if most > 3 else most)


def test_a_comparison_in_which_everything_diverged_has_a_page_too(folder: Path) -> None:
    record = json.loads((folder / "numbers.json").read_text())
    for trial in record["trials"]:
        trial["status"] = "diverged"
    for condition in record["conditions"]:
        for row in condition["rows"]:
            row |= {"failed": ["repeat 0, fold 0: not finite"], "metrics": {}, "among_best": False}
    made = Page(report.page(record))
    assert made.open == []
    assert "diverged in 1 of 3 trials: repeat 0, fold 0: not finite" in made.text


def test_class_names_are_cut_in_the_middle_and_escaped(folder: Path) -> None:
    record = json.loads((folder / "numbers.json").read_text())
    record["data"]["classes"] = [f"<b>one & the same beginning</b> {k}" for k in range(3)]
    text = report.page(record)
    assert "<b>one" not in text.replace(json.dumps(record), "")
    for k in range(3):
        assert f"<b>on…> {k}" in Page(text).text  # in the matrix
        assert f"<b>one & the same beginning</b> {k}" in Page(text).text  # in the table
