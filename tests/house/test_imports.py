"""Imports point one way.

A file imports only from its own floor and those before it in FLOORS, names the file it imports
from and never a folder's page (`__init__.py`), and no two files import each other, however long
the way round. Imports inside functions and under TYPE_CHECKING count like any other.

Two exceptions. A page may gather from what lies below its own folder; the package's page,
`lossmith/__init__.py`, lies above every floor and is for users: inside, only the lab, which is
one, imports it.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from house.tree import PACKAGE, nodes, sources

FLOORS = ("errors", "formula", "link", "engine", "face", "risk", "adapters", "lab")
PAGE = "lossmith"
TOP = {"__main__": "lab"}  # `python -m lossmith` is the lab's door

Import = tuple[int, str, tuple[str, ...] | None]  # line, module, names (None: `import module`)


def name_of(path: Path, package: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join((PAGE, *(parts[:-1] if parts[-1] == "__init__" else parts)))


def imports(path: Path, module: str) -> Iterator[Import]:
    """Every import of ours in a file, relative ones resolved, `import_module("...")` included."""
    parts = module.split(".")
    home = parts if path.name == "__init__.py" else parts[:-1]
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found: list[tuple[str, tuple[str, ...] | None]] = [(a.name, None) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            full = ".".join([*base, *([node.module] if node.module else [])])
            found = [(full, tuple(a.name for a in node.names))]
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).split(".")[-1] in {"import_module", "__import__"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str)
        ):
            found = [(node.args[0].value, None)]
        else:
            continue
        for target, names in found:
            if target == PAGE or target.startswith(f"{PAGE}."):
                yield node.lineno, target, names


def floor_of(module: str) -> str | None:
    """Where a module lives; None is the package's page."""
    if module == PAGE:
        return None
    name = module.split(".")[1]
    return TOP.get(name, name)


def problems(package: Path) -> list[str]:
    files = {name_of(path, package): path for path in sources(package)}
    pages = {module for module, path in files.items() if path.name == "__init__.py"}
    # A folder without a page is a folder all the same.
    pages |= {m.rpartition(".")[0] for m in files if m != PAGE}
    graph: dict[str, set[str]] = {module: set() for module in files}
    found = []

    for module, path in files.items():
        floor = floor_of(module)
        if floor is not None and floor not in FLOORS:
            found.append(f"{module}: '{floor}' is no floor; the floors are {', '.join(FLOORS)}")
            continue
        for line, target, names in imports(path, module):
            where = f"{path.relative_to(package.parent)}:{line}"
            if names is not None and target in pages and target != PAGE:
                inside = [f"{target}.{name}" for name in names]
                if all(name in files or name in pages for name in inside):
                    targets = inside  # `from lossmith.formula import record` names a file
                else:
                    targets = [target]
            else:
                targets = [target]
            for goal in targets:
                if goal not in files and goal not in pages:
                    found.append(f"{where} imports {goal}, which does not exist")
                    continue
                graph[module].add(goal)
                if goal == PAGE:
                    if floor != "lab":
                        found.append(f"{where} imports the package's page; only the lab may")
                    continue
                if floor is None:
                    continue
                theirs = floor_of(goal)
                if theirs in FLOORS and FLOORS.index(theirs) > FLOORS.index(floor):
                    found.append(f"{where} ({floor}) imports {goal}, which lies further on")
                if goal in pages and not (module in pages and goal.startswith(f"{module}.")):
                    found.append(f"{where} imports the folder page {goal}; name the file")

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append("a circle: " + " -> ".join(reversed(error.args[1])))
    return found


def test_imports_point_one_way() -> None:
    assert problems(PACKAGE) == []


def plant(tmp_path: Path, **files: str) -> Path:
    package = tmp_path / PAGE
    ground = {
        "__init__.py": "from lossmith.face.make import huber\n",
        "errors.py": "",
        "formula/__init__.py": "",
        "formula/record.py": "from lossmith.errors import X\nimport torch\n",
        "link/__init__.py": "",
        "link/chain.py": "from ..formula.record import A\nfrom lossmith.formula import record\n",
        "face/make.py": "",
        "lab/cli.py": "import lossmith\n",
    }
    for name, text in (ground | files).items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return package


def test_a_sound_tree_passes(tmp_path: Path) -> None:
    assert problems(plant(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("formula/record.py", "from lossmith.link.chain import x", "lies further on"),
        ("formula/record.py", "def f():\n    from lossmith.link.chain import x", "further on"),
        ("formula/record.py", "def f():\n    import lossmith.link.chain", "lies further on"),
        ("formula/record.py", "from ..link import chain", "lies further on"),
        ("formula/record.py", "m = importlib.import_module('lossmith.link.chain')", "further on"),
        ("formula/record.py", "if TYPE_CHECKING:\n    import lossmith.face.make", "further on"),
        ("link/chain.py", "from lossmith.formula import Formula", "name the file"),
        ("link/chain.py", "from ..formula import Formula", "name the file"),
        ("link/chain.py", "import lossmith.formula", "name the file"),
        ("link/chain.py", "from lossmith.face import make_all", "name the file"),
        ("face/make.py", "import lossmith", "only the lab may"),
        ("face/make.py", "from lossmith import errors", "only the lab may"),
        ("face/make.py", "from .. import errors", "only the lab may"),
        ("errors.py", "from lossmith.errors import X", "a circle"),
        ("formula/other.py", "from lossmith.formula.nowhere import X", "does not exist"),
        ("utils/misc.py", "", "is no floor"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, name: str, text: str, says: str) -> None:
    found = problems(plant(tmp_path, **{name: text}))
    assert any(says in problem for problem in found), found


def test_a_planted_circle_is_found(tmp_path: Path) -> None:
    package = plant(
        tmp_path,
        **{
            "formula/record.py": "from lossmith.formula.one import x",
            "formula/one.py": "def f():\n    from lossmith.formula.two import x",
            "formula/two.py": "if TYPE_CHECKING:\n    from .record import x",
        },
    )
    (circle,) = problems(package)
    assert circle.startswith("a circle: ")
    for name in ("record", "one", "two"):
        assert f"lossmith.formula.{name}" in circle
