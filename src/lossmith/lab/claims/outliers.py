"""Claim 7: outliers pull L2, and hardly the others."""

from __future__ import annotations

import numpy as np

from lossmith.lab.claims import drawing, linear, samples
from lossmith.lab.claims.claim import COMMON, DEEP, Budget, Claim, Evidence, Part
from lossmith.lab.claims.measure import Measure, over_seeds
from lossmith.lab.page.drawing import Picture

Array = samples.Array
LOSSES = {"l1": "L1", "l2": "L2", "tukey_biweight": "Tukey", "smooth_l1": "smooth L1"}
SHARES = (0.0, 0.05, 0.1, 0.2)


def run(budget: Budget) -> Evidence:
    """The same linear model under each loss, with more and more outliers."""
    errors: dict[tuple[str, float], list[float]] = {}
    for seed in budget.seeds:
        data = samples.diabetes(seed)
        x, x_test = linear.with_ones(data.x), linear.with_ones(data.x_test)
        for share in SHARES:
            fits = fit_all(x, samples.with_outliers(data.y, share, seed))
            for loss, w in fits.items():
                error = float(np.abs(x_test @ w - data.y_test).mean())
                errors.setdefault((loss, share), []).append(error)
    numbers: dict[str, Measure] = {}
    for loss, title in LOSSES.items():
        clean = np.array(errors[loss, 0.0])
        numbers[f"clean_{loss}"] = over_seeds(
            f"test error (mean size, in standard deviations), no outliers, {title}",
            clean.tolist(),
            "",
            samples.OVERLAP,
        )
        numbers[f"rise_{loss}"] = over_seeds(
            f"rise of that error by 10 % outliers, {title}",
            (np.array(errors[loss, 0.1]) / clean - 1).tolist(),
            "%",
            samples.OVERLAP,
        )
    return Evidence(
        numbers,
        [
            drawing.curves(
                ["l1", "l2", "tukey_biweight"],
                "outliers-curves",
                "L1, L2 and Tukey's biweight",
                "L2's slope grows with the residual, L1's is the same everywhere, Tukey's comes "
                "back to 0: beyond c = 4.685 a residual no longer pulls.",
                np.linspace(-6, 6, 481),
                top=8.0,
            ),
            _trend(errors),
            _lines(budget.seeds[0]),
        ],
        [
            "10 % outliers raise the test error by "
            + ", ".join(f"{numbers[f'rise_{k}']} under {title}" for k, title in LOSSES.items())
            + "."
        ],
    )


def fit_all(x: Array, y: Array) -> dict[str, Array]:
    """Weights under each loss; scales are taken from the spread of L1's residuals."""
    l2 = linear.reweighted("l2", x, y)
    l1 = linear.reweighted("l1", x, y)
    scale = linear.spread(x @ l1 - y)
    return {
        "l2": l2,
        "l1": l1,
        "smooth_l1": linear.reweighted("smooth_l1", x, y, beta=scale),
        "tukey_biweight": linear.reweighted("tukey_biweight", x, y, start=l1, c=4.685 * scale),
    }


def _trend(errors: dict[tuple[str, float], list[float]]) -> Picture:
    spoken = []
    with drawing.style():
        canvas, (ax,) = drawing.panels()
        for place, (loss, title) in enumerate(LOSSES.items()):
            points = [over_seeds("", errors[loss, s], "", samples.OVERLAP) for s in SHARES]
            look = drawing.look(loss)
            # Side by side, so that the intervals do not lie on each other.
            drawing.measured(
                ax, 100 * np.array(SHARES) + 0.25 * (place - 1.5), points,
                marker=look.marker, label=title, **look.line,
            )  # fmt: skip
            spoken.append(f"{title} from {points[0]} to {points[-1]}")
        ax.set_xticks([100 * share for share in SHARES])
        ax.set(xlabel="outliers among the training rows, %", ylabel="test error")
        drawing.ends(ax)
        caption = "Mean size of the test residuals, in standard deviations; 95 % intervals."
        return drawing.finished(
            canvas, "outliers-trend", "More and more outliers",
            f"{caption} {'; '.join(spoken)}.", caption,
        )  # fmt: skip


def _lines(seed: int) -> Picture:
    data = samples.diabetes(seed)
    x, y = data.x[:, 2], samples.with_outliers(data.y, 0.1, seed)
    fits = fit_all(linear.with_ones(x[:, None]), y)
    with drawing.style():
        canvas, (ax,) = drawing.panels()
        ax.plot(x, y, ".", color=drawing.MUTED, markersize=3, alpha=0.7)
        ends = np.array([x.min(), x.max()])
        for loss, title in LOSSES.items():
            slope, height = fits[loss]
            line = drawing.look(loss).line
            ax.plot(ends, slope * ends + height, linewidth=2, label=title, **line)
        ax.set(xlabel="body mass index, scaled", ylabel="progress, scaled")
        drawing.ends(ax)
        caption = "One column of diabetes, with 10 % outliers above (first seed)."
        spoken = ", ".join(f"{title} {fits[k][1]:.2f}" for k, title in LOSSES.items())
        return drawing.finished(
            canvas, "outliers-lines", "Four lines through the same points",
            f"{caption} Heights of the lines at the mean of x: {spoken}.",
            caption,
        )  # fmt: skip


CLAIM = Claim(
    number=7,
    name="outliers",
    title="Outliers pull L2; L1, smooth L1 and Tukey hold",
    articles=(COMMON, DEEP),
    says=(
        "L2 squares the error, so an outlier's is too large and the model adjusts to it at the "
        "cost of many normal samples. Smooth L1 is not sensitive to outliers. Tukey's biweight "
        "is a robust loss that overcomes noise and outliers."
    ),
    experiment=(
        "Diabetes, all ten columns, a linear model fitted to the end under each loss; the scale "
        "of smooth L1 and Tukey is the robust spread of L1's residuals, and Tukey starts from "
        "L1's fit. 5, 10 and 20 % of the training targets are moved up by ten standard "
        "deviations; test targets stay true. Judged by the mean size of the test residuals."
    ),
    parts=(
        Part(
            "10 % outliers raise L2's test error by more than 20 % (lower end)",
            lambda n: n["rise_l2"].low > 0.2,
            heart=True,
        ),
        *(
            Part(
                f"{title}'s rises by less than a third of L2's (upper end against L2's lower end)",
                lambda n, key=f"rise_{loss}": n[key].high < n["rise_l2"].low / 3,  # type: ignore[misc]
            )
            for loss, title in LOSSES.items()
            if loss != "l2"
        ),
    ),
    run=run,
)
