"""Linear heads in blocks: features, layer and loss drawn, held against all logits at once."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossmith.errors import LossmithError
from lossmith.face import multiclass
from lossmith.face.linear import Reduction, linear_loss
from lossmith.lab.definition import loss as definition
from lossmith.lab.fuzz.layouts import LAYOUTS, SHARED, lay

# Losses without kinks: a slope near one is a convention, and sums over rows would hide which.
_LOSSES = (
    "cross_entropy", "focal", "generalized_cross_entropy", "poly1", "OneVsRest(logistic)",
    "OneVsRest(brier)", "OneVsRest(binary_focal)",
)  # fmt: skip
_CLOSE = {"float64": 1e-11, "float32": 2e-5, "bfloat16": 2.0**-7}


@dataclass(frozen=True)
class Case:
    """A head and its loss. `seed` draws the numbers."""

    loss: str
    lead: tuple[int, ...]  # what stands before the features' dimension
    features: int
    classes: int
    block: int | None
    dtype: str
    layouts: tuple[str, ...]  # of features, layer, target
    bias: bool
    soft: bool
    weight: bool
    mask: bool
    class_weight: bool
    smoothing: float
    ignore_index: int
    frozen: str  # "", or the one of features, layer, bias that needs no gradient
    reduction: Reduction
    threads: int
    seed: int


def draw(random: random.Random) -> Case:
    """A head that the library takes."""
    loss = random.choice(_LOSSES)
    rows = random.choice((1, 2, 7, 63, 64, 65, 130, 300))
    soft = random.random() < 0.3
    lead = random.choice(((rows,), (rows,), (max(1, rows // 3), 3), (2, max(1, rows // 4), 2)))
    return Case(
        loss, lead,
        features=random.choice((1, 2, 5, 16, 33)),
        classes=random.choice((2, 3, 10, 64, 127, 128, 300)),
        block=random.choice((None, 1, 2, 3, 7, 64, 100, 1000)),
        dtype=random.choice(tuple(_CLOSE)),
        layouts=tuple(random.choice(tuple(LAYOUTS)) for _ in range(3)),
        bias=random.random() < 0.6,
        soft=soft,
        weight=random.random() < 0.4,
        mask=random.random() < 0.4,
        class_weight=random.random() < 0.3,
        smoothing=0.1 if not loss.startswith("One") and random.random() < 0.3 else 0.0,
        ignore_index=-100 if soft else random.choice((-100, -1, 1)),
        frozen=random.choice(("", "", "", "features", "layer", "bias")),
        reduction=random.choice(("mean", "mean", "sum", "none")),
        threads=random.choice((1, 2)),
        seed=random.randrange(2**32),
    )  # fmt: skip


def judge(case: Case) -> str | None:
    """What is wrong with a case, in one line that repeats it; None if nothing is."""
    threads = torch.get_num_threads()
    torch.set_num_threads(case.threads)
    try:
        fault = _fault(case)
    except LossmithError as error:
        fault = f"refused: {error}"
    except Exception as error:  # whatever it is: a head that is called right raises none
        fault = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    finally:
        torch.set_num_threads(threads)
    return f"{fault}, of {case}" if fault else None


def _fault(case: Case) -> str | None:
    g = torch.Generator().manual_seed(case.seed)
    dtype = getattr(torch, case.dtype)
    features = lay(torch.randn(*case.lead, case.features, generator=g).to(dtype), case.layouts[0])
    layer = lay(torch.randn(case.classes, case.features, generator=g).to(dtype), case.layouts[1])
    bias = torch.randn(case.classes, generator=g).to(dtype) if case.bias else None
    target = _target(case, g)
    o = definition.Options(
        label_smoothing=case.smoothing, ignore_index=case.ignore_index, reduction=case.reduction
    )
    if case.weight:
        o.sample_weight = torch.randint(0, 4, case.lead, generator=g) / 2
    if case.mask:
        o.mask = torch.rand(case.lead, generator=g) < 0.7
        if case.layouts[0] not in SHARED:
            features.masked_fill_(~o.mask.unsqueeze(-1), float("nan"))
    if case.class_weight:
        o.class_weight = torch.rand(case.classes, generator=g) + 0.2
    leaves = {"features": features, "layer": layer} | ({} if bias is None else {"bias": bias})
    free = [name for name in leaves if name != case.frozen]
    ours = {n: x.detach().requires_grad_(n in free) for n, x in leaves.items()}
    plain = {n: x.double().detach().clone().requires_grad_(n in free) for n, x in leaves.items()}
    loss: Any = case.loss
    if loss.startswith("One"):
        loss = multiclass.OneVsRest(loss[len("OneVsRest(") : -1])
    options = {} if not case.smoothing else {"label_smoothing": case.smoothing}
    value = linear_loss(
        ours["features"], ours["layer"], target, ours.get("bias"), loss,
        sample_weight=o.sample_weight, mask=o.mask, class_weight=o.class_weight,
        ignore_index=case.ignore_index, reduction=case.reduction, block=case.block, **options,
    )  # fmt: skip
    z, expected = _expected(case, plain, target, o)
    close = _CLOSE[case.dtype]
    fault = _apart("value", value.detach(), expected.detach(), min(close, 2e-5))
    if fault or not free:
        return fault
    up = 0.1 + torch.rand(expected.shape, generator=g, dtype=torch.float64)
    got = torch.autograd.grad(value, [ours[n] for n in free], up.to(value.dtype))
    want = torch.autograd.grad(
        expected, [plain[n] for n in free], up, allow_unused=True, materialize_grads=True,
        retain_graph=True,
    )  # fmt: skip
    # A sum of parts is judged by their sizes: where they cancel, rounding is theirs.
    (slopes,) = torch.autograd.grad(expected, z, up, retain_graph=True)
    x = plain["features"].detach().nan_to_num(0.0).reshape(-1, case.features).abs()
    size = {
        "features": slopes.abs() @ plain["layer"].detach().abs(),
        "layer": slopes.abs().T @ x,
        "bias": slopes.abs().sum(0),
    }
    for name, a, b in zip(free, got, want, strict=True):
        fault = fault or _apart(f"gradient of {name}", a, b, close, size[name])
    return fault


def _target(case: Case, g: Any) -> Tensor:
    if case.soft:
        share = torch.rand(*case.lead, case.classes, generator=g, dtype=torch.float64) + 0.05
        share = (share / share.sum(-1, keepdim=True)).to(getattr(torch, case.dtype))
        return lay(share, "reversed" if case.layouts[2] == "overlapping" else case.layouts[2])
    label = torch.randint(0, case.classes, case.lead, generator=g)
    label[torch.rand(case.lead, generator=g) < 0.2] = case.ignore_index
    return lay(label, case.layouts[2])


def _expected(
    case: Case, plain: dict[str, Tensor], target: Tensor, o: definition.Options
) -> tuple[Tensor, Tensor]:
    """All logits at once, and the loss of them."""
    features = plain["features"]
    if o.mask is not None:  # 0 · NaN of a dropped row would reach the layer's gradient
        features = torch.where(o.mask.unsqueeze(-1), features, 0.0)
    z = (features @ plain["layer"].T + plain.get("bias", 0.0)).reshape(-1, case.classes)
    flat = definition.Options(**vars(o))
    flat.sample_weight = None if o.sample_weight is None else o.sample_weight.reshape(-1)
    flat.mask = None if o.mask is None else o.mask.reshape(-1)
    link, formula = "softmax", case.loss
    if case.loss.startswith("One"):
        link, formula = "one_vs_rest", case.loss[len("OneVsRest(") : -1]
    t = target.reshape(-1, case.classes) if case.soft else target.reshape(-1)
    value = definition.loss(link, formula, z, t, flat)
    return z, value.reshape(case.lead) if case.reduction == "none" else value


def _apart(
    what: str, got: Tensor, want: Tensor, close: float, size: Tensor | None = None
) -> str | None:
    if got.shape != want.shape:
        return f"{what} of shape {tuple(got.shape)}, not {tuple(want.shape)}"
    error = (got.double() - want).abs()
    largest = float((want if size is None else size).abs().max())
    if bool((error <= close * largest + 1e-30).all()):
        return None
    worst = int(error.nan_to_num(torch.inf).flatten().argmax())
    return f"{what} {float(got.flatten()[worst])!r} for {float(want.flatten()[worst])!r}"
