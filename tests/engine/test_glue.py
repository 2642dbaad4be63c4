"""One glue to autograd for every engine: what it asks of them, and that it waits for no device."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import lossmith
from lossmith.engine import choose, eager
from lossmith.engine.autograd import Road
from lossmith.engine.plan import Output
from lossmith.engine.protocol import NotHereError, Number, Result
from lossmith.link.link import Call


class Toy:
    """The reference's numbers as an engine of a device would give them: sums as tensors."""

    name, does = "toy", "for a test"

    def __init__(self, ahead: Callable[[Call, bool], Number | None], why: str | None = None):
        self.known, self.why, self.runs = ahead, why, list[str]()

    def why_not(self, call: Call, output: Output) -> str | None:
        return self.why

    def run(
        self, call: Call, output: Output, factor: Number = 1.0, upstream: Tensor | None = None
    ) -> Result:
        self.runs.append(output)
        return eager.run(call, output, factor, upstream)

    def ahead(self, call: Call, mean: bool) -> Number | None:
        return self.known(call, mean)

    def divides(self, call: Call) -> bool:
        return False

    def scale(self, gradient: Tensor, step: Number) -> None:
        gradient.mul_(step)


class Absent(Toy):
    """Finds out while it runs that it cannot."""

    def run(self, *_: Any) -> Result:
        self.runs.append("absent")
        raise NotHereError("a test")


def guess(call: Call, mean: bool) -> Number:
    return 1.0 / call.count if mean else 1.0


def exact(call: Call, mean: bool) -> Number:
    mass = torch.tensor(float(call.count)) if call.weight is None else call.weight.sum()
    return 1.0 / mass.to(call.prediction.device) if mean else torch.ones(())


def later(call: Call, mean: bool) -> None:
    return None


AHEAD = (guess, exact, later)
WEIGHTS = (None, torch.tensor([0.5, 2.0, 0.0, 1.5]), torch.zeros(4))


def _call(weight: Tensor | None, loss: Any = lossmith.huber) -> tuple[Call, Tensor]:
    draw = torch.Generator().manual_seed(5)
    z = torch.randn(4, generator=draw, dtype=torch.float64, requires_grad=True)
    target = torch.randn(4, generator=draw, dtype=torch.float64)
    return loss.check(z, target, sample_weight=weight), z


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("ahead", AHEAD)
def test_every_sort_of_engine_gives_the_loss_of_the_graph(
    ahead: Any, reduction: Any, weight: Tensor | None
) -> None:
    """Whatever is known of the mass beforehand; first backward, second one, differentiable one."""
    call, z = _call(weight)
    plain = Road((), eager.graph).reduce(call, reduction)
    upstream = torch.full_like(plain, 3.0)
    (slope,) = torch.autograd.grad(plain, z, upstream, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), z)
    call, z = _call(weight)
    toy = Toy(ahead)
    found = Road((toy,), eager.graph).reduce(call, reduction)
    torch.testing.assert_close(found, plain)
    for _ in range(2):
        (first,) = torch.autograd.grad(found, z, upstream, retain_graph=True)
        torch.testing.assert_close(first, slope)
    (first,) = torch.autograd.grad(found, z, upstream, create_graph=True)
    torch.testing.assert_close(first, slope)
    (second,) = torch.autograd.grad(first.sum(), z)
    torch.testing.assert_close(second, curvature)
    assert set(toy.runs) <= {"total", "total+gradient", "gradient", "values"}
    if reduction != "none":
        assert toy.runs.count("total+gradient") == (0 if ahead is later else 2)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("ahead", AHEAD)
def test_nothing_is_read_back_from_a_device(ahead: Any, reduction: Any) -> None:
    """On the meta device there are no numbers: whoever reads one raises."""
    z = torch.randn(6, device="meta", requires_grad=True)
    weight = torch.ones(6, device="meta")
    call = lossmith.huber.check(z, torch.randn(6, device="meta"), sample_weight=weight)
    found = Road((Toy(ahead),), eager.graph).reduce(call, reduction)
    for _ in range(2):
        upstream = torch.randn(found.shape, device="meta")
        (slope,) = torch.autograd.grad(found, z, upstream, retain_graph=True)
        assert (slope.device.type, slope.shape) == ("meta", z.shape)
    total, mass = Road((Toy(ahead),), eager.graph).pair(
        lossmith.huber.check(z, torch.randn(6, device="meta"), sample_weight=weight)
    )
    assert total.device.type == mass.device.type == "meta"


def test_an_engine_that_is_not_here_leaves_the_call_to_the_next() -> None:
    call, z = _call(None)
    first, second = Absent(guess), Toy(guess)
    found = Road((first, Toy(guess, "never"), second), eager.graph).reduce(call, "mean")
    torch.testing.assert_close(found, lossmith.huber(z, call_target(z)))
    assert (first.runs, second.runs) == (["absent"], ["total+gradient"])


def call_target(z: Tensor) -> Tensor:
    draw = torch.Generator().manual_seed(5)
    torch.randn(4, generator=draw, dtype=torch.float64)
    return torch.randn(4, generator=draw, dtype=torch.float64)


def test_the_reason_of_every_engine_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    z = torch.randn(4)
    engines = (Toy(guess, "it rains"), Toy(guess, "it snows"), *choose.CALLS.engines)
    monkeypatch.setattr(choose, "CALLS", Road(engines, eager.graph))
    shown = lossmith.engine_for("huber", z, z)
    assert shown == "cpu: one fused kernel; it rains; it snows"
    monkeypatch.setattr(choose, "CALLS", Road(engines[:2], eager.graph))
    assert lossmith.engine_for("huber", z, z) == "reference: it rains; it snows"
