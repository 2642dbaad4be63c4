"""The loop of losses with one u per point: one point after the other, coordinate by coordinate."""

from __future__ import annotations

from lossmith.engine.cpu.rows import Walker
from lossmith.engine.cpu.text import load
from lossmith.engine.kernel.words import Point
from lossmith.engine.plan import Plan


class Points(Walker, Point):
    """A loop over points, whose coordinates lie side by side."""

    def __init__(self, plan: Plan, parameters: tuple[str, ...], *, scaled: bool) -> None:
        super().__init__(plan, parameters)
        self.scaled = scaled
        self.pointer("scratch", "T")
        self.numbers(*parameters)
        if scaled:
            self.numbers("scale")
        self.numbers("factor")
        place = self.at("base")
        self.away = f"{self.read(place)} - {load('target', plan.target, place)}"

    @property
    def vouching(self) -> str:
        # Of a bounded loss no sum shows that the distance in units of the scale overflowed.
        return f"{super().vouching} + K(0.0) * u"

    def farthest(self, name: str, text: str) -> None:
        self.line(f"{name} = max({name}, {text})")
