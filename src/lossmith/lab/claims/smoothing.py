"""Claim 8: smooth L1's three advantages."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

import lossmith
from lossmith.lab.claims import drawing, linear, network, outliers, samples
from lossmith.lab.claims.claim import COMMON, DEEP, Budget, Claim, Evidence, Part
from lossmith.lab.claims.measure import over_seeds
from lossmith.lab.page.drawing import Picture

LOSSES: dict[str, Any] = {"l1": lossmith.l1, "smooth_l1": lossmith.smooth_l1, "l2": lossmith.l2}
TITLES = {"l1": "L1", "smooth_l1": "smooth L1", "l2": "L2"}
RATES = tuple(10.0**power for power in np.arange(-5, 1.0, 1.0))


def run(budget: Budget) -> Evidence:
    """Late training, early training, outliers."""
    epochs = budget.pick(800, 200)
    late: dict[str, list[float]] = {"l1": [], "smooth_l1": []}
    stable: dict[str, list[float]] = {name: [] for name in LOSSES}
    first: dict[str, list[float]] = {name: [] for name in LOSSES}
    rise: dict[str, list[float]] = {name: [] for name in LOSSES}
    shown: dict[str, list[float]] = {}
    for seed in budget.seeds:
        for name in late:
            path = _late(LOSSES[name], epochs, seed)
            late[name].append(float(np.mean(path[-epochs // 10 :])))
            shown.setdefault(name, path)
        for name, loss in LOSSES.items():
            stable[name].append(_largest_rate(loss, seed))
            first[name].append(_first_push(loss, seed))
        data = samples.diabetes(seed)
        x, x_test = linear.with_ones(data.x), linear.with_ones(data.x_test)
        fits = [outliers.fit_all(x, samples.with_outliers(data.y, s, seed)) for s in (0.0, 0.1)]
        for name in LOSSES:
            clean, spoiled = (float(np.abs(x_test @ f[name] - data.y_test).mean()) for f in fits)
            rise[name].append(spoiled / clean - 1)
    numbers = {
        **{
            f"late_{name}": over_seeds(
                f"training residual at the end (mean size, in standard deviations), {TITLES[name]}",
                values,
            )
            for name, values in late.items()
        },
        "finer": over_seeds(
            "L1's residual at the end over smooth L1's (log10)",
            np.log10(np.divide(late["l1"], late["smooth_l1"])).tolist(),
        ),
        **{
            f"push_{name}": over_seeds(
                f"length of the first gradient on unscaled targets, {TITLES[name]}", values
            )
            for name, values in first.items()
        },
        "rate": over_seeds(
            "largest step size that smooth L1 stands, over L2's (log10)",
            np.log10(np.divide(stable["smooth_l1"], stable["l2"])).tolist(),
        ),
        **{
            f"rise_{name}": over_seeds(
                f"rise of the test error by 10 % outliers, {TITLES[name]}",
                values,
                "%",
                samples.OVERLAP,
            )
            for name, values in rise.items()
        },
    }
    grid = np.linspace(-2.5, 2.5, 501)
    return Evidence(
        numbers,
        [
            drawing.curves(
                ["smooth_l1", "l1", "l2"], "smoothing-curves", "Smooth L1 against L1 and L2",
                "Smooth L1 has L2's shape near 0 and L1's slope far off.", grid,
            ),
            _late_figure(shown),
        ],
        [
            f"Late: with the same constant step, L1 ends at {numbers['late_l1']}, smooth L1 at "
            f"{numbers['late_smooth_l1']}.",
            f"Early: the first gradient has length {numbers['push_l2']} under L2 and "
            f"{numbers['push_smooth_l1']} under smooth L1; smooth L1 stands steps that are "
            f"larger by {numbers['rate']} powers of ten.",
            f"Outliers raise the test error by {numbers['rise_smooth_l1']} under smooth L1 and "
            f"{numbers['rise_l2']} under L2.",
        ],
    )  # fmt: skip


def _late(loss: Any, epochs: int, seed: int) -> list[float]:
    """Mean size of the residuals, step by step: 40 patients, a network that can fit them all."""
    data = samples.diabetes(seed)
    x, y = network.tensors(data.x[:40], data.y[:40])
    net = network.perceptron((10, 64, 1), seed)
    path: list[float] = []

    def note(_: int) -> None:
        path.append(float((network.scores(net, x).squeeze(1) - y).abs().mean()))

    network.descend(net, network.fit(loss, net, x, y), len(y), epochs, seed, 0.1, note)
    return path


def _raw(seed: int) -> tuple[torch.nn.Sequential, Tensor, Tensor]:
    """Targets from 25 to 346 as they are: early on, every residual is large."""
    data = samples.diabetes(seed, raw_target=True)
    x, y = network.tensors(data.x, data.y)
    return network.perceptron((10, 32, 1), seed), x, y


def _largest_rate(loss: Any, seed: int) -> float:
    """The largest of RATES with which 50 steps of gradient descent end lower than they began."""
    stands = RATES[0] / 10
    for rate in RATES:
        net, x, y = _raw(seed)
        values: list[float] = []

        def objective(_: Tensor, net: Any = net, x: Tensor = x, y: Tensor = y) -> Tensor:
            value: Tensor = loss(net(x).squeeze(1), y)
            values.append(float(value.detach()))  # noqa: B023
            return value

        network.descend(net, objective, len(y), 50, seed, rate)
        if not (np.isfinite(values).all() and max(values[-10:]) < values[0]):
            break
        stands = rate
    return stands


def _first_push(loss: Any, seed: int) -> float:
    net, x, y = _raw(seed)
    gradients = torch.autograd.grad(loss(net(x).squeeze(1), y), list(net.parameters()))
    return float(torch.cat([g.flatten() for g in gradients]).norm())


def _late_figure(shown: dict[str, list[float]]) -> Picture:
    with drawing.style():
        canvas, (ax,) = drawing.panels()
        for name, path in shown.items():
            ax.plot(
                np.arange(1, len(path) + 1), path, color=drawing.look(name).colour, linewidth=1.2,
                label=TITLES[name],
            )  # fmt: skip
        ax.set(yscale="log", xlabel="step", ylabel="mean training residual")
        drawing.ends(ax)
        caption = (
            "The same network and the same constant step. L1's slope does not get smaller as "
            "the residuals do, so it keeps stepping over the goal."
        )
        ends = ", ".join(f"{TITLES[k]} ends at {path[-1]:.2g}" for k, path in shown.items())
        return drawing.finished(
            canvas, "smoothing-late", "Late in training", f"{caption} First seed: {ends}.", caption
        )


CLAIM = Claim(
    number=8,
    name="smoothing",
    title="Smooth L1's three advantages",
    articles=(DEEP, COMMON),
    says=(
        "Late in training, where residuals are small, smooth L1's slope is smaller than L1's, "
        "which allows a higher precision. Early, where they are large, its slope is not too "
        "large as L2's is, so training does not become unstable. And with noise and outliers it "
        "is smaller than L2, so it misleads the network less."
    ),
    experiment=(
        "Diabetes. Late: 40 patients, a network that can fit them, gradient descent with the "
        "same constant step under L1 and smooth L1. Early: unscaled targets (25 to 346); the "
        "first gradient, and the largest step size with which 50 steps end lower than they "
        "began. Outliers: as in the claim on outliers, 10 % of the targets moved."
    ),
    parts=(
        Part(
            "late: L1's residual ends at more than twice smooth L1's (lower end)",
            lambda n: n["finer"].low > math.log10(2),
        ),
        Part(
            "early: smooth L1 stands steps at least ten times as long as L2 does (lower end)",
            lambda n: n["rate"].low >= 1,
        ),
        Part(
            "outliers: smooth L1's test error rises by less than a third of L2's (upper end "
            "against L2's lower end)",
            lambda n: n["rise_smooth_l1"].high < n["rise_l2"].low / 3,
        ),
    ),
    run=run,
)
