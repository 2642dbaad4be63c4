"""`lossmith claims --quick`: every claim runs, and the page stands alone."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lab import browser
from lab.markup import Page
from lossmith.lab.claims import ledger, outliers
from lossmith.lab.claims.claim import RULE
from lossmith.lab.cli import main

pytestmark = pytest.mark.slow  # the first test waits for all fifteen experiments

# What the articles draw, and so must the page.
FIGURES = (
    "Hinge and ramp",
    "L1, L2 and Tukey's biweight",
    "Smooth L1 against L1 and L2",
    "L2 after a sigmoid beside cross-entropy",
    "0-1 and its surrogates",
    "Ten digits in the plane as λ grows",
    "Lasso paths",
    "The jump of L1 solutions",
)
SMALLEST = """Math.min(...[...document.querySelectorAll("figure svg text")].map((word) => {
    const svg = word.ownerSVGElement;
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    return parseFloat(getComputedStyle(word).fontSize) * scale;
}))"""  # pixels


def call(*words: str) -> Result:
    return CliRunner().invoke(main, ["claims", *words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("claims")
    words = ["--output", str(made / "page.html"), "--json", str(made / "numbers.json")]
    result = call("--quick", "--seeds", "2", *words)
    assert result.exit_code == 0, result.output
    assert "15 claims in" in result.stderr
    assert len(re.findall(r"^ ?\d+  .*: (?:holds|does)", result.stdout, re.MULTILINE)) == 15
    return made


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return (folder / "page.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


@pytest.fixture(scope="module")
def data(folder: Path) -> Any:
    return json.loads((folder / "numbers.json").read_text(encoding="utf-8"))


def test_every_claim_is_there_with_a_verdict_that_its_parts_give(data: Any) -> None:
    assert [claim["name"] for claim in data["claims"]] == list(ledger.CLAIMS)
    for claim in data["claims"]:
        holds = [part["holds"] for part in claim["parts"]]
        broken = any(part["heart"] and not part["holds"] for part in claim["parts"])
        if all(holds):
            assert claim["verdict"] == "holds", claim["name"]
        elif broken or not any(holds):
            assert claim["verdict"] == "does not hold", claim["name"]
        else:
            assert claim["verdict"] == "holds in part", claim["name"]
        assert claim["sentences"]
        assert claim["figures"]
        for number in claim["numbers"].values():
            if None not in (number["low"], number["mean"], number["high"]):
                assert number["low"] <= number["mean"] <= number["high"]


def test_what_no_seed_can_change_comes_out_right(data: Any) -> None:
    found = {claim["name"]: claim for claim in data["claims"]}
    for name in ("hinge", "outliers", "entropy", "surrogates", "boosting", "saturation"):
        assert found[name]["verdict"] == "holds", found[name]["parts"]
    assert found["sigmoid_l2"]["parts"][0]["holds"]
    assert found["sparsity"]["parts"][0]["holds"]


def test_the_rule_is_said_once_and_its_parts_at_every_claim(page: Page, data: Any) -> None:
    assert page.text.count(RULE) == 1
    plain = page.text.replace("\N{NO-BREAK SPACE}", " ")
    for claim in data["claims"]:
        assert claim["rule"].startswith(RULE)
        assert all(part["asks"] in plain for part in claim["parts"])


def test_the_trend_has_intervals_and_ticks_where_something_was_measured() -> None:
    rng = np.random.default_rng(0)
    cases = [(loss, share) for loss in outliers.LOSSES for share in outliers.SHARES]
    errors = {case: rng.uniform(0.5, 2, 4).tolist() for case in cases}
    made = str(outliers._trend(errors).drawing)
    ticks = re.findall(r'<g id="[^"]*-xtick_\d+">.*?<text[^>]*>([^<]*)</text>', made, re.DOTALL)
    assert ticks == ["0", "5", "10", "20"]
    said = re.search(r"<desc[^>]*>(.*?)</desc>", made, re.DOTALL)
    assert said is not None
    for loss, title in outliers.LOSSES.items():
        mean = np.mean(errors[loss, 0.0])
        assert f"{title} from {mean:.2f} [" in said[1]
    bars = re.findall(r'<g id="[^"]*-LineCollection_\d+">(.*?)</g>', made, re.DOTALL)
    assert [bar.count("<path") for bar in bars] == [len(outliers.SHARES)] * len(outliers.LOSSES)


def test_the_page_closes_what_it_opens(text: str, page: Page) -> None:
    assert text.startswith("<!doctype html>")
    assert page.open == []
    assert len(page.ids) == len(set(page.ids)), "two elements share an id"


def test_it_asks_the_network_for_nothing(text: str, page: Page) -> None:
    assert page.fetched == []
    assert "@import" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(\s*[\"']?([^)]*)", text))
    targets = re.findall(r"(?:url\(|href=\")#([^)\"]+)", text)
    assert set(targets) <= set(page.ids)


def test_each_figure_is_one_drawing_with_words(page: Page, data: Any) -> None:
    titles = [figure["title"] for claim in data["claims"] for figure in claim["figures"]]
    assert len(page.drawings) == len(titles)
    spoken = []
    for drawing in page.drawings:
        assert drawing["role"] == "img"
        title = page.words[drawing["aria-labelledby"] or ""]
        description = page.words[drawing["aria-describedby"] or ""]
        assert len(description) > len(title)
        assert "nan" not in description.split()
        spoken.append(title)
    assert spoken == titles
    for wanted in FIGURES:
        assert spoken.count(wanted) == 1, wanted


def test_colours_follow_the_theme(text: str) -> None:
    assert "#c0ff" not in text
    assert re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", text) == []
    assert {f"var(--s{place})" for place in range(1, 11)} <= set(re.findall(r"var\(--s\d+\)", text))


@pytest.mark.parametrize("width", [360, 390, 1100])
def test_a_browser_has_nothing_to_complain_of(folder: Path, tmp_path: Path, width: int) -> None:
    """Not on a phone either: what is wider than the screen scrolls in a box of its own."""
    chromium = browser.program()
    if chromium is None:
        pytest.skip(f"none of {', '.join(browser.NAMES)} is in PATH")
    with browser.page(chromium, tmp_path) as tab:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        tab.ask("Emulation.setDeviceMetricsOverride", **size)
        tab.open(folder / "page.html")
        tab.value("document.querySelectorAll('details').forEach((part) => part.open = true)")
        assert tab.value("document.documentElement.scrollWidth") <= width
        assert tab.value("document.querySelectorAll('figure svg').length") >= len(FIGURES)
        if width >= 390:
            assert tab.value(SMALLEST) >= 10, "words in a drawing are too small to read"
        assert tab.complaints() == []
        assert tab.requests() == [(folder / "page.html").as_uri()]


def test_numbers_stand_in_the_page_too(page: Page, data: Any) -> None:
    assert "results" in page.ids
    assert json.loads(page.data) == data


def test_the_same_command_gives_the_same_digits(tmp_path: Path, data: Any) -> None:
    """Two of the claims once more, alone and in this process."""
    file = tmp_path / "again.json"
    chosen = ["--only", "focal", "--only", "10", "--jobs", "1", "--quick", "--seeds", "2"]
    result = call(*chosen, "--output", str(tmp_path / "page.html"), "--json", str(file))
    assert result.exit_code == 0, result.output
    before = {claim["name"]: claim for claim in data["claims"]}
    for claim in json.loads(file.read_text(encoding="utf-8"))["claims"]:
        old = before[claim["name"]]
        assert {k: v for k, v in claim.items() if k != "seconds"} == {
            k: v for k, v in old.items() if k != "seconds"
        }


def test_the_list_runs_nothing() -> None:
    result = call("--list")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 15
    assert " 2  ramp" in result.stdout
    assert call("--list", "--only", "ramp").stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--only", "rmp"], "did you mean ramp"),
        (["--only", "16"], "no claim named"),
        (["--seeds", "1"], "at least 2"),
        (["--jobs", "0"], "--jobs"),
        (["--output", "pyproject.toml/page.html"], "pyproject.toml"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(words: list[str], says: str) -> None:
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("lossmith: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr
