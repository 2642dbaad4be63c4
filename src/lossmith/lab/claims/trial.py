"""Claims tried one beside the other, each alone and with one thread, so that digits repeat."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from lossmith.lab.claims.claim import Budget, Result
from lossmith.lab.claims.ledger import CLAIMS

# The longest first, so that no job is left working alone at the end.
LONGEST = (
    *("center", "structural", "smoothing", "sigmoid_l2", "focal", "ramp", "overfitting"),
    *("saturation", "boosting", "jumps"),
)


def one(name: str, budget: Budget) -> Result:
    """Try one claim."""
    begin = time.perf_counter()
    claim = CLAIMS[name]
    before = torch.get_num_threads()
    # Sums on one thread: their order, and with it every digit, is the same each time.
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            evidence = claim.run(budget)
    finally:
        torch.set_num_threads(before)
    return Result(
        name,
        evidence,
        claim.answers(evidence.numbers),
        claim.judge(evidence.numbers),
        time.perf_counter() - begin,
    )


def every(names: Sequence[str], budget: Budget, jobs: int) -> Iterator[Result]:
    """Results as they come, in any order."""
    order = sorted(names, key=lambda n: LONGEST.index(n) if n in LONGEST else len(LONGEST))
    if jobs == 1 or len(order) == 1:
        yield from (one(name, budget) for name in order)
        return
    parallel = Parallel(n_jobs=min(jobs, len(order)), return_as="generator_unordered", pre_dispatch="all")  # noqa: E501  # fmt: skip
    yield from parallel(delayed(one)(name, budget) for name in order)
