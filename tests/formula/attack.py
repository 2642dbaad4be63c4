"""Try to refute what is claimed of a loss, with nothing but its values at 60 digits.

The properties are computed from symbolic pieces, derivatives and limits. Here none of those is
used: differences of values at random points, near and far, close together and wide apart.
"""

import math
import random
from collections.abc import Callable
from typing import Any

import mpmath as mp

from lossmith.formula.algebra import Properties
from lossmith.formula.calculus import base
from lossmith.formula.exact import function
from lossmith.formula.record import Formula

Real = Any
Curve = Callable[[Real], Real]
DIGITS = 60
POINTS = 90
SLACK = mp.mpf(10) ** -11  # constants are given to twelve digits
NEAR = 0.99  # how close to a best possible constant the attack must come


def curve(record: Formula, values: dict[str, float]) -> Curve:
    """ψ as a function of mpmath numbers: s^power ψ₀(u/s), from the record's expression."""
    names = [p.name for p in record.shape]
    run = function(base(record), ("u", *names))
    with mp.workdps(4 * DIGITS):
        exact = {name: mp.mpf(repr(v)) for name, v in values.items()}
    shape = [exact[n] for n in names]
    if record.scale is None:
        return lambda u: run(u, *shape)
    s, power = exact[record.scale.name], record.scale.power
    return lambda u: s**power * run(u / s, *shape)


def points(p: Properties, seed: int, places: tuple[float, ...]) -> list[Real]:
    """Near zero, near every kink, and far out; log-probabilities stay below 0."""
    draw = random.Random(seed)
    places = (*(places or (0.0,)), *p.kinks)
    found = [
        draw.choice(places) + draw.choice((-1, 1)) * 10 ** draw.uniform(-5, 1.5)
        for _ in range(POINTS)
    ]
    found += [sign * x for x in (60.0, 900.0, 1e7) for sign in (-1, 1)]
    if p.family == "probability":
        found = [-abs(u) for u in found]
    return [mp.mpf(u) for u in found]


def attack(p: Properties, f: Curve, seed: int = 0, places: tuple[float, ...] = ()) -> list[str]:
    """Everything that is claimed and not so; empty if the claims stand.

    `places`: around which points to look, besides the kinks; around 0 where left out.
    """
    with mp.workdps(DIGITS):
        us = points(p, seed, places)
        return [
            *_curvature(p, f, us, (*(places or (0.0,)), *p.kinks)),
            *_constants(p, f, us),
            *_bounds(p, f, us),
            *_symmetry(p, f, us),
            *_smoothness(p, f),
            *_minimiser(p, f, us),
            *_tails(p, f),
            *_zero_one(p, f, us),
        ]


def _inside(p: Properties, u: Real) -> bool:
    return p.family != "probability" or u <= 0


def _second(p: Properties, f: Curve, us: list[Real]) -> list[tuple[Real, Real]]:
    """Second differences ψ(u+h) - 2ψ(u) + ψ(u-h), and h, small and large."""
    found = []
    for i, u in enumerate(us):
        h = mp.mpf(10) ** (-12 if i % 3 == 0 else -(i % 7) + 1)
        if _inside(p, u + h):
            found.append((f(u + h) - 2 * f(u) + f(u - h), h))
    return found


def _curvature(p: Properties, f: Curve, us: list[Real], places: tuple[float, ...]) -> list[str]:
    noise = mp.mpf(10) ** -40
    # Second differences between 60-digit values are blind where the curve is straight to 60 digits.
    seen = _second(p, f, [u for u in us if min(abs(u - x) for x in places) < 40])
    up, down = any(d > noise for d, _ in seen), any(d < -noise for d, _ in seen)
    found = []
    if p.convex and down:
        found.append("convex: a chord lies below the curve")
    if p.convex is False and not down:
        found.append("not convex: no chord lies below the curve")
    if p.concave and up:
        found.append("concave: a chord lies above the curve")
    if p.concave is False and not up:
        found.append("not concave: no chord lies above the curve")
    straight = any(abs(d) < noise * h for d, h in seen)
    if p.strictly_convex and (down or straight):
        found.append("strictly convex: a chord lies on the curve or below")
    if p.strictly_concave and (up or straight):
        found.append("strictly concave: a chord lies on the curve or above")
    if p.convex and p.strictly_convex is False and not straight:
        found.append("not strictly convex: no chord lies on the curve")
    if p.strong_convexity:
        bends = [d / h**2 for d, h in seen]
        if any(b < p.strong_convexity * (1 - SLACK) for b in bends):
            found.append("strongly convex: it bends less somewhere")
    return found


def _constants(p: Properties, f: Curve, us: list[Real]) -> list[str]:
    h = mp.mpf(10) ** -12

    def slope(u: Real) -> Real:
        return abs(f(u) - f(u - h)) / h

    def bend(u: Real) -> Real:
        return abs(f(u) - 2 * f(u - h) + f(u - 2 * h)) / h**2

    wide = [(u, us[(i * 7 + 3) % len(us)]) for i, u in enumerate(us)]
    chords = [abs(f(a) - f(b)) / abs(a - b) for a, b in wide if a != b]
    corners = [mp.mpf(repr(k)) + h for k in p.kinks if _inside(p, mp.mpf(k) + h)]
    slopes, bends = _climb(p, slope, us), _climb(p, bend, us + corners)
    found = _least("Lipschitz", p.lipschitz, max([slopes, *chords]), p.exact)
    return found + _least("smooth", p.smooth, bends, p.exact)


def _climb(p: Properties, height: Curve, us: list[Real]) -> Real:
    """From the highest of the points upwards, by random steps that shrink."""
    draw = random.Random(1)
    best, at = max((height(u), u) for u in us)
    step = max(abs(at), mp.mpf(1)) / 3
    for _ in range(40):
        u = at + step * draw.gauss(0, 1)
        step *= mp.mpf("0.9")
        if _inside(p, u) and (there := height(u)) > best:
            best, at = there, u
    return best


def _least(name: str, constant: float | None, seen: Real, exact: bool) -> list[str]:
    """The constant holds, and if it is the best possible one, it is nearly reached."""
    if constant is None:
        return []
    if math.isinf(constant):
        return [] if not exact or seen > 50 else [f"{name}: claimed infinite, at most {seen} seen"]
    if seen > constant * (1 + SLACK) + SLACK:
        return [f"{name}: {constant} claimed, {mp.nstr(seen, 15)} seen"]
    if exact and seen < NEAR * constant:
        return [f"{name}: {constant} claimed, only {mp.nstr(seen, 6)} seen"]
    return []


def _bounds(p: Properties, f: Curve, us: list[Real]) -> list[str]:
    far = [mp.mpf(10) ** 12000 * sign for sign in (-1, 1)]
    ends = [mp.mpf(0), *(mp.mpf(k) for k in p.kinks), *far]
    if p.minimiser is not None:
        ends += [mp.mpf(repr(e)) for e in (p.minimiser.low, p.minimiser.high) if math.isfinite(e)]
    values = [f(u) for u in [*us, *ends] if _inside(p, u)]
    top, bottom = max(values), min(values)
    found = []
    for name, claim, seen, sign in (
        ("highest", p.highest, top, 1),
        ("lowest", p.lowest, bottom, -1),
    ):
        if claim is None:
            continue
        if math.isinf(claim):
            if p.exact and sign * seen < 1000:
                found.append(f"{name}: claimed infinite, {mp.nstr(seen, 6)} seen")
        elif sign * (seen - claim) > SLACK * (1 + abs(claim)):
            found.append(f"{name}: {claim} claimed, {mp.nstr(seen, 15)} seen")
        elif p.exact and abs(seen - claim) > (1 - NEAR) * (1 + abs(claim)):
            found.append(f"{name}: {claim} claimed, only {mp.nstr(seen, 6)} seen")
    return found


def _symmetry(p: Properties, f: Curve, us: list[Real]) -> list[str]:
    if p.symmetric is None:
        return []
    same = all(abs(f(u) - f(-u)) <= SLACK**3 * (1 + abs(f(u))) for u in us)
    return [] if same == p.symmetric else [f"symmetric: {p.symmetric} claimed"]


def _smoothness(p: Properties, f: Curve) -> list[str]:
    """At each kink, one-sided differences of order n agree as long as claimed, and no longer."""
    if p.differentiable is None or (p.exact and bool(p.kinks) != math.isfinite(p.differentiable)):
        # A log-probability may be rough at its closed end, where there is no kink to look at.
        return [] if p.differentiable is None or p.family == "probability" else ["no kink given"]
    found, jumps = [], []
    for k in p.kinks:
        agree = -1
        for order in range(5):
            with mp.workdps(4 * DIGITS):
                left, right = (_one_sided(f, mp.mpf(repr(k)), order, side) for side in (-1, 1))
            # A derivative that grows as h shrinks is infinite, even where both sides agree.
            if abs(left - right) > mp.mpf(10) ** -3 * (1 + abs(left)) or abs(left) > 2000:
                break
            agree = order
        jumps.append(agree)
        if agree < p.differentiable:
            found.append(f"differentiable {p.differentiable:g} times: not at {k}")
    if p.exact and jumps and min(jumps) > p.differentiable:
        found.append(f"differentiable {p.differentiable:g} times: more often, it seems")
    return found


def _one_sided(f: Curve, u: Real, order: int, side: int) -> Real:
    h = side * mp.mpf(10) ** -9
    start = u + h / 1000
    terms = (
        (-1) ** (order - j) * mp.binomial(order, j) * f(start + j * h) for j in range(order + 1)
    )
    return sum(terms) / h**order


def _minimiser(p: Properties, f: Curve, us: list[Real]) -> list[str]:
    where = p.minimiser
    if where is None or p.lowest is None:
        return []
    if math.isinf(where.low) and where.low == where.high:
        seen = f(mp.mpf(10) ** 4000 * mp.sign(where.low))
        if math.isinf(p.lowest):
            return [] if seen < -1000 else ["minimiser: ψ does not fall there"]
        close = abs(seen - p.lowest) < 1e-6
        reached = [u for u in us if f(u) <= p.lowest and abs(u) < 50]
        return [] if close and not reached else ["minimiser: not approached there, or reached"]
    inside = [u for u in us if float(u) in where]
    inside += [mp.mpf(repr(e)) for e in (where.low, where.high) if e in where]
    if where.low == where.high:
        inside = [mp.mpf(repr(where.low))]
    near = mp.mpf(10) ** -12 * (1 + abs(p.lowest))
    wrong = [u for u in inside if abs(f(u) - p.lowest) > near]
    # A point outside may come as close as curvature allows; equal to 40 digits is too close.
    outside = [u for u in us if not where.low <= u <= where.high and f(u) <= p.lowest - near]
    far = [u for u in us if (u < where.low - 1e-3 or u > where.high + 1e-3)]
    equal = [u for u in far if p.exact and f(u) - p.lowest < mp.mpf(10) ** -40]
    return (
        ["minimiser: ψ is not least there, or least elsewhere too"]
        if wrong + outside + equal
        else []
    )


def _tails(p: Properties, f: Curve) -> list[str]:
    if p.redescending is None:
        return []
    far = mp.mpf(10) ** 3000
    slopes = [abs(f(s * far * 2) - f(s * far)) / far for s in (-1, 1)]
    varies = f(mp.mpf(1)) != f(mp.mpf("0.5")) or f(mp.mpf(0)) != f(far)
    vanishes = max(slopes) < 1e-3 and varies
    return [] if vanishes == p.redescending else [f"redescending: {p.redescending} claimed"]


def _zero_one(p: Properties, f: Curve, us: list[Real]) -> list[str]:
    k = p.zero_one_factor
    if k is None:
        return []
    places = [*us, mp.mpf(0), -(mp.mpf(10) ** -30), mp.mpf(10) ** 4000, -(mp.mpf(10) ** 4000)]
    gaps = [(f(u), mp.mpf(1 if u <= 0 else 0)) for u in places]
    if math.isinf(k):
        some = any((v < 1e-20 and step) or v < 0 for v, step in gaps)
        return [] if some else ["zero_one_factor: claimed infinite, yet every value is above 0"]
    if any(k * v < step - SLACK for v, step in gaps):
        return [f"zero_one_factor: {k} times ψ is below the 0-1 loss"]
    if p.exact and all(NEAR * k * v >= step for v, step in gaps):
        return [f"zero_one_factor: less than {k} is enough"]
    return []
