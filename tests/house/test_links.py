"""Which link a loss has is the link's own business: everything else asks it, and tests no name.

The other side of the tests (what losses and options mean once more, and what draws calls for it)
has words of its own for links and is left alone.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from house.tree import PACKAGE, nodes, sources
from lossmith.link.links import LINKS

OWN = ("link", "lab/definition", "lab/fuzz", "lab/matrix")
# What else has values of the same names: the family of a formula, the axis of a drawing.
OTHER = ("family", "axis")


def words(node: ast.AST) -> Iterator[str]:
    """The strings that something is compared with."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        for part in node.elts:
            yield from words(part)


def problems(package: Path) -> list[str]:
    found = []
    for path in sources(package):
        name = path.relative_to(package).as_posix()
        if name.startswith(tuple(f"{folder}/" for folder in OWN)):
            continue
        for node in nodes(path):
            parts: list[ast.expr] = []
            if isinstance(node, ast.Compare):
                parts = [node.left, *node.comparators]
            elif isinstance(node, ast.Match):
                parts = [
                    c.pattern.value for c in node.cases if isinstance(c.pattern, ast.MatchValue)
                ]
                parts.append(node.subject)
            said = {word for part in parts for word in words(part)} & LINKS.keys()
            about = [ast.unparse(p).rpartition(".")[2] for p in parts if not [*words(p)]]
            if said and not any(word in OTHER for word in about):
                found.append(f"{name}:{node.lineno} compares with {', '.join(sorted(said))}")
    return found


def test_nobody_else_asks_for_a_links_name() -> None:
    assert problems(PACKAGE) == []


@pytest.mark.parametrize(
    "text",
    [
        "if loss.kind == 'softmax': pass",
        "x = link.name in ('margin', 'residual')",
        "x = 'ratio' != plan.body",
        "match link.name:\n    case 'ratio': pass",
    ],
)
def test_a_planted_comparison_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "face").mkdir()
    (tmp_path / "face" / "call.py").write_text(text)
    (said,) = problems(tmp_path)
    assert said.startswith("face/call.py:1 compares with ")


def test_a_family_may_be_asked_for(tmp_path: Path) -> None:
    (tmp_path / "formula.py").write_text("x = record.family == 'margin'\n")
    assert problems(tmp_path) == []
