"""Curves of losses: value, slope and curvature, with every jump shown as a jump."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import lossmith
from lossmith.errors import InputError
from lossmith.formula.record import Formula
from lossmith.lab.picture import canvas
from lossmith.lab.picture.style import CARD, TEXT, Look, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lossmith.formula.kinks import Kink

Array = NDArray[np.float64]
TITLES = ("value ψ(u)", "slope ψ'(u)", "curvature ψ''(u)")
POINTS = 600
MOST = 20  # curves of a sweep
_ABSCISSA = {
    "residual": "u = prediction - target",
    "margin": "margin u",
    "probability": "u = log p(target)",
    "divergence": "u = log(b / a)",
}


def plot(
    losses: Any,
    orders: Sequence[int] = (0, 1, 2),
    parameters: Mapping[str, float] | None = None,
    u: Any = None,
    axes: Sequence[Axes] | None = None,
    *,
    sweep: Mapping[str, Sequence[float]] | None = None,
) -> list[Axes]:
    """Draw value, slope and curvature of one loss, or of several of one family.

    Every jump is shown as a jump, with a dot where the formula's own branch lies.

    Formula:
        ψ(u), ψ'(u) and ψ''(u) as `lossmith.curve` gives them, over u.

    Shapes:
        Result: a list of matplotlib axes, one for each order; the figure is `result[0].figure`.

    Parameters:
        losses: name, function, Module or record, or a sequence of them. A Module brings its own
            parameters.
        orders (default (0, 1, 2)): 0 value, 1 slope, 2 curvature; one pair of axes each.
        parameters (default None): numbers for every loss that has a parameter of that name.
        u (default None): where to draw; else a range that shows every kink.
        axes (default None): matplotlib axes to draw into, one for each order; else a new figure.
        sweep (default None): several numbers for a parameter, as in {"gamma": [0, 1, 2, 5]}, and
            a curve for each; of several parameters every combination.

    Errors:
        InputError for losses of different families, too few axes, or a sweep of more than 20
        curves. ParameterError for a parameter that no loss has, or that is outside its domain.
        UnsupportedError without matplotlib.

    Source: of each loss, see `lossmith show NAME`.
    """
    canvas.needed()
    found = {
        (record.name, *values.items()): (record, values)  # a loss that is not swept is drawn once
        for settings in _settings(dict(parameters or {}), dict(sweep or {}))
        for record, values in _chosen(losses, settings)
    }
    chosen = [*found.values()]
    families = {record.family for record, _ in chosen}
    if len(families) != 1:
        raise InputError(
            f"{', '.join(sorted(families))} losses have no common axis; draw one family at a time."
        )
    if any(order not in (0, 1, 2) for order in orders) or not orders:
        raise InputError(f"orders = {tuple(orders)}: give some of 0 (value), 1 (slope), 2.")
    drawn = (
        canvas.sheet(len(orders), 3.7 * len(orders), 3.0)
        if axes is None
        else list(np.ravel(np.asarray(axes, dtype=object)))
    )
    if len(drawn) != len(orders):
        raise InputError(f"{len(orders)} orders need as many axes, got {len(drawn)}.")
    grid = _range(chosen) if u is None else np.sort(np.ravel(np.asarray(u, dtype=np.float64)))
    made = looks([record.name for record, _ in chosen])
    for ax, order in zip(drawn, orders, strict=True):
        for look, (record, values) in zip(made, chosen, strict=True):
            _draw(ax, order, record, values, grid, look)
        if len(chosen) > 2:
            _fit(ax)
        ax.set_title(TITLES[order], loc="left", fontsize=TEXT)
        ax.set_xlabel(_ABSCISSA[chosen[0][0].family])
        ax.margins(x=0)
    canvas.ends(drawn[0])
    return drawn


def _settings(given: dict[str, float], sweep: dict[str, Any]) -> list[dict[str, float]]:
    """The parameters of every curve of a sweep."""
    lists = [[float(v) for v in np.ravel(values)] for values in sweep.values()]
    if twice := [name for name in sweep if name in given]:
        raise InputError(f"{twice[0]} stands in parameters and in sweep; leave it out of one.")
    count = math.prod(map(len, lists))
    if not 1 <= count <= MOST:
        raise InputError(f"the sweep has {count} combinations; 1 to {MOST} can be told apart.")
    return [given | dict(zip(sweep, values, strict=True)) for values in itertools.product(*lists)]


def _chosen(losses: Any, given: dict[str, float]) -> list[tuple[Formula, dict[str, float]]]:
    several = losses if isinstance(losses, list | tuple) else [losses]
    if not several:
        raise InputError("no loss to draw; give a name, a function, a Module or a record.")
    found = []
    for loss in several:
        record = lossmith.formula_of(loss)
        names = {p.name for p in record.parameters}
        own = loss.given() if isinstance(loss, lossmith.Loss) else {}
        mine = {n: float(v) for n, v in own.items() if n in names}
        found.append((record, record.bind(mine | {n: v for n, v in given.items() if n in names})))
    everyone = {name for record, _ in found for name in record.defaults}
    for name in given:
        if name not in everyone:
            found[0][0].bind({name: given[name]})  # says which parameters there are
    return found


def _range(chosen: list[tuple[Formula, dict[str, float]]]) -> Array:
    """Wide enough for every kink and a few scales beyond."""
    widths = [3.0]
    for record, values in chosen:
        widths += [1.5 * abs(k.u) for k in _kinks(record, values)]
        if record.scale is not None:
            widths.append(2 * values[record.scale.name])
    if chosen[0][0].family == "probability":
        return np.linspace(-5.0, 0.0, POINTS + 1)
    if all(record.scale is not None for record, _ in chosen):
        widths.pop(0)  # the scale says what is near and far
    return np.linspace(-max(widths), max(widths), POINTS + 1)


def _draw(
    ax: Axes, order: int, record: Formula, values: dict[str, float], grid: Array, look: Look
) -> None:
    low, high = float(grid[0]), float(grid[-1])
    jumps = [k for k in _kinks(record, values) if low <= k.u <= high and k.order < order]
    settings = ", ".join(f"{n}={v:g}" for n, v in values.items())
    label = f"{record.name}({settings})" if settings else record.name
    # A line ends a hair before each jump and begins again a hair behind it.
    ends = [low - 1.0, *(k.u for k in jumps), high + 1.0]
    for left, right in itertools.pairwise(ends):
        hair = 1e-9 * max(1.0, abs(left), abs(right))
        inside = grid[(grid > left + hair) & (grid < right - hair)]
        edges = [x for x in (left + hair, right - hair) if low <= x <= high]
        u = np.unique(np.concatenate([inside, edges]))
        ax.plot(
            u,
            lossmith.curve(record, u, order=order, **values),
            label=label,
            linewidth=1.8,
            **look.line,
        )
        label = "_nolegend_"
    for k in jumps:
        _mark(ax, k, order, look.colour)


def _fit(ax: Axes) -> None:
    """Where one curve dwarfs the others, let it leave the picture."""
    curves = [np.asarray(line.get_ydata(), dtype=np.float64) for line in canvas.lines(ax)]
    heights = [float(np.nanmax(np.abs(y), initial=0.0)) for y in curves]
    usual = 3 * float(np.median([h for h in heights if h > 0] or [1.0]))
    if max(heights, default=0.0) > usual:
        low = max(-usual, min(float(np.nanmin(y, initial=0.0)) for y in curves))
        high = min(usual, max(float(np.nanmax(y, initial=0.0)) for y in curves))
        room = 0.05 * (high - low)
        ax.set_ylim(low - room, high + room)


def _kinks(record: Formula, values: dict[str, float]) -> list[Kink]:
    from lossmith.formula import kinks  # SymPy: only when something is drawn

    return list(kinks.kinks(record, **values))


def _mark(ax: Axes, k: Kink, order: int, colour: str) -> None:
    """A dot where the formula is at a jump, and rings around the limits that it leaves out."""
    stated = (k.value, k.slope, k.curvature)[order]
    sides = (k.values, k.slopes, k.curvatures)[order]
    rings = [side for side in sides if math.isfinite(side) and abs(side - stated) > 1e-12]
    if not rings and all(map(math.isfinite, sides)):
        return  # a kink of another derivative; this one goes through
    ax.plot([k.u] * len(rings), rings, "o", color=colour, markersize=5, markerfacecolor=CARD)
    if math.isfinite(stated):
        ax.plot([k.u], [stated], "o", color=colour, markersize=5)
