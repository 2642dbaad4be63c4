"""`make quick` runs the tests that are about what changed, and names what it had no time for."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from house.tree import ROOT, sources


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("quick", ROOT / "tools" / "quick.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


quick = load()
FILES = {
    "src/lossmith/__init__.py": "from lossmith import low, high",
    "src/lossmith/low.py": "",
    "src/lossmith/high.py": "from lossmith.low import thing",
    "src/lossmith/alone.py": "",
    "src/lossmith/lab/__init__.py": "",
    "src/lossmith/lab/late.py": "def f():\n    import lossmith.high as h",
    "tests/helper.py": "from lossmith import low",
    "tests/test_low.py": "from lossmith.low import thing",
    "tests/test_by_helper.py": "import helper",
    "tests/test_high.py": "from lossmith import high",
    "tests/test_high_drawn.py": "import lossmith",
    "tests/test_page.py": "PAGE = 'docs/page.md'",
    "tests/house/test_rules.py": "",
    "tests/lab/test_of_lab.py": "",
    "docs/page.md": "words",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "tests"),
    [
        # The tests of a name come before the house, those that use the file by the way after it.
        ("src/lossmith/low.py", ["low", "RULES", "by_helper", "high"]),
        ("src/lossmith/high.py", ["high", "RULES"]),
        ("src/lossmith/lab/late.py", ["RULES", "of_lab"]),
        ("src/lossmith/alone.py", ["RULES"]),
        ("tests/test_low.py", ["low", "RULES"]),
        ("tests/helper.py", ["RULES", "by_helper"]),
        ("docs/page.md", ["RULES", "page"]),
        ("gone.py", ["RULES"]),
    ],
)
def test_what_is_chosen(tree: Path, file: str, tests: list[str]) -> None:
    files = {"RULES": "tests/house/test_rules.py", "of_lab": "tests/lab/test_of_lab.py"}
    assert quick.chosen([file], tree) == [files.get(t, f"tests/test_{t}.py") for t in tests]


def test_a_file_that_only_files_import_has_the_tests_of_those(tree: Path) -> None:
    (tree / "src/lossmith/low.py").write_text("from lossmith import alone")
    assert quick.chosen(["src/lossmith/alone.py"], tree) == [
        *("tests/house/test_rules.py", "tests/test_by_helper.py", "tests/test_low.py"),
        "tests/test_high.py",
    ]  # fmt: skip


def test_every_source_of_ours_has_tests_beside_the_house() -> None:
    uses = quick.graph(ROOT)
    files = [path.relative_to(ROOT).as_posix() for path in sources() if path.stem[0] != "_"]
    found = {file: [*quick.chosen([file], ROOT, uses)] for file in files}
    bare = [f for f, tests in found.items() if all(t.startswith(quick.HOUSE) for t in tests)]
    assert bare == []
    assert "tests/lab/test_bench.py" in found["src/lossmith/lab/bench/classes.py"]
    assert "tests/formula/test_properties.py" in found["src/lossmith/formula/extremes.py"]


def test_changes_are_those_since_the_branch_began(tree: Path) -> None:
    def git(*words: str) -> None:
        name = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *name, *words], cwd=tree, check=True, capture_output=True)

    git("init", "-b", "main")
    git("add", "-A")
    git("commit", "-m", "one")
    git("checkout", "-b", "branch")
    assert quick.changed(tree) == []
    (tree / "docs/page.md").write_text("others")
    git("commit", "-am", "two")
    (tree / "src/lossmith/low.py").write_text("x = 1")
    (tree / "src/lossmith/new.py").write_text("")
    files = ["docs/page.md", "src/lossmith/low.py", "src/lossmith/new.py"]
    assert quick.changed(tree) == files
    assert quick.changed(tree, "HEAD") == files[1:]
    with pytest.raises(SystemExit, match="give --base"):
        quick.changed(tree, "nowhere")


def test_what_no_time_is_left_for_is_named(tmp_path: Path) -> None:
    code = (
        "import importlib.util, pytest, sys, pathlib\n"
        f"path = {str(ROOT / 'tools' / 'quick.py')!r}\n"
        "spec = importlib.util.spec_from_file_location('quick', path)\n"
        "quick = importlib.util.module_from_spec(spec); spec.loader.exec_module(quick)\n"
        "quick.ROOT = pathlib.Path.cwd()\n"
        "pytest.main(['-q', 'test_a.py', 'test_b.py'], plugins=[quick.InTime([], -1)])\n"
    )
    for name in ("test_a.py", "test_b.py"):
        (tmp_path / name).write_text("def test(): raise SystemError\ndef test_2(): pass")
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "4 skipped" in ended.stdout
    assert "not run, for want of time" in ended.stdout
    assert "test_b.py: 2" in ended.stdout
