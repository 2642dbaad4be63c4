"""The page stands alone: it parses, asks the network for nothing, and holds everything."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lab.compare_tools import SMALL, numbers

LOSSES = "focal:gamma=0.5,generalized_cross_entropy,hinge,ramp,perceptron,logistic,savage,brier"
VOID = {"meta", "br", "img", "link", "input", "hr"}
FETCHES = {"src", "srcset", "data", "action", "poster", "background"}


class Page(HTMLParser):
    """What a browser would build, and what it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.drawings: list[dict[str, str | None]] = []
        self.fetched: list[str] = []
        self.text = ""
        self.data = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if name := given.get("id"):
            self.ids.append(name)
        if tag == "svg":
            self.drawings.append(given)
        for key, value in attrs:
            link = key.split(":")[-1] == "href" and not (value or "").startswith("#")
            if link or key in FETCHES:
                self.fetched.append(f"{tag} {key}={value}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.data += data
        else:
            self.text += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page")
    numbers(made, "iris", *SMALL, "--losses", LOSSES)
    return made


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
    spoken = [drawing["aria-label"] for drawing in page.drawings if drawing.get("role") == "img"]
    assert len(spoken) == 2 * 3 + 2
    assert all(words and "Savage" in words for words in spoken)
    silent = [drawing for drawing in page.drawings if drawing.get("role") != "img"]
    assert all(drawing.get("aria-hidden") == "true" for drawing in silent)


def test_no_stand_in_colour_is_left(text: str) -> None:
    assert "#c0ff" not in text
    assert {f"var(--s{place})" for place in range(8)} <= set(re.findall(r"var\(--s\d\)", text))
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
