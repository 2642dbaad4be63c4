"""What no file of the project says: where one machine keeps things, and debris in the source."""

import ast
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from house.tree import PACKAGE, nodes, sources, tracked

# Written with brackets round one letter, so that this file does not find itself.
FORBIDDEN = {
    "a path of one machine": re.compile(
        r"(?<![\w.:)\]}/-])/(?:[w]ork|[r]oot|[h]ome|[U]sers|[t]mp/venv|[o]pt)(?![\w.-])"
    ),
    "a package registry's host": re.compile(
        r"\b(?:[p]ypi\.(?:org|io|python)|[p]ythonhosted\.org|[d]ownload\.pytorch\.org"
        r"|[a]naconda\.(?:org|com)|[p]iwheels\.org)",
        re.IGNORECASE,
    ),
    "where to find packages, which is pip's own configuration": re.compile(
        r"[-]-(?:extra-)?index-url|[-]-find-links|\b[P]IP_(?:EXTRA_)?INDEX_URL"
    ),
}


def text_problems(files: Iterable[Path]) -> list[str]:
    found = []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        for number, line in enumerate(text.splitlines(), 1):
            for what, pattern in FORBIDDEN.items():
                if match := pattern.search(line):
                    found.append(f"{path}:{number} names {what}: {match.group()}")
    return found


def node_problems(files: Iterable[Path], what: str, wrong: Callable[[ast.AST], bool]) -> list[str]:
    return [
        f"{path}:{getattr(node, 'lineno', 0)} {what}"
        for path in files
        for node in nodes(path)
        if wrong(node)
    ]


def bare_except(node: ast.AST) -> bool:
    return isinstance(node, ast.ExceptHandler) and node.type is None


def prints(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )


def asserts(node: ast.AST) -> bool:
    return isinstance(node, ast.Assert)


def python(files: Iterable[Path]) -> list[Path]:
    return [path for path in files if path.suffix == ".py"]


def test_no_file_names_a_machine_or_a_registry() -> None:
    assert text_problems(tracked()) == []


def test_no_bare_except() -> None:
    assert node_problems(python(tracked()), "catches everything", bare_except) == []


def test_only_the_lab_prints() -> None:
    below = [path for path in sources() if "lab" not in path.relative_to(PACKAGE).parts[:1]]
    assert node_problems(below, "prints", prints) == []


def test_no_asserts_in_the_package() -> None:
    """A wrong input of a user gets one of our errors, also under `python -O`."""
    assert node_problems(sources(), "asserts; raise one of lossmith.errors", asserts) == []


@pytest.mark.parametrize(
    "text",
    [
        'open("/{}ork/x")'.format("w"),
        "cd /{}oot".format("r"),
        "see /{}ome/ada/x".format("h"),
        "run /{}mp/venv/bin/python".format("t"),
        "https://{}ypi.org/simple".format("p"),
        "https://files.{}ythonhosted.org".format("p"),
        "https://{}ownload.pytorch.org/whl/cpu".format("d"),
        "pip install {}-index-url x".format("-"),
    ],
)
def test_a_planted_text_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "fault.md").write_text(f"first line\n{text}\n")
    assert len(text_problems([tmp_path / "fault.md"])) == 1


@pytest.mark.parametrize(
    "text",
    [
        "(a + b)/root",
        "work/unit",
        "a/home",
        "u ** (1 / root)",
        "/usr/bin/env bash",
        "/works",
        "./opt",
    ],
)
def test_an_innocent_text_is_not(tmp_path: Path, text: str) -> None:
    (tmp_path / "sound.md").write_text(text)
    assert text_problems([tmp_path / "sound.md"]) == []


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (bare_except, "try:\n    f()\nexcept:\n    g()\n"),
        (prints, "def f():\n    print(1)\n"),
        (asserts, "def f(x):\n    assert x > 0\n"),
    ],
)
def test_a_planted_statement_is_found(
    tmp_path: Path, wrong: Callable[[ast.AST], bool], text: str
) -> None:
    path = tmp_path / "fault.py"
    path.write_text(text)
    assert len(node_problems([path], "", wrong)) == 1
    path.write_text("try:\n    f('print(1)')\nexcept ValueError:\n    g()\n")
    assert node_problems([path], "", wrong) == []
