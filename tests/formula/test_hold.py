"""hold(x) counts, and has no slope: in kernels, in the reference, in what is read and known."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lossmith
from lossmith.errors import FormulaError, UnsupportedError
from lossmith.formula import kinks, properties, proximal
from lossmith.formula.calculus import U, base, curvature, slope, symbols
from lossmith.formula.latex import latex, text
from lossmith.formula.lowering import make
from lossmith.formula.primitives import hold
from lossmith.formula.program import Name

w = lossmith.primitives


@lossmith.residual
def weighted(u: Any, power: lossmith.Positive = 1.5) -> Any:
    """A square whose weight |u|^power is taken as given, as in reweighted least squares."""
    return w.hold(abs(u)) ** power * u**2


@lossmith.margin
def focused(u: Any) -> Any:
    """Focal loss with gamma = 1 whose factor has no gradient."""
    return w.hold(w.sigmoid(-u)) * w.softplus(-u)


def by_hand(name: str, z: torch.Tensor) -> torch.Tensor:
    """The same, with torch's own way to stop a gradient."""
    if name == "weighted":
        return z.detach().abs() ** 1.5 * z**2
    return torch.sigmoid(-z).detach() * torch.nn.functional.softplus(-z)


def numbers(name: str, values: list[float], dtype: torch.dtype) -> tuple[torch.Tensor, Any]:
    z = torch.tensor(values, dtype=dtype, requires_grad=True)
    options: dict[str, Any] = {"labels": "signed"} if name == "focused" else {}
    target = torch.ones_like(z) if name == "focused" else torch.zeros_like(z)
    loss = {"weighted": weighted, "focused": focused}[name]
    return z, (loss, target, options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["weighted", "focused"])
@settings(deadline=None, derandomize=True, max_examples=20)
@given(values=st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=9))
def test_value_gradient_and_curvature(name: str, dtype: torch.dtype, values: list[float]) -> None:
    """In the kernel (first order) and in the reference (second order), as `detach` has it."""
    near = (
        {"rtol": 1e-6, "atol": 1e-7} if dtype == torch.float32 else {"rtol": 1e-13, "atol": 1e-14}
    )
    z, (loss, target, options) = numbers(name, values, dtype)
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    truth = by_hand(name, x).sum()
    (slopes,) = torch.autograd.grad(truth, x, create_graph=True)
    (bend,) = torch.autograd.grad(slopes.sum(), x)

    assert lossmith.engine_for(loss, z, target, **options).startswith("cpu")
    total = loss(z, target, reduction="sum", **options)
    (found,) = torch.autograd.grad(total, z)
    torch.testing.assert_close(total.double(), truth, **near)
    torch.testing.assert_close(found.double(), slopes.detach(), **near)

    given_ = lossmith.derivatives(loss, z.detach(), target, **options)
    torch.testing.assert_close(given_.gradient.double(), slopes.detach(), **near)
    torch.testing.assert_close(given_.hessian.double(), bend, **near)


def test_a_program_never_holds() -> None:
    """What is held is let go before a program is made: no engine needs a word for it."""
    for expression in (hold(U), hold(U**2) * U, slope(weighted.formula), base(focused.formula)):
        assert "hold" not in make((expression,), ("u",), ("power",)).operations
    assert make((hold(U),), ("u",)).outputs == (Name("u"),)


def test_it_is_seen_in_the_record() -> None:
    assert text(weighted.formula) == "u²·hold(|u|)^power"
    assert r"\operatorname{hold}" in latex(focused.formula)
    assert "hold" in text(focused.formula, 1)
    assert base(weighted.formula).has(hold)
    assert hold(hold(U)) == hold(U)
    assert hold(3) == 3


def test_the_slope_is_not_that_of_the_value() -> None:
    power = symbols(weighted.formula)["power"]
    assert slope(weighted.formula) == 2 * U * hold(abs(U)) ** power
    assert curvature(weighted.formula).has(hold)


def test_what_speaks_of_slopes_is_unknown() -> None:
    found = properties.of(weighted.formula)
    assert (found.lowest, found.symmetric) == (0.0, True)
    assert found.minimiser == properties.of(lossmith.formula_of("l2")).minimiser
    assert (found.convex, found.lipschitz, found.smooth, found.strong_convexity) == (None,) * 4
    assert dict(found.rows())["convex"] == "unknown"
    margin = properties.of(focused.formula)
    assert (margin.calibrated, margin.differentiable) == (None, None)
    total = found.plus(properties.of(lossmith.formula_of("l2")))
    assert (total.convex, total.lipschitz) == (None, None)
    assert all(np.isfinite(k.value) for k in kinks.kinks(weighted.formula))


def test_there_is_no_proximal_operator() -> None:
    for of in (proximal.prox, proximal.slopes, proximal.cuts):
        with pytest.raises(UnsupportedError, match=r"hold\(\) has no proximal operator"):
            of(weighted.formula, (1.5,))


def test_all_held_is_refused() -> None:
    with pytest.raises(FormulaError, match=r"u stands inside hold\(\) only"):

        @lossmith.residual
        def stuck(u: Any) -> Any:
            return w.hold(u**2) + 1
