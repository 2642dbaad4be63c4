"""Claim 12: boosting with the exponential loss is AdaBoost."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

import lossmith
from lossmith.lab.claims import drawing, samples
from lossmith.lab.claims.claim import COMMON, Budget, Claim, Evidence, Part
from lossmith.lab.claims.measure import exact, over_seeds
from lossmith.lab.page.drawing import Picture

Array = samples.Array


def run(budget: Budget) -> Evidence:
    """The same stumps, the same weights, the same votes?"""
    stumps = budget.pick(50, 15)
    same_cut, gap, same_vote, control = [], [], [], []
    shown: tuple[Array, Array, Array] | None = None
    for seed in budget.seeds:
        data = samples.classes("breast_cancer", seed)
        trees, steps = boosted("exponential", data.x, data.y, stumps, seed)
        theirs = AdaBoostClassifier(
            DecisionTreeClassifier(max_depth=1), n_estimators=stumps, random_state=seed
        ).fit(data.x, data.y)
        # SAMME's weight of a stump is the log-odds of its being right: twice the step.
        weights = np.array(theirs.estimator_weights_[: len(theirs.estimators_)])
        count = min(len(steps), len(weights))
        same_cut.append(
            len(steps) == len(weights)
            and all(_cut(a) == _cut(b) for a, b in zip(trees, theirs.estimators_, strict=True))
        )
        gap.append(float(np.abs(2 * steps[:count] - weights[:count]).max() / weights.max()))
        ours = votes(trees, steps, data.x_test) > 0
        same_vote.append(float((ours == (theirs.predict(data.x_test) == 1)).mean()))
        other, other_steps = boosted("logistic", data.x, data.y, stumps, seed)
        cuts = [_cut(a) == _cut(b) for a, b in zip(other, theirs.estimators_, strict=False)]
        control.append(float(np.mean(cuts)))
        shown = shown or (2 * steps[:count], weights[:count], 2 * other_steps[:count])
    numbers = {
        "cuts": over_seeds("seeds at which every stump is the same", same_cut, "%"),
        "weights": exact("largest difference of a stump's weight, over the largest", max(gap)),
        "votes": over_seeds("test rows with the same vote", same_vote, "%"),
        "control": over_seeds("stumps that boosting the logistic loss shares", control, "%"),
    }
    return Evidence(
        numbers,
        [_figure(*shown)] if shown else [],
        [
            f"At {numbers['cuts']} of the seeds all {stumps} stumps are scikit-learn's; the "
            f"weights differ by at most {numbers['weights']}; {numbers['votes']} of the votes "
            "are the same.",
            f"Control: boosting the logistic loss shares {numbers['control']} of the stumps.",
        ],
    )


def boosted(
    loss: str, x: Array, y: Array, stumps: int, seed: int
) -> tuple[list[DecisionTreeClassifier], Array]:
    """Stagewise: a stump for rows weighted by their pull, then the step of the lowest loss."""
    signs = 2 * y - 1
    margins = np.zeros(len(y))
    # scikit-learn's ensemble hands its stumps seeds in this way; they break ties between columns.
    stream = np.random.RandomState(seed)
    trees, steps = [], []
    for _ in range(stumps):
        pull = -lossmith.curve(loss, margins, 1)
        tree = DecisionTreeClassifier(max_depth=1, random_state=stream.randint(2**31 - 1))
        tree.fit(x, y, sample_weight=pull / pull.sum())
        agrees = signs * (2 * tree.predict(x) - 1)

        def slope(step: float, agrees: Array = agrees, margins: Array = margins) -> float:
            return float(agrees @ lossmith.curve(loss, margins + step * agrees, 1))

        step = brentq(slope, 0.0, 20.0, xtol=1e-15)
        margins = margins + step * agrees
        trees.append(tree)
        steps.append(step)
    return trees, np.array(steps)


def votes(trees: list[DecisionTreeClassifier], steps: Array, x: Array) -> Array:
    """Weighted sum of the stumps' signs."""
    signs = [2 * tree.predict(x) - 1 for tree in trees]
    return np.asarray(steps @ np.array(signs))


def _cut(tree: DecisionTreeClassifier) -> tuple[int, float]:
    return int(tree.tree_.feature[0]), float(tree.tree_.threshold[0])


def _figure(ours: Array, theirs: Array, logistic: Array) -> Picture:
    with drawing.style():
        canvas, (ax,) = drawing.panels()
        place = np.arange(1, len(ours) + 1)
        ax.plot(place, theirs, "o", color=drawing.MUTED, markersize=6, markerfacecolor="none", label="scikit-learn's AdaBoost")  # noqa: E501  # fmt: skip
        ax.plot(place, ours, ".", color=drawing.look("exponential").colour, markersize=5, label="boosting, exponential")  # noqa: E501  # fmt: skip
        ax.plot(place, logistic, "x", color=drawing.look("logistic").colour, markersize=4, label="boosting, logistic")  # noqa: E501  # fmt: skip
        ax.set(xlabel="stump", ylabel="weight of its vote")
        drawing.key(ax)
        caption = "The weight of each stump's vote: dots in rings are the same number."
        return drawing.finished(
            canvas,
            "boosting-weights",
            "Stump by stump",
            f"{caption} Largest difference {np.abs(ours - theirs).max():.1e} (first seed).",
            caption,
        )


CLAIM = Claim(
    number=12,
    name="boosting",
    title="Boosting with the exponential loss is AdaBoost",
    articles=(COMMON,),
    says="AdaBoost uses the exponential loss as its surrogate of the classification error.",
    experiment=(
        "Breast cancer. A stagewise booster that knows only a loss: rows are weighted by its "
        "pull −ψ′, a stump is fitted to them, and a line search takes the step that lowers the "
        "mean loss most. With the exponential loss it is set beside scikit-learn's AdaBoost, "
        "stump by stump; the logistic loss is the control."
    ),
    parts=(
        Part(
            "the same stumps (column and threshold) at every seed",
            lambda n: n["cuts"].mean == 1,
        ),
        Part("the same weights to 1e-9", lambda n: n["weights"].mean <= 1e-9),
        Part(
            "the same vote on every test row",
            lambda n: n["votes"].mean == 1,
            heart=True,
        ),
    ),
    run=run,
)
