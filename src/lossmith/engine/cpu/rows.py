"""The loop of losses with a row of class scores per u: one row after the other.

One row is read once into a scratch row that stays in the cache; the passes over it are plain
vector loops.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from lossmith.engine.cpu.text import Loop, load
from lossmith.engine.kernel.bodies import BODIES
from lossmith.engine.kernel.words import LongRow, Walk, Whole
from lossmith.engine.plan import Plan
from lossmith.link.counting import tolerance


class RowLoop(Loop, Whole):
    """What every loop over rows has: its first arguments, and which rows count."""

    def __init__(self, plan: Plan, parameters: tuple[str, ...]) -> None:
        super().__init__(plan, parameters)
        self.numbers("rows", "classes", "inner", "block_rows", "ignore_index", kind="i8")
        self.tensors(alpha=plan.balanced)

    def weigh(self, first: str | None = None) -> None:
        """w: the weight of a row, 0 where it does not count; y: its class, if it has one."""
        self.line("w = weight[row]" if self.plan.weight else "w = K(1.0)")
        if first is not None:
            self.line(first)
        if self.plan.mask:
            self.line("w = w if mask[row] != 0 else K(0.0)")
        if self.plan.hard:
            self.line("y = np.int64(target[row])")
            self.line("w = K(0.0) if y == ignore_index else w")

    @property
    def place(self) -> str:
        """Where a row begins."""
        if self.plan.contiguous:
            return "row * classes"
        return "(row // inner) * classes * inner + row % inner"

    def at(self, base: str, index: str = "k") -> str:
        """Where a class of it lies."""
        return f"{base} + {index}" if self.plan.contiguous else f"{base} + {index} * inner"


class Walker(RowLoop, Walk):
    """A loop that walks along one row after the other; a scratch row holds what is put aside."""

    kept = "scratch[k]"

    @property
    def vouching(self) -> str:
        """What is added up though nobody asks for it: a finite sum vouches for every number."""
        return "slope" if self.plan.output == "gradient" else "w * value"

    def admit(self) -> None:
        """w: the weight of the row, 0 where it does not count or its label is refused."""
        self.weigh()

    def refuse(self, valid: str) -> None:
        self.line(f"bad += 0 if {valid} else 1")

    def step(self, slope: str = "") -> None:
        upstream = "upstream[row] * " if self.plan.output == "gradient" else ""
        self.line(f"step = {upstream}w * factor{f' * {slope}' if slope else ''}")

    def each(self, span: str = "range(classes)") -> AbstractContextManager[None]:
        return self.block(f"for k in {span}:")

    def start(self, *names: str) -> None:
        self.line(f"{', '.join(names)} = {', '.join(['K(0.0)'] * len(names))}")

    def add(self, name: str, text: str) -> None:
        self.line(f"{name} += {text}")

    def keep(self, text: str) -> None:
        self.line(f"{self.kept} = {text}")

    def give(self, gradient: str, to: str = "k", where: str | None = None) -> None:
        if where is None:
            self.store(self.at("base", to), gradient)
        else:
            with self.block(f"if {where}:"):
                self.store(self.at("base", to), gradient)


class Rows(Walker, LongRow):
    """A loop over rows of class scores."""

    kept = "scratch[classes + k]"

    def __init__(self, plan: Plan, parameters: tuple[str, ...]) -> None:
        super().__init__(plan, parameters)
        self.pointer("scratch", "T")
        if plan.smoothed:
            self.numbers("smoothing")
        self.numbers(*parameters, "factor")
        self.score, self.distance = self.own("k"), "scratch[k]"
        self.label = load("target", plan.target, self.at("base"))
        # Where a row can be read twice, and its gradient can hold the exponentials meanwhile.
        self._plain = plan.contiguous and plan.prediction in ("float32", "float64")
        self._held = f"gradient[{self.at('base')}]" if self._plain else "scratch[k]"

    def own(self, index: str) -> str:
        """The text of one score."""
        return self.read(self.at("base", index))

    def admit(self) -> None:
        super().admit()
        if self.plan.hard:
            _class(self)
        else:
            with self.block("if w != K(0.0):"):
                _shares(self)

    def others(self) -> None:
        spans = ("range(y)", "range(y + 1, classes)") if self._plain else ("range(classes)",)
        score = self.score if self._plain else "scratch[k]"
        self.line("highest = _LEAST")
        for span in spans:
            with self.each(span):
                if not self._plain:
                    self.line(f"z = {self.score}")
                    self.line("z = where(k == y, K(-np.inf), z)")
                    self.line("scratch[k] = z")
                self.line(f"highest = max(highest, rank({score if self._plain else 'z'}))")
        self.line("top = unrank(highest)")
        self.line("top = where(top == K(-np.inf), K(0.0), top)  # every other class is forbidden")
        self.line(f"z_y = {self.own('y')}")
        self.start("others")
        for span in spans:
            with self.each(span):
                self.line(f"e = _decay(top - {score})")
                if self.gradient:
                    self.line(f"{self._held} = e")
                self.add("others", "e")

    def hand_out(self, share: str, own: str) -> None:
        with self.each():
            self.give(f"{share} * {self._held}")
        self.give(own, to="y")

    def best(self) -> None:
        self.line("highest, allowed = _LEAST, K(0.0)")
        with self.each():
            self.line(f"z = {self.score}")
            self.line("scratch[k] = z")
            self.line("highest = max(highest, rank(z))")
            self.add("allowed", "where(z > K(-np.inf), K(1.0), K(0.0))")
        self.line("top, best, others = unrank(highest), 0, K(0.0)")
        with self.each():
            self.line("best = max(best, k if scratch[k] == top else 0)")
        with self.each():
            self.line("z = scratch[k] - top")
            self.line(
                "scratch[k] = z  # in memory: the compiler would rather subtract top + shift below"
            )
            self.add("others", "where(k == best, K(0.0), exp(z))")

    def rival(self) -> None:
        self.line("top, rival, poison = K(-np.inf), 0, K(0.0)")
        with self.each():
            self.line(f"z = {self.score}")
            with self.block("if k != y and z > top:"):
                self.line("top, rival = z, k")
            self.line("poison = where(z == z, poison, z)  # comparisons lose NaN")
            if self.gradient:
                self.give("K(0.0)")
        self.line(f"z_y = {self.own('y')}")


def write(k: Walker) -> Walker:
    """The kernel of a plan: the loops around its body."""
    with k.block("for block in range(first, last):"):
        k.line("total, mass, bad = 0.0, 0.0, 0")
        with k.block("for row in range(block * block_rows, min(rows, (block + 1) * block_rows)):"):
            k.line(f"base = {k.place}")
            _admit(k)
            BODIES[k.plan.body].write(k)
            k.add("total", k.vouching)
            if k.total:
                k.add("mass", "w")
            if k.plan.output == "values":
                k.line("values[row] = w * value * factor")
        k.sums()
    return k


def _admit(k: Walker) -> None:
    """A row that is masked, ignored or wrongly labelled is not looked at."""
    k.admit()
    with k.block("if w == K(0.0):"):
        if k.gradient:
            with k.each():
                k.give("K(0.0)")
        if k.plan.output == "values":
            k.line("values[row] = K(0.0)")
        k.line("continue")


def _class(k: Rows) -> None:
    _drop(k, "if w != K(0.0) and (y < 0 or y >= classes):")
    if k.plan.class_weight:
        with k.block("if w != K(0.0):"):
            k.line("w *= class_weight[y]")
    # A label on a forbidden class contradicts itself.
    _drop(k, f"if w != K(0.0) and {k.own('y')} == K(-np.inf):")


def _shares(k: Rows) -> None:
    k.line("mean_weight, whole, least = K(0.0), K(0.0), K(0.0)")
    with k.each():
        k.line(f"q = {k.label}")
        k.add("whole", "q")
        k.line("least = where(q < least, q, least)")
        if k.plan.class_weight:
            k.add("mean_weight", "q * class_weight[k]")
    near = tolerance(k.plan.target)
    _drop(k, f"if not (least >= K(0.0) and abs(whole - K(1.0)) <= K({near})):")
    if k.plan.class_weight:
        with k.block("else:"):
            k.line("w *= mean_weight")


def _drop(k: Rows, head: str) -> None:
    """Count a label that is refused, and leave its row out."""
    with k.block(head):
        k.line("bad += 1")
        k.line("w = K(0.0)")
