"""A program as few torch operations: each result in the place of an operand that has had its use.

Written out as the text of a function, once for each program; memory is let go as soon as nothing
needs it any more. Outputs come with their coefficients, which whoever calls multiplies anyway.
"""

from __future__ import annotations

import linecache
from collections import Counter
from typing import Any

from lossmith.engine.lean import words
from lossmith.engine.lean.tree import Node, U, varies

_PLACE = frozenset(  # functions of one tensor that torch also has in place
    ("exp", "expm1", "log", "log1p", "sqrt", "tanh", "sigmoid", "abs", "neg", "sign", "square")
) | {"reciprocal"}
_SIGNS = frozenset(("<", "<=", ">", ">=", "==", "!=", "&", "|"))
_NAMES = {"absolute": "abs", "-": "neg"}


class _Writer:
    def __init__(self, outputs: tuple[Node, ...], owned: bool) -> None:
        # How often each part is still to be read; the variable only if it may be overwritten.
        self.left: Counter[Node] = Counter()
        seen: set[Node] = set()
        for output in outputs:
            self._count(output, seen)
        self.owned = owned
        self.kept = set(outputs)
        self.names: dict[Node, str] = {}
        self.lines: list[str] = []

    def _count(self, node: Any, seen: set[Node]) -> None:
        if not isinstance(node, tuple):
            return
        self.left[node] += 1
        if node not in seen:
            seen.add(node)
            for part in _operands(node):
                self._count(part, seen)

    def text(self, node: Any) -> str:
        """A name or number that holds the node, with the lines that make it before."""
        if not varies(node):
            return _number(node)
        if node == ("u",):
            return "u"
        if node not in self.names:
            self._make(node)
        return self.names[node]

    def _make(self, node: Node) -> None:
        parts = _operands(node)
        texts = [self.text(part) for part in parts]
        free: list[tuple[Node, str]] = []
        for part, name in zip(parts, texts, strict=True):
            if isinstance(part, tuple) and varies(part):
                self.left[part] -= 1
                if not self.left[part] and part not in self.kept and (part, name) not in free:
                    free.append((part, name))
        over, call = _call(node, texts)
        name = f"t{len(self.names)}"
        there = [p for p, n in free if n == over and not _flag(p) and (self.owned or n != "u")]
        if there and over is not None:
            call = call.replace("(", "_(", 1)
        self.lines.append(f"    {name} = {call if over is None else over + call}")
        if gone := [n for _, n in free if n != "u" or self.owned]:
            self.lines.append(f"    del {', '.join(gone)}")
        self.names[node] = name


def _operands(node: Node) -> tuple[Any, ...]:
    """What a node reads, after small parts are taken into it."""
    if node[0] == "+":
        a, b = node[1:]
        for x, y in ((a, b), (b, a)):
            if y[0] == "-" and varies(y):
                return (x, y[1])
            if y[0] == "*" and y[2][0] == "k" and varies(x):
                return (x, y[1])
            if y[0] == "*" and y[1][0] == "k" and varies(x):
                return (x, y[2])
    if node[0] == "keep_nan":  # a flag that several may share
        flag = ("!=", U, U)
        return (node[2], flag) if varies(node[2]) else (*node[1:], flag)
    return tuple(node[1:])


def _flag(node: Node) -> bool:
    return node[0] in _SIGNS


def _number(node: Node) -> str:
    """What does not vary: a number, a parameter, or parameters in plain arithmetic."""
    if not isinstance(node, tuple):
        return str(node)
    if node[0] == "k":
        return repr(node[1])
    if node[0] == "p":
        return _parameter(node[1])
    parts = [_number(part) for part in node[1:]]
    if node[0] == "-":
        return f"(-{parts[0]})"
    if node[0] in ("+", "*", "/", *_SIGNS):
        return f"({parts[0]} {node[0]} {parts[1]})"
    return f"{node[0]}({', '.join(parts)})"


def _call(node: Node, texts: list[str]) -> tuple[str | None, str]:
    """The operand whose place the result may take, with the method that makes it; or a call."""
    word, first, second = node[0], texts[0], texts[-1]
    if word == "+":
        return _sum(node, texts)
    if word == "*":
        return (first, f".mul({second})") if varies(node[1]) else (second, f".mul({first})")
    if word == "/":
        if varies(node[1]):
            return first, f".div({second})"
        return (second, ".reciprocal()") if node[1] == ("k", 1.0) else (None, f"{first} / {second}")
    if _flag(node):
        return None, f"{first} {word} {second}"
    if word == "ipow" and node[2] == 4:
        return None, f"{first}.square().square_()"
    if word == "ipow" and node[2] in (2, 3):
        return first, f".pow({second})"
    if word == "where":
        return _choice(node, texts)
    if word == "keep_nan" and varies(node[2]):
        return first, f".masked_fill({second}, nan)"
    word = _NAMES.get(word, word)
    if word in _PLACE:
        return first, f".{word}()"
    return None, f"{word}({', '.join(texts)})"


def _choice(node: Node, texts: list[str]) -> tuple[str | None, str]:
    condition, yes, no = texts
    if varies(node[1]) and varies(node[3]) and not varies(node[2]):
        return no, f".masked_fill({condition}, {yes})"
    return None, f"choose({condition}, {yes}, {no}, dtype)"


def _sum(node: Node, texts: list[str]) -> tuple[str | None, str]:
    a, b = node[1:]
    x, y = texts
    for first, other in ((a, b), (b, a)):
        if other[0] == "-" and varies(other):
            if varies(first):
                return x, f".sub({y})"
            return None, f"torch.rsub({y}, {x})"
        for i, j in ((2, 1), (1, 2)):
            if other[0] == "*" and other[i][0] == "k" and varies(first) and varies(other[j]):
                return x, f".add({y}, alpha={other[i][1]!r})"
    return (x, f".add({y})") if varies(a) else (y, f".add({x})")


def write(
    outputs: tuple[Node, ...], arguments: tuple[str, ...], owned: bool, far: float | None = None
) -> str:
    """The text of `program(u, *parameters)`.

    `owned`: the variable may be overwritten; `far`: it is held between -far and far.
    """
    writer = _Writer(outputs, owned or far is not None)
    texts = [writer.text(output) for output in outputs]
    for i, text in enumerate(texts):  # each is somebody's to write into
        if text in texts[:i] or (text == "u" and not writer.owned):
            texts[i] = f"{text}.clone()"
    lines = writer.lines
    if any("dtype" in line for line in lines):
        lines = ["    dtype = u.dtype", *lines]
    if far is not None:
        lines = [f"    u = u.clamp{'_' if owned else ''}({-far!r}, {far!r})", *lines]
    names = ", ".join(("u", *map(_parameter, arguments[1:])))
    body = "".join(f"{line}\n" for line in lines)
    return f"def program({names}):\n{body}    return {', '.join(texts)},\n"


def _parameter(name: str) -> str:
    return name if name.startswith("p_") else f"p_{name}"


def made(
    outputs: tuple[Node, ...],
    arguments: tuple[str, ...],
    *,
    owned: bool,
    name: str,
    far: float | None = None,
) -> Any:
    """The function itself."""
    source = write(outputs, arguments, owned, far)
    filename = f"<lossmith lean {name}>"
    # Registered like a doctest's source, so that tracebacks can show the program.
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    scope = dict(words.NAMESPACE)
    exec(compile(source, filename, "exec"), scope)  # our own text
    return scope["program"]
