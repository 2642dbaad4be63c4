"""Claim 5: L1 as a penalty gives exact zeros."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import lasso_path
from torch import Tensor, nn

import lossmith
from lossmith.lab.claims import drawing, network, samples
from lossmith.lab.claims.claim import COMMON, DEEP, Budget, Claim, Evidence, Part
from lossmith.lab.claims.measure import over_seeds
from lossmith.lab.page.drawing import Picture

Array = network.Array
STRENGTH = 0.1  # of both penalties, on the scaled data
NETWORK = 3e-3  # λ of the network's penalty, the same for L1 and L2


def run(budget: Budget) -> Evidence:
    """Linear models with decoy columns, then a network."""
    zeros_l1, zeros_l2, real, decoys = [], [], [], []
    sizes: dict[str, list[float]] = {"plain": [], "l1": [], "l2": []}
    right: dict[str, list[float]] = {"plain": [], "l1": [], "l2": []}
    epochs = budget.pick(40, 6)
    for seed in budget.seeds:
        data = samples.diabetes(seed)
        x = with_decoys(data.x, seed)
        l1, l2 = shrunk(x, data.y, STRENGTH), ridge(x, data.y, STRENGTH)
        zeros_l1.append(np.mean(l1 == 0))
        zeros_l2.append(np.mean(l2 == 0))
        real.append(np.mean(l1[:10] != 0))
        decoys.append(np.mean(l1[10:] != 0))
        for kind in sizes:
            zero, accuracy = _network(kind, epochs, seed)
            sizes[kind].append(zero)
            right[kind].append(accuracy)

    def gap(kind: str) -> list[float]:
        return np.subtract(right[kind], right["plain"]).tolist()

    numbers = {
        "zeros_l1": over_seeds("linear weights that are exactly 0, L1 penalty", zeros_l1, "%"),
        "zeros_l2": over_seeds("linear weights that are exactly 0, L2 penalty", zeros_l2, "%"),
        "real": over_seeds("measured columns that L1 keeps", real, "%", samples.OVERLAP),
        "decoys": over_seeds("decoy columns that L1 keeps", decoys, "%", samples.OVERLAP),
        "network_l1": over_seeds("network weights that are exactly 0, L1", sizes["l1"], "%"),
        "network_l2": over_seeds("network weights that are exactly 0, L2", sizes["l2"], "%"),
        "accuracy": over_seeds(
            "test accuracy of the network without penalty", right["plain"], "%", samples.OVERLAP
        ),
        "gap_l1": over_seeds(
            "change of test accuracy by the L1 penalty", gap("l1"), "%", samples.OVERLAP
        ),
        "gap_l2": over_seeds(
            "change of test accuracy by the L2 penalty", gap("l2"), "%", samples.OVERLAP
        ),
    }
    return Evidence(
        numbers,
        [_paths(budget.seeds[0])],
        [
            f"L1 sets {numbers['zeros_l1']} of the linear weights to 0, L2 {numbers['zeros_l2']}. "
            f"It keeps {numbers['real']} of the measured columns and {numbers['decoys']} of the "
            "decoys.",
            f"In the network L1 sets {numbers['network_l1']} of the weights to 0, at a change of "
            f"accuracy of {numbers['gap_l1']}; L2 sets {numbers['network_l2']} to 0.",
        ],
    )


def with_decoys(x: Array, seed: int) -> Array:
    """Ten more columns: each a measured one whose rows are shuffled, so that it tells nothing."""
    stream = np.random.default_rng([seed, samples.PICKS])
    return np.column_stack([x, *(stream.permutation(column) for column in x.T)])


def shrunk(x: Array, y: Array, strength: float, steps: int = 3000) -> Array:
    """½·mean l2 + strength·|w|₁ by gradient steps, each followed by a proximal one."""
    rows, target = torch.tensor(x), torch.tensor(y)
    model = nn.ParameterList([nn.Parameter(torch.zeros(x.shape[1], dtype=torch.float64))])
    w = model[0]
    descent = torch.optim.SGD(model.parameters(), lr=len(y) / float(np.linalg.norm(x, 2) ** 2))
    threshold = lossmith.ProximalStep(descent, {lossmith.L1Penalty(): strength}, [w])
    old = w.detach().clone()

    def settled(_: int) -> bool:
        moved = float((w.detach() - old).abs().max())
        old.copy_(w.detach())
        return moved < 1e-12

    network.train(
        model, lambda _: 0.5 * lossmith.l2(rows @ w, target), len(y), steps, 0, batch=len(y),
        optimizer=descent, after_step=threshold.step, after_epoch=settled,
    )  # fmt: skip
    return np.asarray(w.detach())


def ridge(x: Array, y: Array, strength: float) -> Array:
    """½·mean l2 + strength/2·|w|², in closed form."""
    return np.asarray(
        np.linalg.solve(x.T @ x / len(y) + strength * np.eye(x.shape[1]), x.T @ y / len(y))
    )


def _network(kind: str, epochs: int, seed: int) -> tuple[float, float]:
    """Share of zero weights, and test accuracy."""
    data = samples.classes("digits", seed)
    x, labels = network.tensors(data.x, data.labels)
    x_test, test_labels = network.tensors(data.x_test, data.test_labels)
    net = network.perceptron((64, 64, 10), seed)
    matrices = [p for p in net.parameters() if p.dim() == 2]
    descent = torch.optim.SGD(net.parameters(), lr=0.1)
    threshold = lossmith.ProximalStep(descent, {lossmith.L1Penalty(): NETWORK}, net)

    loss = network.fit(lossmith.cross_entropy, net, x, labels)
    decay = lossmith.L2Penalty()

    def objective(picked: Tensor) -> Tensor:
        return loss(picked) + NETWORK * decay(net) if kind == "l2" else loss(picked)

    network.train(
        net, objective, len(labels), epochs, seed, optimizer=descent,
        after_step=threshold.step if kind == "l1" else None,
    )  # fmt: skip
    weights = torch.cat([p.detach().flatten() for p in matrices])
    return float((weights == 0).double().mean()), network.accuracy(net, x_test, test_labels)


def _paths(seed: int) -> Picture:
    data = samples.diabetes(seed)
    strengths = np.logspace(0, -3, 60)
    _, lasso, _ = lasso_path(data.x, data.y, alphas=strengths)
    l2 = np.array([ridge(data.x, data.y, s) for s in strengths * 30]).T
    kept = [int((lasso[:, place] != 0).sum()) for place in (0, 20, 40, 59)]
    with drawing.style():
        canvas, axes = drawing.panels(2, width=7.6, sharey=True)
        for ax, title, paths, grid in (
            (axes[0], "L1 penalty (Lasso)", lasso, strengths),
            (axes[1], "L2 penalty (ridge)", l2, strengths * 30),
        ):
            for place, path in enumerate(paths):
                ax.plot(grid, path, color=drawing.hue(place + 1), ls=drawing.dash(place))
            ax.set(xscale="log", title=title, xlabel="strength of the penalty")
            ax.invert_xaxis()
        axes[0].set_ylabel("weight")
        caption = (
            "Weights of the ten columns of diabetes as the penalty is relaxed. Under L1 a column "
            "enters at a point and is exactly 0 before; under L2 all are there from the start."
        )
        return drawing.finished(
            canvas,
            "sparsity-paths",
            "Lasso paths",
            f"{caption} Columns that L1 keeps at strengths 1, 0.1, 0.01 and 0.001: "
            f"{', '.join(map(str, kept))}.",
            caption,
            wide=True,
        )


CLAIM = Claim(
    number=5,
    name="sparsity",
    title="L1 as a penalty gives exact zeros, L2 does not",
    articles=(DEEP, COMMON),
    says=(
        "L1 often serves as a penalty, against overfitting or to make a network sparse: for "
        "selecting features and compressing models. L2 often serves as a penalty against "
        "overfitting."
    ),
    experiment=(
        "Diabetes with ten decoy columns (measured ones, shuffled): a linear model under L1 by "
        "proximal gradient steps, and under L2. Digits: a network 64–64–10 by SGD on "
        "cross-entropy; for L1 a soft threshold after each step, for L2 the penalty in the loss, "
        f"both with λ = {NETWORK:g}."
    ),
    parts=(
        Part(
            "L1 sets linear weights to exactly 0 (lower end above 10 %), L2 none",
            lambda n: n["zeros_l1"].low > 0.1 and n["zeros_l2"].mean == 0,
            heart=True,
        ),
        Part(
            "L1 selects: it keeps a larger share of the measured columns than of the decoys "
            "(intervals apart)",
            lambda n: n["real"].low > n["decoys"].high,
        ),
        Part(
            "L1 compresses the network: at least half of its weights are 0 (lower end) and "
            "accuracy falls by less than 2 points (lower end); L2 sets none to 0",
            lambda n: (
                n["network_l1"].low >= 0.5 and n["gap_l1"].low > -0.02 and n["network_l2"].mean == 0
            ),
        ),
    ),
    run=run,
)
