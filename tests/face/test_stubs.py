"""The typed page is what the records say now, and what runs.

`make test` holds Modules and re-exported names against it by `stubtest`; functions are held here.
"""

import ast
import inspect
from typing import Any

import pytest

import lossmith
from lossmith.face import stubs
from lossmith.face.catalogue import FUNCTIONS

PAGE = ast.parse(stubs.path().read_text(encoding="utf-8"))
CLASSES = {node.name: node for node in PAGE.body if isinstance(node, ast.ClassDef)}
# The Protocol that the page states for each function.
STATED = {
    ast.unparse(node.target): CLASSES.get(ast.unparse(node.annotation))
    for node in PAGE.body
    if isinstance(node, ast.AnnAssign)
}


def test_stub_has_not_drifted():
    found = stubs.path().read_text(encoding="utf-8")
    assert found == stubs.write(), "run: python -m lossmith.face.stubs"


def stated(protocol: ast.ClassDef, method: str) -> list[tuple[str, bool, Any]]:
    """Name, whether by name only, and default of each argument that the page states."""
    (found,) = (n for n in protocol.body if isinstance(n, ast.FunctionDef) and n.name == method)
    given, named = found.args.args[1:], found.args.kwonlyargs
    assert not found.args.posonlyargs
    assert found.args.vararg is found.args.kwarg is None
    defaults = [None] * (len(given) - len(found.args.defaults)) + found.args.defaults
    pairs = [*zip(given, defaults, strict=True), *zip(named, found.args.kw_defaults, strict=True)]
    return [
        (a.arg, a in named, inspect.Parameter.empty if d is None else ast.literal_eval(d))
        for a, d in pairs
    ]


def taken(function: Any) -> list[tuple[str, bool, Any]]:
    """The same of a function that runs."""
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind is p.KEYWORD_ONLY, p.default) for p in parameters]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_what_the_page_says(name: str) -> None:
    function = getattr(lossmith, name)
    assert stated(STATED[name], "__call__") == taken(function)
    assert stated(STATED[name], "total") == taken(function.total)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_module_is_called_by_the_words_of_the_page(name: str) -> None:
    made = getattr(lossmith, name).Module
    page = CLASSES[made.__name__]
    for method, runs in (
        ("__call__", made.forward),
        ("forward", made.forward),
        ("total", made.total),
    ):
        assert stated(page, method) == taken(runs)[1:]
    assert stated(page, "__init__") == taken(made)
