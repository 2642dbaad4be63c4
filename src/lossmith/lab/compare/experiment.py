"""Every loss under every condition and seed, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from lossmith.lab.compare.candidates import Candidate
from lossmith.lab.compare.data import Dataset, split
from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.train import Run, one_thread, train

# Called before the first run and after each: how many are done, of how many, and the last one.
Watch = Callable[[int, int, Run | None], None]


def run_all(
    dataset: Dataset, candidates: Sequence[Candidate], settings: Settings, watch: Watch
) -> list[Run]:
    """Train every candidate; the seeds are the outer loop, so a slow spell hits every loss."""
    total = len(candidates) * settings.seeds * len(settings.label_noise)
    runs: list[Run] = []
    with one_thread():
        watch(0, total, None)
        for candidate in candidates:
            _warm_up(candidate, dataset.classes, settings)
        for label_noise in settings.label_noise:
            for seed in settings.seed_list:
                rows = split(dataset, seed, label_noise, settings.test_share)
                for candidate in candidates:
                    runs.append(train(candidate, rows, label_noise, seed, settings))
                    watch(len(runs), total, runs[-1])
    return runs


def _warm_up(candidate: Candidate, classes: int, settings: Settings) -> None:
    """Compile the loss before the clock of its first run starts."""
    scores = torch.zeros(settings.batch_size, classes, requires_grad=True)
    features = torch.zeros(settings.batch_size, settings.hidden, requires_grad=True)
    labels = torch.zeros(settings.batch_size, dtype=torch.int64)
    candidate.build(classes, settings.hidden)(scores, features, labels).backward()
