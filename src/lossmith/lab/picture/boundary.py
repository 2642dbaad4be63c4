"""Where a classifier changes its mind, over two of its features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lossmith.errors import InputError
from lossmith.lab.picture import canvas, evaluate, style
from lossmith.lab.picture.embedding import LEGEND, class_look, indices, matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_decision_boundary(
    model: Any,
    X: Any,
    y: Any,
    *,
    columns: tuple[int, int] = (0, 1),
    resolution: int = 200,
    names: Any = None,
    axes: Any = None,
) -> Axes:
    """Draw the regions of the predicted classes over two features, with the rows of data.

    Formula:
        one score f: class 1 where f(x) > 0, and the boundary is f(x) = 0; dotted lines at f = ±1,
        the edges of the hinge's margin. Scores f_k for each class: the largest wins.

    Shapes:
        X: (N, D) with D ≥ 2. y: (N,). The model gives (N,), (N, 1) or (N, C).
        Result: the matplotlib axes; the figure is `result.figure`.

    Parameters:
        model: a torch.nn.Module, a scikit-learn classifier, or a function from rows to scores.
            A Module is looked at in evaluation mode, and is left as it was.
        X: tensor or array of real numbers.
        y: class indices from 0, tensor or array.
        columns (default (0, 1)): which two of the features span the picture; all others are held
            at their median.
        resolution (default 200): points of the grid along each side.
        names (default None, the numbers): what the classes are called.
        axes (default None, a new figure): where to draw.

    Errors:
        ShapeError for shapes that do not fit; InputError for data that are not finite, columns
        that are not there, scores that are not finite. UnsupportedError without matplotlib.

    Source: Cortes & Vapnik 1995, doi:10.1007/BF00994018, figure 2: a boundary and its margin.
    """
    ax = canvas.one(axes)
    rows = matrix("X", X)
    classes = indices(y, len(rows))
    if resolution < 2:
        raise InputError(f"resolution is {resolution}; a side needs at least 2 points.")
    first, second = _columns(columns, rows.shape[1])
    sides = [_side(rows[:, k], resolution) for k in (first, second)]
    across, up = np.meshgrid(*sides)
    grid = np.tile(np.median(rows, axis=0), (across.size, 1))
    grid[:, first], grid[:, second] = across.ravel(), up.ravel()
    found = evaluate.scores(model, grid)
    if not np.isfinite(found).all():
        raise InputError("the model's scores are not finite on the grid around the rows.")
    if found.ndim == 1:
        score = found.reshape(across.shape)
        region, count = (score > 0).astype(np.int64), 2
        ax.contour(across, up, score, [0.0], colors=style.INK, linewidths=1.6)
        ax.contour(across, up, score, [-1.0, 1.0], colors=style.INK, linewidths=1, linestyles=":")
    else:
        count = found.shape[1]
        region = found.argmax(1).reshape(across.shape)
        for k in range(count):
            _edge(ax, across, up, found, k)
    levels = np.arange(count + 1) - 0.5
    ax.contourf(
        across, up, region, levels, colors=[class_look(k).colour for k in range(count)], alpha=0.18
    )
    for k in np.unique(classes):
        ax.plot(
            rows[classes == k, first],
            rows[classes == k, second],
            class_look(k).marker,
            color=class_look(k).colour,
            markersize=4,
            markeredgecolor=style.CARD,
            markeredgewidth=0.4,
            label=f"{k}" if names is None else str(names[k]),
        )
    ax.set(xlabel=f"feature {first}", ylabel=f"feature {second}")
    ax.set(xlim=(sides[0][0], sides[0][-1]), ylim=(sides[1][0], sides[1][-1]))
    ax.grid(visible=False)
    if len(np.unique(classes)) <= LEGEND:
        canvas.key(ax)
    return ax


def _columns(columns: tuple[int, int], there: int) -> tuple[int, int]:
    if len(columns) != 2 or columns[0] == columns[1] or not all(0 <= k < there for k in columns):
        raise InputError(f"columns is {columns}: name two of the features 0 … {there - 1}.")
    return columns[0], columns[1]


def _side(values: NDArray[np.float64], resolution: int) -> NDArray[np.float64]:
    low, high = values.min(), values.max()
    room = 0.08 * (high - low) or 1.0
    return np.linspace(low - room, high + room, resolution)


def _edge(
    ax: Axes,
    across: NDArray[np.float64],
    up: NDArray[np.float64],
    found: NDArray[np.float64],
    k: int,
) -> None:
    """The edge of the region of class k: where its score meets the best of the others."""
    gap = found[:, k] - np.delete(found, k, axis=1).max(1)
    if gap.min() < 0 < gap.max():
        ax.contour(across, up, gap.reshape(across.shape), [0.0], colors=style.INK, linewidths=1)
