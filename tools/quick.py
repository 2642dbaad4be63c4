"""Lint, types and the tests nearest to what changed: `make quick`, for a minute while you work.

What changed is told by git: everything since the branch left main, committed or not. Chosen are the
test files that changed or are named after what changed, the rules of the house, the tests nearest
in the graph of imports, and those of the same floor. What is not run in time is named, and tests
marked slow are left out. `make test` remains the check that counts.
"""

import argparse
import ast
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOTS = ("src", "tests")  # where a module's name begins
PAGE = "lossmith"  # the package's page reaches everything, and so says nothing
HOUSE = "tests/house"
SECONDS = 60
Graph = dict[str, set[str]]  # file: the files it imports, all relative to the root


def git(root: Path, *words: str) -> list[str]:
    """The lines that git answers; none if it refuses."""
    ended = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return ended.stdout.splitlines() if ended.returncode == 0 else []


def changed(root: Path, base: str | None = None) -> list[str]:
    """Files that differ from where the branch left main, and new ones; deleted ones too."""
    for name in [base] if base else ["main", "origin/main", "HEAD"]:
        if found := git(root, "merge-base", name, "HEAD"):
            new = git(root, "ls-files", "--others", "--exclude-standard")
            return sorted({*git(root, "diff", "--name-only", found[0]), *new})
    raise SystemExit(f"quick: git knows no {base or 'main'} here; give --base.")


def modules(root: Path) -> dict[str, str]:
    """Module name → file, of the package and of the tests."""
    found = {}
    for top in ROOTS:
        for path in sorted((root / top).rglob("*.py")):
            parts = path.relative_to(root / top).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path.relative_to(root).as_posix()
    return found


def imported(path: Path, known: dict[str, str]) -> Iterator[str]:
    """The files that a file imports, wherever the line stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{a.name}" for a in node.names]
            names = [name if name in known else node.module for name in names]
        else:
            continue
        yield from (known[name] for name in names if name in known and name != PAGE)


def graph(root: Path) -> Graph:
    """Every file of the package and the tests, and what it imports."""
    known = modules(root)
    return {file: set(imported(root / file, known)) - {file} for file in known.values()}


def is_test(file: str) -> bool:
    return file.startswith("tests/") and Path(file).name.startswith("test_")


def nearest(file: str, users: Graph) -> list[str]:
    """The test files that import it, then those that import what imports it; or further on."""
    seen, ring, found = {file}, {file}, []
    while ring:
        ring = set().union(*(users.get(f, set()) for f in ring)) - seen
        # A helper of tests counts as the tests that use it.
        helpers = {f for f in ring if f.startswith("tests/") and not is_test(f)}
        ring |= set().union(*(users.get(h, set()) for h in helpers)) - seen
        seen |= ring
        before = bool(found)
        found += sorted(f for f in ring if is_test(f))
        if before:
            break
    return found


def beside(file: str, tests: Iterable[str]) -> list[str]:
    """The tests of its folder, or its floor: most ask at the library's door and import little."""
    _, _, *folders, _ = ["", *Path(file).parts] if file.startswith("src/") else ["", "", ""]
    tests = sorted(tests)
    for folder in reversed(folders[1:]):
        for start in (f"tests/{folder}/", f"tests/{folders[1]}/test_{folder}"):
            if found := [test for test in tests if test.startswith(start)]:
                return found
    return []


def chosen(files: Iterable[str], root: Path, uses: Graph | None = None) -> list[str]:
    """The test files to run: what is about a changed file, the house, what merely uses one."""
    uses = graph(root) if uses is None else uses
    users: Graph = {}
    for file, others in uses.items():
        for other in others:
            users.setdefault(other, set()).add(file)
    tests = {file: (root / file).read_text(encoding="utf-8") for file in uses if is_test(file)}
    first, then = [], []
    for file in files:
        stem = Path(file).stem
        if is_test(file) and file in tests:
            first.append(file)
        elif file.endswith(".py"):
            near = [*nearest(file, users), *beside(file, tests)]
            # test_rows.py and test_rows_drawn.py are about rows.py.
            named = [t for t in tests if Path(t).stem.startswith(f"test_{stem}")]
            first += [t for t in near if t in named] or named
            then += near
        else:
            then += [t for t, text in tests.items() if Path(file).name in text]
    house = sorted(t for t in tests if t.startswith(HOUSE))
    return list(dict.fromkeys([*first, *house, *then]))


class InTime:
    """A plugin of pytest: files in the order given, and nothing is begun after its time."""

    def __init__(self, files: list[str], seconds: float) -> None:
        self.order = {ROOT / file: place for place, file in enumerate(files)}
        self.end = time.monotonic() + seconds
        self.left: dict[str, int] = {}

    @pytest.hookimpl(trylast=True)  # after the suite's own order, which has the longest first
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self.order.get(item.path, 0))

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if time.monotonic() > self.end:
            name = item.path.relative_to(ROOT).as_posix()
            self.left[name] = self.left.get(name, 0) + 1
            pytest.skip("no time left")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.left:
            terminalreporter.section("not run, for want of time: make test runs them")
            for name, count in self.left.items():
                terminalreporter.line(f"{name}: {count}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--base", help="what to compare with  [default: main]")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for the tests")
    parser.add_argument("--list", action="store_true", help="only say which files would run")
    given = parser.parse_args()
    files = chosen(changed(ROOT, given.base), ROOT)
    if given.list:
        print("\n".join(files))
        return
    bin = Path(sys.executable).parent
    checks = [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]]
    running = [
        subprocess.Popen(
            [bin / name, *words], cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for name, *words in checks
    ]  # fmt: skip
    print(f"{len(files)} test files, for {given.seconds:g} s", flush=True)
    words = ["-q", "-m", "not slow", *files]
    failed = int(pytest.main(words, plugins=[InTime(files, given.seconds)]))
    for words, check in zip(checks, running, strict=True):
        said, _ = check.communicate()
        print(f"--- {' '.join(words)}: {'FAILED' if check.returncode else 'fine'}")
        if check.returncode:
            failed = 1
            print(said)
    sys.exit(failed)


if __name__ == "__main__":
    main()
