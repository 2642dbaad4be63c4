"""Claim 2: a cap on the loss lets wrong labels go."""

from __future__ import annotations

import math

import numpy as np

import lossmith
from lossmith.formula import properties
from lossmith.lab.claims import drawing, linear, samples
from lossmith.lab.claims.claim import DEEP, Budget, Claim, Evidence, Part
from lossmith.lab.claims.measure import Measure, exact, over_seeds
from lossmith.lab.page.drawing import Picture

PENALTY = 0.1
CAP = -1.0  # ramp's own default: the loss ends at 1 - s = 2
SETS = {
    "cancer": ("breast cancer", "breast_cancer", None),
    "digits": ("digits, 3 or 8", "digits", (3, 8)),
}
Accuracies = dict[tuple[str, float | str], tuple[list[float], list[float]]]


def run(budget: Budget) -> Evidence:
    """Hinge and ramp on the same spoiled rows."""
    shares = (0.0, 0.2) if budget.quick else (0.0, 0.1, 0.2, 0.3)
    found: Accuracies = {}
    for seed in budget.seeds:
        for key, (_, name, only) in SETS.items():
            data = samples.classes(name, seed, only)
            for share in shares:
                labels = samples.flipped(data.labels, share, 2, seed)
                _both(found, (key, share), data.x, labels, data)
            x, labels = _far_and_wrong(data, seed)
            _both(found, (key, "outliers"), x, labels, data)
    numbers = _numbers(found, shares)
    return Evidence(
        numbers,
        [
            drawing.curves(
                ["hinge", "ramp"],
                "ramp-curves",
                "Hinge and ramp",
                "Ramp is hinge with a cap at 2: below margin −1 its slope is 0, and the point is "
                "let go.",
                np.linspace(-3, 3, 481),
            ),
            _figure(found, shares),
        ],
        [
            f"{title[0].upper()}{title[1:]}: the test accuracy of ramp minus that of hinge is "
            f"{numbers[f'flips_{key}']} with flipped labels, {numbers[f'outliers_{key}']} with "
            f"outliers, {numbers[f'clean_{key}']} with neither."
            for key, (title, _, _) in SETS.items()
        ],
    )


def fit_ramp(x: linear.Array, y: linear.Array, penalty: float, start: linear.Array) -> linear.Array:
    """Mean ramp + penalty/2·|w|² by the concave-convex procedure, from hinge's solution.

    ramp(m) = hinge(m) - hinge shifted to s: the second part is replaced by its tangent, which
    tilts the rows that lie beyond s, until the same rows do (Collobert et al. 2006).
    """
    w, before = start, None
    for _ in range(30):
        m = linear.margins(x, y, w)
        # The tangent of ramp - hinge, from the losses' own slopes.
        tilt = lossmith.curve("ramp", m, 1, s=CAP) - lossmith.curve("hinge", m, 1)
        if before is not None and np.array_equal(tilt, before):
            break
        before = tilt
        w = linear.support_vector_machine(x, y, penalty, w, tilt=tilt, sharp=1e-2)
    return w


def _both(
    found: Accuracies,
    key: tuple[str, float | str],
    x: linear.Array,
    labels: samples.Labels,
    data: samples.Split,
) -> None:
    rows, y, test = linear.with_ones(x), labels.astype(float), linear.with_ones(data.x_test)
    hinge = linear.support_vector_machine(rows, y, PENALTY, sharp=1e-2)
    ramp = fit_ramp(rows, y, PENALTY, hinge)
    for place, w in enumerate((hinge, ramp)):
        right = float((linear.margins(test, data.y_test, w) > 0).mean())
        found.setdefault(key, ([], []))[place].append(right)


def _far_and_wrong(data: samples.Split, seed: int) -> tuple[linear.Array, samples.Labels]:
    """5 % of the rows lie five times as far from the middle as they did, on the wrong side."""
    stream = np.random.default_rng([seed, samples.OUTLIERS])
    rows = stream.permutation(len(data.y))[: round(0.05 * len(data.y))]
    x, labels = data.x.copy(), data.labels.copy()
    x[rows] *= 5
    labels[rows] = 1 - labels[rows]
    return x, labels


def _numbers(found: Accuracies, shares: tuple[float, ...]) -> dict[str, Measure]:
    numbers = {
        "cap_hinge": exact("hinge's greatest value", _highest("hinge")),
        "cap_ramp": exact("ramp's greatest value", _highest("ramp")),
    }

    def gain(key: str, conditions: tuple[float | str, ...]) -> list[float]:
        gaps = [np.subtract(found[key, c][1], found[key, c][0]) for c in conditions]
        return list(np.mean(gaps, axis=0))

    flips = ", ".join(f"{100 * share:.0f}" for share in shares[1:])
    for key, (title, _, _) in SETS.items():
        for name, conditions, words in (
            ("clean", (0.0,), "labels true"),
            ("flips", shares[1:], f"{flips} % of the labels flipped (mean)"),
            ("outliers", ("outliers",), "5 % of the rows far off and wrong"),
        ):
            numbers[f"{name}_{key}"] = over_seeds(
                f"test accuracy of ramp minus that of hinge, {title}, {words}",
                gain(key, conditions),
                "%",
                samples.OVERLAP,
            )
    return numbers


def _highest(name: str) -> float:
    highest = properties.of(lossmith.formula_of(name)).highest
    return math.nan if highest is None else highest


def _figure(found: Accuracies, shares: tuple[float, ...]) -> Picture:
    spoken = []
    with drawing.style():
        canvas, axes = drawing.panels(2, width=7.6)
        for ax, (key, (title, _, _)) in zip(axes, SETS.items(), strict=True):
            ticks = [f"{100 * share:.0f} %" for share in shares] + ["far and\nwrong"]
            conditions: tuple[float | str, ...] = (*shares, "outliers")
            for place, label in enumerate(("hinge", "ramp")):
                runs = [found[key, c][place] for c in conditions]
                points = [over_seeds("", values, "%", samples.OVERLAP) for values in runs]
                look = drawing.look(label)
                drawing.measured(
                    ax, np.arange(len(points)) + 0.12 * (place - 0.5), points,
                    color=look.colour, marker=look.marker, linestyle="none", label=label,
                )  # fmt: skip
                spoken.append(f"{title}, {label}: " + ", ".join(map(str, points)))
            ax.set_xticks(range(len(ticks)), ticks)
            ax.set(title=title, xlabel="labels flipped", ylabel="test accuracy, %")
        drawing.key(axes[1])
        caption = "Test accuracy with 95 % intervals; the test labels are true."
        return drawing.finished(
            canvas, "ramp-accuracy", "Hinge and ramp on spoiled rows",
            f"{caption} {'; '.join(spoken)}.", caption, wide=True,
        )  # fmt: skip


CLAIM = Claim(
    number=2,
    name="ramp",
    title="Ramp beats hinge where labels are wrong",
    articles=(DEEP,),
    says=(
        "Hinge punishes a sample the harder the more wrong it is. Samples are not perfect: wrong "
        "labels and outliers mislead it and so the plane that is learned. Ramp limits the largest "
        "loss and relieves this to a degree."
    ),
    experiment=(
        "Two sets (breast cancer; the digits 3 and 8), a linear model, the same L2 penalty. "
        "Training labels are flipped at random, or 5 % of the rows are moved far off and get the "
        "wrong label. Ramp is not convex: it starts from hinge's solution and goes by the "
        "concave-convex procedure, a series of hinge problems; from a random start it would be "
        "stuck, for its slope is 0 where it is most wrong. Test labels stay true."
    ),
    parts=(
        Part(
            "hinge has no cap, ramp has",
            lambda n: n["cap_hinge"].mean == float("inf") > n["cap_ramp"].mean,
        ),
        Part(
            "with flipped labels ramp beats hinge on at least one of the sets (interval above 0)",
            lambda n: n["flips_cancer"].low > 0 or n["flips_digits"].low > 0,
            heart=True,
        ),
        Part(
            "and on both",
            lambda n: n["flips_cancer"].low > 0 and n["flips_digits"].low > 0,
        ),
        Part(
            "with outliers ramp beats hinge on both sets (interval above 0)",
            lambda n: n["outliers_cancer"].low > 0 and n["outliers_digits"].low > 0,
        ),
        Part(
            "with true labels ramp loses less than one point on both sets (interval above −1 %)",
            lambda n: n["clean_cancer"].low > -0.01 and n["clean_digits"].low > -0.01,
        ),
    ),
    run=run,
)
