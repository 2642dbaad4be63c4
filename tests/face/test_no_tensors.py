"""A list or a NumPy array where a tensor has to be: every face says which and the cure."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import lossmith
from face.faces import CLASSES, LOSSES, ROWS, classes, faces
from lossmith import DtypeError, presets

GIVEN: dict[str, Callable[[Tensor], Any]] = {
    "array": lambda t: t.numpy(),
    "list": lambda t: t.tolist(),
}
INDEX = torch.tensor([0, 2, 1])
SHARES = torch.tensor([[0.2, 0.3, 0.1, 0.4]] * ROWS)
EACH = torch.tensor([1.0, 0.5, 2.0])
KEPT = torch.tensor([True, False, True])
# One argument goes by several names, and checks that several faces share say the commonest.
SAME = (
    {"prediction", "logits", "scores", "features", "y_pred", "pred", "input", "inputs"},
    {"target", "y_true", "targets", "label"},
)
Batch = dict[str, Tensor]
Case = tuple[Callable[..., Any], Batch]


def batch(name: str) -> Batch:
    rows = {"sample_weight": EACH, "mask": KEPT}
    if classes(name):
        return {"prediction": SHARES.log() + 1, "target": INDEX, **rows}
    return {"prediction": EACH - 1, "target": torch.tensor([1.0, 0.0, 1.0]), **rows}


def others() -> Iterator[tuple[str, Case]]:
    """What has arguments of its own."""
    rows = {"sample_weight": EACH, "mask": KEPT}
    logits = {"logits": SHARES.log() + 1}
    for name in ("kl_divergence", "js_divergence"):
        function = getattr(lossmith, name)
        yield name, (function, logits | {"target_probs": SHARES} | rows)
        yield f"{name}.total", (function.total, logits | {"target_logits": SHARES} | rows)
    each = {"target": INDEX, "mask": KEPT}
    head = {"features": torch.ones(ROWS, 2), "weight": torch.ones(CLASSES, 2)}
    more = {"bias": torch.zeros(CLASSES), "sample_weight": EACH, "class_weight": SHARES[0]}
    yield "linear_loss", (lossmith.linear_loss, head | each | more)
    made = lossmith.LinearLoss(2, CLASSES)
    yield "LinearLoss", (made, {"features": head["features"], "sample_weight": EACH} | each)
    weights = {"sample_weight": EACH, "class_weight": SHARES[0]}
    yield "class_parallel_loss", (lossmith.class_parallel_loss, logits | each | weights)
    yield "mass_of", (lambda **g: lossmith.mass_of("cross_entropy", **g), each | weights)
    yield "cross_entropy", (lossmith.cross_entropy, logits | each | weights)
    yield "focal", (lossmith.focal, logits | each | {"alpha": SHARES[0]})
    center = lossmith.CenterLoss(CLASSES, 2)
    yield "CenterLoss", (center, {"features": head["features"], "sample_weight": EACH} | each)
    yield "AdaptiveLoss", (lossmith.AdaptiveLoss(), batch("l2"))
    yield "Objective", (lossmith.Objective(fit=lossmith.L2()), {"prediction": EACH, "target": EACH})


def peers() -> Iterator[tuple[str, Case]]:
    """Presets: prediction, target, and the weights that must be tensors there."""
    for name in dir(presets):
        function = getattr(presets, name)
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        first, second = list(inspect.signature(function).parameters)[:2]
        indexed = "cross_entropy" in name or name == "kornia_focal_loss"
        target = INDEX if indexed else torch.eye(CLASSES)[INDEX]
        pair = (target, SHARES.log()) if first == "y_true" else (SHARES.log(), target)
        given = dict(zip((first, second), pair, strict=True))
        if name.startswith("mmdet_"):
            given["weight"] = EACH if indexed else torch.ones(ROWS, CLASSES)
        fixed: dict[str, Any] = {"mode": "multilabel"} if name == "smp_focal_loss" else {}
        fixed |= {"alpha": 0.5} if name == "kornia_focal_loss" else {}
        yield name, (lambda f=function, fixed=fixed, **g: f(**g, **fixed), given)


APART = dict([*others(), *peers()])


def refused(call: Callable[..., Any], batch: Batch) -> None:
    for argument, value in batch.items():
        for made in GIVEN.values():
            with pytest.raises(DtypeError) as caught:
                call(**batch | {argument: made(value)})
            said = str(caught.value)
            assert "torch.as_tensor" in said, said
            names = next((same for same in SAME if argument in same), {argument})
            assert any(f"{name} must" in said for name in names), said


@pytest.mark.parametrize("name", LOSSES)
def test_every_face_of_a_loss(name: str) -> None:
    for face, call in faces(name).items():
        given = batch(name)
        if face == "mass_of":
            del given["prediction"]
        refused(lambda call=call, **given: call(given, {}), given)


@pytest.mark.parametrize("name", APART)
def test_what_has_arguments_of_its_own(name: str) -> None:
    call, given = APART[name]
    refused(call, given)
