"""Linear models under any loss: (quasi-)Newton for margins, reweighting for residuals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

import lossmith

Array = NDArray[np.float64]
Objective = Callable[[torch.Tensor], torch.Tensor]  # scores of all rows → a scalar


def with_ones(x: Array) -> Array:
    """A last column of ones, whose weight is the intercept."""
    return np.column_stack([x, np.ones(len(x))])


def descend(
    objective: Objective, x: Array, penalty: float = 0.0, start: Array | None = None,
    steps: int = 2000,
) -> Array:  # fmt: skip
    """Minimise objective(x·w) + penalty/2·|w|², the intercept (the last weight) left free.

    L-BFGS with the gradient that autograd hands out; the objective is made of Lossmith's losses.
    """
    rows = torch.tensor(x)
    ridge = np.full(x.shape[1], penalty)
    ridge[-1] = 0.0

    def both(w: Array) -> tuple[float, Array]:
        weights = torch.tensor(w, requires_grad=True)
        value = objective(rows @ weights)
        value.backward()
        gradient: Any = weights.grad
        return float(value.detach()) + float(ridge @ w**2) / 2, gradient.numpy() + ridge * w

    first = np.zeros(x.shape[1]) if start is None else start
    options = {"maxiter": steps, "maxfun": 4 * steps, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30}
    return np.asarray(minimize(both, first, jac=True, method="L-BFGS-B", options=options).x)


def margins(x: Array, y: Array, w: Array) -> Array:
    """Score times ±1: positive where the row is on its side."""
    return np.asarray((2 * y - 1) * (x @ w))


def newton(
    loss: str, x: Array, y: Array, penalty: float, start: Array | None = None, *,
    tilt: Array | float = 0.0, steps: int = 100, **parameters: float,
) -> Array:  # fmt: skip
    """Minimise mean(ψ(m) + tilt·m) + penalty/2·|w|² for a convex margin loss by Newton steps.

    ψ, ψ' and ψ'' are the loss's own; the intercept (the last weight) is not penalised.
    """
    rows = (2 * y - 1)[:, None] * x  # m = rows · w
    ridge = np.full(x.shape[1], penalty)
    ridge[-1] = 0.0

    def value(w: Array) -> float:
        m = rows @ w
        losses = lossmith.curve(loss, m, 0, **parameters) + tilt * m
        return float(losses.mean() + ridge @ w**2 / 2)

    w = np.zeros(x.shape[1]) if start is None else start
    damping, height = 1e-6, value(w)
    for _ in range(steps):
        m = rows @ w
        slope = lossmith.curve(loss, m, 1, **parameters) + tilt
        gradient = rows.T @ slope / len(m) + ridge * w
        bend = lossmith.curve(loss, m, 2, **parameters)
        hessian = (rows.T * bend) @ rows / len(m) + np.diag(ridge)
        # Levenberg's damping: a piece where no row bends the loss holds the intercept by nothing.
        while damping < 1e6:
            step = np.linalg.solve(hessian + damping * np.eye(len(w)), gradient)
            lower = value(w - step)
            if lower < height:
                break
            damping *= 10
        else:
            break
        gained, w, height = height - lower, w - step, lower
        damping = max(damping / 10, 1e-12)
        if gained < 1e-13 * max(height, 1e-3):
            break
    return np.asarray(w)


def support_vector_machine(
    x: Array, y: Array, penalty: float, start: Array | None = None, *,
    tilt: Array | float = 0.0, sharp: float = 1e-4,
) -> Array:  # fmt: skip
    """Mean hinge + penalty/2·|w|², by hinges with ever sharper corners.

    A hinge whose corner is rounded over a width of `sharp` has a curvature, so Newton's method is
    at its end after a few steps.
    """
    w, gamma = start, 1.0
    while gamma >= sharp * 0.999:
        w = newton("smoothed_hinge", x, y, penalty, w, tilt=tilt, gamma=gamma)
        gamma /= 10
    return np.asarray(w)


def reweighted(
    loss: str, x: Array, y: Array, start: Array | None = None, steps: int = 200, **parameters: float
) -> Array:
    """Minimise the mean of a residual loss: least squares with weights ψ'(r)/r, again and again.

    ψ' is the loss's own. At r = 0 the weight is that of a tiny residual, which for L1 means that
    the fit is within 1e-6 of the target's spread.
    """
    tiny = 1e-6 * float(np.std(y))
    w = np.linalg.lstsq(x, y, rcond=None)[0] if start is None else start
    for _ in range(steps):
        r = x @ w - y
        away = np.where(np.abs(r) < tiny, tiny, r)
        root = np.sqrt(np.maximum(lossmith.curve(loss, away, 1, **parameters) / away, 0.0))
        new = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
        done = np.abs(new - w).max() < 1e-9
        w = new
        if done:
            break
    return np.asarray(w)


def spread(r: Array) -> float:
    """A scale of residuals that outliers hardly touch: the median size, as of a normal law."""
    return 1.4826 * float(np.median(np.abs(r)))
