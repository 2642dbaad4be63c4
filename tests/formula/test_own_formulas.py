"""What a person may write, and what both engines then make of it, against torch in float64."""

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import sympy as sp
import torch
from torch import Tensor

import lossmith
from lossmith import FormulaError
from lossmith import primitives as w
from lossmith.face.signature import PASSED_ON
from lossmith.formula import properties
from lossmith.formula.kinks import kinks

Expr = Any
POINTS = torch.tensor([-2.3, -1.0, -0.4, 0.0, 0.7, 1.0, 3.1], dtype=torch.float64)


def written(source: str, name: str = "own", **names: Any) -> Any:
    """A loss from its text, as a person at a prompt would make it."""
    scope = {"lossmith": lossmith, "w": w, "sp": sp, "__name__": "own", **names}
    exec(compile(source, "<own>", "exec", dont_inherit=True), scope)
    return lossmith.residual(scope[name])


def kernel(loss: Any, u: Tensor = POINTS, **parameters: float) -> tuple[float, Tensor]:
    z = u.clone().requires_grad_()
    total = loss(z, torch.zeros_like(z), reduction="sum", **parameters)
    return total.item(), torch.autograd.grad(total, z)[0]


def truth(f: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Value, slope and curvature by torch's own differentiation."""
    z = POINTS.clone().requires_grad_()
    value = f(z)
    (slope,) = torch.autograd.grad(value.sum(), z, create_graph=True)
    return value.detach(), slope.detach(), torch.autograd.grad(slope.sum(), z)[0]


def agree(loss: Any, f: Callable[[Tensor], Tensor], **parameters: float) -> None:
    value, slope, curvature = truth(f)
    close = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-13)
    found = lossmith.derivatives(loss, POINTS, torch.zeros_like(POINTS), **parameters)
    close(found.value, value)
    close(found.gradient, slope)
    close(found.hessian, curvature)
    total, gradient = kernel(loss, **parameters)
    assert total == pytest.approx(value.sum().item(), rel=1e-12)
    close(gradient, slope)


HIGH: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "power": ("u**16 + u**31 - (2 * u)**129", lambda u: u**16 + u**31 - (2 * u) ** 129),
    "inverse": ("1 / (1 + u**2)**20", lambda u: (1 + u**2) ** -20),
    "word": ("w.tanh(u)**18", lambda u: torch.tanh(u) ** 18),
    "moment": ("w.gauss_moment(u, 17)", lambda u: u**17 * torch.exp(-(u**2))),
}


@pytest.mark.parametrize("name", HIGH)
def test_whole_powers_have_no_limit(name: str) -> None:
    text, f = HIGH[name]
    agree(written(f"def own(u): return {text}"), f)


def test_a_power_of_the_size_has_a_slope_at_zero() -> None:
    fixed = written("def own(u): return abs(u)**2.5")
    free = written("def own(u, p: lossmith.Positive = 1.5): return abs(u)**p")
    size = POINTS.abs()
    for loss, p, given in ((fixed, 2.5, {}), (free, 2.5, {"p": 2.5}), (free, 1.0, {"p": 1.0})):
        slope = p * POINTS.sign() * size ** (p - 1)
        found = lossmith.derivatives(loss, POINTS, torch.zeros_like(POINTS), **given)
        torch.testing.assert_close(found.gradient, slope, rtol=1e-13, atol=0)
        bend = p * (p - 1) * size ** (p - 2) if p > 1 else torch.zeros_like(size)
        torch.testing.assert_close(found.hessian, bend, rtol=1e-13, atol=0)
        torch.testing.assert_close(kernel(loss, **given)[1], slope, rtol=1e-13, atol=0)
    learned = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    free(POINTS, torch.zeros_like(POINTS), p=learned, reduction="sum").backward()
    beside = size[size > 0]
    assert learned.grad is not None
    assert learned.grad.item() == pytest.approx((beside**1.5 * beside.log()).sum().item())


def test_curvature_at_zero_is_the_one_that_the_properties_state() -> None:
    """Ramsay's Ea: twice differentiable, with curvature 1 at 0."""
    loss = written(
        "def own(u, c: lossmith.Positive = 0.5):\n"
        "    return (1 - w.exp(-c * abs(u)) * (1 + c * abs(u))) / c**2"
    )
    zero = torch.zeros(1, dtype=torch.float64)
    found = lossmith.derivatives(loss, zero, zero)
    assert (found.gradient.item(), found.hessian.item()) == (0.0, 1.0)
    (kink,) = kinks(loss.formula)
    assert (kink.order, kink.slope, kink.curvature, kink.curvatures) == (2, 0.0, 1.0, (1.0, 1.0))
    assert properties.of(loss.formula).differentiable == 2


@pytest.mark.parametrize(
    ("text", "bend"),
    [
        ("w.gauss_moment(abs(u), 2)", 2.0),
        ("w.tanh(abs(u))**2 + abs(u)**3", 2.0),
        ("w.log1p(abs(u)) * abs(u)", 2.0),
        ("w.log1p_square(abs(u) / (0.5 + abs(u)))", 8.0),
        ("w.softplus(abs(u)) * (1 + w.exp(-abs(u))) - abs(u)**2 / 4", None),
    ],
)
def test_the_sign_at_zero_hides_no_curvature(text: str, bend: float | None) -> None:
    """Two signs of a product make 1, also where one of them stands inside a sum."""
    loss = written(f"def own(u): return {text}")
    near, zero = (torch.full((1,), x, dtype=torch.float64) for x in (1e-9, 0.0))
    beside = lossmith.derivatives(loss, near, zero).hessian.item()
    found = lossmith.derivatives(loss, zero, zero).hessian.item()
    assert found == pytest.approx(beside, abs=1e-6)
    if bend is not None:
        assert found == pytest.approx(bend, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "bend"),
    [
        ("w.hypot1m1(u)**0.75", None),
        ("w.gauss_rise(u)**1.5", 0.0),
        ("(1 - w.exp(-u**2))**1.2", 0.0),
        ("w.hypot1m1(w.complement(-w.log1p(w.abs_minus_log1p(w.tanh(u))**0.75)))", None),
    ],
)
def test_a_power_of_what_touches_zero_has_a_slope_there(text: str, bend: float | None) -> None:
    """b^(a - 1)·b' is ∞·0 where b touches 0; what is written as a quotient keeps its own limit."""
    loss, zero = written(f"def own(u): return {text}"), torch.zeros(1, dtype=torch.float64)
    found = lossmith.derivatives(loss, zero, zero)
    assert (found.value.item(), found.gradient.item()) == (0.0, 0.0)
    assert kernel(loss)[1][POINTS == 0].tolist() == [0.0]
    if bend is not None:
        assert found.hessian.item() == bend


def test_names_of_functions_that_take_any_loss_are_refused() -> None:
    """Or their own argument would take what is meant for the loss."""
    doors = {
        "residual": (lossmith.derivatives, lossmith.engine_for, lossmith.curve),
        "margin": (lossmith.CrammerSinger.__init__, lossmith.OneVsRest.__init__),
        "probability": (
            lossmith.linear_loss, lossmith.LinearLoss.__init__,
            lossmith.class_parallel_loss, lossmith.ClassParallelLoss.__init__,
        ),
    }  # fmt: skip
    for family, functions in doors.items():
        arguments = [p for f in functions for p in inspect.signature(f).parameters.values()]
        names = {p.name for p in arguments if p.kind is not p.VAR_KEYWORD} - {"self"}
        assert names <= {*PASSED_ON["residual"], *PASSED_ON[family]}
    with pytest.raises(FormulaError, match="'order', which is an argument of functions"):
        written("def own(u, order: lossmith.Real = 1.0): return order * u")


def huber(u: Tensor) -> Tensor:
    return torch.where(u.abs() <= 1, u**2 / 2, u.abs() - 0.5)


FORMS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "constants": (
        "sp.pi * u**2 + sp.E + sp.EulerGamma + sp.GoldenRatio * u + sp.Catalan",
        lambda u: math.pi * u**2 + math.e + 0.5772156649015329 + (1 + 5**0.5) / 2 * u
        + 0.9159655941772190,
    ),
    "Max": ("sp.Max(u - 0.5, 0)**2 + sp.Min(u, 0.5, 2)",
            lambda u: torch.clamp(u - 0.5, min=0) ** 2 + torch.clamp(u, max=0.5)),
    "not": ("w.where(~((u > 1) | (u < -1)), u**2 / 2, abs(u) - 0.5)", huber),
    "nor": ("w.where(~((u > 1) | ~(u >= -1)), u**2 / 2, abs(u) - 0.5)", huber),
    "float power": ("u**2.0 + u**3.0", lambda u: u**2 + u**3),
    "many pieces": ("sum(w.maximum(u - k / 7, 0) for k in range(40))",
                    lambda u: sum((torch.relu(u - k / 7) for k in range(40)), u * 0)),
    "words of numbers": (
        "u**2 * w.half_boxcox1p(3, 0.25) * w.gauss_moment(0.5, 3) + w.maximum(w.complement(-2), u)",
        lambda u: u**2 * (10**0.25 - 1) * 2 * 0.125 * math.exp(-0.25)
        + torch.clamp(u, min=1 - math.exp(-2)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_one_thing_may_be_written_in_many_ways(name: str) -> None:
    text, f = FORMS[name]
    agree(written(f"def own(u): return {text}"), f)


def test_the_learned_parameter_of_a_largest() -> None:
    loss = written("def own(u, c: lossmith.Positive = 0.5): return sp.Max(u, c * u, -c)")
    c = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    loss(POINTS, torch.zeros_like(POINTS), c=c, reduction="sum").backward()
    # -c where u < -c, c·u between, u above.
    assert c.grad is not None
    assert c.grad.item() == pytest.approx(-2 - 0.4)


def test_a_ratio_of_parameters_at_zero() -> None:
    """Only the branch that holds counts, also where the other divides numbers by 0."""
    loss = written(
        "def own(u, c: lossmith.NonNegative = 0.5):\n"
        "    return w.where(sp.Eq(c, 0), u**2, u**2 * (1 + (2 - c) / c))"
    )
    agree(loss, lambda u: u**2, c=0.0)


NAMES = ("K", "exp", "log", "where", "t0", "p_u", "np", "self_", "γ", "_loss", "__x", "Loss_", "E")


def test_parameters_may_have_any_name() -> None:
    given = ", ".join(f"{n}: lossmith.Positive = {k + 1}.5" for k, n in enumerate(NAMES))
    parts = " + ".join(f"w.where(u > {n}, w.exp(-u * {n}), {n} * u**2)" for n in NAMES)
    loss = written(f"def own(u, {given}): return {parts}")

    def f(u: Tensor) -> Tensor:
        values = [k + 1.5 for k in range(len(NAMES))]
        return sum((torch.where(u > v, torch.exp(-u * v), v * u**2) for v in values), u * 0)

    agree(loss, f)
    assert loss.Module(K=2.0).K == 2.0


@pytest.mark.parametrize("name", ["total", "check", "make", "_loss", "K", "u", "prediction", "ψ"])
def test_losses_may_have_any_name(name: str) -> None:
    loss = written(f"def {name}(u, c: lossmith.Positive = 0.5): return c * u**2", name)
    assert loss.__name__ == name
    one = torch.ones(3)
    assert loss(2 * one, 0 * one, reduction="sum").item() == 6.0
    assert loss.total(2 * one, 0 * one)[0].item() == 6.0
    assert loss.Module()(2 * one, 0 * one).item() == 2.0


REFUSED: dict[str, tuple[str, str]] = {
    "call's name": ("def own(u, mask: lossmith.Real = 1.0): return mask * u", "'mask', which"),
    "word's name": ("def own(u, target: lossmith.Real = 1.0): return target * u", "target_"),
    "Module's name": ("def own(u, float: lossmith.Real = 1.0): return float * u", "every Module"),
    "u": ("def own(v, u: lossmith.Real = 1.0): return u * v", "cannot be called u"),
    "lambda": ("own = lambda u: u**2", "instead of a lambda"),
    "object": ("own = 3", "makes a loss of a function"),
    "gathered": ("def own(u, *rest): return u**2", "name every parameter"),
    "power": ("def own(u, c: lossmith.Positive = 0.5): return u**(2 * c)", "takes abs"),
    "if": ("def own(u, c: lossmith.Positive = 1.0): return u**2 if c == 2 else u", "Eq(c, …)"),
    "truth": ("def own(u, c: lossmith.NonNegative = 1.0): return u**2 if c else u", "c = 0"),
    "written number": (
        "def own(u, c: lossmith.Positive = 1.0): return u**2 if c == 0.375 else u", "c = 0.375"),
    "moment": ("def own(u, c: lossmith.Positive = 1.0): return w.gauss_moment(u, c)", "0, 1, 2"),
    "other word": ("def own(u): return sp.tanh(u)", "lossmith.primitives"),
    "integral": ("def own(u): return sp.Integral(u, (u, 0, u))", "unknown function Integral"),
    "too large": ("def own(u): return u * sp.Integer(10)**400", "largest float64"),
    "no slope": ("def own(u): return w.bernoulli(u)", "cannot be derived"),
    "annotation": ("def own(u, c: 'lossmith.Nothing' = 1.0): return c * u", "cannot be read"),
    "default": ("def own(u, c: lossmith.Positive = 'x'): return c * u", "no real number"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_served_is_refused_in_words(name: str) -> None:
    source, says = REFUSED[name]
    with pytest.raises(FormulaError) as caught:
        written(source)
    assert says in str(caught.value)


@pytest.mark.parametrize("scale", [("mask", 1.0, 2), ("a b", 1.0, 2), ("c", 1.0, 2), ("s", "x", 2)])
def test_a_scale_is_a_parameter_like_others(scale: tuple[Any, ...]) -> None:
    def own(u: Expr, c: lossmith.Positive = 1.0) -> Expr:
        return c * u**2

    with pytest.raises(FormulaError):
        lossmith.residual(scale=lossmith.Scale(*scale))(own)


def test_functions_without_a_home_and_with_named_arguments() -> None:
    scope: dict[str, Any] = {"lossmith": lossmith}
    exec("def own(u, *, c: lossmith.Positive = 0.5): return c * u**2", scope)
    scope["own"].__module__ = None
    loss = lossmith.residual(scope["own"])
    assert loss(torch.full((2,), 2.0), torch.zeros(2)).item() == 2.0
