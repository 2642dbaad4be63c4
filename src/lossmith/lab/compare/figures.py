"""The figures of the report, from the record alone."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator

from lossmith.lab.compare.trials import Data, done, looks
from lossmith.lab.page import drawing
from lossmith.lab.page.drawing import Picture
from lossmith.lab.picture import canvas
from lossmith.lab.picture.style import INK

TALLEST = 5.0  # the loss axis ends here: an exponential would flatten all others


def intervals(record: Data, condition: Data, name: str) -> Picture:
    """A mark and an interval per loss; filled ones may be the best."""
    metric = condition["metric"]
    factor, head = _axis(record, metric)
    shown = [
        (place, row, row["metrics"][metric])
        for place, row in enumerate(condition["rows"])
        if row["metrics"].get(metric) is not None
    ]

    # Where nothing was put out, a mark on every row would say nothing.
    def filled(row: Data) -> bool:
        return bool(row["among_best"] and condition["told"])

    figure, (axes,) = drawing.panels(height=drawing.height(len(shown)))
    drawn_as = looks(record)
    spoken: list[str] = []
    for height, (place, row, value) in enumerate(reversed(shown)):
        label = record["candidates"][place]["label"]
        high = value["mean"] if value["high"] is None else value["high"]
        axes.errorbar(
            factor * value["mean"],
            height,
            xerr=factor * (high - value["mean"]),
            color=drawn_as[place].colour,
            marker=drawn_as[place].marker,
            markersize=7,
            markerfacecolor=drawn_as[place].colour if filled(row) else "none",
            markeredgewidth=1.8,
            elinewidth=1.8,
        )
        axes.text(0.0, height + 0.26, label, transform=axes.get_yaxis_transform(), color=INK)
        spoken.insert(0, f"{label} {factor * value['mean']:.4g}")
    axes.set(ylim=(-0.5, len(shown) - 0.25), yticks=[], xlabel=head)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.spines["left"].set_visible(False)
    title = f"Mean {head} and interval, {condition['title'].lower()}"
    return Picture(
        "Mean and interval",
        drawing.svg(figure, name, title, f"{title}. {'; '.join(spoken)}."),
        "Mean and 95 % interval over new rows and new trainings; a filled mark may be the best, "
        "where others were put out.",
    )


def learning(record: Data, condition: Data, name: str) -> list[Picture]:
    """The metric on the test rows, and on the rows that were trained on, epoch by epoch."""
    spoiled = condition["kind"] != "clean"
    as_given = ", as they were given" if spoiled else ""
    return [
        _curves(record, condition, "test", f"{name}-test", "On the test rows, which are true."),
        _curves(
            record,
            condition,
            "train",
            f"{name}-fit",
            f"On the training rows{as_given}: how much is learned by heart.",
        ),
    ]


def _curves(record: Data, condition: Data, part: str, name: str, caption: str) -> Picture:
    factor, head = _axis(record, condition["metric"])
    figure, (axes,) = drawing.panels(height=drawing.height(len(condition["rows"])))
    spoken, seen = [], []
    drawn_as = looks(record)
    for place, candidate in enumerate(record["candidates"]):
        found = done(record, condition, candidate["spec"], "curves")
        curves = [trial["curves"][part] for trial in found]
        if not curves:
            continue
        # Trainings stop at different epochs: each stays where it stopped.
        length = max(len(curve) for curve in curves)
        full = np.array([[*curve, *curve[-1:] * (length - len(curve))] for curve in curves])
        mean = full.mean(0)
        axes.plot(
            np.arange(1, length + 1),
            factor * mean,
            linewidth=2.2 if place == 0 else 1.7,
            zorder=3 - place / len(record["candidates"]),
            **drawn_as[place].line,
        )
        seen.append(mean[length // 10 :])  # the first climb would flatten the rest
        spoken.append(f"{candidate['label']} ends at {factor * mean[-1]:.4g}")
    axes.set(xlabel="epoch", ylabel=head)
    if seen:
        low, high = (f(np.concatenate(seen)) * factor for f in (np.min, np.max))
        room = 0.06 * (high - low) or 1.0
        axes.set_ylim(low - room, high + room)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    title = f"Learning curves, {condition['title'].lower()}, {part} rows"
    text = drawing.svg(figure, name, title, f"{title}. {'; '.join(spoken)}.")
    return Picture(f"Learning: {part.replace('train', 'training')} rows", text, caption)


def _axis(record: Data, metric: str) -> tuple[float, str]:
    about = record["metrics"][metric]
    if about["unit"] == "percent":
        return 100.0, f"{about['label']}, %"
    return 1.0, about["label"]


def losses(record: Data) -> list[Picture]:
    """Value and pull of every loss over one axis: margin of the right class, or residual."""
    candidates, drawn_as = record["candidates"], looks(record)
    drawn = [(place, c) for place, c in enumerate(candidates) if c["curve"] is not None]
    if not drawn:
        return []
    axis = drawn[0][1]["curve"]["axis"]
    words = (
        "margin of the right class" if axis == "margin" else "residual, in spreads of a first fit"
    )
    names = ", ".join(c["label"] for _, c in drawn)
    plain = [c["label"].partition(" (")[0] for _, c in drawn]
    short = {  # parameters only where they tell two apart
        place: name if plain.count(name) == 1 else c["label"]
        for name, (place, c) in zip(plain, drawn, strict=True)
    }
    captions = {
        "margin": "Left of zero the prediction is wrong.",
        "residual": "The unit is the median absolute deviation that a first linear fit leaves.",
    }
    pulls = {
        "margin": "Where it falls to the left, hopeless cases, such as wrong labels, are let go.",
        "residual": "Where it returns to zero, far outliers are let go.",
    }
    made = []
    for key, head, caption in (
        ("value", "Loss", f"The loss of one example. {captions[axis]}"),
        ("pull", "Pull", f"The pull (minus the slope): how hard it moves the model. {pulls[axis]}"),
    ):
        figure, (axes,) = drawing.panels(width=4.6, height=3.1)
        tops, bottoms = [], []
        for place, candidate in drawn:
            curve = candidate["curve"]
            values = np.array([np.nan if v is None else v for v in curve[key]])
            axes.plot(
                curve["u"],
                values,
                linewidth=2.4 if place == 0 else 2.0,
                zorder=3 - place / len(candidates),
                label=short[place],
                **drawn_as[place].line,
            )
            tops.append(float(np.nanmax(values)))
            bottoms.append(float(np.nanmin(values)))
        low, high = max(min(bottoms), -TALLEST), min(max(tops), TALLEST)
        room = 0.04 * (high - low)
        axes.set(xlabel=words, ylabel=head.lower(), ylim=(low - room, high + room))
        axes.margins(x=0)
        canvas.ends(axes)
        title = f"{head} over the {words}"
        text = drawing.svg(figure, f"loss-{key}", title, f"{title}: {names}.")
        made.append(Picture(head, text, caption))
    return made
