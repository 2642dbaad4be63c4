"""A program as data: what a formula comes down to, before any language is chosen.

A short straight line of steps over the words of primitives.py and a few signs. `lowering.py` makes
it from expressions; a `Dialect` spells it for an engine. This file knows neither SymPy nor any
engine, so a program can be kept, sent and spelled without them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

# What stands between its parts or before its one part, and is the same in every language.
SIGNS = frozenset(("+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!=", "&", "|"))
# Functions that programs call beside the primitives: choices, powers, roots, and what keeps NaN.
HELPERS = frozenset(
    ("where", "keep_nan", "absolute", "sign", "divide", "square", "ipow", "sqrt")
) | {"power", "exp", "log"}
# Words that are quick next to memory, beside the signs: choices, roots and ratios.
_QUICK = HELPERS - {"power", "exp", "log"} | {"softsign", "hypot1m1", "unit", "rhypot"}


@dataclass(frozen=True, slots=True)
class Number:
    """A constant: its nearest float, and what it stands for where that is another number."""

    value: float
    exact: str = ""  # as in "1/3", "pi" or "2*sqrt(3)/3"


@dataclass(frozen=True, slots=True)
class Name:
    """An argument, or what a step has named."""

    name: str


@dataclass(frozen=True, slots=True)
class Apply:
    """A sign or a function of its parts; a part that is an int is written out, as the n of x^n.

    "-" has one part, "/" has two, "+", "*", "&" and "|" have one or more.
    """

    word: str
    parts: tuple[Node | int, ...]


Node = Number | Name | Apply


@dataclass(frozen=True)
class Program:
    """Steps in their order, each a name and what it is; then the outputs, of one common shape."""

    arguments: tuple[str, ...]
    steps: tuple[tuple[str, Node], ...]
    outputs: tuple[Node, ...]

    @cached_property
    def operations(self) -> frozenset[str]:
        """Every word that stands in the program: what an engine has to know."""
        nodes = (*(node for _, node in self.steps), *self.outputs)
        return frozenset(word for node in nodes for word in _words(node))

    @property
    def arithmetic(self) -> bool:
        """Whether it takes no exponential and no logarithm, so that memory sets its pace."""
        return self.operations <= SIGNS | _QUICK


def _words(node: Node | int) -> Iterator[str]:
    if isinstance(node, Apply):
        yield node.word
        for part in node.parts:
            yield from _words(part)
