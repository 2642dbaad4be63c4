"""What the metadata promise is what the code imports, what was tried, and the same everywhere."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable

import lossmith
from house.tree import PACKAGE, ROOT, nodes, sources

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOWEST = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8")
# Packages by the names under which they are imported, where those differ.
IMPORTED_AS = {"pillow": "PIL", "scikit-learn": "sklearn"}


def bounds(requirements: Iterable[str]) -> dict[str, str | None]:
    """Package: lower bound, or None where a requirement states none."""
    found = {}
    for line in requirements:
        match = re.fullmatch(r"([\w-]+)(?:\[[\w,]+\])?(?:>=([\w.]+))?(?:,?!=[\w.]+)*", line)
        assert match, line
        found[match[1]] = match[2]
    return found


def imported(folders: Iterable[str]) -> set[str]:
    """The packages of others that the files of these folders import, at their top or later."""
    found = set()
    for path in sources():
        if path.relative_to(PACKAGE).parts[0] not in folders:
            continue
        for node in nodes(path):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"lossmith"}


def names(requirements: Iterable[str]) -> set[str]:
    return {IMPORTED_AS.get(package, package) for package in bounds(requirements)}


def test_the_library_asks_for_what_it_imports() -> None:
    floors = {path.relative_to(PACKAGE).parts[0] for path in sources()} - {"lab", "__main__.py"}
    assert {"formula", "risk"} <= floors
    assert imported(floors) == names(PROJECT["dependencies"])


def test_the_laboratory_asks_for_what_it_imports() -> None:
    """No package that merely comes along with another one, and none that nobody imports."""
    library = names(PROJECT["dependencies"])
    found = imported({"lab"}) - library
    # "tune" is for one option alone, "onnx" for one column of a table; torch imports its others.
    asked = names(EXTRAS["lab"]) | names(EXTRAS["tune"]) | {"onnxruntime"}
    assert found == asked
    assert "onnxruntime" in names(EXTRAS["onnx"])


def test_the_checks_bring_every_option() -> None:
    """A test of an option whose packages are missing would be left out without a word."""
    brought = [line for line in EXTRAS["dev"] if line.startswith("lossmith")]
    options = sorted(EXTRAS.keys() - {"lab", "dev"})
    assert options == ["cluster", "onnx", "tune"]
    assert brought == [f"lossmith[{','.join(options)}]"]


def test_every_lower_bound_was_tried() -> None:
    tried: dict[str, str] = {}
    for name, version in re.findall(r"^([\w-]+)==([\w.]+)", LOWEST, re.MULTILINE):
        tried.setdefault(name, version)
    assert tried == bounds([*PROJECT["dependencies"], *EXTRAS["lab"]])


def test_the_version_is_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == PROJECT["version"]
    assert lossmith.__version__ == PROJECT["version"]


def test_a_build_is_not_tied_to_one_release_of_its_tool() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    assert not [line for line in build["requires"] if "==" in line]


def test_contributing_names_files_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    spans = re.findall(r"`([\w./-]+\.(?:py|pyi|md|toml|txt|cff))`", text)
    folders = ("engine/cpu", "face", "formula", "lab/matrix", "lab/support")
    roots = (ROOT, PACKAGE, *(PACKAGE / folder for folder in folders))
    assert len(set(spans)) > 30
    assert [name for name in spans if not any((root / name).exists() for root in roots)] == []
