"""The figures of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from lossmith.lab.compare import paint
from lossmith.lab.compare.candidates import Candidate
from lossmith.lab.compare.statistics import interval
from lossmith.lab.compare.summary import Condition
from lossmith.lab.compare.train import Run
from lossmith.lab.compare.verdict import percent

MARGINS = np.linspace(-3.0, 3.0, 601)
TALLEST = 5.0  # the loss axis ends here: an exponential would flatten all others


@dataclass(frozen=True)
class Picture:
    """A drawing and the words under it."""

    drawing: Markup
    caption: str


def intervals(condition: Condition, name: str) -> Picture:
    """A dot and an interval per loss; filled dots cannot be told from the best."""
    shown = [
        (place, row, row.accuracy)
        for place, row in enumerate(condition.rows)
        if row.accuracy is not None
    ]
    figure, axes = paint.blank(height=0.6 + 0.42 * max(len(shown), 1))
    spoken: list[str] = []
    for height, (place, row, accuracy) in enumerate(reversed(shown)):
        reach = 0.0 if isnan(accuracy.half_width) else accuracy.half_width
        filled = row.candidate.spec in condition.best
        axes.errorbar(
            100 * accuracy.mean,
            height,
            xerr=100 * reach,
            color=paint.hue(place),
            marker="o",
            markersize=7,
            markerfacecolor=paint.hue(place) if filled else "none",
            markeredgewidth=1.8,
            elinewidth=1.8,
        )
        axes.text(
            0.0,
            height + 0.26,
            row.candidate.label,
            transform=axes.get_yaxis_transform(),
            color=paint.INK,
        )
        spoken.insert(0, f"{row.candidate.label} {percent(accuracy)}")
    axes.set(ylim=(-0.5, len(shown) - 0.25), yticks=[], xlabel="test accuracy, %")
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.spines["left"].set_visible(False)
    description = f"Test accuracy, {condition.title.lower()}: {'; '.join(spoken)}."
    return Picture(
        paint.svg(figure, name, description),
        "Mean and 95 % interval over the seeds; a filled dot cannot be told from the best.",
    )


def learning(
    condition: Condition, runs: Sequence[Run], candidates: Sequence[Candidate], name: str
) -> list[Picture]:
    """Accuracy on the test set, and on the labels that were trained on, epoch by epoch."""
    on_test = {c.spec: [r.test_curve for r in runs if r.loss == c.spec] for c in candidates}
    on_given = {c.spec: [r.fit_curve for r in runs if r.loss == c.spec] for c in candidates}
    spoiled = ", wrong ones included" if condition.label_noise else ""
    where = condition.title.lower()
    return [
        _curves(
            on_test,
            candidates,
            f"{name}-test",
            f"Learning curves, {where}: accuracy on the test set",
            "On the test set, whose labels are true.",
        ),
        _curves(
            on_given,
            candidates,
            f"{name}-fit",
            f"Learning curves, {where}: accuracy on the training labels{spoiled}",
            f"On the training labels as given{spoiled}: how much is learned by heart.",
        ),
    ]


def _curves(
    curves: dict[str, list[tuple[float, ...]]],
    candidates: Sequence[Candidate],
    name: str,
    title: str,
    caption: str,
) -> Picture:
    figure, axes = paint.blank()
    spoken = []
    lowest = 1.0  # after the first tenth, whose climb would flatten the rest
    for place, candidate in enumerate(candidates):
        length = min(len(curve) for curve in curves[candidate.spec])
        if length == 0:
            continue
        by_epoch = zip(*(curve[:length] for curve in curves[candidate.spec]), strict=True)
        points = [interval(values) for values in by_epoch]
        epochs = np.arange(1, length + 1)
        mean = np.array([point.mean for point in points])
        axes.plot(
            epochs,
            100 * mean,
            color=paint.hue(place),
            linestyle=paint.dash(place),
            linewidth=2.2 if place == 0 else 1.7,
            zorder=3 - place / len(candidates),
        )
        lowest = min(lowest, *mean[length // 10 :])
        top = int(mean.argmax())
        spoken.append(
            f"{candidate.label} is highest at epoch {top + 1} with {100 * mean[top]:.1f} % "
            f"and ends at {100 * mean[-1]:.1f} %"
        )
    axes.set(xlabel="epoch", ylabel="accuracy, %")
    axes.set_ylim(bottom=max(0.0, 100 * lowest - 3))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return Picture(paint.svg(figure, name, f"{title}. {'; '.join(spoken)}."), caption)


def losses(candidates: Sequence[Candidate]) -> list[Picture]:
    """Value and pull of every loss over one axis, the margin of the right class."""
    values, value_axes = paint.blank(5.4, 3.3)
    pulls, pull_axes = paint.blank(5.4, 3.3)
    tallest = strongest = 0.0
    for place, candidate in enumerate(candidates):
        if candidate.center:  # what it adds is no function of the margin
            continue
        value, pull = candidate.over_margin(MARGINS)
        for axes, curve in ((value_axes, value), (pull_axes, pull)):
            axes.plot(
                MARGINS,
                curve,
                color=paint.hue(place),
                linestyle=paint.dash(place),
                linewidth=2.4 if place == 0 else 2.0,
                zorder=3 - place / len(candidates),
            )
        tallest = max(tallest, float(value.max()))
        strongest = max(strongest, float(pull.max()))
    value_axes.set(ylabel="loss", ylim=(-0.1, min(tallest * 1.04, TALLEST)))
    pull_axes.set(ylabel="pull", ylim=(-0.05, min(strongest * 1.1, TALLEST)))
    for axes in (value_axes, pull_axes):
        axes.set(xlabel="margin of the right class", xlim=(-3, 3))
    names = ", ".join(candidate.label for candidate in candidates if not candidate.center)
    return [
        Picture(
            paint.svg(values, "loss-value", f"Loss over the margin of the right class: {names}."),
            "The loss of one example. Left of zero the prediction is wrong.",
        ),
        Picture(
            paint.svg(pulls, "loss-pull", f"Pull over the margin of the right class: {names}."),
            "The pull (minus the slope): how hard the example moves the network. "
            "Where it falls to the left, hopeless examples, such as wrong labels, are let go.",
        ),
    ]
