"""Claim 9: L2 after a sigmoid is not convex, cross-entropy is."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import lossmith
from lossmith.formula import properties
from lossmith.lab.claims import drawing, linear, samples
from lossmith.lab.claims.claim import COMMON, Budget, Claim, Evidence, Part
from lossmith.lab.claims.measure import exact, over_seeds
from lossmith.lab.page.drawing import Picture

Array = samples.Array
NAMES = {"brier": "L2 after a sigmoid", "binary_cross_entropy": "cross-entropy"}
CLOSE = 0.01  # ends whose loss is less than this above the best are the same end


def run(budget: Budget) -> Evidence:
    """The formulas, then the same question asked of a model's weights on real data."""
    starts, lines = budget.pick(20, 5), budget.pick(300, 100)
    broken: dict[str, list[float]] = {name: [] for name in NAMES}
    stuck: dict[str, list[float]] = {name: [] for name in NAMES}
    shown: dict[str, Array] = {}
    for seed in budget.seeds:
        data = samples.classes("breast_cancer", seed)
        x = linear.with_ones(data.x)
        for name in NAMES:
            stream = np.random.default_rng([seed, samples.STARTS])
            broken[name].append(_bent_down(name, x, data.y, lines, stream))
            ends = np.sort([_end(name, x, data.y, stream) for _ in range(starts)])
            stuck[name].append(float(np.mean(ends > ends[0] + CLOSE)))
            shown.setdefault(name, ends)
    traits = {name: properties.of(lossmith.formula_of(name)) for name in NAMES}
    u = np.linspace(-12, 12, 2401)
    numbers = {
        **{
            f"convex_{name}": exact(
                f"convex by its formula (1 yes, 0 no): {title}", bool(traits[name].convex)
            )
            for name, title in NAMES.items()
        },
        **{
            f"bend_{name}": exact(
                f"least curvature on scores from −12 to 12: {title}",
                float(lossmith.curve(name, u, 2).min()),
            )
            for name, title in NAMES.items()
        },
        **{
            f"follows_{name}": exact(
                f"the greater the loss, the greater the gradient (1 yes, 0 no): {title}",
                bool((np.diff(np.abs(lossmith.curve(name, u, 1))) <= 0).all()),
            )
            for name, title in NAMES.items()
        },
        **{
            f"broken_{name}": over_seeds(
                f"segments in weight space whose middle lies above the chord: {title}",
                broken[name],
                "%",
            )
            for name, title in NAMES.items()
        },
        **{
            f"stuck_{name}": over_seeds(
                f"descents from random weights that end more than {CLOSE} above the best: {title}",
                stuck[name],
                "%",
            )
            for name, title in NAMES.items()
        },
    }  # fmt: skip
    return Evidence(
        numbers,
        [_by_score(), _ends(shown)],
        [
            f"In weight space {numbers['broken_brier']} of the segments show that L2 after a "
            f"sigmoid is not convex; for cross-entropy {numbers['broken_binary_cross_entropy']}.",
            f"From random weights {numbers['stuck_brier']} of the descents end above the best "
            f"under L2 after a sigmoid, {numbers['stuck_binary_cross_entropy']} under "
            "cross-entropy.",
        ],
    )


def _loss(name: str, x: Array, y: Array) -> Any:
    rows, target, loss = torch.tensor(x), torch.tensor(y), getattr(lossmith, name)
    return lambda w: float(loss(rows @ torch.tensor(w), target))


def _bent_down(name: str, x: Array, y: Array, lines: int, stream: np.random.Generator) -> float:
    value = _loss(name, x, y)
    count = 0
    for _ in range(lines):
        a, b = stream.normal(size=(2, x.shape[1]))
        count += value((a + b) / 2) > (value(a) + value(b)) / 2 + 1e-12
    return count / lines


def _end(name: str, x: Array, y: Array, stream: np.random.Generator) -> float:
    """The loss where quasi-Newton descent ends, from random weights."""
    target, loss = torch.tensor(y), getattr(lossmith, name)
    start = 3.0 * stream.normal(size=x.shape[1:])
    w = linear.descend(lambda z: loss(z, target), x, start=start, steps=300)
    return float(_loss(name, x, y)(w))


def _by_score() -> Picture:
    z = np.linspace(-6, 6, 481)
    with drawing.style():
        canvas, axes = drawing.panels(2, width=7.6)
        for place, (name, title) in enumerate(NAMES.items()):
            value, bend = lossmith.curve(name, z), lossmith.curve(name, z, 2)
            axes[place].plot(z, value, color=drawing.look(name).colour)
            down = np.ma.masked_where(bend >= -1e-12, value)
            axes[place].plot(z, down, color=drawing.hue(2), linewidth=4, alpha=0.6)
            axes[place].set(title=title, xlabel="score of a positive example", ylabel="loss")
        caption = (
            "The loss as a function of the score, target 1. Thick: where the curve bends down, "
            "so it is not convex."
        )
        low = float(z[lossmith.curve("brier", z, 2) < -1e-12].max())
        return drawing.finished(
            canvas, "sigmoid-curves", "L2 after a sigmoid beside cross-entropy",
            f"{caption} L2 after a sigmoid bends down for scores below {low:.2f}; cross-entropy "
            "nowhere.", caption, wide=True,
        )  # fmt: skip


def _ends(shown: dict[str, Array]) -> Picture:
    with drawing.style():
        canvas, (ax,) = drawing.panels()
        for place, (name, ends) in enumerate(shown.items()):
            ax.plot(
                np.arange(1, len(ends) + 1), ends, color=drawing.look(name).colour,
                marker="os"[place], linestyle="none", label=NAMES[name],
            )  # fmt: skip
        ax.set(xlabel="descents, sorted by where they end", ylabel="training loss at the end")
        drawing.key(ax)
        caption = "Where descents from random weights end (breast cancer, first seed)."
        spoken = "; ".join(
            f"{NAMES[name]} from {ends.min():.3g} to {ends.max():.3g}"
            for name, ends in shown.items()
        )
        return drawing.finished(
            canvas, "sigmoid-ends", "Ends of descents", f"{caption} {spoken}.", caption
        )


CLAIM = Claim(
    number=9,
    name="sigmoid_l2",
    title="L2 after a sigmoid is not convex, cross-entropy is",
    articles=(COMMON,),
    says=(
        "The curve of L2 is not convex, so gradient descent cannot be sure to reach the global "
        "optimum. The curve of cross-entropy is convex and monotone; the greater the loss, the "
        "greater the gradient, which makes optimisation quick. That is why it is used. (The "
        "curves are over the score, with a sigmoid between; over a prediction itself L2 is convex.)"
    ),
    experiment=(
        "Both formulas, by their properties; then a linear model on breast cancer: random "
        "segments in the space of its weights, and descents from random weights."
    ),
    parts=(
        Part(
            "by its formula L2 after a sigmoid is not convex and cross-entropy is",
            lambda n: n["convex_brier"].mean == 0 < n["convex_binary_cross_entropy"].mean,
            heart=True,
        ),
        Part(
            "the same in the space of weights: segments above the chord for L2 after a sigmoid "
            "(lower end above 0), none for cross-entropy",
            lambda n: n["broken_brier"].low > 0 == n["broken_binary_cross_entropy"].mean,
        ),
        Part(
            "cross-entropy's gradient grows with the loss, that of L2 after a sigmoid does not",
            lambda n: n["follows_binary_cross_entropy"].mean == 1 > n["follows_brier"].mean,
        ),
        Part(
            "it matters: descents end above the best under L2 after a sigmoid (lower end above "
            "0), and none does under cross-entropy",
            lambda n: n["stuck_brier"].low > 0 == n["stuck_binary_cross_entropy"].mean,
        ),
    ),
    run=run,
)
