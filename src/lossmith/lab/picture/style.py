"""One look for everything that is drawn: the palette, and the hue, dash and mark of every loss.

The first six hues stay apart for every kind of colour vision (CIEDE2000 of at least 20 on both
themes), and all have a contrast of at least 3 against their card; those after them are for classes,
which have marks of their own. tests/lab/test_style.py measures it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from lossmith.formula.ledger import DIVERGENCES, LEDGER


@dataclass(frozen=True)
class Theme:
    """The colours of one page, as hex."""

    ink: str
    muted: str
    line: str
    card: str
    series: tuple[str, ...]

    @property
    def css(self) -> str:
        """The same as CSS variables: --ink, --muted, --line, --card, --s0, --s1 and so on."""
        named = {name: getattr(self, name) for name in ("ink", "muted", "line", "card")}
        named |= {f"s{place}": colour for place, colour in enumerate(self.series)}
        return " ".join(f"--{name}: {colour};" for name, colour in named.items())


# A hue keeps its character in both.
LIGHT = Theme(
    *("#1d2329", "#5b656f", "#e2e5e4", "#ffffff"),
    (
        *("#1d2329", "#7e3007", "#287efc", "#7a9606", "#bc8294", "#660d95"),
        *("#b43c78", "#3c0f00", "#4b875a", "#005a4b", "#1e003c"),
    ),
)
DARK = Theme(
    *("#e6e9eb", "#9aa5ae", "#2c343b", "#1a1f24"),
    (
        *("#e6e9eb", "#ffc184", "#99b7ff", "#7a8414", "#a37084", "#7a66ea"),
        *("#b496b4", "#f07887", "#d2ffd2", "#3c875a", "#d20fa5"),
    ),
)
INK, MUTED, LINE, CARD = LIGHT.ink, LIGHT.muted, LIGHT.line, LIGHT.card
APART = 6  # hues that losses are drawn in, ink among them

# For matplotlib, and the same for a line that a page draws.
DASHES: tuple[tuple[Any, str], ...] = (
    ("-", "none"),
    ((0, (5, 1.6)), "7 2.2"),
    ((0, (1.2, 1.4)), "1.7 2"),
    ((0, (6, 1.6, 1.2, 1.6)), "8.4 2.2 1.7 2.2"),
)
MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")

TEXT = 10.5  # points, which a phone shows in as many pixels

RC: Any = {
    "font.size": TEXT,
    "legend.fontsize": TEXT,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": TEXT,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
}


@dataclass(frozen=True)
class Look:
    """How one series is drawn, wherever it is."""

    hue: int  # of the palette
    dash: int = 0
    mark: int = 0

    @property
    def colour(self) -> str:
        """Its colour on paper; a page has the theme's instead."""
        return LIGHT.series[self.hue]

    @property
    def line(self) -> dict[str, Any]:
        """For matplotlib's lines."""
        return {"color": self.colour, "linestyle": DASHES[self.dash][0]}

    @property
    def marker(self) -> str:
        """For matplotlib's points."""
        return MARKS[self.mark]

    @property
    def stroke(self) -> tuple[str, str]:
        """Colour and dashes as CSS."""
        return f"var(--s{self.hue})", DASHES[self.dash][1]


def series(place: int) -> Look:
    """Of what is no loss, such as a class: ten hues in turn, then with other dashes; 0 is ink."""
    hues = len(LIGHT.series) - 1
    turn = max(0, place - 1) // hues
    return Look(place - turn * hues, (place + turn) % len(DASHES), (place + turn) % len(MARKS))


_PLAIN = ("l2", "cross_entropy", "binary_cross_entropy")


@cache
def _of_ledger() -> dict[str, Look]:
    """Families in the ledger's order; ink is for what each task is measured against."""
    found: dict[str, Look] = {}
    places: Counter[str] = Counter()
    for name, record in (LEDGER | DIVERGENCES).items():
        if name in _PLAIN:
            continue
        # Losses of a margin and of a probability meet in one picture.
        company = "margin" if record.family == "probability" else record.family
        turn = places[company] // (APART - 1)
        hue = 1 + (places[company] + turn) % (APART - 1)  # moved on, so that relatives differ
        found[name] = Look(hue, (hue + turn) % len(DASHES), places[company] % len(MARKS))
        places[company] += 1
    return found | dict.fromkeys(_PLAIN, Look(0))


def look(name: str) -> Look:
    """Of a loss by its name in the ledger."""
    return _of_ledger()[name]


def looks(names: Sequence[str]) -> list[Look]:
    """Of the losses in one picture, no two alike.

    A loss that comes twice, with other parameters, keeps its hue and takes another dash; where
    there is one loss only, each of its curves has a hue.
    """
    known = _of_ledger()
    taken = {known[name] for name in names if name in known}
    seen: set[str] = set()
    made = []
    for name in names:
        if name in known and name not in seen:
            made.append(known[name])
            seen.add(name)
            continue
        same = known[name].hue if name in known and len(set(names)) > 1 else None
        for new in _others(same, made[-1] if made else None):
            if all((new.hue, new.dash) != (old.hue, old.dash) for old in taken):
                break
        taken.add(new)
        made.append(new)
    return made


def _others(hue: int | None, after: Look | None) -> Iterator[Look]:
    """Looks to choose from: those of a hue, then others from the one behind the last."""
    dashes = range(len(DASHES))
    if hue is not None:
        yield from (Look(hue, dash, hue + dash) for dash in dashes)
    first = after.hue if after else 0
    for turn, step in product(dashes, range(APART - 1)):
        other = 1 + (first + step) % (APART - 1)
        yield Look(other, (other + turn) % len(DASHES), (other + turn) % len(MARKS))
    for dash, other in product(dashes, range(APART, len(LIGHT.series))):
        yield Look(other, dash, (other + dash) % len(MARKS))
