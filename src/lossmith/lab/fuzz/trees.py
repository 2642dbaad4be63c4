"""Formulas drawn as trees: printed as a person would write them, and evaluated by jets."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp

from lossmith.lab.fuzz.jets import WORDS, Jet

Tree = tuple[Any, ...]  # the kind of a node, then its parts
_EVERYWHERE = (
    *("tanh", "sigmoid", "softplus", "log_cosh", "softsign", "abs_minus_log1p", "hypot1m1"),
    *("unit", "rhypot", "log1p_square", "gauss_rise", "logistic_density", "abs", "sign"),
    "hold",
)
_NOT_NEGATIVE = ("softplus", "sigmoid", "log_cosh", "abs_minus_log1p", "hypot1m1", "abs")
_CONSTANTS = (
    *("0.5", "2", "3", "0.1", "1.5", "0.25", "7", "1", "0.3", "10", "2.0", "1e-3", "1e4"),
    *("sp.pi", "sp.E", "sp.Rational(1, 3)", "sp.Rational(22, 7)", "sp.sqrt(2)", "sp.GoldenRatio"),
    *("sp.EulerGamma", "sp.Catalan", "1e-30", "1e30", "sp.Integer(10)**25", "sp.log(2)"),
)
_VALUES = {
    "sp.pi": lambda: mp.pi, "sp.E": lambda: mp.e, "sp.Rational(1, 3)": lambda: mp.mpf(1) / 3,
    "sp.Rational(22, 7)": lambda: mp.mpf(22) / 7, "sp.sqrt(2)": lambda: mp.sqrt(2),
    "sp.GoldenRatio": lambda: mp.phi, "sp.EulerGamma": lambda: mp.euler,
    "sp.Catalan": lambda: mp.catalan, "sp.Integer(10)**25": lambda: mp.mpf(10) ** 25,
    "sp.log(2)": lambda: mp.log(2),
}  # fmt: skip
_FRACTIONS = ("0.5", "1.5", "2.5", "0.75", "sp.Rational(4, 3)", "1.2", "2.0", "3.0", "0.1", "1")


@dataclass
class Drawing:
    """Draws trees with a budget of nodes; `parameters` are those that are always positive."""

    random: random.Random
    parameters: Sequence[int]
    left: int = 30
    positive: Sequence[int] = field(default_factory=tuple)
    inside: int = 0  # how many pieces are around what is drawn

    def pick(self, *makers: Callable[[], Tree]) -> Tree:
        self.left -= 1
        return self.random.choice(makers)()

    def leaf(self) -> Tree:
        if self.parameters and self.random.random() < 0.25:
            return ("p", self.random.choice(self.parameters))
        if self.random.random() < 0.3:
            return ("c", self.random.choice(_CONSTANTS[: 12 if self.random.random() < 0.7 else 99]))
        return ("u",)

    def any(self) -> Tree:
        """A real number, of either sign."""
        if self.left <= 0:
            return self.leaf()
        r = self.random
        return self.pick(
            self.leaf,
            lambda: ("u",),
            lambda: ("+", *(self.any() for _ in range(r.randint(2, 4)))),
            lambda: ("-", self.any(), self.any()),
            lambda: ("*", self.any(), self.any()),
            lambda: ("*", ("c", r.choice(_CONSTANTS[:12])), self.any()),
            lambda: ("/", self.any(), self.above()),
            lambda: ("**", self.any(), ("c", str(r.choice((2, 2, 3, 4, 5, 7, 16, 17, 20))))),
            lambda: ("f", r.choice(_EVERYWHERE), self.any()),
            lambda: ("f", "gauss_moment", self.any(), ("c", str(r.choice((0, 1, 2, 3, 5, 9, 17))))),
            lambda: ("f", "half_boxcox1p", self.any(), self.exponent()),
            lambda: ("f", r.choice(("exp", "expm1")), self.below_some()),
            lambda: ("f", r.choice(("log", "sqrt")), self.above()),
            lambda: ("f", "complement", ("neg", self.not_negative())),
            self.pieces,
            self.pieces,
            self.not_negative,
            self.not_negative,
        )

    def pieces(self) -> Tree:
        """Pieces inside pieces are rare and short: SymPy takes a minute over the deep ones."""
        r, left = self.random, self.left
        if self.inside:
            self.left = min(left, 2 if r.random() < 0.2 else 0)
        self.inside += 1
        kind = r.choice(("where", "where", "sp.", "w.maximum", "w.minimum"))
        if kind == "sp.":
            self.left = min(self.left, 6)
            made: Tree = (
                r.choice(("sp.Max", "sp.Min")),
                *(self.any() for _ in range(r.randint(2, 3))),
            )
        elif kind == "where":
            made = ("where", self.condition(), self.any(), self.any())
        else:
            made = (kind, self.any(), self.any())
        self.inside -= 1
        return made

    def not_negative(self) -> Tree:
        r = self.random
        if self.left <= 0:
            return ("f", "abs", self.leaf())
        return self.pick(
            lambda: ("f", "abs", self.any()),
            lambda: ("f", "abs", ("u",)),
            lambda: ("**", self.any(), ("c", "2")),
            lambda: ("f", r.choice(_NOT_NEGATIVE), self.any()),
            lambda: ("f", "log1p", self.not_negative()),
            lambda: ("+", self.not_negative(), self.not_negative()),
            lambda: ("**", self.not_negative(), self.exponent()),
            self.above,
        )

    def above(self) -> Tree:
        """Above 0."""
        r = self.random
        if self.left <= 0:
            return ("c", "1.5")
        return self.pick(
            lambda: ("+", ("c", r.choice(("1", "0.5", "2", "sp.pi"))), self.not_negative()),
            lambda: ("f", "exp", self.below_some()),
            lambda: ("f", r.choice(("rhypot", "sigmoid")), self.any()),
            lambda: ("**", self.above(), self.exponent()),
            lambda: ("p", r.choice(self.positive)) if self.positive else ("c", "2"),
        )

    def below_some(self) -> Tree:
        """Not so large that its exponential is."""
        return self.pick(
            lambda: ("neg", self.not_negative()),
            lambda: ("f", self.random.choice(("tanh", "unit", "softsign")), self.any()),
            lambda: ("*", ("c", "-0.5"), ("u",)),
        )

    def exponent(self) -> Tree:
        r = self.random.random()
        if self.parameters and r < 0.5:
            p: Tree = ("p", self.random.choice(self.parameters))
            return p if r < 0.35 else ("*", ("c", "2"), p)
        if r < 0.6:
            return ("neg", ("c", self.random.choice(_FRACTIONS)))
        return ("c", self.random.choice(_FRACTIONS))

    def condition(self) -> Tree:
        r = self.random
        if self.left > 0 and r.random() < 0.3:
            self.left -= 1
            kind = r.choice(("&", "|", "~"))
            parts = 1 if kind == "~" else r.randint(2, 3)
            return (kind, *(self.condition() for _ in range(parts)))
        side: Tree = r.choice((("u",), ("f", "abs", ("u",)), ("f", "tanh", self.leaf())))
        if r.random() < 0.03:  # seldom: SymPy takes seconds over pieces inside a condition
            side = self.any()
        bound = self.leaf() if r.random() < 0.3 else ("c", r.choice(("0", "1", "-1", "0.5", "2")))
        if bound == side:
            bound = ("c", "1")
        return (r.choice(("<", "<=", ">", ">=")), side, bound)


def text(t: Tree, names: Sequence[str]) -> str:
    """The tree as Python source."""
    kind, *parts = t
    if kind in ("u", "c", "p"):
        return "u" if kind == "u" else parts[0] if kind == "c" else names[parts[0]]
    if kind == "f":
        function = "abs" if parts[0] == "abs" else f"w.{parts[0]}"
        return f"{function}({', '.join(text(p, names) for p in parts[1:])})"
    inner = [text(p, names) for p in parts]
    if kind in ("neg", "~"):
        return f"{'-' if kind == 'neg' else '~'}({inner[0]})"
    if kind in ("where", "sp.Max", "sp.Min", "w.maximum", "w.minimum"):
        return f"{'w.where' if kind == 'where' else kind}({', '.join(inner)})"
    return "(" + f" {kind} ".join(f"({p})" for p in inner) + ")"


def run(t: Tree, u: Jet, parameters: Sequence[Jet]) -> Jet:
    """The tree's value, as jets."""
    kind, *parts = t
    if kind == "u":
        return u
    if kind == "c":
        value = mp.mpf(_VALUES[parts[0]]() if parts[0] in _VALUES else parts[0])
        return u.constant(value if mp.isint(value) else u.room.round(value))
    if kind == "p":
        return parameters[parts[0]]
    if kind == "f":
        inner = [run(p, u, parameters) for p in parts[1:]]
        if parts[0] in ("abs", "sign", "abs_minus_log1p", "softsign"):
            inner[0].room.compare(inner[0].x, 0, branch=abs(inner[0].d) < 1e-9)
            inner[0].room.jump |= parts[0] == "sign" and inner[0].x == 0
        return WORDS[parts[0]](*inner)
    if kind == "where":
        return run(parts[1] if _holds(parts[0], u, parameters) else parts[2], u, parameters)
    values = [run(p, u, parameters) for p in parts]
    first, rest = values[0], values[1:]
    for other in rest:
        if kind.startswith(("sp.", "w.")):
            first.room.compare(first.x, other.x)
            first.room.choice |= first.x == other.x and first.d != other.d
            larger = kind.lower().endswith(("max", "maximum"))
            first = first if (first.x > other.x) == larger else other
        elif kind == "**":
            first = first.power(other)
        else:
            first = {"+": first.__add__, "-": first.__sub__, "*": first.__mul__}.get(
                kind, first.__truediv__
            )(other)
    return -first if kind == "neg" else first


def _holds(c: Tree, u: Jet, parameters: Sequence[Jet]) -> bool:
    kind, *parts = c
    if kind in ("&", "|", "~"):
        # All of them, for the ties.
        answers = [_holds(p, u, parameters) for p in parts]
        return all(answers) if kind == "&" else any(answers) if kind == "|" else not answers[0]
    a, b = (run(p, u, parameters) for p in parts)
    a.room.compare(a.x, b.x)
    below = a.x < b.x if kind in ("<", ">=") else a.x <= b.x
    return bool(below) if kind in ("<", "<=") else not below


def size(t: Tree) -> int:
    return 1 + sum(size(p) for p in t if isinstance(p, tuple))
