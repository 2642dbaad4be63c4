"""Features of a network in the plane, by class, with the centres of the classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lossmith.errors import InputError, ShapeError
from lossmith.lab.picture import canvas, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEGEND = 12  # classes that are named


def plot_embedding(
    features: Any,
    labels: Any,
    centers: Any = None,
    *,
    names: Any = None,
    axes: Any = None,
) -> Axes:
    """Draw features in the plane, one mark for each row, coloured by class.

    Two features are drawn as they are; more are projected onto their two widest directions, and
    centres with them.

    Formula:
        points = (features - mean)·V, V = the first two principal components of the features.

    Shapes:
        features: (N, D) with D ≥ 2. labels: (N,). centers: (K, D).
        Result: the matplotlib axes; the figure is `result.figure`.

    Parameters:
        features: tensor or array of real numbers.
        labels: class indices from 0, tensor or array.
        centers (default None): one centre for each class, such as CenterLoss.centers.
        names (default None, the numbers): what the classes are called.
        axes (default None, a new figure): where to draw.

    Errors:
        ShapeError for shapes that do not fit; InputError for features that are not finite, labels
        that are no class indices. UnsupportedError without matplotlib.

    Source: Pearson 1901, doi:10.1080/14786440109462720 (principal components); Wen et al. 2016,
    doi:10.1007/978-3-319-46478-7_31, figures 2 and 3, which draw features with their centres.
    """
    ax = canvas.one(axes)
    points = matrix("features", features)
    classes = indices(labels, len(points))
    middle = None if centers is None else matrix("centers", centers)
    if middle is not None and middle.shape[1] != points.shape[1]:
        raise ShapeError(
            f"centers have {middle.shape[1]} features and features have {points.shape[1]}; "
            "give both of the same layer."
        )
    words = ("feature 1", "feature 2")
    if points.shape[1] > 2:
        points, middle, words = _projected(points, middle)
    for k in np.unique(classes):
        inside = classes == k
        ax.plot(
            *points[inside].T,
            class_look(k).marker,
            color=class_look(k).colour,
            markersize=4,
            markerfacecolor="none",
            label=f"{k}" if names is None else str(names[k]),
        )
    if middle is not None:
        ax.plot(*middle.T, "P", color=style.INK, markeredgecolor=style.CARD, ms=10, label="centres")
    ax.set(xlabel=words[0], ylabel=words[1], aspect="equal", adjustable="datalim")
    if len(np.unique(classes)) <= LEGEND:
        canvas.key(ax)
    return ax


def class_look(k: int) -> style.Look:
    """How a class is drawn; ink is left to boundaries and centres."""
    return style.series(k + 1)


def matrix(name: str, values: Any) -> NDArray[np.float64]:
    """Finite numbers of shape (N, at least 2), in float64."""
    given = values.detach().cpu().double().numpy() if isinstance(values, Tensor) else values
    try:
        made = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be numbers, as a tensor or an array.") from None
    if made.ndim != 2 or made.shape[1] < 2 or not len(made):
        raise ShapeError(f"{name} has shape {made.shape}; it must be (N, D) with D of 2 or more.")
    if not np.isfinite(made).all():
        raise InputError(f"{name} must be finite; a row has NaN or infinity.")
    return made


def indices(labels: Any, rows: int) -> NDArray[np.int64]:
    """Class indices, one for each row."""
    made = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if made.shape != (rows,):
        raise ShapeError(f"labels have shape {made.shape}; {rows} rows need ({rows},).")
    whole = made.astype(np.int64) if made.dtype.kind in "biuf" else None
    if whole is None or not np.array_equal(whole, made) or whole.min() < 0:
        raise InputError("labels must be class indices: whole numbers of 0 or more.")
    return whole


def _projected(
    points: NDArray[np.float64], middle: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, tuple[str, str]]:
    from sklearn.decomposition import PCA

    found = PCA(n_components=min(2, *points.shape), svd_solver="full").fit(points)
    shares = [f"{100 * share:.0f} % of the variance" for share in found.explained_variance_ratio_]
    if len(shares) < 2:
        raise ShapeError(f"features has one row of {points.shape[1]} numbers: give two or more.")
    return (
        found.transform(points),
        None if middle is None else found.transform(middle),
        (shares[0], shares[1]),
    )
