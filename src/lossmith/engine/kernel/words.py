"""The words of a kernel body: what a link says happens to one element, or to one row of scores.

A skeleton, one for each way to loop, says what the words come to: how numbers are loaded, added up,
put aside and stored. A body is text: assignments between names, `where`, `K(…)` around constants,
the functions of formula/primitives.py, and no branch of its own, so that it means the same for a
number, for a vector of them and for a block of a GPU's program.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from lossmith.engine.plan import Plan


class Words(ABC):
    """Lines of text, and the formula's program. `parameters` are the program's, without u."""

    def __init__(self, plan: Plan, parameters: tuple[str, ...]) -> None:
        self.plan, self.parameters = plan, parameters
        self.lines: list[str] = []
        self._depth = 1
        self.total, self.gradient = "total" in plan.output, "gradient" in plan.output
        made = ("value", plan.output != "gradient"), ("slope", self.gradient)
        # What the program gives, in its order; a value is also asked for to be added up.
        self.wants = tuple(name for name, on in made if on)

    def line(self, text: str) -> None:
        self.lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """What is written inside stands indented under `head`."""
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1

    def program(self, u: str, value: str = "value", slope: str = "slope") -> None:
        """value, slope = ψ(u), ψ'(u): those of the two that are wanted."""
        names = [value if name == "value" else slope for name in self.wants]
        arguments = ", ".join((u, *self.parameters))
        self.line(f"{', '.join(names)}{',' * (len(names) == 1)} = program({arguments})")

    def scale(self, factor: str) -> None:
        """value and slope times a number."""
        for name in self.wants:
            self.line(f"{name} = {factor} * {name}")

    @abstractmethod
    def refuse(self, valid: str) -> None:
        """A label that is not `valid` is not allowed."""


class Element(Words):
    """One element: z is its prediction, t its target; at its end stand value and slope, in z."""

    scaled: bool  # whether the residual is divided by `scale`


class Whole(Words):
    """Numbers that are one loss together: a row of scores, or the coordinates of a point."""

    @abstractmethod
    def step(self, slope: str = "") -> None:
        """step: weight of the loss, factor of the call and upstream gradient, times `slope`.

        Slopes are multiplied by it before they are written to the gradient.
        """


class Row(Whole):
    """One row of class scores z_k, whose own class is y; at its end stand value and slope."""

    score: str  # inside `each`: the text of z_k
    label: str  # the text of q_k, where the target is a distribution

    @abstractmethod
    def others(self) -> None:
        """z_y, top: the highest of the other scores, others: Σ e^(z_k - top) over them."""

    @abstractmethod
    def hand_out(self, share: str, own: str) -> None:
        """The gradient after `others`: share · e^(z_k - top), and `own` for the row's own class."""


class Walk(Whole):
    """What only a skeleton knows that walks along them: sums over entries k."""

    kept: str  # inside `each`: the text of what `keep` has put aside

    @abstractmethod
    def start(self, *names: str) -> None:
        """Sums over entries that begin here."""

    @abstractmethod
    def each(self) -> AbstractContextManager[None]:
        """What is written inside happens for every entry k."""

    @abstractmethod
    def add(self, name: str, text: str) -> None:
        """Inside `each`: add to a sum."""

    @abstractmethod
    def keep(self, text: str) -> None:
        """Inside `each`: put a number of this entry aside, for a later `each`."""

    @abstractmethod
    def give(self, gradient: str, to: str = "k", where: str | None = None) -> None:
        """Write the gradient of an entry: inside `each` of k, elsewhere of another."""


class Point(Walk):
    """One point, k its coordinates; at its end stand value and slope."""

    scaled: bool  # whether the distance is divided by `scale`
    away: str  # inside `each`: the text of z_k - t_k

    @abstractmethod
    def farthest(self, name: str, text: str) -> None:
        """Inside `each`: the largest of what is not negative; of NaN it may be anything."""


class LongRow(Row, Walk):
    """A row whose skeleton walks along it, class by class."""

    distance: str  # inside `each`, after `best`: the text of z_k - top

    @abstractmethod
    def best(self) -> None:
        """top, best: the highest score and its class; allowed: how many are not -∞.

        others: Σ e^(z_k - top) over all but the best. z_k - top is kept for every class.
        """

    @abstractmethod
    def rival(self) -> None:
        """z_y, top, rival: the highest of the other scores, its first class; poison: NaN if any is.

        The gradient is 0 from here on, but for what is given.
        """
