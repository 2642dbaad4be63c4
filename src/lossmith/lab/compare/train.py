"""One run: one network, one loss, one seed, one share of spoiled labels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from sklearn.metrics import f1_score
from torch import nn

from lossmith.lab.compare.candidates import Candidate
from lossmith.lab.compare.data import Split
from lossmith.lab.compare.settings import Settings


@dataclass(frozen=True)
class Run:
    """What a run gave; `diverged_at` is the epoch in which the loss stopped being a number."""

    loss: str
    label_noise: float
    seed: int
    test_rows: int
    accuracy: float | None
    macro_f1: float | None
    log_loss: float | None
    test_curve: tuple[float, ...]
    fit_curve: tuple[float, ...]
    diverged_at: int | None
    seconds: float


def train(
    candidate: Candidate, split: Split, label_noise: float, seed: int, settings: Settings
) -> Run:
    """Train for the whole budget and judge the last network; no epoch is picked by the test set."""
    with _own_randomness(seed):
        network = _network(split, settings.hidden)
    order = torch.Generator().manual_seed(seed)
    loss = candidate.build(split.classes, settings.hidden)
    trained = [*network.parameters(), *loss.parameters()]
    optimizer = torch.optim.Adam(trained, lr=settings.learning_rate)

    rows = len(split.train_labels)
    test_curve: list[float] = []
    fit_curve: list[float] = []
    diverged_at: int | None = None
    seconds = 0.0
    for epoch in range(1, settings.epochs + 1):
        begin = time.perf_counter()
        finite = True
        for batch in torch.randperm(rows, generator=order).split(settings.batch_size):
            features = network[:-1](split.train_features[batch])
            value = loss(network[-1](features), features, split.train_labels[batch])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            if not (finite := bool(torch.isfinite(value))):
                break
        seconds += time.perf_counter() - begin
        test_scores = _scores(network, split.test_features)
        if not finite or not bool(torch.isfinite(test_scores).all()):
            diverged_at = epoch
            break
        test_curve.append(_accuracy(test_scores, split.test_labels))
        fit_curve.append(_accuracy(_scores(network, split.train_features), split.train_labels))

    judged = diverged_at is None
    return Run(
        loss=candidate.spec,
        label_noise=label_noise,
        seed=seed,
        test_rows=len(split.test_labels),
        accuracy=test_curve[-1] if judged else None,
        macro_f1=_macro_f1(test_scores, split.test_labels) if judged else None,
        log_loss=(
            float(nn.functional.cross_entropy(test_scores.double(), split.test_labels))
            if judged and candidate.gives_probabilities
            else None
        ),
        test_curve=tuple(test_curve),
        fit_curve=tuple(fit_curve),
        diverged_at=diverged_at,
        seconds=seconds,
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums on one thread, so that their order, and with it every digit, is the same each time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """The same first weights for every loss, and the caller's random state left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _network(split: Split, hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(split.train_features.shape[1], hidden),
        nn.ReLU(),
        nn.Linear(hidden, split.classes),
    )


def _scores(network: nn.Module, features: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        scores: torch.Tensor = network(features)
    return scores


def _accuracy(scores: torch.Tensor, labels: torch.Tensor) -> float:
    return int((scores.argmax(1) == labels).sum()) / len(labels)


def _macro_f1(scores: torch.Tensor, labels: torch.Tensor) -> float:
    return float(f1_score(labels.numpy(), scores.argmax(1).numpy(), average="macro"))
