"""Claim 6: solutions under L1 may be many, and may jump."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from sklearn.datasets import load_diabetes

import lossmith
from lossmith.lab.claims import drawing, samples
from lossmith.lab.claims.claim import COMMON, Budget, Claim, Evidence, Part
from lossmith.lab.claims.measure import over_seeds
from lossmith.lab.page.drawing import Picture

Array = samples.Array
ROWS = 20
COARSE, FINER = 40, 16  # steps of the moved point, and how much finer the second walk is
BIG = 0.05  # a turn of the slope by a twentieth of a unit at one fine step


def run(budget: Budget) -> Evidence:
    """Several patients, one line; then one patient is walked along the axis."""
    several, by_sex, jumped = [], [], []
    kept: dict[str, list[float]] = {"l1": [], "l2": []}
    shown: tuple[Array, Array, Array] | None = None
    draws = budget.pick(6, 2)
    for seed in budget.seeds:
        many, many_by_sex, jumps = [], [], []
        largest: dict[str, list[tuple[float, float]]] = {"l1": [], "l2": []}
        for draw in range(draws):
            x, y = patients(seed, draw)
            many.append(len(lines(x, y)) > 1)
            many_by_sex.append(len(lines(*patients(seed, draw, column=1))) > 1)
            walks = {}
            for finer in (1, FINER):
                at = np.linspace(-3, 3, COARSE * finer + 1)
                walks[finer] = at, *walk(x, y, at)
            for place, name in enumerate(("l1", "l2"), 1):
                coarse, fine = (np.abs(np.diff(walks[n][place])).max() for n in (1, FINER))
                largest[name].append((coarse, fine))
            jumps.append(largest["l1"][-1][1] > BIG)
            if shown is None and jumps[-1]:
                shown = walks[FINER]
        several.append(float(np.mean(many)))
        by_sex.append(float(np.mean(many_by_sex)))
        jumped.append(float(np.mean(jumps)))
        for name, steps in largest.items():
            kept[name] += remaining(steps)
        shown = shown or walks[FINER]
    numbers = {
        "several": over_seeds(
            "samples with more than one best line under L1, against body mass index", several, "%"
        ),
        "by_sex": over_seeds("the same, against sex, a column of two values", by_sex, "%"),
        "jumped": over_seeds(
            "walks on which L1's line turns by more than 0.05 at one fine step", jumped, "%"
        ),
        "kept_l1": over_seeds("largest step of L1's slope: fine walk over coarse", kept["l1"]),
        "kept_l2": over_seeds("largest step of L2's slope: fine walk over coarse", kept["l2"]),
    }
    if shown is None:  # no seed at all; Budget never has none
        return Evidence(numbers, [], [])
    return Evidence(
        numbers,
        [_figure(*shown)],
        [
            f"Under L1 {numbers['by_sex']} of the samples have more than one best line against a "
            f"column of two values, {numbers['several']} against the body mass index; under L2 "
            "there is always one.",
            f"When the moved point takes steps 1/{FINER} as long, the largest step of the fitted "
            f"slope stays at {numbers['kept_l1']} of what it was under L1 (a jump stays at 1) "
            f"and falls to {numbers['kept_l2']} under L2 (1/{FINER} = {1 / FINER:.3f}).",
        ],
    )


def remaining(steps: list[tuple[float, float]]) -> list[float]:
    """What is left of a largest step, (coarse, fine), when a point moves by finer steps.

    Of all walks together, because a line under L1 may stand still on one of them; where it stands
    still on every one, there is nothing to compare.
    """
    coarse, fine = np.sum(steps, axis=0)
    return [float(fine / coarse)] if coarse else []


def patients(seed: int, draw: int, column: int = 2) -> tuple[Array, Array]:
    """A column (2: body mass index, 1: sex) and the progress of a few patients.

    The column is in its standard deviations, the progress in hundreds.
    """
    x, y = load_diabetes(return_X_y=True, scaled=False)
    stream = np.random.default_rng([seed, draw, samples.PICKS])
    rows = stream.choice(len(y), ROWS, replace=False)
    chosen = x[:, column]
    return (chosen[rows] - chosen.mean()) / chosen.std(), y[rows] / 100


def lines(x: Array, y: Array) -> Array:
    """Every best line (slope, intercept) under L1 that goes through two points.

    One of the best lines always does, and the set of best lines is spanned by those that do.
    """
    slopes, heights, costs = _through_pairs(x, y)
    best = costs <= costs.min() * (1 + 1e-12)
    return np.unique(np.column_stack([slopes[best], heights[best]]).round(9), axis=0)


def _through_pairs(x: Array, y: Array) -> tuple[Array, Array, Array]:
    first, second = np.array(list(combinations(range(len(x)), 2))).T
    apart = np.abs(x[first] - x[second]) > 1e-12
    first, second = first[apart], second[apart]
    slopes = (y[second] - y[first]) / (x[second] - x[first])
    heights = y[first] - slopes * x[first]
    drawn = torch.tensor(slopes[:, None] * x + heights[:, None])
    target = torch.tensor(np.broadcast_to(y, drawn.shape).copy())
    costs = lossmith.l1(drawn, target, reduction="none").mean(1).numpy()
    return slopes, heights, costs


def walk(x: Array, y: Array, at: Array) -> tuple[Array, Array]:
    """Slopes under L1 and L2 while the first patient's x takes the values `at`, y unchanged."""
    l1, l2 = [], []
    for place in at:
        moved = x.copy()
        moved[0] = place
        slopes, _, costs = _through_pairs(moved, y)
        l1.append(slopes[costs.argmin()])
        centred = moved - moved.mean()
        l2.append(centred @ y / (centred @ centred))
    return np.array(l1), np.array(l2)


def _figure(at: Array, l1: Array, l2: Array) -> Picture:
    with drawing.style():
        canvas, (ax,) = drawing.panels()
        steps = np.abs(np.diff(l1))
        broken = np.insert(l1, np.flatnonzero(steps > BIG) + 1, np.nan)
        places = np.insert(at, np.flatnonzero(steps > BIG) + 1, np.nan)
        ax.plot(places, broken, label="L1", **drawing.look("l1").line)
        ax.plot(at, l2, label="L2", **drawing.look("l2").line)
        ax.set(xlabel="x of the one patient who is moved", ylabel="slope of the fitted line")
        drawing.ends(ax)
        caption = (
            f"The slope of the best line through {ROWS} patients while one of them is moved by "
            f"{at[1] - at[0]:.4f} at a time. Under L1 it stands still and jumps; under L2 it "
            "glides."
        )
        return drawing.finished(
            canvas,
            "jumps-walk",
            "The jump of L1 solutions",
            f"{caption} Largest change at one step: L1 {steps.max():.3f}, "
            f"L2 {np.abs(np.diff(l2)).max():.4f}.",
            caption,
        )


CLAIM = Claim(
    number=6,
    name="jumps",
    title="L1 regression may have many solutions and jump; L2 moves smoothly",
    articles=(COMMON,),
    says=(
        "Since its derivative is not continuous, L1 may have several solutions, and a slight "
        "change of the data may move the solution by a big jump: L1's solutions are unstable."
    ),
    experiment=(
        f"Diabetes: progress against body mass index, {ROWS} patients at a time (and against "
        "sex, to count the best lines). Every line through two patients is scored, so the best "
        "lines under L1 are found exactly. Then one "
        f"patient is moved along the axis in {COARSE} steps, and once more in {COARSE * FINER}: "
        "where the fitted slope moves smoothly, its largest step shrinks with the point's; where "
        "it jumps, it does not. Each seed draws the patients anew, several times."
    ),
    parts=(
        Part(
            "several best lines under L1 do occur on real data, against either column (lower end "
            "above 0)",
            lambda n: n["several"].low > 0 or n["by_sex"].low > 0,
        ),
        Part(
            "L1's largest step stays more than half as large when the point's steps get "
            f"{FINER} times shorter (lower end)",
            lambda n: n["kept_l1"].low > 0.5,
            heart=True,
        ),
        Part(
            "L2's largest step shrinks at least to an eighth (upper end)",
            lambda n: n["kept_l2"].high < 0.125,
        ),
    ),
    run=run,
)
