"""One network trained under one loss at one learning rate, stopped by the validation rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lossmith.lab.compare import cuts
from lossmith.lab.compare.criterion import Criterion
from lossmith.lab.compare.metrics import METRICS, Judged
from lossmith.lab.compare.models import Net

BLOCK = 8192  # rows that are scored at a time, so that memory stays bounded
HEAD_START = 2  # a loss that starts from a convex relative lends it 1 of so many epochs
SHOWN = 2000  # rows that the curves for the pictures are measured on, at most


@dataclass(frozen=True, eq=False)
class Part:
    """Rows that a model sees; `template` judges scores for them."""

    rows: Tensor
    template: Judged

    @property
    def target(self) -> NDArray[np.float64] | NDArray[np.int64]:
        """What the rows are judged against."""
        return self.template.target

    def judged(self, net: Net) -> Judged:
        """These rows with their scores."""
        return replace(self.template, scores=scores_of(net, self.rows))


@dataclass(frozen=True)
class Budget:
    """How long, in which steps, and when to give up."""

    epochs: int
    patience: int
    batch_size: int


@dataclass(frozen=True, eq=False)
class Fit:
    """What a training gave: the network of its best epoch, and its curves."""

    net: Net
    score: float | None  # the best validation score, or None if the loss diverged
    epoch: int
    curves: dict[str, list[float]]
    why: str = ""

    @property
    def rank(self) -> tuple[float, float]:
        """Best score first; of equal scores the steadier curve."""
        if self.score is None:
            return (-np.inf, -np.inf)
        return self.score, float(np.mean(self.curves["validation"]))


def fit(
    net: Net,
    criterion: Criterion,
    rows: Tensor,
    target: Tensor,
    parts: dict[str, Part],
    rate: float,
    budget: Budget,
    metric: str,
    order: torch.Generator,
    start: Criterion | None = None,
) -> Fit:
    """Train on the rows, and keep the epoch that is best on parts["validation"].

    With a `start` the first half of the epochs is trained by that, with an optimiser of
    their own; no such epoch is kept, for what is judged is what the loss itself makes of them.

    A later epoch with an equal score is kept too, but only a better one prolongs the training.
    The other parts are for the curves of the pictures; nothing is chosen by them.
    """
    lent = budget.epochs // HEAD_START if start is not None else 0
    active = start if start is not None and lent else criterion
    trained, optimizer = _optimizer(net, active, rate)
    curves: dict[str, list[float]] = {name: [] for name in parts}
    best, best_epoch, better = -np.inf, 0, lent
    kept: list[Tensor] = []
    for epoch in range(1, budget.epochs + 1):
        if epoch == lent + 1 and lent:
            active = criterion
            trained, optimizer = _optimizer(net, active, rate)
        net.train()
        total = torch.zeros((), dtype=torch.float64)
        for batch in torch.randperm(len(rows), generator=order).split(budget.batch_size):
            if len(batch) == 1 < budget.batch_size:
                continue  # one row left over, from which no batch normalisation can learn
            scores, features = net(rows[batch])
            value = active(scores, features, target[batch])
            for weights in trained:  # what zero_grad does, without its hooks
                weights.grad = None
            value.backward()
            optimizer.step()
            total += value.detach()
        net.eval()
        scored = _scored(net, parts, metric)
        if not bool(torch.isfinite(total)) or min(scored.values()) == -np.inf:
            return Fit(net, None, epoch, curves, f"not finite in epoch {epoch}")
        for name, score in scored.items():
            curves[name].append(score if METRICS[metric].higher else -score)
        if epoch <= lent:
            continue
        if scored["validation"] >= best:
            better = epoch if scored["validation"] > best else better
            best, best_epoch = scored["validation"], epoch
            kept = [value.detach().clone() for value in net.state_dict().values()]
        if epoch - better >= budget.patience:
            break
    net.load_state_dict(dict(zip(net.state_dict(), kept, strict=True)))
    return Fit(net, best, best_epoch, curves)


def _scored(net: Net, parts: dict[str, Part], metric: str) -> dict[str, float]:
    """The metric on each part, turned so that higher is better; -inf if a score is not finite.

    A metric that some rows cannot show, such as the recall of a class that is not among them, is 0
    there. A metric that is judged at the best cut takes that of the validation rows for all.
    """
    about = METRICS[metric]
    judged = {name: part.judged(net) for name, part in parts.items()}
    if not all(np.isfinite(part.scores).all() for part in judged.values()):
        return dict.fromkeys(parts, -np.inf)
    if about.cut:
        shift = cuts.best(judged["validation"], metric)
        judged = {name: replace(part, shift=shift) for name, part in judged.items()}
    values = {name: about.value(part) or 0.0 for name, part in judged.items()}
    return {name: value if about.higher else -value for name, value in values.items()}


def _optimizer(
    net: Net, criterion: Criterion, rate: float
) -> tuple[list[nn.Parameter], torch.optim.Optimizer]:
    trained = [*net.parameters(), *criterion.parameters()]
    return trained, torch.optim.Adam(trained, lr=rate, fused=True)


def scores_of(net: Net, rows: Tensor) -> NDArray[np.float64]:
    """The scores of these rows, block by block."""
    with torch.no_grad():
        blocks = [net(rows[at : at + BLOCK])[0] for at in range(0, len(rows), BLOCK)]
        return torch.cat(blocks).double().numpy()


def features_of(net: Net, rows: Tensor) -> NDArray[np.float64]:
    """The features of these rows."""
    with torch.no_grad():
        features: Tensor = net(rows)[1].flatten(1).double()
        return features.numpy()


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums on one thread, so that their order, and with it every digit, is the same each time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
