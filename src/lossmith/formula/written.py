"""A formula as its author wrote it: the returned expression, read from the source.

For docstrings, which are made at import, where SymPy is not yet loaded.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache

from lossmith.formula.record import Formula


@cache
def _returns(path: str) -> dict[str, str]:
    """The last returned expression of every function in a file, as text."""
    with open(path, encoding="utf-8") as file:
        return _read(file.read())


def _read(source: str) -> dict[str, str]:
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and isinstance(node.body[-1], ast.Return):
            last = node.body[-1]
            steps = [ast.unparse(s) for s in node.body if isinstance(s, ast.Assign)]
            text = ast.unparse(last.value) if last.value else ""
            found[node.name] = ", ".join([text, *steps]).replace("w.", "")
    return found


def written(formula: Formula) -> str:
    """ψ₀ in the author's words, and how a scale enters."""
    variables = ", ".join(v.name for v in formula.variables)
    try:
        if formula.builtin:
            text = _returns(formula.function.__code__.co_filename)[formula.function.__name__]
        else:
            source = textwrap.dedent(inspect.getsource(formula.function))
            text = _read(source)[formula.function.__name__]
    except (OSError, SyntaxError, KeyError, TypeError):  # typed at a prompt, or a lambda
        return f"ψ({variables}): see .formula"
    if formula.scale is None:
        return f"ψ({variables}) = {text}"
    s, power = formula.scale.name, formula.scale.power
    factor = "" if power == 0 else f"{s}·" if power == 1 else f"{s}^{power}·"
    return f"ψ(u) = {factor}ψ₀(u/{s}), ψ₀(u) = {text}"
