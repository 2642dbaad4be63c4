"""What stands behind the scores: calibration, residuals, and the features of the network."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from lossmith.lab.compare.trial import QUANTILES
from lossmith.lab.compare.trials import Array, Data, done, looks, pooled, short, two
from lossmith.lab.page import drawing
from lossmith.lab.page.drawing import Picture
from lossmith.lab.picture.style import CARD, MARKS, MUTED

FEWEST = 10  # rows of a bin, below which its share says nothing
NAMED = 10  # classes with a mark of their own in the picture of the features


def calibration(record: Data, condition: Data, name: str) -> Picture | None:
    """How often the predicted class is right, over the probability that it was given."""
    figure, (ax,) = drawing.panels(height=3.6)
    ax.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
    spoken = []
    drawn_as = looks(record)
    lowest = low = 100 / max(len(record["data"]["classes"]), 2)  # of the top probability
    for place, candidate in enumerate(record["candidates"]):
        found = done(record, condition, candidate["spec"], "calibration")
        if not found:
            continue
        bins = np.asarray([trial["calibration"] for trial in found], dtype=np.float64)
        rows = bins[:, :, 0].sum(0)
        enough = rows >= FEWEST
        said, right = (
            100 * (bins[:, :, 0] * bins[:, :, k]).sum(0)[enough] / rows[enough] for k in (1, 2)
        )
        ax.plot(
            said,
            right,
            linewidth=1.6,
            marker="o",
            markersize=3.2,
            zorder=3 - place / len(record["candidates"]),
            **drawn_as[place].line,
        )
        if not enough.any():
            continue
        lowest = min(lowest, float(right.min()))
        gap = float(np.average(right - said, weights=rows[enough]))
        spoken.append(f"{candidate['label']} is right {gap:+.1f} points more often than it says")
    if not spoken:
        return None
    ax.set(xlim=(low, 101), ylim=(lowest - 2, 102))
    ax.set(xlabel="probability given, %", ylabel="right, %")
    title = f"Calibration, {condition['title'].lower()}"
    return Picture(
        "Calibration",
        drawing.svg(figure, name, title, f"{title}. {'; '.join(spoken)}."),
        "Above the dotted line the model is right more often than it says; below, less often. Test "
        f"rows of all folds. Bins of fewer than {FEWEST} rows, and losses that train no "
        "probabilities, are left out.",
    )


def spread(record: Data, condition: Data, name: str) -> Picture | None:
    """Boxes of the residuals of every loss."""
    boxes: list[tuple[int, str, Array]] = []
    for place, candidate in enumerate(record["candidates"]):
        total = pooled(record, condition, candidate["spec"], "residuals")
        if total is not None:
            folds = len(done(record, condition, candidate["spec"], "residuals"))
            at = np.interp((0.05, 0.25, 0.5, 0.75, 0.95), QUANTILES, total / folds)
            boxes.append((place, candidate["label"], at))
    if not boxes:
        return None
    drawn_as = looks(record)
    figure, (ax,) = drawing.panels(height=drawing.height(len(boxes)))
    ax.axvline(0, color=MUTED, linewidth=1)
    for height, (place, label, at) in enumerate(reversed(boxes)):
        colour = drawn_as[place].colour
        ax.plot(at[[0, 4]], [height, height], color=colour, linewidth=1.6)
        box = Rectangle((at[1], height - 0.12), at[3] - at[1], 0.24, facecolor=CARD)
        box.set(edgecolor=colour, linewidth=1.6, zorder=2)
        ax.add_patch(box)
        ax.plot(at[[2, 2]], [height - 0.12, height + 0.12], color=colour, linewidth=2.6, zorder=3)
        ax.text(0.0, height + 0.25, label, transform=ax.get_yaxis_transform())
    ax.set(ylim=(-0.4, len(boxes) - 0.25), yticks=[], xlabel="prediction − truth")
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    spoken = "; ".join(
        f"{label}: median {at[2]:.3g}, nine in ten between {at[0]:.3g} and {at[4]:.3g}"
        for _, label, at in boxes
    )
    title = f"Residuals, {condition['title'].lower()}"
    return Picture(
        "Residuals",
        drawing.svg(figure, name, title, f"{title}. {spoken}."),
        "Test rows: the box holds the middle half, the line nine in ten, the bar is the median; "
        "quantiles averaged over the folds.",
    )


def residuals(record: Data, condition: Data, name: str) -> Picture | None:
    """Residual against prediction, for test rows of the first fold."""
    shown = _firsts(record, condition, "shown")
    if not shown:
        return None
    drawn_as = looks(record)
    height = drawing.height(len(record["candidates"]))
    figure, axes = drawing.panels(len(shown), width=7.4, height=height, sharex=True, sharey=True)
    spoken = []
    for ax, (place, candidate, trial) in zip(axes, shown, strict=True):
        prediction, truth = np.asarray(trial["shown"], dtype=np.float64).T
        residual = prediction - truth
        ax.axhline(0, color=MUTED, linewidth=1)
        ax.plot(prediction, residual, "o", color=drawn_as[place].colour, markersize=3, alpha=0.65)
        ax.set_title(candidate["label"])
        ax.set_xlabel("prediction")
        spoken.append(
            f"{candidate['label']}: {len(residual)} rows, median {np.median(residual):.3g}"
        )
    axes[0].set_ylabel("prediction − truth")
    title = f"Residuals over predictions, {condition['title'].lower()}"
    return Picture(
        "Residual by prediction",
        drawing.svg(figure, name, title, f"{title}. {'; '.join(spoken)}."),
        "Test rows of the first fold. A slope or a funnel is what the model has not learned.",
        size="wide",
    )


def embeddings(record: Data, condition: Data, name: str) -> Picture | None:
    """The hidden features of test rows of the first fold along their two widest directions."""
    shown = _firsts(record, condition, "embedding")
    points = [trial["embedding"]["points"] for _, _, trial in shown]
    if not shown or record["settings"]["model"] == "linear":
        return None
    if len(points) > 1 and points[0] == points[1]:
        return None  # no hidden layer was trained: these are the rows themselves
    figure, axes = drawing.panels(len(shown), width=11.3, height=3.6)
    spoken = []
    for ax, (_, candidate, trial) in zip(axes, shown, strict=True):
        made = trial["embedding"]
        at = np.asarray(made["points"], dtype=np.float64)
        _cloud(ax, at, np.asarray(made["classes"]), record["data"]["classes"])
        ax.set_title(candidate["label"])
        share = 100 * made["share"]
        ax.set_xlabel(f"{share:.0f} % of the variance")
        spoken.append(f"{candidate['label']}: {len(at)} rows, {share:.0f} % of the variance")
    if len(record["data"]["classes"]) > 1 and _signs(record["data"]["classes"]) is None:
        axes[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), handletextpad=0.2)
    title = f"Hidden features, {condition['title'].lower()}"
    return Picture(
        "Hidden features",
        drawing.svg(figure, name, title, f"{title}, by class. {'; '.join(spoken)}."),
        "Test rows of the first fold along the two widest directions of the network's last hidden "
        "layer (principal components). The baseline beside the best other loss.",
        size="full",
    )


def _firsts(record: Data, condition: Data, holds: str) -> list[tuple[int, Data, Data]]:
    """The first trial of each of the two losses that pictures set side by side."""
    return [
        (place, candidate, found[0])
        for place, candidate in two(record, condition)
        if (found := done(record, condition, candidate["spec"], holds))
    ]


def _signs(classes: list[str]) -> list[str] | None:
    """The names themselves as marks, where each is one letter or digit."""
    plain = all(len(name) == 1 and name.isalnum() for name in classes)
    return [f"${name}$" for name in classes] if plain and len(classes) <= NAMED else None


def _cloud(ax: Axes, at: Array, labels: Array, classes: list[str]) -> None:
    signs = _signs(classes)
    members = np.bincount(labels.astype(np.int64), minlength=len(classes))
    named = sorted(np.argsort(-members, kind="stable")[:NAMED].tolist())
    rest = ~np.isin(labels, named)
    if rest.any():
        ax.plot(*at[rest].T, ".", color=MUTED, markersize=3, alpha=0.6, label="others")
    for place, k in enumerate(named):
        ax.plot(
            *at[labels == k].T,
            linestyle="none",
            marker=signs[k] if signs else MARKS[place],
            markersize=5 if signs else 4,
            markeredgewidth=0.3 if signs else 0.8,
            color=drawing.hue(1 + place),
            markerfacecolor=drawing.hue(1 + place) if signs else "none",
            label=short(classes[k]),
        )
    ax.set(xticks=[], yticks=[])
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.grid(visible=False)
