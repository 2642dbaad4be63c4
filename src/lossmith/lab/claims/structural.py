"""Claim 13: structural risk, the mean loss plus a penalty."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

import lossmith
from lossmith.lab.claims import drawing, linear, samples
from lossmith.lab.claims.claim import COMMON, Budget, Claim, Evidence, Part
from lossmith.lab.claims.measure import Measure, over_seeds
from lossmith.lab.page.drawing import Picture

Array = samples.Array
SIZES = (20, 40, 80, 160, 300)  # training rows
PENALTIES = tuple(10.0**power for power in range(-4, 2))
NONE = 1e-9  # as good as no penalty, but a finite solution where the classes can be parted
SMALL, LARGE = SIZES[0], SIZES[-1]
SETS = {"diabetes": "diabetes, L2 loss", "cancer": "breast cancer, logistic loss"}
UNITS = {"diabetes": "", "cancer": "%"}


def run(budget: Budget) -> Evidence:
    """Test error with and without a penalty, over the size of the sample."""
    loss: dict[tuple[str, str, int], list[float]] = {}
    error: dict[tuple[str, str, int], list[float]] = {}
    draws = budget.pick(6, 2)  # small samples of each training set, whose mean is taken
    for seed in budget.seeds:
        for key in SETS:
            cancer = key == "cancer"
            data = samples.classes("breast_cancer", seed) if cancer else samples.diabetes(seed)
            strata = data.labels if cancer else np.zeros(len(data.y), np.int64)
            orders = [_mixed(strata, seed, draw) for draw in range(draws)]
            for size in SIZES:
                drawn = [_both(key, data, order[:size], seed) for order in orders]
                for place, name in enumerate(("bare", "penalised")):
                    losses, wrong = np.mean([pair[place] for pair in drawn], axis=0)
                    loss.setdefault((key, name, size), []).append(float(losses))
                    error.setdefault((key, name, size), []).append(float(wrong))
    numbers: dict[str, Measure] = {}
    for key, title in SETS.items():
        for size in SIZES:
            for name, words in (("bare", "without penalty"), ("penalised", "with it")):
                numbers[f"{key}_{name}_{size}"] = over_seeds(
                    f"test error, {title}, {size} rows, {words}",
                    error[key, name, size], UNITS[key], samples.OVERLAP,
                )  # fmt: skip
            for what, found, unit in (("error", error, UNITS[key]), ("loss", loss, "")):
                gains = np.subtract(found[key, "bare", size], found[key, "penalised", size])
                numbers[f"{key}_{what}_gain_{size}"] = over_seeds(
                    f"test {what} that the penalty saves, {title}, {size} rows",
                    gains.tolist(), unit, samples.OVERLAP,
                )  # fmt: skip
    return Evidence(
        numbers,
        [_figure(numbers)],
        [
            f"{title[0].upper()}{title[1:]}: with {SMALL} rows the penalty saves "
            f"{numbers[f'{key}_error_gain_{SMALL}']} of test error, with "
            f"{LARGE} rows {numbers[f'{key}_error_gain_{LARGE}']}."
            for key, title in SETS.items()
        ],
    )


def _both(
    key: str, data: samples.Split, rows: Array, seed: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Test loss and test error of the fit to these rows, without penalty and with."""
    x, y = linear.with_ones(data.x[rows]), data.y[rows]
    x_test = linear.with_ones(data.x_test)
    bare = _judged(key, x_test, data.y_test, _fit(key, x, y, NONE))
    return bare, _judged(key, x_test, data.y_test, _fit(key, x, y, _chosen(key, x, y, seed)))


def _fit(key: str, x: Array, y: Array, penalty: float) -> Array:
    """Mean loss + penalty/2·|w|², the intercept left free."""
    if key == "cancer":
        return linear.newton("logistic", x, y, penalty)
    ridge = np.full(x.shape[1], penalty / 2)  # mean l2 is twice the half square
    ridge[-1] = 0.0
    return np.asarray(np.linalg.solve(x.T @ x / len(y) + np.diag(ridge), x.T @ y / len(y)))


def _judged(key: str, x: Array, y: Array, w: Array) -> tuple[float, float]:
    """Mean loss, and what a person counts: share of wrong rows, or mean size of residuals."""
    if key == "cancer":
        m = linear.margins(x, y, w)
        return float(lossmith.curve("logistic", m).mean()), float((m <= 0).mean())
    r = x @ w - y
    return float(lossmith.curve("l2", r).mean()), float(lossmith.curve("l1", r).mean())


def _mixed(labels: samples.Labels, seed: int, draw: int) -> Array:
    """Rows in random order, but every beginning has both classes in their shares."""
    stream = np.random.default_rng([seed, draw, samples.PICKS])
    rare, common = (stream.permutation(np.flatnonzero(labels == k)) for k in (0, 1))
    places = np.argsort(
        np.concatenate([(np.arange(len(k)) + 0.5) / len(k) for k in (rare, common) if len(k)]),
        kind="stable",
    )
    return np.concatenate([rare, common])[places]


def _chosen(key: str, x: Array, y: Array, seed: int) -> float:
    """The penalty whose mean loss on held-out folds of the training rows is lowest."""
    folds: list[tuple[Array, Array]]
    if key == "cancer":
        folds = list(StratifiedKFold(4, shuffle=True, random_state=seed).split(x, y))
    else:
        folds = list(KFold(4, shuffle=True, random_state=seed).split(x))

    def held_out(penalty: float) -> float:
        return float(
            np.mean([_judged(key, x[b], y[b], _fit(key, x[a], y[a], penalty))[0] for a, b in folds])
        )

    return min(PENALTIES, key=held_out)


def _figure(numbers: dict[str, Measure]) -> Picture:
    spoken = []
    with drawing.style():
        canvas, axes = drawing.panels(2, width=7.6)
        for ax, (key, title) in zip(axes, SETS.items(), strict=True):
            for place, (name, words) in enumerate(
                (("bare", "mean loss alone"), ("penalised", "mean loss + penalty"))
            ):
                points = [numbers[f"{key}_{name}_{size}"] for size in SIZES]
                drawing.measured(
                    ax, np.array(SIZES) * (1 + 0.05 * (place - 0.5)), points,
                    color=drawing.hue(2 - place), linestyle=drawing.dash(place),
                    marker="os"[place], label=words,
                )  # fmt: skip
                spoken.append(f"{title}, {words}: " + ", ".join(map(str, points)))
            ax.set_xscale("log")
            ax.set_xticks(SIZES, [str(size) for size in SIZES])
            ax.set_xticks([], minor=True)
            unit = "rows wrong, %" if UNITS[key] else "mean size of residuals"
            ax.set(title=title, xlabel="training rows", ylabel=f"test error: {unit}")
        drawing.ends(axes[1])
        caption = "Test error over the number of training rows, with 95 % intervals."
        return drawing.finished(
            canvas, "structural-sizes", "What the penalty saves", f"{caption} {'; '.join(spoken)}.",
            caption, wide=True,
        )  # fmt: skip


CLAIM = Claim(
    number=13,
    name="structural",
    title="A penalty lowers test error where the sample is small",
    articles=(COMMON,),
    says=(
        "The loss is the core of the empirical risk and an important part of the structural "
        "risk: the structural risk of a model is the mean of the loss plus a penalty. (That the "
        "penalty lowers the error on new data is what the other article means by relieving "
        "overfitting.)"
    ),
    experiment=(
        f"Linear models with {SIZES[0]} to {SIZES[-1]} training rows, diabetes with L2 and breast "
        "cancer with the logistic loss: mean loss alone against mean loss + λ/2·|w|², λ chosen "
        "by four folds of the training rows; the same test rows. The mean over several small "
        "samples is one number for a seed."
    ),
    parts=(
        Part(
            f"with {SMALL} rows the penalty lowers test error on at least one of the sets "
            "(interval above 0)",
            lambda n: any(n[f"{key}_error_gain_{SMALL}"].low > 0 for key in SETS),
            heart=True,
        ),
        Part(
            "and on both",
            lambda n: all(n[f"{key}_error_gain_{SMALL}"].low > 0 for key in SETS),
        ),
        Part(
            f"it does no harm with {LARGE} rows: it costs less than a point of accuracy, and less "
            "than 0.02 standard deviations (lower ends)",
            lambda n: (
                n[f"cancer_error_gain_{LARGE}"].low > -0.01
                and n[f"diabetes_error_gain_{LARGE}"].low > -0.02
            ),
        ),
    ),
    run=run,
)
