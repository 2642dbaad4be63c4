"""What the classes are taken for: the two matrices, and the worst class of every loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from lossmith.lab.compare.trials import Array, Data, pooled, short, two
from lossmith.lab.page import drawing
from lossmith.lab.page.drawing import Picture

WRITTEN = 12  # up to so many classes the shares stand in the cells
DRAWN = 30  # and up to so many the matrix is drawn at all
_RIGHT, _WRONG = 2, 1  # series colours


def worst(record: Data, condition: Data) -> list[dict[str, Any]]:
    """For each loss: the class with the lowest recall over all folds, and what it is taken for."""
    rows = []
    for place, candidate in enumerate(record["candidates"]):
        counts = pooled(record, condition, candidate["spec"], "confusion")
        if counts is None:
            continue
        members = counts.sum(1)
        recall = np.where(members > 0, counts.diagonal() / np.maximum(members, 1), np.inf)
        lowest = int(recall.argmin())
        shares = counts[lowest] / members[lowest]
        shares[lowest] = 0.0
        order = [int(k) for k in np.argsort(-shares, kind="stable")[:3] if shares[k] > 0]
        names = record["data"]["classes"]
        rows.append(
            {
                "place": place,
                "label": candidate["label"],
                "name": names[lowest],
                "members": int(members[lowest]),
                "recall": float(recall[lowest]),
                "taken": [(names[k], float(shares[k])) for k in order],
            }
        )
    return rows


def matrices(record: Data, condition: Data, name: str) -> Picture | None:
    """The confusion of the baseline beside that of the best other loss."""
    classes = [short(c, 9) for c in record["data"]["classes"]]
    shown = [
        (candidate, counts)
        for _, candidate in two(record, condition)
        if (counts := pooled(record, condition, candidate["spec"], "confusion")) is not None
    ]
    if not shown or len(classes) > DRAWN:
        return None
    figure, axes = drawing.panels(1 + (len(shown) > 1), width=7.4, height=3.75)
    spoken = []
    for ax, (candidate, counts) in zip(axes, shown, strict=True):
        shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        _matrix(ax, shares, classes)
        ax.set_title(candidate["label"])
        wrong = shares - np.diag(shares.diagonal())
        row, column = np.unravel_index(wrong.argmax(), wrong.shape)
        spoken.append(
            f"{candidate['label']}: most often {classes[row]} is taken for {classes[column]}, "
            f"in {100 * wrong[row, column]:.0f} % of its rows"
        )
    axes[0].set_ylabel("true class")
    title = f"Confusion, {condition['title'].lower()}"
    text = drawing.svg(figure, name, title, f"{title}. {'; '.join(spoken)}.")
    return Picture(
        "Confusion",
        text,
        "Percent of each true class over all folds: right on the diagonal, wrong beside it. Empty "
        "is none; the baseline beside the best other loss.",
        size="wide",
    )


def _matrix(ax: Axes, shares: Array, classes: list[str]) -> None:
    count = len(classes)
    for row, column in zip(*np.nonzero(shares), strict=True):
        share = float(shares[row, column])
        colour = drawing.hue(_RIGHT if row == column else _WRONG)
        # A few percent of errors matter, so their colour rises faster than their share.
        depth = 0.35 * share if row == column else 0.08 + 0.7 * share**0.6
        box = Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, color=colour, linewidth=0)
        box.set_alpha(depth)
        ax.add_patch(box)
        if count <= WRITTEN:
            text = f"{100 * share:.0f}" if share >= 0.005 else "<1"
            ax.text(column, row, text, ha="center", va="center", fontsize=9.5)
    ax.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5), xlabel="taken for", aspect="equal")
    long = max(map(len, classes)) > 2
    ax.set_xticks(range(count), classes, fontsize=9.5, rotation=60 if long and count > 4 else 0)
    ax.set_yticks(range(count), classes, fontsize=9.5)
    ax.grid(visible=False)
