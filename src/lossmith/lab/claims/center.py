"""Claim 3: center loss draws the digits together."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

import lossmith
from lossmith.lab.claims import drawing, network, samples
from lossmith.lab.claims.claim import DEEP, Budget, Claim, Evidence, Part
from lossmith.lab.claims.measure import Measure, over_seeds
from lossmith.lab.page.drawing import Picture

WEIGHTS = (0.0, 0.001, 0.01, 0.1, 1.0)
VALID = 0.25  # of the training rows, to choose λ by


class Net(nn.Module):
    """64 – 128 – dim features – 10: the features are what is drawn, and what center loss pulls."""

    def __init__(self, dim: int, seed: int) -> None:
        super().__init__()
        self.body = network.perceptron((64, 128, dim), seed)
        self.head = network.perceptron((dim, 10), seed + 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(x))
        return out


def run(budget: Budget) -> Evidence:
    """One network for each λ, number of features and seed."""
    ratio: dict[float, list[float]] = {weight: [] for weight in WEIGHTS}
    accuracy: dict[float, list[float]] = {weight: [] for weight in WEIGHTS}
    gain: dict[int, list[float]] = {2: [], 32: []}
    panels: list[tuple[float, Tensor, Tensor, Tensor]] = []
    epochs = budget.pick(60, 8)
    for seed in budget.seeds:
        data = samples.classes("digits", seed)
        x, labels = network.tensors(data.x, data.labels)
        x_test, test_labels = network.tensors(data.x_test, data.test_labels)
        cut = round(len(labels) * (1 - VALID))
        order = torch.tensor(np.random.default_rng([seed, samples.PICKS]).permutation(len(labels)))
        fit, held = order[:cut], order[cut:]
        for dim in gain:
            tested, valid = {}, {}
            for weight in WEIGHTS:
                net, centers = _trained(x[fit], labels[fit], dim, weight, epochs, seed)
                tested[weight] = network.accuracy(net, x_test, test_labels)
                valid[weight] = network.accuracy(net, x[held], labels[held])
                if dim == 2:
                    features = network.scores(net.body, x_test)
                    ratio[weight].append(apart(features, test_labels))
                    accuracy[weight].append(tested[weight])
                    if seed == budget.seeds[0]:
                        panels.append((weight, features, test_labels, centers))
            chosen = max(WEIGHTS[1:], key=lambda weight: valid[weight])
            gain[dim].append(tested[chosen] - tested[0.0])
    numbers = _numbers(ratio, accuracy, gain)
    return Evidence(
        numbers,
        [_panels(panels), _trend(numbers)],
        [
            f"From λ = 0 to λ = 1 the ratio goes from {numbers['ratio_0']} to "
            f"{numbers['ratio_1']}.",
            "With λ chosen on held-out training rows, accuracy changes by "
            f"{numbers['gain_2']} with 2 features and by {numbers['gain_32']} with 32.",
        ],
    )


def apart(features: Tensor, labels: Tensor) -> float:
    """Mean distance between class means over mean distance of a row to the mean of its class."""
    means = torch.stack([features[labels == k].mean(0) for k in range(10)])
    within = (features - means[labels]).norm(dim=1).mean()
    return float(torch.pdist(means).mean() / within)


def _trained(
    x: Tensor, labels: Tensor, dim: int, weight: float, epochs: int, seed: int
) -> tuple[Net, Tensor]:
    net = Net(dim, 1000 + seed)
    center = lossmith.CenterLoss(10, dim)

    def objective(picked: Tensor) -> Tensor:
        features = net.body(x[picked])
        loss: Tensor = lossmith.cross_entropy(net.head(features), labels[picked])
        return loss + weight * center(features, labels[picked])

    network.train(net, objective, len(labels), epochs, seed, rate=5e-3, batch=128)
    return net, center.centers.clone()


def _name(weight: float) -> str:
    return f"{weight:g}"


def _numbers(
    ratio: dict[float, list[float]],
    accuracy: dict[float, list[float]],
    gain: dict[int, list[float]],
) -> dict[str, Measure]:
    numbers = {
        f"ratio_{_name(w)}": over_seeds(
            f"between-class over within-class distance, λ = {_name(w)}",
            ratio[w],
            "",
            samples.OVERLAP,
        )
        for w in WEIGHTS
    }
    numbers |= {
        f"accuracy_{_name(w)}": over_seeds(
            f"test accuracy, 2 features, λ = {_name(w)}", accuracy[w], "%", samples.OVERLAP
        )
        for w in WEIGHTS
    }
    numbers["rise"] = over_seeds(
        "ratio at λ = 1 over the ratio at λ = 0",
        np.divide(ratio[1.0], ratio[0.0]).tolist(),
        "",
        samples.OVERLAP,
    )
    by_seed = np.column_stack([ratio[w] for w in WEIGHTS])
    numbers["order"] = over_seeds(
        "rank correlation of λ and the ratio",
        [float(spearmanr(WEIGHTS, row).statistic) for row in by_seed],
        "",
        samples.OVERLAP,
    )
    for dim, values in gain.items():
        numbers[f"gain_{dim}"] = over_seeds(
            f"test accuracy minus that of cross-entropy alone, {dim} features, λ chosen on "
            "held-out training rows",
            values,
            "%",
            samples.OVERLAP,
        )
    return numbers


def _panels(panels: list[tuple[float, Tensor, Tensor, Tensor]]) -> Picture:
    with drawing.style():
        canvas, axes = drawing.panels(3, 2, width=8.4, height=5.8)
        for ax, (weight, features, labels, centers) in zip(axes, panels, strict=False):
            for k in range(10):
                mine = features[labels == k].numpy()
                ax.plot(
                    *mine.T, linestyle="none", marker=f"${k}$", markersize=4.2,
                    markeredgewidth=0.3, color=drawing.hue(k + 1), alpha=0.8,
                )  # fmt: skip
                ax.plot(
                    *centers[k].numpy(), marker="o", markersize=6.5, color=drawing.INK,
                    markerfacecolor=drawing.CARD, markeredgewidth=1.6, linestyle="none",
                )  # fmt: skip
            low, high = np.quantile(features.numpy(), (0.01, 0.99), axis=0)
            room = 0.12 * (high - low)
            ax.set_xlim(low[0] - room[0], high[0] + room[0])
            ax.set_ylim(low[1] - room[1], high[1] + room[1])
            ax.set_title(f"λ = {_name(weight)}")
            ax.locator_params(nbins=5)
        for ax in axes[len(panels) :]:
            ax.axis("off")
            for k in range(10):
                ax.plot([], [], linestyle="none", marker=f"${k}$", color=drawing.hue(k + 1), label=f"digit {k}")  # noqa: E501  # fmt: skip
            ax.plot([], [], linestyle="none", marker="o", color=drawing.INK, markerfacecolor=drawing.CARD, label="class centre")  # noqa: E501  # fmt: skip
            ax.legend(loc="center", ncols=2)
        caption = (
            "The two features of the test digits, drawn as the digits that they are, and the "
            "learned class centres (rings). Mind the axes, which shrink; the outermost 1 % to each "
            "side may lie outside."
        )
        spoken = "; ".join(
            f"λ = {_name(weight)}: between over within {apart(features, labels):.1f}"
            for weight, features, labels, _ in panels
        )
        return drawing.finished(
            canvas, "center-panels", "Ten digits in the plane as λ grows",
            f"{caption} First seed. {spoken}.", caption, wide=True,
        )  # fmt: skip


def _trend(numbers: dict[str, Measure]) -> Picture:
    with drawing.style():
        canvas, axes = drawing.panels(2, width=7.6)
        for ax, key, label in (
            (axes[0], "ratio", "between / within"),
            (axes[1], "accuracy", "test accuracy, %"),
        ):
            points = [numbers[f"{key}_{_name(w)}"] for w in WEIGHTS]
            drawing.measured(ax, range(len(WEIGHTS)), points, color=drawing.INK, marker="o")
            ax.set_xticks(range(len(WEIGHTS)), [_name(w) for w in WEIGHTS])
            ax.set(xlabel="λ", ylabel=label)
        caption = "How far apart the classes lie, and what it brings; 95 % intervals, 2 features."
        spoken = "; ".join(
            f"λ = {_name(w)}: ratio {numbers[f'ratio_{_name(w)}']}, "
            f"accuracy {numbers[f'accuracy_{_name(w)}']}"
            for w in WEIGHTS
        )
        return drawing.finished(
            canvas, "center-trend", "Distance ratio and accuracy over λ",
            f"{caption} {spoken}.", caption, wide=True,
        )  # fmt: skip


CLAIM = Claim(
    number=3,
    name="center",
    title="Center loss draws classes together and helps cross-entropy",
    articles=(DEEP,),
    says=(
        "Good features keep classes apart and each class close together. Center loss charges the "
        "distance of a feature from the centre of its class; added to cross-entropy with weight "
        "λ, the larger λ, the closer the classes draw together, as the ten digits in the plane "
        "show. For classification the features are better than those of cross-entropy alone."
    ),
    experiment=(
        "Digits, a network 64–128–2–10, cross-entropy + λ · center loss on the two features, "
        "λ = 0 … 1; the same once more with 32 features. λ is chosen on held-out training rows, "
        "then compared with λ = 0 on the test rows, seed by seed."
    ),
    parts=(
        Part(
            "on test rows the ratio of between-class to within-class distance rises with λ: rank "
            "correlation above 0, and ratio at λ = 1 above that at λ = 0 (lower ends)",
            lambda n: n["order"].low > 0 and n["rise"].low > 1,
            heart=True,
        ),
        Part(
            "accuracy with 2 features beats cross-entropy alone (interval above 0)",
            lambda n: n["gain_2"].low > 0,
        ),
        Part(
            "accuracy with 32 features beats cross-entropy alone (interval above 0)",
            lambda n: n["gain_32"].low > 0,
        ),
    ),
    run=run,
)
