"""A model, looked at without a trace: evaluation mode for the while, no gradient, no change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lossmith.errors import InputError, ShapeError

BLOCK = 8192  # rows at a time


@contextmanager
def still(*modules: Any) -> Iterator[None]:
    """Modules in evaluation mode, each part back in its own mode afterwards."""
    parts = [part for m in modules if isinstance(m, nn.Module) for part in m.modules()]
    before = [part.training for part in parts]
    try:
        for part in parts:
            part.training = False
        with torch.no_grad():
            yield
    finally:
        for part, mode in zip(parts, before, strict=True):
            part.training = mode


def scores(model: Any, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) or (N, C) scores of a torch Module, a scikit-learn classifier, or a function."""
    with still(model):
        blocks = [_numbers(model, rows[at : at + BLOCK]) for at in range(0, len(rows), BLOCK)]
    made = np.concatenate(blocks)
    if made.ndim == 2 and made.shape[1] == 1:
        made = made[:, 0]
    if made.ndim not in (1, 2) or len(made) != len(rows):
        raise ShapeError(
            f"the model turns {len(rows)} rows into {made.shape}; it must give one score, or one "
            "for each class, to every row."
        )
    return made


def _numbers(model: Any, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    if isinstance(model, nn.Module):
        like = next(model.parameters(), torch.zeros(()))
        given = torch.as_tensor(rows).to(like.device, like.dtype)
        found = model(given)
    elif hasattr(model, "decision_function") or hasattr(model, "predict_proba"):
        # A probability of one half is a score of 0.
        found = (
            model.decision_function(rows)
            if hasattr(model, "decision_function")
            else model.predict_proba(rows) - 1 / len(model.classes_)
        )
    elif callable(model):
        found = model(rows)
    else:
        raise InputError(
            f"{type(model).__name__} is no model: give a torch.nn.Module, a scikit-learn "
            "classifier, or a function from rows to scores."
        )
    if isinstance(found, Tensor):
        found = found.detach().cpu().double().numpy()
    return np.asarray(found, dtype=np.float64)
