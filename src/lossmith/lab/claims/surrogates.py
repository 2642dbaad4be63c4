"""Claim 11: the 0-1 loss, and losses that stand in for it."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from sklearn.cluster import KMeans

import lossmith
from lossmith.formula import properties
from lossmith.lab.claims import drawing, linear, samples
from lossmith.lab.claims.claim import COMMON, Budget, Claim, Evidence, Part
from lossmith.lab.claims.measure import Measure, exact, over_seeds
from lossmith.lab.page.drawing import Picture

BITS = 1 / np.log(2)
FACTORS = {"hinge": 1.0, "logistic": BITS, "exponential": 1.0}
CELLS = 12


def run(budget: Budget) -> Evidence:
    """Properties by formula; bounds and signs on real rows."""
    zero_one = properties.of(lossmith.formula_of("zero_one"))
    numbers: dict[str, Measure] = {
        "convex": exact("0-1 is convex (1 yes, 0 no)", bool(zero_one.convex)),
        "smooth": exact(
            "jump of the 0-1 loss at margin 0",
            float(lossmith.curve("zero_one", -1e-9) - lossmith.curve("zero_one", 1e-9)),
        ),
        "slope": exact(
            "largest slope of the 0-1 loss on margins from −3 to 3",
            float(np.abs(lossmith.curve("zero_one", np.linspace(-3, 3, 600), 1)).max()),
        ),
        "wrong": exact("0-1 loss of a wrong prediction", float(lossmith.curve("zero_one", -1.0))),
    }
    for name, factor in FACTORS.items():
        traits = properties.of(lossmith.formula_of(name)).scaled_by(factor)
        numbers[f"bounds_{name}"] = exact(
            f"largest (0-1 loss) / ({_title(name)})", float(traits.zero_one_factor or np.inf)
        )
        numbers[f"calibrated_{name}"] = exact(
            f"{_title(name)} is calibrated by its formula (1 yes, 0 no)", bool(traits.calibrated)
        )
    above: dict[str, list[float]] = {name: [] for name in FACTORS}
    agrees: dict[str, list[float]] = {name: [] for name in FACTORS}
    errors: dict[str, list[float]] = {name: [] for name in FACTORS}
    for seed in budget.seeds:
        data = samples.classes("breast_cancer", seed)
        x, x_test = linear.with_ones(data.x), linear.with_ones(data.x_test)
        for name, factor in FACTORS.items():
            w = (
                linear.support_vector_machine(x, data.y, 0.01, sharp=1e-2)
                if name == "hinge"
                else linear.newton(name, x, data.y, 0.01)
            )
            m = linear.margins(x_test, data.y_test, w)
            wrong = lossmith.curve("zero_one", m)
            above[name].append(float((factor * lossmith.curve(name, m) - wrong).min()))
            errors[name].append(float(wrong.mean()))
        for name, share in _cells(data, seed).items():
            agrees[name].append(share)
    for name in FACTORS:
        numbers[f"above_{name}"] = exact(
            f"least distance of {_title(name)} above 0-1 on test rows", min(above[name])
        )
        numbers[f"agrees_{name}"] = over_seeds(
            f"groups of patients in which the best score under {_title(name)} takes the side of "
            "the majority",
            agrees[name],
            "%",
        )
        numbers[f"error_{name}"] = over_seeds(
            f"share of test rows wrong when trained on {_title(name)}",
            errors[name],
            "%",
            samples.OVERLAP,
        )
    return Evidence(
        numbers,
        [_figure()],
        [
            "The best scores take the majority's side in "
            + ", ".join(f"{numbers[f'agrees_{n}']} ({_title(n)})" for n in FACTORS)
            + " of the groups; trained on them, "
            + ", ".join(f"{numbers[f'error_{n}']} ({_title(n)})" for n in FACTORS)
            + " of the test rows are wrong.",
            "One article prints the 0-1 loss as 1 when the prediction is right; that is a slip. "
            f"It is {numbers['wrong']} when it is wrong.",
        ],
    )


def _title(name: str) -> str:
    return "logistic in bits" if name == "logistic" else name


def _cells(data: samples.Split, seed: int) -> dict[str, float]:
    """One free score for each group of similar patients: does its sign follow the majority?"""
    groups = KMeans(CELLS, n_init=1, random_state=seed).fit_predict(data.x[:, :2])
    found: dict[str, list[bool]] = {name: [] for name in FACTORS}
    for group in range(CELLS):
        y = torch.tensor(data.y[groups == group])
        share = float(y.mean())
        if share == 0.5:  # either side is right
            continue
        for name in FACTORS:
            loss = getattr(lossmith, name)

            def risk(z: float, loss: object = loss, y: torch.Tensor = y) -> float:
                return float(loss(torch.full_like(y, z), y))  # type: ignore[operator]

            best = minimize_scalar(risk, bounds=(-8, 8), method="bounded").x
            found[name].append((best > 0) == (share > 0.5))
    return {name: float(np.mean(right)) for name, right in found.items()}


def _figure() -> Picture:
    u = np.linspace(-2, 3, 1001)
    with drawing.style():
        canvas, (ax,) = drawing.panels()
        wrong = u <= 0
        zero_one = lossmith.curve("zero_one", u)
        look = drawing.look("zero_one")
        for part in (wrong, ~wrong):
            label = "0-1" if part is wrong else None
            ax.plot(u[part], zero_one[part], linewidth=2.4, label=label, **look.line)
        ax.plot([0], [1], "o", color=look.colour, markersize=5)
        ax.plot([0], [0], "o", color=look.colour, markerfacecolor=drawing.CARD, markersize=5)
        for name, factor in FACTORS.items():
            values = factor * lossmith.curve(name, u)
            ax.plot(u, values, linewidth=1.8, label=_title(name), **drawing.look(name).line)
        ax.set(xlabel="margin", ylabel="loss", ylim=(-0.1, 4.2), xlim=(-2, 3))
        drawing.ends(ax)
        caption = "The 0-1 loss and three losses that lie above it."
        at = ", ".join(f"{_title(n)} {f * float(lossmith.curve(n, 0.0)):.2f}" for n, f in FACTORS.items())  # noqa: E501  # fmt: skip
        return drawing.finished(
            canvas, "surrogates-curves", "0-1 and its surrogates",
            f"{caption} At margin 0, where 0-1 is 1: {at}.", caption,
        )  # fmt: skip


CLAIM = Claim(
    number=11,
    name="surrogates",
    title="0-1 is neither convex nor smooth; hinge, logistic and exponential stand in for it",
    articles=(COMMON,),
    says=(
        "The 0-1 loss is neither convex nor smooth, so algorithms can hardly optimise it "
        "directly. Hinge and logistic are surrogates of it, logistic is smooth everywhere, and "
        "the exponential loss leads to the same classification error, so it serves as one too."
    ),
    experiment=(
        "The formulas by their properties; on breast cancer the losses row by row on test data, "
        f"the errors of linear models trained on them, and one free score for each of {CELLS} "
        "groups of similar patients: minimising a calibrated loss must give it the sign of the "
        "group's majority."
    ),
    parts=(
        Part(
            "0-1 is not convex, not continuous, and has slope 0, so descent has nothing to follow",
            lambda n: n["convex"].mean == n["slope"].mean == 0 < n["smooth"].mean,
        ),
        Part(
            "hinge, logistic in bits and exponential lie above it, by formula and on all test rows",
            lambda n: all(
                n[f"bounds_{k}"].mean <= 1 + 1e-9 and n[f"above_{k}"].mean >= 0 for k in FACTORS
            ),
            heart=True,
        ),
        Part(
            "all three are calibrated, and in all groups the best score follows the majority",
            lambda n: all(
                n[f"calibrated_{k}"].mean == 1 and n[f"agrees_{k}"].mean == 1 for k in FACTORS
            ),
        ),
    ),
    run=run,
)
