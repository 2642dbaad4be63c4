"""Every face of every loss, called in one way: what the drawn nets of this folder share.

A face takes a batch (prediction, target, sample_weight, mask) and settings by name, and gives what
it computes as a list of tensors; faces that show the same thing give it under the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import lossmith
from engine import cases
from lossmith.formula.ledger import LEDGER

# Beside the ledger's, a margin behind either link; more of them would be the same code again.
BEHIND_LINKS = ("CrammerSinger('ramp')", "OneVsRest('binary_focal')", "OneVsRest('hinge')")
LOSSES = (*LEDGER, *BEHIND_LINKS)
ROWS, CLASSES = 3, 4
Face = Callable[..., dict[str, Any]]


def classes(name: str) -> bool:
    return name in cases.CLASSES


def settings_of(name: str) -> dict[str, Any]:
    """Parameters and options of a loss, with their defaults."""
    made = cases.module(name)
    return {k: v for k, v in made.given().items() if k != "reduction"}


def _value(name: str, how: str, batch: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    return {how: cases.function(name)(**_called(name, batch), reduction=how, **given)}


def _called(name: str, batch: dict[str, Any]) -> dict[str, Any]:
    """The prediction by the name that functions and Modules have for it."""
    word = "logits" if classes(name) else "prediction" if name in cases.RESIDUAL else "scores"
    return {word if k == "prediction" else k: v for k, v in batch.items()}


def _total(pair: tuple[Tensor, Tensor]) -> dict[str, Any]:
    return {"sum": pair[0], "mass": pair[1]}


def _checked(name: str, batch: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    cases.function(name).check(**_called(name, batch), **given)
    return {}


def _module(name: str, batch: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    made, named = cases.module(name, **given), _called(name, batch)
    return {"mean": made(**named)} | _total(made.total(**named))


def _derivatives(name: str, batch: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    loss = cases.function(name)
    target, z = batch["target"], batch["prediction"]
    rest = {k: v for k, v in batch.items() if k not in ("prediction", "target")}
    found = lossmith.derivatives(loss, z, target, **rest, **given)
    return {"none": found.value, "gradient": found.gradient, "hessian": found.hessian}


def _objective(name: str, batch: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    made = lossmith.Objective(it=cases.module(name, **given))
    named = _called(name, batch)
    (pair,) = made.totals(**named).values()
    return {"mean": made(**named)} | _total(pair)


def _masses(name: str, batch: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    made = cases.module(name, **given)
    rest = {k: v for k, v in batch.items() if k != "prediction"}
    return {"mass": lossmith.mass_of(made, **rest)}


def _linear(name: str, batch: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The scores as features of a layer that leaves them as they are."""
    rest = {"features" if k == "prediction" else k: v for k, v in batch.items()}
    loss = cases.function(name)
    z = batch["prediction"]
    wide = isinstance(z, Tensor) and z.dtype == torch.float64
    given = {"loss": loss, "weight": torch.eye(CLASSES, dtype=z.dtype if wide else None), **given}
    mean = lossmith.linear_loss(**rest, **given)
    return {"mean": mean} | _total(lossmith.linear_loss.total(**rest, **given))


def _parallel(name: str, batch: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    batch = _called(name, batch)
    mean = lossmith.class_parallel_loss(**batch, loss=name, **given)
    return {"mean": mean} | _total(lossmith.class_parallel_loss.total(**batch, loss=name, **given))


def faces(name: str) -> dict[str, Face]:
    """The faces that a loss has, by name."""
    found: dict[str, Any] = {
        "function, mean": lambda b, g: _value(name, "mean", b, g),
        "function, sum": lambda b, g: _value(name, "sum", b, g),
        "function, none": lambda b, g: _value(name, "none", b, g),
        "total": lambda b, g: _total(cases.function(name).total(**_called(name, b), **g)),
        "check": lambda b, g: _checked(name, b, g),
        "Module": lambda b, g: _module(name, b, g),
        "derivatives": lambda b, g: _derivatives(name, b, g),
        "Objective": lambda b, g: _objective(name, b, g),
        "mass_of": lambda b, g: _masses(name, b, g),
    }
    if classes(name):
        found["linear_loss"] = lambda b, g: _linear(name, b, g)
    if name in cases.PROBABILITY:
        found["class_parallel"] = lambda b, g: _parallel(name, b, g)
    return found
