"""Formulas drawn as a person writes them, and what a dense grid has to say of their properties.

Nothing of the library is used: the text is evaluated in mpmath's own words, and slopes and
curvatures are differences of values.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections.abc import Callable
from typing import Any

import mpmath as mp

from lossmith.formula.algebra import Properties

Real = Any
Curve = Callable[[Real], Real]
DIGITS = 60
PATH = (3, 9, 20, 40, 80)  # powers of ten on the way to a tail or a kink
STEP = mp.mpf(10) ** -15
WORDS: dict[str, Any] = {
    **{name: getattr(mp, name) for name in ("exp", "log", "sqrt", "tanh", "log1p", "expm1")},
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "maximum": max,
    "minimum": min,
    "where": lambda condition, yes, no: yes if condition else no,
}
_ROOTS = (
    *("abs(u)", "u**2", "(u - {a})**2", "abs(u)**1.5", "abs(u)**3"),
    *("u**4", "u**6", "u**8", "(u + {a})**4"),
)
_SHAPES = (
    *("({r})/({a} + {r})", "1 - exp(-({r})/{a})", "log1p({r})", "sqrt({b} + {r}) - sqrt({b})"),
    *("tanh({r})", "({r})**2/(1 + ({r})**2)", "({r})/sqrt({a} + ({r})**2)", "{a}*({r})"),
    *("({r})/({a} + {r})**2", "({r})*exp(-({r}))", "minimum({r}, {a})", "maximum({r}, {a})"),
    *("where(u < {a}, {r}, 0)", "where(abs(u) < {a}, {r}, {a})", "({r})/(1 + log1p({r}))"),
    *("1/({a} + {r})", "softplus(u) + {r}", "sigmoid(u)*({r})", "({r}) - {a}*log1p({r})"),
)  # fmt: skip
# The root of another decimal is a rounded float before Lossmith sees it, and 0 at 0 is none then.
_SQUARES = ("1", "2", "3", "0.25")
_NUMBERS = ("0.5", "1", "2", "3", "0.25", "7.5")


def text(seed: object) -> str:
    """A formula of u, two shapes deep at most; every inner one is nowhere negative."""
    draw = random.Random(str(seed))
    deep = draw.random() < 0.4
    found = draw.choice(_ROOTS[: 5 if deep else 9]).format(a=draw.choice(_NUMBERS))
    for _ in range(1 + deep):
        shape, a, b = (draw.choice(given) for given in (_SHAPES, _NUMBERS, _SQUARES))
        found = shape.format(r=found, a=a, b=b)
        if any(word in found for word in ("sigmoid(u)", "softplus(u)", "log1p(")):
            break  # not everywhere above 0, or with u in too many places
    return found


def written(formula: str) -> Curve:
    """Its values, in mpmath's words."""
    code = compile(formula, "<drawn>", "eval")
    return lambda u: mp.mpf(eval(code, WORDS, {"u": u}))


def refute(p: Properties, f: Curve) -> list[str]:
    """What a dense grid, and how the curve grows at its ends, say against the claims."""
    with mp.workdps(DIGITS):
        near = [mp.mpf("1.0371") * mp.mpf(10) ** (mp.mpf(k) / 20) for k in range(-80, 81)]
        # Evenly spread where the drawn numbers lie, and never on one of them.
        even = [mp.mpf(k) / 8 + mp.mpf("0.0613") for k in range(-80, 80)]
        us = sorted([-u for u in near] + near + even)
        least = p.minimiser
        low = (
            us
            if least is None
            else us + [mp.mpf(repr(e)) for e in (least.low, least.high) if math.isfinite(e)]
        )
        beside = [mp.mpf(repr(k)) * (1 + s * STEP) for k in p.kinks for s in (-1, 0, 1)]
        heights = [[abs(_difference(f, u, order)) for u in us] for order in (0, 1, 2)]
        return [
            *_constant("Lipschitz", p.lipschitz, p, f, us, 1, heights[1]),
            *_constant("smooth", p.smooth, p, f, us, 2, heights[2]),
            *_bound("highest", p.highest, f, us + beside, 1),
            *_bound("lowest", None if p.lowest is None else -p.lowest, f, low + beside, -1),
            *_convexity(p, f, us),
            *_evenness(p, f, us),
            *filter(None, (_jump(p, f, us, order) for order in (0, 1))),
            *_roughness(p, f),
            *_fall(p, f, us),
        ]


def _difference(f: Curve, u: Real, order: int) -> Real:
    """Value, slope or curvature by differences, short beside u."""
    h = STEP * abs(u)
    if order == 0:
        return f(u)
    if order == 1:
        return (f(u + h) - f(u - h)) / (2 * h)
    return (f(u + h) - 2 * f(u) + f(u - h)) / h**2


def _ends(p: Properties, f: Curve, order: int) -> list[list[Real]]:
    """Sizes of a derivative on the way into both tails, and to 0 and each kink from both sides."""
    found = []
    for place in (None, mp.mpf(0), *(mp.mpf(repr(k)) for k in p.kinks or ())):
        for side in (-1, 1):
            path = []
            for k in PATH:
                with mp.workdps(DIGITS + 12 * k):
                    step = mp.mpf(10) ** (k if place is None else -k)
                    g = f if place is None else (lambda t, place=place: f(place + t))
                    # The short path to a kink whose float is rounded would lie behind it.
                    if place is None or place == 0 or k < 12:
                        path.append(abs(_difference(g, side * step, order)))
            found.append(path)
    return found


def _constant(
    name: str, claim: float | None, p: Properties, f: Curve, us: list[Real], order: int,
    heights: list[Real],
) -> list[str]:  # fmt: skip
    if claim is None or p.differentiable is None or p.differentiable < order - 1:
        return []
    seen = _peak(lambda u: abs(_difference(f, u, order)), us, heights)
    paths = _ends(p, f, order)
    grows = any(
        len(path) > 2 and path[-1] > 1.1 * path[-2] > 1.21 * path[-3] > 0.2 for path in paths
    )
    most = max([seen, *(x for path in paths for x in path)])
    if math.isinf(claim):
        return [] if grows else [f"{name}: claimed infinite, at most {mp.nstr(most, 6)} seen"]
    if most > claim * (1 + 1e-9) + 1e-12:
        return [f"{name}: {claim} claimed, {mp.nstr(most, 12)} seen"]
    if p.exact and most < 0.98 * claim:
        return [f"{name}: {claim} claimed, only {mp.nstr(most, 12)} seen"]
    return []


def _peak(g: Curve, us: list[Real], heights: list[Real]) -> Real:
    """The highest of the grid's points; around the best few, looked at more closely."""
    last = len(us) - 1
    tops = [i for i in range(last + 1) if heights[i] >= max(heights[max(i - 1, 0) : i + 2])]
    found = max(heights)
    for best in sorted(tops, key=lambda i: -heights[i])[:3]:
        low, high = us[max(best - 1, 0)], us[min(best + 1, last)]
        for _ in range(3):
            finer = [low + (high - low) * k / 10 for k in range(1, 10)]
            values = [g(u) for u in finer]
            i = max(range(9), key=lambda i: values[i])
            found = max(found, values[i])
            low, high = finer[max(i - 1, 0)], finer[min(i + 1, 8)]
    return found


def _bound(name: str, claim: float | None, f: Curve, us: list[Real], sign: int) -> list[str]:
    if claim is None:
        return []
    far = [s * mp.mpf(10) ** k for k in PATH for s in (-1, 1)]
    values = []
    with mp.workdps(DIGITS + 12 * max(PATH)):
        values = [sign * f(u) for u in (*us, mp.mpf(0), *far)]
    top = max(*values, _peak(lambda u: sign * f(u), sorted(us), [sign * f(u) for u in sorted(us)]))
    if math.isinf(claim):
        grows = any(b > a + 1 for a, b in zip(values[-4:-2], values[-2:], strict=True))
        return [] if grows else [f"{name}: claimed infinite, {mp.nstr(top, 6)} seen"]
    if top > claim + 1e-9 * (1 + abs(claim)):
        return [f"{name}: {claim} claimed, {mp.nstr(top, 12)} seen"]
    return [] if top > claim - 0.02 * (1 + abs(claim)) else [f"{name}: {claim} claimed, not seen"]


def _convexity(p: Properties, f: Curve, us: list[Real]) -> list[str]:
    """Slopes of neighbouring chords of the grid rise, if and only if it is convex."""
    values = [f(u) for u in us]
    pairs = itertools.pairwise(zip(us, values, strict=True))
    chords = [(b - a) / (v - u) for (u, a), (v, b) in pairs]
    steps = [b - a for a, b in itertools.pairwise(chords)]
    noise = mp.mpf(10) ** -40
    found = []
    for name, claim, sign in (("convex", p.convex, 1), ("concave", p.concave, -1)):
        if claim is not None and claim != all(sign * s >= -noise for s in steps):
            found.append(f"{name}: {claim} claimed, and the chords say otherwise")
    return found


def _evenness(p: Properties, f: Curve, us: list[Real]) -> list[str]:
    even = all(abs(f(u) - f(-u)) <= mp.mpf(10) ** -30 * (1 + abs(f(u))) for u in us)
    wrong = p.symmetric is not None and p.symmetric != even
    return [f"symmetric: {p.symmetric} claimed"] if wrong else []


def _jump(p: Properties, f: Curve, us: list[Real], order: int) -> str:
    """Halve towards the largest step of value or slope; one that stays is a jump."""
    if p.differentiable is None or p.differentiable < order:
        return ""
    seen = [(u, _difference(f, u, order)) for u in us]
    pairs = sorted(itertools.pairwise(seen), key=lambda ab: -abs(ab[1][1] - ab[0][1]))
    for (a, fa), (b, fb) in pairs[:4]:
        whole = abs(fb - fa)
        for _ in range(40):
            c = (a + b) / 2
            if c == 0:
                c = b / 3
            fc = _difference(f, c, order)
            (a, fa, b, fb) = (a, fa, c, fc) if abs(fc - fa) > abs(fb - fc) else (c, fc, b, fb)
        if abs(fb - fa) > max(whole * 1e-3, mp.mpf(10) ** -6):
            return f"differentiable {p.differentiable} times: derivative {order} jumps at {b}"
    return ""


def _roughness(p: Properties, f: Curve) -> list[str]:
    """A value or slope that is said to jump does so at some kink, by more than rounding makes."""
    if not p.exact or p.differentiable not in (-1, 0):
        return []
    order = int(p.differentiable) + 1
    h = mp.mpf(10) ** -12
    for k in map(mp.mpf, map(repr, p.kinks)):
        sides = [f(k) if order == 0 else mp.mpf(0)]
        for s in (-1, 1):
            a, b = f(k + s * h), f(k + 2 * s * h)
            sides.append(a if order == 0 else (b - a) / (s * h))
        if max(sides) - min(sides) > mp.mpf(10) ** -9 and (order == 0 or sides[1] != sides[2]):
            return []
    return [f"differentiable {p.differentiable}: no kink shows derivative {order} jump"]


def _fall(p: Properties, f: Curve, us: list[Real]) -> list[str]:
    if p.redescending is None:
        return []
    last = [path[-1] for path in _ends(dataclasses.replace(p, kinks=()), f, 1)[:2]]
    flat = len({f(u) for u in us}) == 1
    falls = max(last) < mp.mpf(10) ** -8 and not flat
    return [] if falls == p.redescending else [f"redescending: {p.redescending} claimed"]
