"""Kernel bodies mean what they say in any skeleton: here whole arrays of NumPy at once, no loop.

The oracle is the plain definition of a loss. The CPU's own skeletons are held elsewhere; what is
tried here is that a body assumes nothing of theirs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lossmith.engine.kernel.bodies import BODIES
from lossmith.engine.kernel.words import Element, LongRow, Point, Row
from lossmith.engine.plan import Plan
from lossmith.formula.calculus import derivative
from lossmith.formula.ledger import LEDGER
from lossmith.formula.lowering import make, word
from lossmith.formula.numpy_math import NUMPY
from lossmith.lab.definition.loss import Options, loss
from lossmith.link import forms
from lossmith.link.links import LINKS


def planned(formula: str, link: str, target: str, **options: bool) -> Plan:
    """A plan of value and slope in float64."""
    own, hard = LINKS[link], "float" not in target
    form = own.form(hard, options.get("smoothed", False))
    return Plan(
        formula, own.body, own.axis, form, "float64", target, "total+gradient",
        hard=hard, **options,
    )  # fmt: skip


class Elements(Element):
    """All elements at once."""

    scaled = False

    def refuse(self, valid: str) -> None:
        self.line(f"bad = bad + np.sum(~({valid}))")


class Rows(LongRow):
    """All rows at once: a number of a row is a column, one of a class is a matrix."""

    score, label, kept, distance = "Z", "Q", "kept", "distance"

    def refuse(self, valid: str) -> None:
        self.line(f"bad = bad + np.sum(~({valid}))")

    def step(self, slope: str = "") -> None:
        self.line(f"step = w{f' * {slope}' if slope else ''}")

    def _rest(self) -> None:
        self.line("z_y = np.take_along_axis(Z, y, 1)")
        self.line("rest = where(k == y, K(-np.inf), Z)")
        self.line("top = rest.max(1, keepdims=True)")

    def others(self) -> None:
        self._rest()
        self.line("top = where(top == K(-np.inf), K(0.0), top)")
        self.line("e = exp(rest - top)")
        self.line("others = e.sum(1, keepdims=True)")

    def hand_out(self, share: str, own: str) -> None:
        self.line(f"G = where(k == y, {own} + zero, {share} * e)")

    def best(self) -> None:
        self.line("top, best = Z.max(1, keepdims=True), Z.argmax(1)[:, None]")
        self.line("distance, allowed = Z - top, (Z > -np.inf).sum(1, keepdims=True)")
        self.line("others = where(k == best, zero, exp(distance)).sum(1, keepdims=True)")

    def rival(self) -> None:
        self._rest()
        self.line("rival, poison = rest.argmax(1)[:, None], zero[:, :1]")
        self.line("G = zero")

    def start(self, *names: str) -> None:
        for name in names:
            self.line(f"{name} = zero[:, :1]")

    @contextmanager
    def each(self) -> Iterator[None]:
        yield

    def add(self, name: str, text: str) -> None:
        self.line(f"{name} = {name} + ({text}).sum(1, keepdims=True)")

    def keep(self, text: str) -> None:
        self.line(f"kept = {text}")

    def give(self, gradient: str, to: str = "k", where: str | None = None) -> None:
        if to == "k":
            self.line(f"G = {gradient} + zero")
        else:
            here = f"(k == {to})" + ("" if where is None else f" & ({where})")
            self.line(f"G = where({here}, {gradient} + zero, G)")


class Points(Point):
    """All points at once: a number of a point is a column, one of a coordinate is a matrix."""

    scaled, away, kept = False, "Z - T", "kept"
    step, start, each, add, keep = Rows.step, Rows.start, Rows.each, Rows.add, Rows.keep

    def refuse(self, valid: str) -> None:
        raise AssertionError("no target of a distance is refused")

    def give(self, gradient: str, to: str = "k", where: str | None = None) -> None:
        self.line(f"G = {gradient}")

    def farthest(self, name: str, text: str) -> None:
        self.line(f"{name} = ({text}).max(1, keepdims=True)")


SKELETONS: dict[type, Any] = {Element: Elements, Point: Points, Row: Rows, LongRow: Rows}


def run(plan: Plan, scope: dict[str, Any], numbers: dict[str, float], soft: bool = False) -> Any:
    """Value, slope (or gradient) and the count of labels refused."""
    formula = LEDGER[plan.formula]
    parameters = tuple(p.name for p in formula.shape)
    names, body = tuple(map(word, parameters)), BODIES[plan.body]
    k: Any = SKELETONS[body.words](plan, names)
    body.write(k, soft) if plan.axis is None else body.write(k)
    expression = forms.expression(formula, plan.form)
    outputs = expression, derivative(expression, "u")
    program = NUMPY.function(make(outputs, ("u",), parameters))
    scope = {**NUMPY.words, "np": np, "program": program, "bad": 0, **scope}  # type: ignore[dict-item]
    scope |= {word(name): value for name, value in numbers.items()}
    scope["zero"] = np.zeros_like(scope.get("Z", 0.0))
    with np.errstate(all="ignore"):
        exec("\n".join(line.removeprefix("    ") for line in k.lines), scope)
    return scope["value"], scope.get("G", scope.get("slope")), scope["bad"]


def held(found: Any, z: Any, expected: torch.Tensor, leaf: torch.Tensor) -> None:
    """The same loss of every row, and the gradient of their sum."""
    value, gradient, bad = found
    assert bad == 0
    (slopes,) = torch.autograd.grad(expected.sum(), leaf)
    np.testing.assert_allclose(value.reshape(-1), expected.detach(), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-9, atol=1e-10)


SEED = st.integers(0, 2**31)
DRAWN = settings(derandomize=True, deadline=None, max_examples=40, database=None)


@DRAWN
@given(SEED, st.sampled_from(["cross_entropy", "focal"]), st.booleans(), st.booleans())
@pytest.mark.parametrize("target", ["index", "distribution"])
def test_softmax(target: str, seed: int, formula: str, smoothed: bool, balanced: bool) -> None:
    draw = np.random.default_rng(seed)
    classes = int(draw.integers(2, 9))
    z = draw.normal(size=(6, classes)) * draw.choice([0.3, 4.0])
    q = draw.dirichlet(np.ones(classes), 6)
    y = draw.integers(0, classes, (6, 1))
    hard = target == "index"
    forbidden = (draw.random(z.shape) < 0.2) & (np.arange(classes) != y) & hard
    z[forbidden] = -np.inf
    smoothing, alpha = 0.1 * smoothed, draw.uniform(0.1, 2, classes)
    numbers = {"gamma": 1.5} if formula == "focal" else {}
    kind = "int64" if hard else "float64"
    plan = planned(formula, "softmax", kind, smoothed=smoothed, balanced=balanced)
    scope = {
        "Z": z, "Q": q, "y": y, "w": np.ones((6, 1)), "k": np.arange(classes)[None],
        "smoothing": smoothing, "alpha": alpha,
    }  # fmt: skip
    leaf = torch.tensor(z, requires_grad=True)
    options = Options(
        label_smoothing=smoothing, alpha=torch.tensor(alpha) if balanced else None,
        reduction="none", parameters=numbers,
    )  # fmt: skip
    label = torch.tensor(y[:, 0]) if hard else torch.tensor(q)
    held(run(plan, scope, numbers), z, loss("softmax", formula, leaf, label, options), leaf)


@DRAWN
@given(SEED, st.sampled_from(["hinge", "logistic", "squared_hinge"]))
@pytest.mark.parametrize("link", ["crammer_singer", "one_vs_rest"])
def test_margins_of_classes(link: str, seed: int, formula: str) -> None:
    draw = np.random.default_rng(seed)
    classes = int(draw.integers(2, 9))
    z, y = draw.normal(size=(6, classes)), draw.integers(0, classes, (6, 1))
    z[(draw.random(z.shape) < 0.2) & (np.arange(classes) != y)] = -np.inf
    plan = planned(formula, link, "int64")
    scope = {"Z": z, "y": y, "w": np.ones((6, 1)), "k": np.arange(classes)[None]}
    leaf = torch.tensor(z, requires_grad=True)
    expected = loss(link, formula, leaf, torch.tensor(y[:, 0]), Options(reduction="none"))
    held(run(plan, scope, {}), z, expected, leaf)


@DRAWN
@given(SEED, st.sampled_from(["logistic", "binary_cross_entropy", "squared_hinge"]), st.booleans())
@pytest.mark.parametrize("labels", ["signed", "hard", "soft"])
def test_margins(labels: str, seed: int, formula: str, balanced: bool) -> None:
    draw = np.random.default_rng(seed)
    z, t = 3 * draw.normal(size=20), draw.random(20)
    t[:6] = (0.0, 1.0) * 3
    t = {"signed": 2 * t.round() - 1, "hard": t.round(), "soft": t}[labels]
    alpha = float(draw.random())
    kind = "int64" if labels == "hard" else "float64"
    plan = planned(formula, "margin", kind, signed=labels == "signed", balanced=balanced)
    scope = {"z": z, "t": t, "alpha_positive": alpha, "alpha_negative": 1 - alpha}
    leaf = torch.tensor(z, requires_grad=True)
    options = Options(
        alpha=alpha if balanced else None, signed=labels == "signed", reduction="none"
    )
    expected = loss("margin", formula, leaf, torch.tensor(t), options)
    held(run(plan, scope, {}, soft=labels == "soft"), z, expected, leaf)


@DRAWN
@given(SEED)
def test_residuals(seed: int) -> None:
    draw = np.random.default_rng(seed)
    z, t = 3 * draw.normal(size=20), draw.normal(size=20)
    plan = planned("log_cosh", "residual", "float64")
    leaf = torch.tensor(z, requires_grad=True)
    expected = loss("residual", "log_cosh", leaf, torch.tensor(t), Options(reduction="none"))
    held(run(plan, {"z": z, "t": t}, {}), z, expected, leaf)


@DRAWN
@given(SEED)
def test_distances(seed: int) -> None:
    draw = np.random.default_rng(seed)
    size = int(draw.integers(1, 6))
    z, t = 3 * draw.normal(size=(20, size)), draw.normal(size=(20, size))
    z[:3] = t[:3]
    plan = planned("log_cosh", "norm", "float64")
    leaf = torch.tensor(z, requires_grad=True)
    expected = loss("norm", "log_cosh", leaf, torch.tensor(t), Options(reduction="none"))
    held(run(plan, {"Z": z, "T": t, "w": np.ones((20, 1))}, {}), z, expected, leaf)


@pytest.mark.parametrize(
    ("plan", "t", "bad"),
    [
        (planned("logistic", "margin", "int64"), [0, 1, 2], 1),
        (planned("logistic", "margin", "float64", signed=True), [0.5, 1, -1], 1),
        (planned("logistic", "margin", "float64"), [-0.5, 1.5, 0.5], 2),
    ],
)
def test_labels_that_are_not_allowed_are_counted(plan: Plan, t: list[float], bad: int) -> None:
    scope = {"z": np.zeros(3), "t": np.array(t)}
    soft = "float" in plan.target and not plan.signed
    assert run(plan, scope, {}, soft=soft)[2] == bad
