"""Claim 15: the gradient of softmax cross-entropy is p − y, and stays alive."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

import lossmith
from lossmith.lab.claims import drawing, network, samples
from lossmith.lab.claims.claim import COMMON, DEEP, Budget, Claim, Evidence, Part
from lossmith.lab.claims.measure import exact, over_seeds
from lossmith.lab.page.drawing import Picture

LOSSES: dict[str, Any] = {
    "binary_cross_entropy": lossmith.binary_cross_entropy,
    "brier": lossmith.brier,
}
TITLES = {"binary_cross_entropy": "cross-entropy", "brier": "L2 after a sigmoid"}
RATES = (0.03, 0.3, 3.0)  # each loss is judged by the one that suits it best
WRONG = 30.0  # typical score at the start, on the wrong side


def run(budget: Budget) -> Evidence:
    """The gradient on real scores; slopes where it is most wrong; a training from there."""
    steps = budget.pick(200, 60)
    gap: list[float] = []
    ends: dict[str, list[float]] = {name: [] for name in LOSSES}
    shown: dict[str, list[float]] = {}
    for seed in budget.seeds:
        gap.append(_gap(seed))
        for name, loss in LOSSES.items():
            paths = [_rescued(loss, rate, steps, seed) for rate in RATES]
            best = max(paths, key=lambda path: path[-1])
            ends[name].append(best[-1])
            shown.setdefault(name, best)
    numbers = {
        "gradient": exact("gradient of softmax cross-entropy minus (p − y), worst entry", max(gap)),
        **{
            f"pull_{name}_{score}": exact(
                f"pull at a score of −{score} for a positive example, {TITLES[name]}",
                float(-lossmith.curve(name, -float(score), 1)),
            )
            for name in LOSSES
            for score in (5, 10, 20, 40)
        },
        **{
            f"end_{name}": over_seeds(
                f"test accuracy after {steps} steps from a wrong start, {TITLES[name]}, best of "
                f"{len(RATES)} step sizes",
                values,
                "%",
                samples.OVERLAP,
            )
            for name, values in ends.items()
        },
        "lead": over_seeds(
            "cross-entropy minus L2 after a sigmoid",
            np.subtract(ends["binary_cross_entropy"], ends["brier"]).tolist(),
            "%",
            samples.OVERLAP,
        ),
    }
    return Evidence(
        numbers,
        [_pulls(), _rescue(shown)],
        [
            "At a score of −20 cross-entropy pulls with "
            f"{numbers['pull_binary_cross_entropy_20']}, L2 after a sigmoid with "
            f"{numbers['pull_brier_20']}.",
            f"From a start that is wrong, {numbers['end_binary_cross_entropy']} are right after "
            f"{steps} steps under cross-entropy, {numbers['end_brier']} under L2 after a sigmoid.",
        ],
    )  # fmt: skip


def _gap(seed: int) -> float:
    data = samples.classes("digits", seed)
    model = LogisticRegression(C=0.1, max_iter=500).fit(data.x, data.labels)
    scores = model.decision_function(data.x_test)
    y = np.eye(10)[data.test_labels]
    found = lossmith.derivatives(
        lossmith.cross_entropy, torch.tensor(scores), torch.tensor(data.test_labels)
    )
    return float(np.abs(found.gradient.numpy() - (softmax(scores, axis=1) - y)).max())


def _rescued(loss: Any, rate: float, steps: int, seed: int) -> list[float]:
    """Test accuracy step by step; it starts from a fitted model turned round and scaled up."""
    data = samples.classes("breast_cancer", seed)
    x, y = network.tensors(data.x, data.y)
    x_test, truth = network.tensors(data.x_test, data.test_labels)
    fitted = LogisticRegression(C=0.01).fit(data.x, data.labels)
    typical = float(np.abs(fitted.decision_function(data.x)).mean())
    net = network.perceptron((30, 1), seed)
    with torch.no_grad():
        weight, bias = net.parameters()
        weight.copy_(torch.tensor(-WRONG / typical * fitted.coef_))
        bias.copy_(torch.tensor(-WRONG / typical * fitted.intercept_))
    path: list[float] = []

    def note(_: int) -> None:
        right = (network.scores(net, x_test).squeeze(1) > 0) == (truth == 1)
        path.append(float(right.double().mean()))

    note(0)
    network.descend(net, network.fit(loss, net, x, y), len(y), steps, seed, rate, note)
    return path


def _pulls() -> Picture:
    score = np.linspace(-12, 4, 401)
    with drawing.style():
        canvas, axes = drawing.panels(2, width=7.6)
        for name, title in TITLES.items():
            pull = -lossmith.curve(name, score, 1)
            for ax in axes:
                ax.plot(score, pull, label=title, **drawing.look(name).line)
        axes[1].set(yscale="log", ylim=(1e-6, 3))
        for ax in axes:
            ax.set(xlabel="score of a positive example", ylabel="pull −ψ′")
        drawing.ends(axes[1])
        caption = (
            "How hard a positive example pulls, by its score; right, the same on a logarithmic "
            "axis. Far on the wrong side cross-entropy pulls with 1, L2 after a sigmoid dies."
        )
        at = ", ".join(f"{t} {-float(lossmith.curve(n, -10.0, 1)):.2g}" for n, t in TITLES.items())
        return drawing.finished(
            canvas, "saturation-pulls", "Pull where it is wrong",
            f"{caption} At −10: {at}.", caption, wide=True,
        )  # fmt: skip


def _rescue(shown: dict[str, list[float]]) -> Picture:
    with drawing.style():
        canvas, (ax,) = drawing.panels()
        for name, path in shown.items():
            percent = [100 * p for p in path]
            ax.plot(range(len(path)), percent, label=TITLES[name], **drawing.look(name).line)
        ax.set(xlabel="step", ylabel="test accuracy, %", ylim=(0, 102))
        drawing.ends(ax)
        caption = "From the same wrong start, each loss with its best step size (first seed)."
        ends = ", ".join(f"{TITLES[name]} ends at {path[-1]:.1%}" for name, path in shown.items())
        return drawing.finished(
            canvas, "saturation-rescue", "Training from a wrong start",
            f"{caption} {ends}.", caption,
        )  # fmt: skip


CLAIM = Claim(
    number=15,
    name="saturation",
    title="Softmax with cross-entropy: the gradient is p − y and stays alive",
    articles=(DEEP, COMMON),
    says=(
        "From the side of optimisation, too, cross-entropy suits softmax. Its curve is convex and "
        "monotone; the greater the loss, the greater the gradient, so back-propagation is quick. "
        "(L2 after a sigmoid is set beside it as the one that lacks this.)"
    ),
    experiment=(
        "Digits: the gradient on a fitted model's scores against p − y from SciPy. Breast cancer: "
        "a linear model is fitted, turned round and scaled up, so that it starts sure of the "
        f"wrong answers; then the same steps of gradient descent, each loss with the best of "
        f"the step sizes {', '.join(f'{rate:g}' for rate in RATES)}."
    ),
    parts=(
        Part(
            "the gradient is p − y to 1e-12",
            lambda n: n["gradient"].mean <= 1e-12,
            heart=True,
        ),
        Part(
            "at a score of −20 cross-entropy pulls with at least 0.99, L2 after a sigmoid with "
            "less than 1e-6",
            lambda n: (
                n["pull_binary_cross_entropy_20"].mean >= 0.99 and n["pull_brier_20"].mean < 1e-6
            ),
        ),
        Part(
            "from a wrong start cross-entropy ends more than 20 points above L2 after a sigmoid "
            "(lower end)",
            lambda n: n["lead"].low > 0.2,
        ),
    ),
    run=run,
)
