"""The loss around the parameters of a model, along two random directions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from lossmith.errors import InputError
from lossmith.lab.picture import canvas, evaluate, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = 14
STEEP = 30.0  # beyond this ratio of the highest to the lowest, levels grow geometrically


def plot_landscape(
    model: nn.Module,
    loss: Any,
    data: Any,
    *,
    span: float = 1.0,
    points: int = 25,
    seed: int = 0,
    axes: Any = None,
) -> Axes:
    """Draw the loss of a model in the plane through its parameters along two random directions.

    Formula:
        f(a, b) = L(θ + a·δ + b·η) for a, b in [-span, span]; δ and η are normal draws, filter by
        filter as long as θ: δ_ij ← δ_ij / ‖δ_ij‖ · ‖θ_ij‖. Biases and other vectors stand still.

    Shapes:
        data: (inputs, target), or several such pairs, as the model and the loss take them.
        Result: the matplotlib axes; the figure is `result.figure`. The cross is at a = b = 0.

    Parameters:
        model: a torch.nn.Module. Its parameters, buffers and modes are left as they were, bit by
            bit: the shifted parameters are handed to it for each call.
        loss: loss(prediction, target) → a scalar, as every loss of Lossmith is. Pairs of several
            batches are added up by `loss.total` where there is one, else weighted by their rows.
        data: one batch, a list of batches, or a DataLoader, which is read once and kept.
        span (default 1.0): how far each direction is followed, 1 being as long as the parameters.
        points (default 25): of the grid along each side; an odd number has the model itself.
        seed (default 0): of the two directions; torch's own random state is not touched.
        axes (default None, a new figure): where to draw.

    The whole picture costs points² passes over the data, forward only.

    Errors:
        InputError for data that are no pairs, a model without matrices, a loss that is no finite
        scalar at the model itself. UnsupportedError without matplotlib.

    Source: Li et al. 2018, Visualizing the loss landscape of neural nets, arXiv:1712.09913,
    section 4.
    """
    ax = canvas.one(axes, 4.8, 3.7)
    from matplotlib.colors import BoundaryNorm

    steps, heights = landscape(model, loss, data, span=span, points=points, seed=seed)
    levels = _levels(heights)
    # Colours follow the levels: a steep landscape has as many of them in its valley.
    shades = BoundaryNorm(levels, 256)
    filled = ax.contourf(steps, steps, heights, levels, cmap="viridis", norm=shades)
    ax.contour(steps, steps, heights, levels, colors=style.CARD, linewidths=0.5, alpha=0.6)
    ax.plot([0], [0], "+", color="#d55e00", markersize=11, markeredgewidth=2, label="the model")
    ax.figure.colorbar(filled, ax=ax, label="loss", format="%.3g", shrink=0.8)
    ax.set(xlabel="direction δ", ylabel="direction η", aspect="equal")
    ax.grid(visible=False)
    return ax


def landscape(
    model: nn.Module,
    loss: Any,
    data: Any,
    *,
    span: float = 1.0,
    points: int = 25,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The steps along each direction, and the loss at [step of η, step of δ].

    Parameters as those of `plot_landscape`.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model is {type(model).__name__}: give a torch.nn.Module.")
    if not (0 < span < float("inf")) or points < 3:
        raise InputError(f"span = {span:g}, points = {points}: give a span above 0 and 3 or more.")
    batches = _batches(data)
    own = {name: value.detach() for name, value in model.named_parameters()}
    generator = torch.Generator().manual_seed(seed)
    first, second = (_direction(own, generator) for _ in range(2))
    steps = np.linspace(-span, span, points)
    heights = np.empty((points, points))
    with evaluate.still(model, loss):
        middle = _height(model, loss, batches, own)
        if not np.isfinite(middle):
            raise InputError(f"the loss at the model itself is {middle}: there is no landscape.")
        for row, b in enumerate(steps):
            for column, a in enumerate(steps):
                moved = {n: v + float(a) * first[n] + float(b) * second[n] for n, v in own.items()}
                heights[row, column] = _height(model, loss, batches, moved)
        if points % 2:
            heights[points // 2, points // 2] = middle  # 0·∞ and -0.0 have no say
    return steps, heights


def _batches(data: Any) -> list[tuple[Any, Tensor]]:
    """Pairs of inputs and target, from one pair or an iterable of pairs."""
    single = isinstance(data, list | tuple) and len(data) == 2 and isinstance(data[1], Tensor)
    found = [data] if single else list(data) if isinstance(data, Iterable) else []
    for pair in found:
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[1], Tensor)):
            found = []
            break
    if not found:
        raise InputError("data must be (inputs, target), or a list or DataLoader of such pairs.")
    return [(inputs, target) for inputs, target in found]


def _direction(own: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    made = {}
    for name, value in own.items():
        # Drawn on the CPU, so that a seed gives the same picture on every device.
        drawn = torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value)
        if value.dim() < 2 or not value.is_floating_point():
            made[name] = torch.zeros_like(value)
            continue
        filters = drawn.flatten(1), value.flatten(1)
        lengths = [x.double().norm(dim=1) for x in filters]
        ratio = (lengths[1] / lengths[0].clamp_min(1e-300)).to(value.dtype)
        made[name] = drawn * ratio.reshape(-1, *[1] * (value.dim() - 1))
    if not any(bool(d.any()) for d in made.values()):
        raise InputError(
            "the model has no weight matrix that is not all zero, so its filters have no length "
            "to go by."
        )
    return made


def _height(
    model: nn.Module, loss: Any, batches: list[tuple[Any, Tensor]], parameters: dict[str, Tensor]
) -> float:
    total, mass = 0.0, 0.0
    for inputs, target in batches:
        given = inputs if isinstance(inputs, tuple) else (inputs,)
        prediction = functional_call(model, parameters, given)
        if len(batches) == 1:
            return _scalar(loss(prediction, target))
        if hasattr(loss, "total"):
            part, weight = (float(x) for x in loss.total(prediction, target))
        else:
            weight = float(len(target))
            part = weight * _scalar(loss(prediction, target))
        total, mass = total + part, mass + weight
    return total / mass if mass else float("nan")


def _scalar(value: Any) -> float:
    if isinstance(value, Tensor) and value.numel() != 1:
        raise InputError(
            f"the loss has shape {tuple(value.shape)}; a landscape needs one number: "
            'reduction="mean".'
        )
    return float(value)


def _levels(heights: NDArray[np.float64]) -> NDArray[np.float64]:
    there = heights[np.isfinite(heights)]
    low, high = float(there.min()), float(there.max())
    if high <= low:
        return np.linspace(low, low + (abs(low) or 1.0), LEVELS)
    if low > 0 and high / low > STEEP:
        return np.geomspace(low, high, LEVELS)
    return np.linspace(low, high, LEVELS)
