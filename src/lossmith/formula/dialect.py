"""How a program is spelled in one language: its words, and the forms of what is no plain call.

Numba, torch, NumPy and mpmath share Python's spelling and differ in the functions behind the
words. Another language replaces the forms in which it differs, say `where` by a question mark, and
names the words that it brings: a program that needs another one is refused before it runs.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from lossmith.errors import UnsupportedError
from lossmith.formula.program import SIGNS, Apply, Name, Node, Number, Program

Say = Callable[[Node | int], str]
Form = Callable[..., str]  # of Say and the parts
_ONE = Number(1.0)


def _infix(sign: str) -> Form:
    return lambda say, *parts: "(" + f" {sign} ".join(map(say, parts)) + ")"


def _ratio(say: Say, above: Node, below: Node) -> str:
    if above == _ONE:
        return f"({say(above)} / ({say(below)}))"
    factors = above.parts if isinstance(above, Apply) and above.word == "*" else (above,)
    return f"({' * '.join(map(say, factors))} / {say(below)})"


def _negative(say: Say, part: Node) -> str:
    bracketed = isinstance(part, Apply) and part.word in SIGNS
    return f"(-{say(part)})" if bracketed else f"(-({say(part)}))"


FORMS: dict[str, Form] = {sign: _infix(sign) for sign in SIGNS}
FORMS |= {"/": _ratio, "-": _negative}


def number(constant: Number) -> str:
    """K gives a constant the type that the engine computes in."""
    value = constant.value
    return f"K({value!r})" if abs(value) <= _LARGEST else f"float('{value}')"


_LARGEST = 1.7976931348623157e308


def give(values: list[str]) -> str:
    """The last line: a tuple, of one as well."""
    return f"    return {', '.join(values)}" + "," * (len(values) == 1)


@dataclass(frozen=True)
class Dialect:
    """A language, and the words that it knows.

    `words` maps them to functions where programs are run in this process, and only lists them
    where the text goes elsewhere. The lines `head` and `step` are patterns.
    """

    name: str
    words: Mapping[str, Any] | Collection[str]
    forms: Mapping[str, Form] = field(default_factory=lambda: FORMS)
    number: Callable[[Number], str] = number
    head: str = "def {name}({arguments}):"
    step: str = "    {name} = {value}"
    end: Callable[[list[str]], str] = give

    def render(self, program: Program, name: str = "program") -> str:
        """The text of a function of the program's arguments that returns all its outputs.

        Errors:
            UnsupportedError for a word that this language lacks.
        """
        if missing := program.operations - {*self.forms, *self.words}:
            raise UnsupportedError(
                f"{self.name} has no {', '.join(sorted(missing))}, which this formula needs; bring "
                "the function and name it among the dialect's words."
            )
        lines = [self.head.format(name=name, arguments=", ".join(program.arguments))]
        lines += [self.step.format(name=n, value=self.say(node)) for n, node in program.steps]
        lines.append(self.end([self.say(node) for node in program.outputs]))
        return "\n".join(lines) + "\n"

    def say(self, node: Node | int) -> str:
        """The text of one node."""
        match node:
            case Name():
                return node.name
            case Number():
                return self.number(node)
            case Apply() if node.word in self.forms:
                return self.forms[node.word](self.say, *node.parts)
            case Apply():
                return f"{node.word}({', '.join(map(self.say, node.parts))})"
        return str(node)

    def function(self, program: Program, title: str = "") -> Callable[..., tuple[Any, ...]]:
        """The program as a function over what the words take, in a dialect of Python's.

        Under a title of its own, tracebacks and tracers can show its text.
        """
        source, file = self.render(program), f"<lossmith {title or self.name}>"
        if title:  # registered as a doctest's source is
            linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        scope: dict[str, Any] = dict(self.words)  # type: ignore[arg-type]
        exec(compile(source, file, "exec"), scope)  # our own text, written from the expression
        made: Callable[..., tuple[Any, ...]] = scope["program"]
        return made
