"""Claim 1: hinge leans on few support vectors."""

from __future__ import annotations

import numpy as np
import torch

import lossmith
from lossmith.lab.claims import drawing, linear, samples
from lossmith.lab.claims.claim import COMMON, DEEP, Budget, Claim, Evidence, Part
from lossmith.lab.claims.measure import exact, over_seeds
from lossmith.lab.page.drawing import Picture

PENALTY = 0.01


def run(budget: Budget) -> Evidence:
    """Fit both losses on each split, and each again on the rows that hinge leans on."""
    kept, all_kept, right_yet_costs, moved, moved_logistic = [], [], [], [], []
    pulls: tuple[linear.Array, linear.Array] | None = None
    for seed in budget.seeds:
        data = samples.classes("breast_cancer", seed)
        x, y = linear.with_ones(data.x), data.y
        hinge = linear.support_vector_machine(x, y, PENALTY)
        logistic = _logistic(x, y, len(y))
        m = linear.margins(x, y, hinge)
        support = m < 1 + 1e-3  # those on the edge of the margin hold the plane too
        pull = np.sort(-lossmith.curve("hinge", m - 1e-3, 1))
        pull_logistic = np.sort(-lossmith.curve("logistic", linear.margins(x, y, logistic), 1))
        kept.append(support.mean())
        all_kept.append((pull_logistic > 0).mean())
        right_yet_costs.append(((m > 0) & (m < 1 - 1e-3)).mean())
        # The penalty stays beside the *sum* of losses, so fewer rows weigh it up.
        again = linear.support_vector_machine(x[support], y[support], PENALTY / support.mean())
        moved.append(_turned(hinge, again))
        moved_logistic.append(_turned(logistic, _logistic(x[support], y[support], len(y))))
        pulls = pulls or (pull, pull_logistic)
    numbers = {
        "cost_inside": exact(
            "hinge of a point that is right with margin 0.5",
            float(lossmith.curve("hinge", 0.5)),
        ),
        "cost_outside": exact(
            "hinge of a point that is right with margin 2", float(lossmith.curve("hinge", 2.0))
        ),
        "right_yet_costs": over_seeds(
            "training rows that are right and cost all the same", right_yet_costs, "%"
        ),
        "kept_hinge": over_seeds("rows that hold hinge's plane: support vectors", kept, "%"),
        "kept_logistic": over_seeds("rows that pull at logistic's plane", all_kept, "%"),
        "moved_hinge": over_seeds(
            "hinge: how far the weights move without all other rows", moved, "%"
        ),
        "moved_logistic": over_seeds("logistic: the same", moved_logistic, "%"),
    }
    figures = [
        drawing.curves(
            ["hinge", "logistic"],
            "hinge-curves",
            "Hinge and logistic loss",
            "Hinge is 0, and so is its slope, from margin 1 on; the logistic loss never is.",
            np.linspace(-2, 3, 401),
        ),
        _pulls(*pulls) if pulls else None,
    ]
    return Evidence(
        numbers,
        [figure for figure in figures if figure],
        [
            f"Hinge keeps {numbers['kept_hinge']} of the rows as support vectors, the logistic "
            f"loss {numbers['kept_logistic']}.",
            "Fitted again on those rows alone, hinge's weights move by "
            f"{numbers['moved_hinge']} of their length, the logistic loss's by "
            f"{numbers['moved_logistic']}.",
        ],
    )


def _logistic(x: linear.Array, y: linear.Array, rows: int) -> linear.Array:
    target = torch.tensor(y)
    share = rows / len(y)
    return linear.descend(lambda z: lossmith.logistic(z, target), x, PENALTY * share)


def _turned(before: linear.Array, after: linear.Array) -> float:
    return float(np.linalg.norm(after - before) / np.linalg.norm(before))


def _pulls(hinge: linear.Array, logistic: linear.Array) -> Picture:
    with drawing.style():
        canvas, (axes,) = drawing.panels()
        place = 100 * np.arange(1, len(hinge) + 1) / len(hinge)
        for label, pull in (("hinge", hinge), ("logistic", logistic)):
            axes.plot(place, pull, label=label, **drawing.look(label).line)
        axes.set(xlabel="training rows, % (sorted by pull)", ylabel="pull −ψ′ of the row")
        axes.set_yscale("symlog", linthresh=1e-5)
        axes.set_yticks([0, 1e-4, 1e-2, 1], ["0", "0.0001", "0.01", "1"])
        drawing.ends(axes)
        caption = (
            "How hard each training row pulls at the fitted plane (first seed). Where the line "
            "lies at 0, the row might as well not be there."
        )
        return drawing.finished(
            canvas,
            "hinge-pulls",
            "Who holds the plane",
            f"{caption} Hinge: {np.mean(hinge == 0):.0%} of the rows pull with 0. Logistic: all "
            f"rows pull, the weakest with {logistic.min():.1e}.",
            caption,
        )


CLAIM = Claim(
    number=1,
    name="hinge",
    title="Hinge keeps few support vectors, logistic keeps all",
    articles=(DEEP, COMMON),
    says=(
        "Hinge charges wrong points by their distance from the plane, and a little also points "
        "that are right but too close to it, which makes training look for the widest margin. "
        "Beyond margin 1 nothing is charged; so the soft-margin support vector machine stays "
        "sparse: its model depends on the support vectors only."
    ),
    experiment=(
        "Breast cancer, linear model, the same small L2 penalty under hinge and under the "
        "logistic loss. Counted: the rows that pull at the fitted plane. Then both are fitted "
        "again without the rows that hinge does not lean on. Every seed splits the data anew."
    ),
    parts=(
        Part(
            "a point that is right by less than 1 costs, one that is right by more does not, and "
            "such rows are there (their share's interval is above 0)",
            lambda n: (
                n["cost_inside"].mean > 0 == n["cost_outside"].mean and n["right_yet_costs"].low > 0
            ),
        ),
        Part(
            "hinge keeps fewer than half of the rows (upper end below 50 %)",
            lambda n: n["kept_hinge"].high < 0.5,
            heart=True,
        ),
        Part("the logistic loss keeps every row", lambda n: n["kept_logistic"].mean == 1.0),
        Part(
            "without the other rows hinge's weights move by less than 1 % (upper end)",
            lambda n: n["moved_hinge"].high < 0.01,
        ),
    ),
    run=run,
)
