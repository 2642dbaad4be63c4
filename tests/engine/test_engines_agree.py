"""The CPU engine against the reference engine in float64, over a seeded draw of every option.

The full product is far too large; each loss gets one draw for each dtype of its prediction (a
margin behind a link over classes: one dtype), and the draws of all losses together cover every
pair of options. A failure prints its draw.
"""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

import lossmith
from engine import cases
from lossmith.formula.ledger import LEDGER

SEED = 20240
DTYPES = {
    "float32": (torch.float32, 4e-6),
    "float64": (torch.float64, 1e-12),
    "bfloat16": (torch.bfloat16, 2.0**-7),
    "float16": (torch.float16, 2.0**-10),
}
PAIRS = [(n, t) for n in [*cases.ELEMENTWISE, *cases.PROBABILITY] for t in DTYPES]
PAIRS += [(n, [*DTYPES][i % 4]) for i, n in enumerate([*cases.MULTICLASS, *cases.RADIAL])]
LAYOUTS = ["contiguous", "transposed", "strided", "expanded"]


@dataclass
class Draw:
    """One call: options by name, tensors in float64 and as they are given."""

    loss: str
    dtype: str
    layout: str
    reduction: str
    weight: bool
    mask: bool
    labels: str
    size: str
    extra: dict[str, Any] = field(default_factory=dict)


def draw(loss: str, dtype: str) -> Draw:
    pick = random.Random(f"{SEED} {loss} {dtype}")
    made = Draw(
        loss, dtype,
        layout=pick.choice(LAYOUTS),
        reduction=pick.choice(["mean", "sum", "none", "total"]),
        weight=pick.random() < 0.5, mask=pick.random() < 0.5,
        labels="", size=pick.choice(["small", "blocks"]),
    )  # fmt: skip
    if loss in cases.RADIAL or ("(" not in loss and LEDGER[loss].family == "residual"):
        made.labels = pick.choice(["float", "same", "int64"])
    elif "(" not in loss and LEDGER[loss].family == "margin":
        made.labels = pick.choice(["hard", "soft", "signed", "bool", "int64", "signed int"])
        if LEDGER[loss].balanced and pick.random() < 0.7:
            made.extra["alpha"] = 0.25
    else:
        soft = "(" not in loss  # kernels of margins over classes take indices
        made.labels = pick.choice(
            ["index", "index", "int32", "soft"] if soft else ["index", "int32"]
        )
        made.size = pick.choice(["small", "inner", "inner", "blocks"])
        if soft and pick.random() < 0.5:
            made.extra["label_smoothing"] = 0.15
        if pick.random() < 0.5:
            made.extra["class_weight"] = True
        if pick.random() < 0.5:
            index = pick.choice([-1, 1])  # from 0 on it is refused beside a distribution
            made.extra["ignore_index"] = -1 if made.labels == "soft" else index
    return made


def lay(x: torch.Tensor, layout: str) -> torch.Tensor:
    """The same numbers, elsewhere in memory."""
    if layout == "transposed":
        return x.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "strided":
        wide = torch.full((*x.shape[:-1], 2 * x.shape[-1]), float("nan")).to(x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if layout == "expanded":
        return x[:1].expand(x.shape)
    return x.contiguous()


def points(d: Draw, dtype: torch.dtype, g: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Points of a few coordinates, at distances away from kinks."""
    rows = (5, 7) if d.size == "small" else (43, 61)
    name = d.loss.split("'")[1]
    u = cases.smooth_points(name, 3 * rows[0] * rows[1], seed=SEED, gap=0.1)
    u = u[u > 0.1][: rows[0] * rows[1]].reshape(rows)
    way = torch.randn(*rows, 3, dtype=torch.float64, generator=g)
    way = way / way.norm(dim=-1, keepdim=True)
    target = torch.randint(-2, 3, way.shape, generator=g).double()
    kind = {"float": torch.float32, "same": dtype, "int64": torch.int64}[d.labels]
    return target + u.unsqueeze(-1) * way, target.to(kind), rows


def tensors(d: Draw) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
    g = torch.Generator().manual_seed(SEED)
    dtype = DTYPES[d.dtype][0]
    family = None if "(" in d.loss else LEDGER[d.loss].family
    if d.loss in cases.RADIAL:
        prediction, target, rows = points(d, dtype, g)
    elif family in ("residual", "margin"):
        shape = (5, 7) if d.size == "small" else (43, 61)
        count = shape[0] * shape[1]
        # Away from kinks by more than half precision moves a number.
        u = cases.smooth_points(d.loss, count, seed=SEED, gap=0.1).reshape(shape)
        if family == "residual":
            target = torch.randint(-2, 3, shape, generator=g).double()
            prediction = target + u
            kind = {"float": torch.float32, "same": dtype, "int64": torch.int64}[d.labels]
            target = target.to(kind)
        else:
            target = torch.randint(0, 2, shape, generator=g)
            prediction = (2 * target - 1) * u
            if d.labels.startswith("signed"):
                target, d.extra["labels"] = 2 * target - 1, "signed"
            if d.labels == "soft":
                target = torch.rand(shape, generator=g)
                target[0, :3] = torch.tensor([0.0, 1.0, 0.5])
                safe = cases.smooth_points(d.loss, 4000, seed=1, gap=0.1)
                safe = safe[[bool(((safe + x).abs() < 0.01).any()) for x in safe]]
                prediction = safe[torch.randint(0, len(safe), shape, generator=g)]
            if d.labels == "bool":
                target = target.bool()
            elif "int" not in d.labels:
                target = target.to(dtype)
        rows = shape
    else:
        shape = {"small": (6, 4), "inner": (3, 4, 5, 2), "blocks": (300, 60)}[d.size]
        prediction, target = cases.rows(d.loss, shape, seed=SEED)
        rows = (shape[0], *shape[2:])
        if d.labels == "soft":
            # Sixteenths, which every dtype holds: rounded labels would no longer sum to 1.
            target = (cases.soft_labels(shape, SEED) * 16).floor() / 16
            target[:, -1] += 1 - target.sum(1)
            target = target.to(dtype)
        elif d.labels == "int32":
            target = target.int()
        if "ignore_index" in d.extra and d.labels != "soft":
            target.view(-1)[::4] = d.extra["ignore_index"]
        if d.extra.get("class_weight") is True:
            d.extra["class_weight"] = torch.linspace(0.5, 2.0, shape[1])
    if d.weight:
        d.extra["sample_weight"] = torch.randint(0, 4, rows, generator=g) / 2
    if d.mask:
        d.extra["mask"] = torch.rand(rows, generator=g) < 0.7
    return lay(prediction.to(dtype), d.layout), lay(target, d.layout), d.extra


def run(d: Draw, prediction: torch.Tensor, target: torch.Tensor, options: dict[str, Any]) -> Any:
    loss = cases.function(d.loss)
    if d.reduction == "total":
        return loss.total(prediction, target, **options)
    return loss(prediction, target, reduction=d.reduction, **options), None


@pytest.mark.parametrize(("loss", "dtype"), PAIRS)
def test_the_engines_agree(loss, dtype):
    d = draw(loss, dtype)
    print(f"seed {SEED}: {d}")  # shown by pytest when this fails
    prediction, target, options = tensors(d)
    assert lossmith.engine_for(cases.function(loss), prediction, target, **options).startswith(
        "cpu"
    )
    prediction = prediction.detach().requires_grad_()

    value, mass = run(d, prediction, target, options)
    wide = prediction.detach().double().requires_grad_()
    exact_target = target.double() if target.is_floating_point() else target
    with cases.on_reference():
        expected, expected_mass = run(d, wide, exact_target, options)

    kind, precision = DTYPES[dtype]
    single = torch.float64 if kind == torch.float64 else torch.float32
    fine = 1e-12 if kind == torch.float64 else 4e-6
    assert value.dtype == single
    assert value.shape == expected.shape
    largest = float(expected.detach().abs().max()) + 1
    near = {"rtol": fine, "atol": fine * largest, "check_dtype": False}
    torch.testing.assert_close(value, expected.detach(), **near)
    if mass is not None:
        torch.testing.assert_close(mass, expected_mass, **near)

    for seed in (1, 2):  # a second backward over the same graph, with another upstream
        upstream = 0.1 + torch.rand(value.shape, generator=torch.Generator().manual_seed(seed))
        slope = cases.gradient(value, prediction, upstream.to(single), retain_graph=True)
        truth = cases.gradient(expected, wide, upstream.double(), retain_graph=True)
        assert slope.dtype == kind
        size = float(truth.abs().max())
        torch.testing.assert_close(
            slope.double(),
            truth,
            rtol=precision,
            atol=max(fine * size, 1e-7 * (kind == torch.float16)),
        )


def test_the_draws_cover_every_option():
    made = [draw(*pair) for pair in PAIRS]
    for layout in LAYOUTS:
        for reduction in ("mean", "sum", "none", "total"):
            assert any(d.layout == layout and d.reduction == reduction for d in made)
    for weight in (False, True):
        for mask in (False, True):
            for reduction in ("mean", "sum", "none", "total"):
                assert any(
                    (d.weight, d.mask, d.reduction) == (weight, mask, reduction) for d in made
                )
    labels = {d.labels for d in made}
    assert labels >= {"hard", "soft", "signed", "signed int", "bool", "index", "int32", "float"}
    for option in ("class_weight", "label_smoothing", "ignore_index", "alpha"):
        assert any(option in d.extra for d in made)
    assert any(d.size == "inner" for d in made)
