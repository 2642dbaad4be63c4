"""The unit of residuals: the robust spread of what a first fit leaves over.

A Huber loss with delta = 1 is meant for residuals whose ordinary size is 1. In units of the target
it would be the square of nearly every residual, wherever a model explains much.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.stats import median_abs_deviation
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import HuberRegressor
from sklearn.model_selection import KFold, cross_val_predict
from threadpoolctl import threadpool_limits

MOST = 1000  # rows of the first fit, evenly chosen
PARTS = 3  # each third is predicted by a fit to the others, or a wide table would fit itself
LEAST = 0.01  # of the target's spread: an exact fit leaves no residuals to measure by


def unit(rows: NDArray[np.float32], target: NDArray[np.float64]) -> float:
    """The median absolute deviation, as a standard deviation, of the residuals of a linear fit.

    `target` has spread 1. So has the answer where the fit explains nothing, where a third of the
    rows is none, or where most rows have one and the same target, around which nothing deviates.
    """
    some = np.unique(np.linspace(0, len(target) - 1, min(MOST, len(target))).astype(int))
    if len(some) < 2 * PARTS or not median_abs_deviation(target[some]):
        return 1.0
    flat = rows[some].reshape(len(some), -1).astype(np.float64)
    parts = KFold(PARTS, shuffle=True, random_state=0)
    # One thread: sums in another order would be other digits.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            found = cross_val_predict(HuberRegressor(max_iter=50), flat, target[some], cv=parts)
        except ValueError:  # its solver gave up, as it does on columns without any scale
            return 1.0
    left = float(median_abs_deviation(target[some] - found, scale="normal"))
    return float(f"{min(1.0, max(LEAST, left)):.4g}")
