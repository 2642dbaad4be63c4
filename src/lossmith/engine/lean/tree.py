"""A program as a tree, rewritten so that fewer operations say the same.

A node is a tuple: its word, and its parts. ("u",) is the variable, ("p", name) a parameter and
("k", number) a constant. What is rewritten keeps every digit: signs and constants move to where an
operation takes them along, and NaN is asked for only where a comparison loses it.
"""

from __future__ import annotations

from typing import Any

from lossmith.engine.lean.unfold import UNFOLD, gathered
from lossmith.formula import program

Node = tuple[Any, ...]
U: Node = ("u",)
_ONE: Node = ("k", 1.0)
# Functions that are the same of -x as of x.
_EVEN = frozenset(
    ("absolute", "square", "logistic_density", "log_cosh", "rhypot", "hypot1m1", "log1p_square")
) | {"gauss_rise", "abs_minus_log1p", "half_boxcox1p", "root"}
_FLIPPED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def read(text: program.Program) -> tuple[Node, ...]:
    """The outputs of a program of one variable, its steps put in."""
    variable, *parameters = text.arguments
    known: dict[str, Node] = {variable: U, **{p: ("p", p) for p in parameters}}
    for name, node in text.steps:
        known[name] = _read(node, known)
    return tuple(simple(_read(node, known)) for node in text.outputs)


def _read(node: Any, known: dict[str, Node]) -> Any:
    match node:
        case program.Name():
            return known[node.name]
        case program.Number():
            return ("k", node.value)
        case program.Apply():
            first, *rest = (_read(part, known) for part in node.parts)
            if node.word not in ("+", "*"):
                return (node.word, first, *rest)
            for part in rest:
                first = (node.word, first, part)
            return first
    return node


def varies(node: Any) -> bool:
    """Whether a node holds the variable: else it is made of numbers and parameters."""
    return node == U or (isinstance(node, tuple) and any(varies(part) for part in node[1:]))


def simple(node: Any) -> Any:
    """The same with signs moved outwards, and NaN kept by what keeps it anyway."""
    if not isinstance(node, tuple) or node[0] in ("u", "p", "k"):
        return node
    word, *parts = (node[0], *(simple(part) for part in node[1:]))
    if word == "-":
        return _negative(parts[0])
    if word == "*":
        if parts[0][0] == "-":
            return _negative(simple(("*", parts[0][1], parts[1])))
        if parts[1][0] == "-":
            return _negative(simple(("*", parts[0], parts[1][1])))
    if word == "/" and parts[0][0] == "-":
        return _negative(simple(("/", parts[0][1], parts[1])))
    if word in _EVEN and isinstance(parts[0], tuple) and parts[0][0] == "-":
        parts[0] = parts[0][1]
    if word in UNFOLD and (unfolded := UNFOLD[word](*parts)) is not None:
        return simple(unfolded)
    if word == "+" and (better := gathered((word, *parts))) is not None:
        return simple(better)
    if word == "+" and all(_below(part) for part in parts):
        return ("-", ("+", *map(_negative, parts)))
    if word == "where":
        condition, yes, no = parts
        (a, x), (b, y) = _share(yes), _share(no)
        if x and x == y and (a, b) != (_ONE, _ONE):
            return _product(("where", condition, a, b), x)
        if condition[0] in _FLIPPED and keeps_nan(yes) and not keeps_nan(no):
            return ("where", _flip(condition), no, yes)
        if condition[0] in _FLIPPED and not varies(no) and varies(yes):
            return ("where", _flip(condition), no, yes)  # fills a place, in the place of another
    if word == "keep_nan" and keeps_nan(parts[1]):
        return parts[1]
    return (word, *parts)


def _flip(condition: Node) -> Node:
    return (_FLIPPED[condition[0]], *condition[1:])


def _share(node: Node) -> tuple[Node, tuple[Node, ...]]:
    """A number in front of a product of the variable, and the factors in their order."""
    if node[0] == "-":
        number, rest = _share(node[1])
        return simple(("-", number)), rest
    if node == U:
        return _ONE, (U,)
    if node[0] == "*":
        number, rest = _share(node[1]) if varies(node[1]) else (node[1], ())
        if not varies(node[2]):
            return simple(("*", number, node[2])), rest
        return (number, (*rest, U)) if node[2] == U else (_ONE, ())
    return _ONE, ()


def _product(number: Node, factors: tuple[Node, ...]) -> Node:
    for factor in factors:
        number = ("*", number, factor)
    return number


def _negative(node: Node) -> Node:
    if node[0] == "-":
        return node[1]
    if node[0] == "k":
        return ("k", -node[1])
    if node[0] == "*":  # into a constant that is there anyway
        for i in (1, 2):
            if node[i][0] == "k":
                return ("*", *(_negative(p) if p == node[i] else p for p in node[1:]))
    if node[0] == "+" and all(part[0] in ("-", "k") for part in node[1:]):
        return ("+", *(_negative(part) for part in node[1:]))
    return ("-", node)


def _below(node: Node) -> bool:
    """Whether a minus stands in front of a node that varies."""
    return node[0] == "-" or (node[0] == "*" and node[2][0] == "k" and node[2][1] < 0)


def bounded(node: Any) -> Any:
    """The node with infinities in its products held at a number that 1 is nothing beside.

    What is 0 · ∞ as it stands has its limit then, where the 0 vanishes faster.
    """
    if not isinstance(node, tuple):
        return node
    if node[0] == "*":
        return ("*", *(("held", p) if p[0] == "softplus" else bounded(p) for p in node[1:]))
    return (node[0], *map(bounded, node[1:]))


def keeps_nan(node: Any) -> bool:
    """Whether NaN as the variable makes the node NaN."""
    if node == U:
        return True
    if not isinstance(node, tuple) or node[0] in ("p", "k", "sign", *_FLIPPED, "&", "|"):
        return False
    if node[0] == "where":
        return keeps_nan(node[3]) and _false_for_nan(node[1])
    return node[0] == "keep_nan" or any(keeps_nan(part) for part in node[1:])


def _false_for_nan(condition: Node) -> bool:
    return condition[0] in _FLIPPED and any(keeps_nan(part) for part in condition[1:])


def coefficient(node: Node) -> tuple[float, Node]:
    """A sign or constant in front of all of a node, for whoever multiplies the result anyway."""
    if node[0] == "-":
        factor, rest = coefficient(node[1])
        return -factor, rest
    if node[0] == "*" and node[2][0] == "k" and abs(node[2][1]) >= 1:  # last: overflows last
        factor, rest = coefficient(node[1])
        return node[2][1] * factor, rest
    if node[0] == "*" and node[1][0] == "k" and node[2][0] not in ("*", "u", "square", "ipow"):
        factor, rest = coefficient(node[2])
        return node[1][1] * factor, rest
    return 1.0, node


def turned(node: Any) -> Any:
    """The node in terms of v = -u, if v is all that it needs of u; else None."""
    if node == U:
        return None
    if not isinstance(node, tuple):
        return node
    if node == ("-", U):
        return U
    if node[0] in _EVEN and node[1] == U:
        return (node[0], U, *node[2:])
    if node[0] == "*" and node[1] == U and node[2][0] == "k":
        return None
    if node[0] == "keep_nan" and node[1] == U:
        inner = turned(node[2])
        return None if inner is None else (node[0], U, inner)
    parts = [turned(part) if isinstance(part, tuple) else part for part in node[1:]]
    return None if any(part is None for part in parts) else (node[0], *parts)
