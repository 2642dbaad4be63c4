"""The loop of softmax losses with few classes: many rows side by side, one in each vector lane.

A row of ten classes is too short to be a vector. Here a panel of rows is copied so that the same
class of neighbouring rows lies together, and every loop runs over rows.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from lossmith.engine.cpu.rows import RowLoop
from lossmith.engine.kernel.bodies import BODIES
from lossmith.engine.kernel.words import Row
from lossmith.engine.plan import Plan

LANES = 64  # rows in a panel: four vectors of the widest kind, so that a loop runs at full width
_OF_A_ROW = ("w", "z_y", "top", "others", "share", "step", "value")  # numbers in `lanes`
NUMBERS = len(_OF_A_ROW)


def _lane(name: str) -> str:
    place = _OF_A_ROW.index(name)
    return f"lanes[{'' if not place else 'width + ' if place == 1 else f'{place} * width + '}r]"


class Panels(RowLoop, Row):
    """A loop over panels of rows."""

    def __init__(self, plan: Plan, parameters: tuple[str, ...]) -> None:
        super().__init__(plan, parameters)
        self.pointer("scratch", "T")  # classes × lanes
        self.pointer("lanes", "T")  # numbers of each row of a panel
        self.pointer("places", "i8")  # its first element, and its class
        # An argument, though it is constant: a loop of known length would be unrolled, not
        # vectorised.
        self.numbers("width", kind="i8")
        self.numbers(*parameters, "factor")

    def refuse(self, valid: str) -> None:
        self.line(f"bad += 0 if {valid} else 1")

    def step(self, slope: str = "") -> None:
        # The upstream gradient comes when all is written back.
        self.line(f"step = where(on, w * factor{f' * {slope}' if slope else ''}, K(0.0))")

    def others(self) -> None:
        names = ("w", "z_y", "top", "others")
        self.line(f"{', '.join(names)} = {', '.join(map(_lane, names))}")
        self.line("y, on = places[width + r], w != K(0.0)")

    def hand_out(self, share: str, own: str) -> None:
        self.line(f"{_lane('share')} = where(on, {share}, K(0.0))")
        self.line(f"{_lane('step')} = {own}")


def write(k: Panels) -> Panels:
    """The kernel of a plan: the loops around its body."""
    with k.block("for block in range(first, last):"):
        k.line("total, mass, bad = 0.0, 0.0, 0")
        k.line("end = min(rows, (block + 1) * block_rows)")
        with k.block("for start in range(block * block_rows, end, width):"):
            k.line("count = min(width, end - start)")
            _admit(k)
            _gather(k)
            _exponentials(k)
            k.line("part, weights = K(0.0), K(0.0)")
            with _each_lane(k):
                BODIES[k.plan.body].write(k)
                _add(k)
            k.line("total += part")
            if k.total:
                k.line("mass += weights")
            if k.plan.output == "values":
                with _each_row(k):
                    k.line(f"values[start + r] = {_lane('value')}")
            if k.gradient:
                _scatter(k)
        k.sums()
    return k


def _each_lane(k: Panels) -> AbstractContextManager[None]:
    return k.block("for r in range(width):")


def _each_row(k: Panels) -> AbstractContextManager[None]:
    return k.block("for r in range(count):")


def _each_class(k: Panels) -> AbstractContextManager[None]:
    return k.block("for k in range(classes):")


def _admit(k: Panels) -> None:
    """Place, class and weight of every row; lanes past the end repeat the last row at weight 0."""
    with _each_lane(k):
        k.line("row = start + min(r, count - 1)")
        k.weigh("w = w if r < count else K(0.0)")
        with k.block("if y < 0 or y >= classes:"):
            k.line("bad += 1 if w != K(0.0) else 0")
            k.line("y, w = 0, K(0.0)")
        if k.plan.class_weight:
            k.line("w = w * class_weight[y] if w != K(0.0) else w")
        k.line(f"places[r] = {k.place}")
        k.line("places[width + r] = y")
        k.line(f"{_lane('w')} = w")


def _gather(k: Panels) -> None:
    """scratch[class, row], zero where a row is dropped; the row's own class is taken out."""
    if not k.plan.contiguous:
        # Whether the rows lie side by side; a panel may be short, and its last lanes repeat a row.
        k.line("together = count == width and places[width - 1] - places[0] == width - 1")
    with _each_class(k):
        if k.plan.contiguous:
            _copy(k, k.at("places[r]"))
        else:
            with k.block("if together:"):
                k.line("base = places[0] + k * inner")
                _copy(k, "base + r")
            with k.block("else:"):
                _copy(k, k.at("places[r]"))
    with _each_lane(k):
        k.line("at = places[width + r] * width + r")
        k.line(f"{_lane('z_y')} = scratch[at]")
        # A label on a forbidden class contradicts itself.
        k.line(f"bad += 1 if {_lane('w')} != K(0.0) and scratch[at] == K(-np.inf) else 0")
        k.line("scratch[at] = K(-np.inf)")
        k.line(f"{_lane('top')} = K(-np.inf)")
        k.line(f"{_lane('others')} = K(0.0)")


def _copy(k: Panels, index: str) -> None:
    with _each_lane(k):
        k.line(f"z = {k.read(index)}")
        k.line(f"scratch[k * width + r] = where({_lane('w')} != K(0.0), z, K(0.0))")


def _exponentials(k: Panels) -> None:
    """The highest of the other scores, and the sum of their exponentials, which are kept."""
    top, others = _lane("top"), _lane("others")
    with _each_class(k), _each_lane(k):
        k.line(f"z, top = scratch[k * width + r], {top}")
        k.line(f"{top} = where(z > top, z, top)")
    with _each_lane(k):
        k.line(f"top = {top}")
        k.line(f"{top} = where(top == K(-np.inf), K(0.0), top)")
    with _each_class(k), _each_lane(k):
        # Not `_decay`: a NaN in another class leaves the highest score below +inf, and z may
        # exceed it.
        k.line(f"e = exp(scratch[k * width + r] - {top})")
        k.line("scratch[k * width + r] = e")
        k.line(f"{others} += e")


def _add(k: Panels) -> None:
    # What is not asked for is added up all the same: a finite sum vouches for it (launch.py).
    if "value" in k.wants:
        k.line("value = where(on, w * value, K(0.0))")
        k.line("part += value")
    else:
        k.line(f"part += {_lane('step')}")
    if k.total:
        k.line("weights += w")
    if k.plan.output == "values":
        k.line(f"{_lane('value')} = value * factor")


def _scatter(k: Panels) -> None:
    """The gradient, back to where the rows lie."""
    if k.plan.output == "gradient":
        _multiply(k)
    with _each_lane(k):
        k.line("scratch[places[width + r] * width + r] = K(0.0)")
    gradient = f"{_lane('share')} * scratch[k * width + r]"
    if k.plan.contiguous:
        with _each_row(k), _each_class(k):
            k.store("places[r] + k", gradient)
    else:
        with _each_class(k):
            with k.block("if together:"):
                k.line("base = places[0] + k * inner")
                with _each_lane(k):
                    k.store("base + r", gradient)
            with k.block("else:"), _each_row(k):
                k.store(k.at("places[r]"), gradient)
    with _each_row(k):
        k.store(k.at("places[r]", "places[width + r]"), _lane("step"))


def _multiply(k: Panels) -> None:
    """Each row's slopes by its upstream gradient; 0 · ∞ of a dropped row is 0 all the same."""
    lanes = _lane("share"), _lane("step")
    with _each_row(k):
        for lane in lanes:
            k.line(f"{lane} *= upstream[start + r]")
    with _each_row(k):
        for lane in lanes:
            k.line(f"{lane} = where({_lane('w')} != K(0.0), {lane}, K(0.0))")
