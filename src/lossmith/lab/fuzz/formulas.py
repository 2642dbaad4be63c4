"""Drawn formulas through the public door: both engines against jets, or a refusal in words.

`draw` makes a case from a source of random numbers, `judge` says what is wrong, if anything.
A case prints itself as the few lines of Python that a person would have written.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp
import numpy as np
import torch
from torch import Tensor

import lossmith
from lossmith.errors import LossmithError
from lossmith.lab.fuzz.jets import DIGITS, WORDS, Jet, Room
from lossmith.lab.fuzz.trees import Drawing, Tree, run, text

Real = Any
TOLERANCE = {"float32": 1e-6, "float64": 1e-13}
_UNIT = {"float32": 2.0**-24, "float64": 2.0**-53}
_SAFE = {"float32": 1e18, "float64": 1e60}  # beyond, squares overflow: whose order differs
_SLACK, _TRIALS = 24, 6  # how far beyond acted-out rounding errors an engine may be
_BESIDE = [side * mp.mpf(10) ** -size for size in (40, 65) for side in (-1, 1)]
_LOSSES = (
    *("total", "check", "make", "kernel", "program", "u", "K", "where", "exp", "match", "ψ"),
    *("fünf", "_", "_loss", "prediction", "loss", "Loss", "type", "x" * 70, "l2"),
)
_PARAMETERS = (
    *("K", "exp", "log", "where", "sign", "sqrt", "t0", "s0", "p_u", "p_t0", "x0", "square"),
    *("count", "first", "last", "partial", "factor", "block", "low", "high", "i", "keep", "np"),
    *("min", "lambda_", "match", "type_", "γ", "é", "π", "E", "I", "S", "N", "beta"),
    *("zeta", "keep_nan", "power", "ipow", "value", "slope", "_I", "_rule", "njit", "Loss_"),
    *("float_", "_loss", "_reduce", "__x", "None_", "c", "__", "p_", "c_1", "x"),
)
_TAKEN = ("mask", "target", "weight", "float", "reduction", "self", "loss", "total", "prediction")
_DOMAINS = {
    "Positive": (0.5, 1.0, 2.0, 3.0, 1.5, 0.75, 2.25),
    "NonNegative": (0.0, 0.5, 1.0, 2.0, 1.25),
    "Fraction": (0.5, 0.25, 0.125, 0.75),
    "Real": (-1.0, 0.5, 1.0, -0.25, 2.0),
}
_POSITIVE = ("Positive", "Fraction")


@dataclass
class Case:
    """One formula, and how it is called."""

    family: str
    name: str
    tree: Tree
    parameters: list[tuple[str, str, float, float]]  # name, domain, default, value in the call
    dtype: str
    points: list[float]
    outcome: str = field(default="", compare=False)  # what became of it: "agrees", or the refusal

    @property
    def source(self) -> str:
        """The formula as a person would write it."""
        given = "".join(f", {n}: lossmith.{d} = {v!r}" for n, d, v, _ in self.parameters)
        names = [n for n, *_ in self.parameters]
        return f"def {self.name}(u{given}):\n    return {text(self.tree, names)}\n"

    def __str__(self) -> str:
        values = ", ".join(f"{n}={v!r}" for n, _, _, v in self.parameters)
        return f"[{self.family} {self.dtype} ({values}) {' '.join(self.source.split())}]"


def draw(source: random.Random) -> Case:
    """A case; the same one from the same state of the source."""
    count = source.choice((0, 0, 1, 1, 2, 3))
    names = source.sample(_PARAMETERS, count)
    if names and source.random() < 0.04:  # which most doors refuse
        names[0] = source.choice(_TAKEN)
    parameters = []
    for name in names:
        domain = source.choice(tuple(_DOMAINS))
        values = _DOMAINS[domain]
        parameters.append((name, domain, source.choice(values), source.choice(values)))
    positive = tuple(i for i, p in enumerate(parameters) if p[1] in _POSITIVE)
    drawing = Drawing(source, tuple(range(count)), source.choice((4, 8, 8, 14, 25)), positive)
    tree = drawing.any()
    if source.random() < 0.06:  # a long sum
        terms: list[Tree] = []
        for _ in range(source.randint(10, 60)):
            drawing.left = 2
            terms.append(drawing.any())
        tree = ("+", *terms)
    if not _mentions(tree, "u"):
        tree = ("+", tree, ("u",))
    dtype = source.choice(("float32", "float64"))
    number = np.float32 if dtype == "float32" else np.float64
    points = [0.0, 1.0, -1.0, 2.0, -0.5]
    points += [float(number(source.uniform(-4, 4))) for _ in range(6)]
    points += [
        float(number(source.choice((-1, 1)) * 10 ** source.uniform(-4, 2))) for _ in range(5)
    ]
    family = source.choice(("residual", "residual", "margin", "probability"))
    return Case(family, source.choice(_LOSSES), tree, parameters, dtype, points)


def _mentions(t: Tree, kind: str) -> bool:
    return t[0] == kind or any(_mentions(p, kind) for p in t if isinstance(p, tuple))


@dataclass
class Truth:
    """At one point: value, slope, curvature and ∂/∂θ, each with what rounding may add; or None."""

    value: tuple[Real, Real]
    slope: tuple[Real, Real] | None
    curvature: tuple[Real, Real] | None
    by: list[tuple[Real, Real]] | None
    tie: bool  # where a comparison inside is a tie


def judge(case: Case) -> str | None:
    """What is wrong, with the formula's text; None if the engines agree or the door refuses."""
    scope: dict[str, Any] = {
        "lossmith": lossmith, "w": lossmith.primitives, "sp": __import__("sympy"),
        "__name__": "drawn",
    }  # fmt: skip
    try:
        exec(compile(case.source, "<drawn>", "exec"), scope)  # text of our own writing
        loss = getattr(lossmith, case.family)(scope[case.name])
        return _compare(case, loss)
    except LossmithError as error:
        case.outcome = f"refused: {error}"
        return None
    except Exception as error:  # whatever else comes out is what is looked for
        return f"{type(error).__name__}: {str(error)[:300]!r} {case}"


def _compare(case: Case, loss: Any) -> str | None:
    truths = [_truth(case, x) for x in case.points]
    known = [(x, t) for x, t in zip(case.points, truths, strict=True) if t is not None]
    case.outcome = f"agrees at {len(known)} points"
    if not known:
        case.outcome = "no point where it is known"
        return None
    dtype = getattr(torch, case.dtype)
    settings = {n: v for n, _, _, v in case.parameters}
    inputs = lambda pairs: _inputs(case, [x for x, _ in pairs], dtype)  # noqa: E731

    z, target, options = inputs(known)
    found = lossmith.derivatives(loss, z, target, **settings, **options)
    gradient, hessian = (
        t[:, 0] if case.family == "probability" else t for t in (found.gradient, found.hessian)
    )
    for what, numbers, each in (
        ("value", found.value, [t.value for _, t in known]),
        ("slope", gradient, [t.slope for _, t in known]),
        ("curvature", hessian, [t.curvature for _, t in known]),
    ):
        for (x, t), got, want in zip(known, numbers.tolist(), each, strict=True):
            if np.isnan(got) and what == "curvature" and t.tie:
                continue  # 0·∞ at one point, where a limit is not sought
            if wrong := _off(case, got, want):
                return f"reference {what} at {x!r}: {wrong} {case}"

    sloped = [(x, t) for x, t in known if t.slope is not None]
    if sloped:
        z, target, options = inputs(sloped)
        total = loss(z.requires_grad_(), target, reduction="sum", **settings, **options)
        (slopes,) = torch.autograd.grad(total, z)
        slopes = slopes[:, 0] if case.family == "probability" else slopes
        if wrong := _off(case, total.item(), _summed([t.value for _, t in sloped])):
            return f"kernel total over {[x for x, _ in sloped]}: {wrong} {case}"
        for (x, t), got in zip(sloped, slopes.tolist(), strict=True):
            if wrong := _off(case, got, t.slope):
                return f"kernel slope at {x!r}: {wrong} {case}"
    learned = [(x, t) for x, t in known if t.by is not None]
    if learned and settings:
        z, target, options = inputs(learned)
        free = {n: torch.tensor(v, dtype=dtype, requires_grad=True) for n, v in settings.items()}
        total = loss(z, target, reduction="sum", **free, **options)
        gradients = torch.autograd.grad(total, list(free.values()), allow_unused=True)
        for i, (name, got) in enumerate(zip(free, gradients, strict=True)):
            each = [t.by[i] for _, t in learned if t.by is not None]
            if wrong := _off(case, 0.0 if got is None else got.item(), _summed(each)):
                return f"d/d{name} over {[x for x, _ in learned]}: {wrong} {case}"
        loss.Module(**settings)
    return None


def _inputs(case: Case, xs: list[float], dtype: torch.dtype) -> tuple[Tensor, Tensor, Any]:
    z = torch.tensor(xs, dtype=dtype)
    if case.family == "probability":
        return torch.stack([z, torch.zeros_like(z)], 1), torch.zeros(len(xs), dtype=torch.int64), {}
    if case.family == "margin":
        return z, torch.ones_like(z), {"labels": "signed"}
    return z, torch.zeros_like(z), {}


def _summed(pairs: list[tuple[Real, Real]]) -> tuple[Real, Real]:
    size = sum(abs(t) for t, _ in pairs)
    return sum(t for t, _ in pairs), sum(room for _, room in pairs) + size * 1e-15


def _off(case: Case, got: float, want: tuple[Real, Real] | None) -> str | None:
    if want is None:
        return None
    truth, room = want
    least = np.finfo(case.dtype).tiny
    if np.isfinite(got) and abs(mp.mpf(got) - truth) <= room + least:
        return None
    return f"{got!r} for {mp.nstr(truth, 17)} (±{mp.nstr(room, 3)})"


def _truth(case: Case, x: float) -> Truth | None:
    """None where the formula is not defined, or too large or small for the dtype to tell."""
    with mp.workdps(DIGITS):
        try:
            sides, noisy = _sides(case, mp.mpf(x))
        except (ArithmeticError, ValueError, TypeError):
            return None
        if not sides:
            return None
        read: list[Callable[[Jet], Real]] = [lambda j: j.x, lambda j: j.d, lambda j: j.dd]
        read += [lambda j, i=i: j.by[i] for i in range(len(case.parameters))]  # type: ignore[misc]
        pairs = [_pair(case, read_one, sides, noisy) for read_one in read]
        if pairs[0] is None:
            return None
        by = pairs[3:]
        known = [p for p in by if p is not None]
        slope = pairs[1]
        return Truth(
            pairs[0],
            slope,
            pairs[2] if slope else None,
            known if len(known) == len(by) else None,
            len(sides) > 1,
        )


def _sides(case: Case, x: Real) -> tuple[list[Jet], list[Jet]]:
    """The exact jet, or at a tie those closely beside it; and noisy ones."""
    room = Room()
    exact = _at(case, x, room)
    places = [x + step for step in _BESIDE] if room.edge or mp.isnan(exact.dd) else [x]
    safe = _SAFE[case.dtype]
    rooms = [Room() for _ in places]
    jets = [_at(case, p, r) for p, r in zip(places, rooms, strict=True)]
    if room.gap < 8 * _UNIT[case.dtype]:  # which side rounding falls on is anybody's guess
        return [], []
    if room.most > safe or (len(places) == 1 and room.least < 1 / safe):
        return [], []
    if abs(exact.x - jets[0].x) > 1e-3 * (1 + abs(exact.x)):  # a jump
        return [], []
    source = random.Random(1)
    noisy = [
        _at(case, places[k % len(places)], Room(_UNIT[case.dtype], source)) for k in range(_TRIALS)
    ]
    if room.branch or room.jump or len(room.kinks) > 1 or any(r.tie for r in rooms):
        # Of branches that touch, one is chosen by convention; and θ itself may be at a kink. Where
        # two different |…| meet at 0, no sign of theirs makes a product (docs, Limits).
        third = room.branch and mp.isfinite(exact.d) and not _near(exact.d, jets[-1].d)
        for jet in jets:
            jet.dd = mp.nan
            jet.d = mp.nan if room.jump or room.choice or third else jet.d
            jet.by = [mp.nan if any(r.tie for r in rooms) else b for b in jet.by]
    return jets, noisy


def _pair(
    case: Case, read: Callable[[Jet], Real], sides: list[Jet], noisy: list[Jet]
) -> tuple[Real, Real] | None:
    values = [read(j) for j in sides]
    truth = values[-1]
    if not all(_near(truth, v) for v in values):
        *outer, left, right = values
        if len(values) == 1 or not max(abs(left), abs(right)) < 1e-2 * max(map(abs, outer)):
            return None
        truth = mp.mpf(0)  # ever smaller towards the tie
    if not abs(truth) < _SAFE[case.dtype]:
        return None
    spread = max(abs(read(j) - truth) for j in noisy)
    return truth, _SLACK * spread + TOLERANCE[case.dtype] * abs(truth)


def _near(a: Real, b: Real) -> bool:
    """Equal but for a step of 1e-40; NaN is near nothing."""
    return bool(abs(a - b) <= mp.mpf(10) ** -9 * (abs(a) + abs(b)))


def _at(case: Case, x: Real, room: Room) -> Jet:
    zero = [mp.mpf(0) for _ in case.parameters]
    # One rounding of u is nobody's fault: `lossmith accuracy` measures by the same rule.
    u = Jet(room, room.round(x), mp.mpf(1), mp.mpf(0), list(zero))
    if case.family == "probability":  # the margin of the first of two classes is x
        u = -WORDS["softplus"](-u)
        u.room = room
    parameters = []
    for i, (_, _, _, value) in enumerate(case.parameters):
        by = list(zero)
        by[i] = mp.mpf(1)
        parameters.append(Jet(room, mp.mpf(value), mp.mpf(0), mp.mpf(0), by))
    return run(case.tree, u, parameters)


def cases(seed: int) -> Iterator[Case]:
    """Cases without end, from a seed."""
    source = random.Random(seed)
    while True:
        yield draw(source)
