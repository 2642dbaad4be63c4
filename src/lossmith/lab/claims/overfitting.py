"""Claim 14: the smaller the loss, the more robust the model?"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes

import lossmith
from lossmith.lab.claims import drawing, network, samples
from lossmith.lab.claims.claim import COMMON, Budget, Claim, Evidence, Part
from lossmith.lab.claims.measure import Measure, over_seeds
from lossmith.lab.page.drawing import Picture

SHAKE = 0.5  # noise on the test features, in their standard deviations
CONDITIONS = {"clean": ("labels true", 0.0), "noisy": ("30 % of the labels wrong", 0.3)}
Curves = dict[str, list[float]]


def run(budget: Budget) -> Evidence:
    """One long training for each condition and seed, watched from three sides."""
    epochs = budget.pick(80, 20)
    found: dict[str, list[Curves]] = {key: [] for key in CONDITIONS}
    for seed in budget.seeds:
        for key, (_, share) in CONDITIONS.items():
            found[key].append(_watched(share, epochs, seed))
    numbers: dict[str, Measure] = {}
    for key, (title, _) in CONDITIONS.items():
        runs = found[key]
        best = [int(np.argmin(c["test"])) for c in runs]
        for name, words, values in (
            ("early", "epoch of the lowest test loss", [b + 1 for b in best]),
            (
                "train",
                "change of training loss from there to the end",
                [c["train"][-1] - c["train"][b] for c, b in zip(runs, best, strict=True)],
            ),
            (
                "test",
                "rise of test loss from there to the end, of itself",
                [c["test"][-1] / c["test"][b] - 1 for c, b in zip(runs, best, strict=True)],
            ),
        ):
            numbers[f"{name}_{key}"] = over_seeds(
                f"{words}, {title}",
                values,
                "%" if name == "test" else "",
                0.0 if name == "early" else samples.OVERLAP,
            )
        for name, words, values in (
            (
                "first",
                "change of accuracy on shaken test rows, epoch 1 to the lowest test loss",
                [c["shaken"][b] - c["shaken"][0] for c, b in zip(runs, best, strict=True)],
            ),
            (
                "rest",
                "change of accuracy on shaken test rows from there to the end",
                [c["shaken"][-1] - c["shaken"][b] for c, b in zip(runs, best, strict=True)],
            ),
        ):
            numbers[f"{name}_{key}"] = over_seeds(f"{words}, {title}", values, "%", samples.OVERLAP)
    return Evidence(
        numbers,
        [_figure(found, budget)],
        [
            f"With {title} training loss changes by {numbers[f'train_{key}']} after the epoch of "
            f"the lowest test loss, test loss by {numbers[f'test_{key}']}, accuracy on shaken "
            f"test rows by {numbers[f'rest_{key}']}."
            for key, (title, _) in CONDITIONS.items()
        ],
    )


def _watched(share: float, epochs: int, seed: int) -> Curves:
    data = samples.classes("digits", seed)
    x, labels = network.tensors(data.x, samples.flipped(data.labels, share, 10, seed))
    x_test, truth = network.tensors(data.x_test, data.test_labels)
    stream = np.random.default_rng([seed, samples.NOISE])
    shaken = x_test + SHAKE * torch.tensor(stream.normal(size=x_test.shape), dtype=torch.float32)
    net = network.perceptron((64, 128, 10), seed)
    curves: Curves = {"train": [], "test": [], "shaken": []}

    objective = network.fit(lossmith.cross_entropy, net, x, labels)

    def note(_: int) -> None:
        curves["train"].append(float(lossmith.cross_entropy(network.scores(net, x), labels)))
        curves["test"].append(float(lossmith.cross_entropy(network.scores(net, x_test), truth)))
        curves["shaken"].append(network.accuracy(net, shaken, truth))

    network.train(net, objective, len(labels), epochs, seed, rate=3e-3, batch=128, after_epoch=note)
    return curves


def _figure(found: dict[str, list[Curves]], budget: Budget) -> Picture:
    spoken = []
    with drawing.style():
        canvas, axes = drawing.panels(2, 2, width=7.6, height=5.0, sharex=True)
        for column, (key, (title, _)) in enumerate(CONDITIONS.items()):
            curves = {
                name: np.array([c[name] for c in found[key]])
                for name in ("train", "test", "shaken")
            }
            mean = {name: values.mean(0) for name, values in curves.items()}
            for place, (name, label) in enumerate((("train", "training"), ("test", "test"))):
                _band(axes[column], curves[name], place + 1, label)
            lowest = min(mean["train"].min(), mean["test"].min())
            axes[column].set(title=title, yscale="log", ylabel="loss", ylim=(lowest / 2, None))
            _band(axes[column + 2], 100 * curves["shaken"], 3)
            axes[column + 2].set(xlabel="epoch", ylabel="accuracy on shaken rows, %")
            spoken.append(
                f"{title}: training loss ends at {mean['train'][-1]:.3f}, test loss is lowest with "
                f"{mean['test'].min():.3f} at epoch {mean['test'].argmin() + 1} and ends at "
                f"{mean['test'][-1]:.3f}, accuracy on shaken rows goes from "
                f"{mean['shaken'].max():.1%} at best to {mean['shaken'][-1]:.1%}"
            )
        drawing.ends(axes[1])
        caption = (
            f"Mean over {len(budget.seeds)} seeds, with 95 % intervals. The training loss falls to "
            "the end; what the model is worth need not follow."
        )
        return drawing.finished(
            canvas, "overfitting-curves", "Loss and robustness, epoch by epoch",
            f"{caption} {'; '.join(spoken)}.", caption, wide=True,
        )  # fmt: skip


def _band(ax: Axes, runs: samples.Array, place: int, label: str | None = None) -> None:
    """The mean of the seeds over the epochs, and its interval at each."""
    epochs = np.arange(1, runs.shape[1] + 1)
    at = [over_seeds("", values.tolist(), "", samples.OVERLAP) for values in runs.T]
    line = {"color": drawing.hue(place), "linestyle": drawing.dash(place - 1)}
    ax.plot(epochs, [m.mean for m in at], label=label, **line)
    low, high = [m.low for m in at], [m.high for m in at]
    ax.fill_between(epochs, low, high, color=line["color"], alpha=0.18, linewidth=0)


CLAIM = Claim(
    number=14,
    name="overfitting",
    title="The smaller the loss, the more robust the model",
    articles=(COMMON,),
    says=(
        "A loss measures how far predictions are from the truth; the smaller the loss, the more "
        "robust the model."
    ),
    experiment=(
        "Digits, a network 64–128–10 on cross-entropy, trained long; once with true labels, once "
        "with 30 % of the training labels wrong. Every epoch: training loss, test loss, and "
        f"accuracy on test rows shaken by noise of {SHAKE} standard deviations. If the sentence "
        "were true, test loss and robustness could not get worse while the training loss falls."
    ),
    parts=(
        Part(
            "up to the epoch of the lowest test loss accuracy on shaken rows rises, in both "
            "conditions (intervals above 0)",
            lambda n: n["first_clean"].low > 0 and n["first_noisy"].low > 0,
        ),
        Part(
            "from there on with true labels, while training loss falls, test loss rises by less "
            "than 10 % (upper end) and shaken accuracy falls by less than a point (lower end)",
            lambda n: n["test_clean"].high < 0.1 and n["rest_clean"].low > -0.01,
        ),
        Part(
            "the same with wrong labels, as the sentence makes no exception",
            lambda n: n["test_noisy"].high < 0.1 and n["rest_noisy"].low > -0.01,
            heart=True,
        ),
    ),
    run=run,
)
