"""Small networks, trained the same way under every loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """First weights by this seed; the caller's random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def perceptron(sizes: tuple[int, ...], seed: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    with seeded(seed):
        layers: list[nn.Module] = []
        for inside, outside in pairwise(sizes):
            layers += [nn.Linear(inside, outside), nn.ReLU()]
        return nn.Sequential(*layers[:-1])


def train(
    network: nn.Module,
    objective: Callable[[Tensor], Tensor],
    rows: int,
    epochs: int,
    seed: int,
    *,
    rate: float = 1e-2,
    batch: int = 64,
    optimizer: torch.optim.Optimizer | None = None,
    after_step: Callable[[], None] | None = None,
    after_epoch: Callable[[int], bool | None] | None = None,
) -> None:
    """Minimise objective(indices of a batch), in batches whose order the seed draws.

    Adam of that rate does it, unless another optimizer of the network's weights is given. It ends
    sooner where `after_epoch` says True.
    """
    order = torch.Generator().manual_seed(seed)
    descent = optimizer or torch.optim.Adam(network.parameters(), lr=rate)
    for epoch in range(1, epochs + 1):
        for picked in torch.randperm(rows, generator=order).split(batch):
            descent.zero_grad()
            objective(picked).backward()
            descent.step()
            if after_step is not None:
                after_step()
        if after_epoch is not None and after_epoch(epoch):
            break


def descend(
    network: nn.Module,
    objective: Callable[[Tensor], Tensor],
    rows: int,
    steps: int,
    seed: int,
    rate: float,
    after_step: Callable[[int], None] | None = None,
) -> None:
    """Plain gradient descent: all rows in every step, the same length of step to the end."""
    descent = torch.optim.SGD(network.parameters(), lr=rate)
    train(network, objective, rows, steps, seed, batch=rows, optimizer=descent, after_epoch=after_step)  # noqa: E501  # fmt: skip


def fit(loss: Any, network: nn.Module, x: Tensor, target: Tensor) -> Callable[[Tensor], Tensor]:
    """What is minimised: the loss of the network's scores on the rows of a batch."""

    def objective(picked: Tensor) -> Tensor:
        found = network(x[picked])
        value: Tensor = loss(found.squeeze(1) if found.shape[1] == 1 else found, target[picked])
        return value

    return objective


def scores(network: nn.Module, x: Tensor) -> Tensor:
    """What the network says, without a graph."""
    with torch.no_grad():
        found: Tensor = network(x)
    return found


def accuracy(network: nn.Module, x: Tensor, labels: Tensor) -> float:
    """Share of rows whose highest score is that of their class."""
    return float((scores(network, x).argmax(1) == labels).double().mean())


def tensors(x: Array, y: Any) -> tuple[Tensor, Tensor]:
    """Features in float32; class indices stay whole, other targets become float32."""
    target = torch.as_tensor(y)
    return torch.tensor(x, dtype=torch.float32), (
        target if target.dtype == torch.int64 else target.float()
    )
