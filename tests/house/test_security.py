"""SECURITY.md names every place that removes, writes or executes, with the test that bounds it.

The places are found in the source: by what is called there, in which function of which file.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from house.tree import PACKAGE, ROOT, nodes, sources

PAGE = ROOT / "SECURITY.md"

# What a call is named, whoever it is asked of.
CALLED = {
    "removes": {"unlink", "rmtree", "rmdir", "removedirs", "truncate", "take_back", "drop_trials"},
    "writes": {
        *("write_text", "write_bytes", "mkstemp", "TemporaryDirectory", "NamedTemporaryFile"),
        *("savefig", "to_csv", "tofile", "fdopen", "symlink_to", "hardlink_to", "rename"),
    },
    "executes": {
        *("import_module", "exec_module", "run_module", "run_path", "CFUNCTYPE", "CDLL"),
        *(
            "Parallel",
            "remote",
            "parallel_config",
            "add_object_file",
            "Popen",
            "check_output",
            "check_call",
            "load_library",
            "_exit",
        ),
    },
}
BARE = {"exec", "eval", "compile", "__import__"}  # the built-in functions, by their bare names
OF_MODULE = {
    "os": {
        *("open", "remove", "replace", "rename", "unlink", "system", "popen", "kill", "killpg"),
        *("execv", "execve", "execvp", "spawnv", "posix_spawn", "startfile", "truncate"),
    },
    "pickle": {"load", "loads", "Unpickler"},
    "marshal": {"load", "loads"},
    "torch": {"load", "save"},
    "joblib": {"load", "dump"},
    "np": {"load", "save", "savez"},
    "shutil": {"move", "copy", "copyfile", "copytree", "rmtree"},
    "subprocess": {"run", "call", "Popen", "check_output"},
    "runpy": {"run_module", "run_path"},
    "code": {"interact", "InteractiveInterpreter"},
}
# Imported by name, such a function could be called without its module.
NEVER_BY_NAME = {"pickle", "marshal", "shutil", "subprocess", "runpy", "os", "joblib.externals"}


def places(path: Path) -> Iterator[tuple[str, str]]:
    """(function, what it calls) of every place in a file that removes, writes or executes."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))

    def walk(node: ast.AST, inside: str) -> Iterator[tuple[str, str]]:
        for child in ast.iter_child_nodes(node):
            name = inside
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{inside}.{child.name}".removeprefix(".")
            if isinstance(child, ast.Call) and (found := dangerous(child)):
                yield inside or "the module", found
            if isinstance(child, ast.ImportFrom) and child.module in NEVER_BY_NAME:
                yield inside or "the module", f"from {child.module} import"
            yield from walk(child, name)

    return walk(tree, "")


def dangerous(call: ast.Call) -> str | None:
    """What a call does, if it is one of those that the page has to name."""
    function = call.func
    if isinstance(function, ast.Name):
        if function.id in BARE or (function.id == "open" and writing(call, 1)):
            return function.id
        everywhere = set.union(*CALLED.values())
        return function.id if function.id in everywhere else None
    if not isinstance(function, ast.Attribute):
        return None
    name = function.attr
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    if any(name in names for names in CALLED.values()) or name in OF_MODULE.get(owner, ()):
        return name
    if name == "open" and writing(call, 0):
        return name
    # A path that takes another's place; of a text or a formula, `replace` takes two arguments.
    moves = name in ("replace", "rename") and len(call.args) == 1 and not call.keywords
    return name if moves and not isinstance(call.args[0], ast.Lambda) else None


def writing(call: ast.Call, place: int) -> bool:
    """Whether `open` was given a mode that writes."""
    given = [k.value for k in call.keywords if k.arg == "mode"] + call.args[place : place + 1]
    return any(
        isinstance(mode, ast.Constant)
        and isinstance(mode.value, str)
        and re.fullmatch(r"[rwaxbt+U]+", mode.value) is not None
        and set(mode.value) & set("wax+") != set()
        for mode in given
    )


def found() -> set[str]:
    return {
        f"{path.relative_to(PACKAGE).as_posix()}::{function}"
        for path in sources()
        for function, _ in places(path)
    }


def table() -> list[tuple[set[str], set[str]]]:
    """The rows of the page: the places, and the tests that bound them."""
    rows = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            where, tests = (set(re.findall(r"`([^`]+::[^`]+)`", c)) for c in (cells[0], cells[3]))
            rows.append((where, tests))
    return rows


def test_every_place_is_on_the_page_and_every_place_of_the_page_is_there() -> None:
    named = set().union(*(where for where, _ in table()))
    assert found() - named == set(), "these remove, write or execute: name and bound them"
    assert named - found() == set(), "these are gone"


def test_every_row_names_tests_that_exist() -> None:
    rows = table()
    assert len(rows) > 10
    for where, tests in rows:
        assert tests, f"{where} has no test"
        for test in tests:
            file, _, name = test.partition("::")
            tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
            assert name in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, test


def calls(name: str) -> list[tuple[str, ast.Call]]:
    """Every call of something of this name in the package, with its file."""
    return [
        (path.relative_to(PACKAGE).as_posix(), node)
        for path in sources()
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) == name
    ]


def test_imports_by_name_are_of_tables() -> None:
    """What is imported by a computed name is a constant or stands in a table of ours."""
    by_name = {(file, ast.unparse(call.args[0])) for file, call in calls("import_module")}
    assert by_name == {
        ("__init__.py", "public.FURTHER_ON[name]"),
        ("lab/cli.py", "module"),  # of COMMANDS
        ("lab/compare/jobs.py", "module"),  # of `_import`, below
        ("engine/cpu/machine.py", "package"),  # of `_version`, below
        ("lab/fuzz/worker.py", "module"),  # of KINDS
        ("lab/compare/models.py", "module"),  # --model, which is asked to be executed
    }
    own = {"lab/compare/jobs.py": "_import", "engine/cpu/machine.py": "_version"}
    for place, name in own.items():
        asked = [call for file, call in calls(name) if file == place]
        assert asked
        assert all(isinstance(word, ast.Constant) for call in asked for word in call.args)
    assert [ast.unparse(call.args[0]) for _, call in calls("CDLL")] == ["None"]


def test_pickles_are_of_our_own_making() -> None:
    made = [
        ast.unparse(call.args[0]) for _, call in calls("loads") if "pickle" in ast.unparse(call)
    ]
    assert made
    assert all(text.startswith("pickle.dumps(") for text in made)
    loaded = [(f, ast.unparse(c.func)) for f, c in calls("load") if "torch" in ast.unparse(c.func)]
    assert loaded == [("lab/support/travel.py", "torch.load")]  # of an io.BytesIO


def test_no_process_goes_through_a_shell() -> None:
    started = [c for _, c in calls("run") if ast.unparse(c.func) == "subprocess.run"]
    assert started
    for call in started:
        assert ast.unparse(call.args[0]).startswith("[sys.executable, '-c', ")
        assert "shell" not in {k.arg for k in call.keywords}
    others = [ast.unparse(c.func) for name in ("system", "popen", "Popen") for _, c in calls(name)]
    assert set(others) <= {"platform.system"}


def test_temporary_folders_go_with_their_block() -> None:
    held = {
        ast.unparse(item.context_expr)
        for path in sources()
        for node in nodes(path)
        if isinstance(node, ast.With)
        for item in node.items
    }
    made = [ast.unparse(call) for _, call in calls("TemporaryDirectory")]
    assert made
    assert set(made) <= held


@pytest.mark.parametrize(
    "text",
    [
        "import shutil\nshutil.rmtree(x)", "from shutil import rmtree", "os.remove(x)",
        "p.unlink()", "exec(text)", "eval(text)", "open(p, 'w')", "p.open('wb')",
        "open(p, mode='r+')", "pickle.loads(b)", "torch.load(f)", "draft.replace(path)",
        "importlib.import_module(name)",
        "subprocess.run(['x'])", "from pickle import loads", "p.write_text('x')", "os.open(p, 0)",
    ],
)  # fmt: skip
def test_a_planted_danger_is_found(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fault.py"
    path.write_text(f"def outer():\n    def inner():\n        {text.splitlines()[-1]}\n")
    assert [function for function, _ in places(path)] == ["outer.inner"]


@pytest.mark.parametrize(
    "text",
    [
        *("net.eval()", "re.compile('x')", "open(p)", "p.open('rb')", "'a'.replace('b', 'c')"),
        *("k.open('if x:')", "replace(call, weight=w)", "names.remove(x)"),
        "e.replace(lambda x: x)",
    ],
)
def test_an_innocent_call_is_not(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sound.py"
    path.write_text(f"def f():\n    {text}\n")
    assert list(places(path)) == []
