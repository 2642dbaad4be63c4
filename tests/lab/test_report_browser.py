"""The report in a real browser: it sorts, it fits a phone, and the console stays silent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import browser

ORDER = """[...document.querySelector("table.results").tBodies[0].rows]
    .map((row) => row.cells[0].innerText.replace("may be the best", "")
        .replace("●", "").trim())"""
STATES = """[...document.querySelector("table.results").tHead.rows[0].cells]
    .map((head) => head.getAttribute("aria-sort"))"""


@pytest.fixture(scope="module")
def folder(report_folder: Path) -> Path:
    return report_folder


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of the table as the JSON has them, each with its label."""
    data = json.loads((folder / "numbers.json").read_text())
    labels = [candidate["label"] for candidate in data["candidates"]]
    found = data["conditions"][0]["rows"]
    return [{**row, "label": label} for row, label in zip(found, labels, strict=True)]


@pytest.fixture(scope="module")
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    chromium = browser.program()
    if chromium is None:
        pytest.skip(f"none of {', '.join(browser.NAMES)} is in PATH")
    with browser.page(chromium, tmp_path_factory.mktemp("chromium")) as made:
        made.open(folder / "page.html")
        yield made


def labels(page: browser.Page) -> list[str]:
    return [label.replace("\N{NO-BREAK SPACE}", " ") for label in page.value(ORDER)]


def press_head(page: browser.Page, column: int) -> None:
    page.value(f"document.querySelectorAll('table.results thead button')[{column}].click()")


def test_a_click_sorts_best_first_then_turns_then_restores(
    page: browser.Page, rows: list[dict[str, Any]]
) -> None:
    own = [row["label"] for row in rows]
    assert labels(page) == own
    sound = [row for row in rows if not row["failed"]]
    (broken,) = (row["label"] for row in rows if row["failed"])
    means = {row["label"]: row["metrics"]["accuracy"]["mean"] for row in sound}
    assert len(set(means.values())) > 3
    downward = sorted(means, key=lambda label: -means[label])  # equals stay in the page's order
    press_head(page, 1)
    assert labels(page) == [*downward, broken]
    assert page.value(STATES)[:3] == ["none", "descending", "none"]
    press_head(page, 1)
    assert labels(page) == [
        *sorted(means, key=means.__getitem__),
        broken,
    ]  # what has no number stays at the end
    assert page.value(STATES)[1] == "ascending"
    press_head(page, 1)
    assert labels(page) == own
    assert set(page.value(STATES)) == {"none"}


def test_a_smaller_log_loss_is_better(page: browser.Page, rows: list[dict[str, Any]]) -> None:
    heads = page.value(
        '[...document.querySelector("table.results").tHead.rows[0].cells]'
        ".map((head) => head.innerText.trim())"
    )
    press_head(page, [head.split()[0] for head in heads].index("log-loss"))
    known = {r["label"]: (r["metrics"].get("log_loss") or {}).get("mean") for r in rows}
    values = [known[label] for label in labels(page)]
    there = [value for value in values if value is not None]
    assert there == sorted(there)
    assert values == there + [None] * (len(values) - len(there))
    assert len(there) == sum(r["metrics"].get("log_loss") is not None for r in rows) >= 3


def test_the_keyboard_sorts_too(page: browser.Page, rows: list[dict[str, Any]]) -> None:
    page.value("document.querySelector('table.results thead button').focus()")
    page.press("Enter", 13, "\r")
    assert labels(page) == sorted(row["label"] for row in rows)
    assert page.value(STATES)[0] == "ascending"
    page.press(" ", 32, " ")
    assert labels(page) == sorted((row["label"] for row in rows), reverse=True)
    page.press("Tab", 9)
    assert page.value("document.activeElement.innerText").startswith("accuracy")


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_the_page_itself_never_scrolls_sideways(page: browser.Page, width: int) -> None:
    page.ask(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=800, deviceScaleFactor=1, mobile=width < 500,
    )  # fmt: skip
    assert page.value("innerWidth") == width
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value("document.querySelector('table.results').scrollWidth") > 320  # its box does


def test_it_follows_the_colour_scheme(page: browser.Page) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        wanted = [{"name": "prefers-color-scheme", "value": scheme}]
        page.ask("Emulation.setEmulatedMedia", features=wanted)
        found = page.value(
            "['color', 'backgroundColor'].map((name) => getComputedStyle(document.body)[name])"
        )
        seen[scheme] = [sum(map(int, text[4:-1].split(","))) for text in found]
    assert seen["light"][0] < 200 < 700 < seen["light"][1]
    assert seen["dark"][1] < 200 < 600 < seen["dark"][0]


def test_without_scripts_everything_but_the_sorting_is_there(
    page: browser.Page, folder: Path, rows: list[dict[str, Any]]
) -> None:
    page.ask("Emulation.setScriptExecutionDisabled", value=True)
    page.open(folder / "page.html")
    try:
        assert page.value("document.querySelectorAll('thead button').length") == 0
        assert labels(page) == [row["label"] for row in rows]
        assert page.value("document.querySelectorAll('svg[role=img]').length") >= 8
    finally:
        page.ask("Emulation.setScriptExecutionDisabled", value=False)


def test_nothing_was_complained_of_and_nothing_asked_for(page: browser.Page, folder: Path) -> None:
    assert page.complaints() == []
    assert set(page.requests()) == {(folder / "page.html").as_uri()}


def test_a_fault_of_a_page_would_be_seen(page: browser.Page, tmp_path: Path) -> None:
    """Last, because its complaints stay."""
    text = '<script>missing()</script><img src="http://127.0.0.1:9/x.png">'
    (tmp_path / "faulty.html").write_text(text)
    page.open(tmp_path / "faulty.html")
    assert any("missing is not defined" in complaint for complaint in page.complaints())
    assert "http://127.0.0.1:9/x.png" in page.requests()
