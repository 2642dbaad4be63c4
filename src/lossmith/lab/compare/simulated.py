"""Comparisons whose truth is known, without a training: what the self-check and its tests draw.

Loss l errs on row i in training t where  difficulty_i + a·row_il + b·training_tl + rest + shift_l
is above 1. All parts are normal, so the true share of errors of each loss is known exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from lossmith.lab.compare.race import (
    ALPHA,
    BESIDE,
    HEADLINE,
    LOOKS,
    OTHER,
    Look,
    look,
    why_over,
)
from lossmith.lab.compare.statistics import (
    Array,
    Table,
    behind,
    estimate,
    model_confidence_set,
)

FOLDS = 5
HARD, REST = 0.8, 0.4  # spread of the difficulty of the rows, and of what is left of each cell


@dataclass(frozen=True)
class Regime:
    """Which luck there is: of rows that suit a loss, and of trainings that went well."""

    rows: int
    repeats: int
    by_row: float
    by_training: float

    def spread(self) -> float:
        """Of the sum of all parts."""
        return float(np.hypot(np.hypot(self.by_row, self.by_training), np.hypot(HARD, REST)))

    def truth(self, shift: Sequence[float]) -> Array:
        """The share of errors of each loss over new rows and new trainings."""
        return np.asarray(norm.sf((1 - np.asarray(shift)) / self.spread()))


REGIMES = {
    "trainings alone": Regime(600, 2, 0.0, 0.25),
    "trainings alone, 8 repeats": Regime(600, 8, 0.0, 0.25),
    "rows alone": Regime(600, 2, 0.6, 0.0),
    "rows alone, 8 repeats": Regime(600, 8, 0.6, 0.0),
    "both": Regime(600, 2, 0.4, 0.15),
    "both, 178 rows": Regime(178, 2, 0.4, 0.15),
    "both, 1800 rows": Regime(1800, 4, 0.4, 0.15),
}
EQUAL = (0.0,) * 6
BETTER = (-0.2, *EQUAL[1:])  # one loss with 4 to 5 points fewer errors than five equal others


def drawn(luck: np.random.Generator, regime: Regime, shift: Sequence[float] = EQUAL) -> Array:
    """What errs where it is above 1: (repeats, rows, losses), and the folds in a last column."""
    n, losses, repeats = regime.rows, len(shift), regime.repeats
    own = HARD * luck.standard_normal((n, 1)) + regime.by_row * luck.standard_normal((n, losses))
    fold = np.stack([luck.permutation(np.arange(n) % FOLDS) for _ in range(repeats)])
    training = regime.by_training * luck.standard_normal((repeats, FOLDS, losses))
    rest = REST * luck.standard_normal((repeats, n, losses))
    latent = own + np.asarray(shift) + rest
    latent += np.stack([training[repeat, fold[repeat]] for repeat in range(repeats)])
    return np.concatenate([latent, fold[..., None]], axis=2)


def errors(made: Array) -> Table:
    """Rows that are wrong."""
    wrong = (made[..., :-1] > 1).astype(np.float64)
    return Table(wrong, made[..., -1].astype(np.int64), 1 / made.shape[1])


def costs(made: Array, sharp: float) -> Table:
    """Another metric of the same scores: the log-loss of a score that is `sharp`."""
    values = np.logaddexp(0.0, sharp * (made[..., :-1] - 1))
    return Table(values, made[..., -1].astype(np.int64))


def alarmed(table: Table, alpha: float = ALPHA, trainings: bool = True) -> bool:
    """Whether any loss is put out."""
    return bool((model_confidence_set(estimate(table, trainings=trainings)) <= alpha).any())


def raced(table: Table, margin: float = 0.0, trainings: bool = True) -> list[Look]:
    """The looks of a whole race over stored values, headline alone."""
    losses = [str(place) for place in range(table.z.shape[2])]
    planned = [at for at in LOOKS if at < len(table.z)] + [len(table.z)]
    done: list[Look] = []
    inside = losses
    for at in planned:
        part = table.some(at, [losses.index(loss) for loss in inside])
        done.append(look(part, inside, at, HEADLINE / len(planned), trainings))
        inside = [loss for loss in losses if loss in done[-1].inside]
        if why_over(done[-1], margin, last=at == planned[-1]):
            break
    return done


def race_alarmed(made: Array, trainings: bool = True) -> bool:
    """Whether a whole comparison of equal losses puts any out: all looks, and other metrics."""
    done = raced(errors(made), trainings=trainings)
    if len(done[-1].inside) < made.shape[2] - 1:
        return True
    # What all losses share is the repeats of the first look at which any was put out.
    return any(
        alarmed(costs(made[: done[-1].repeats], sharp), OTHER, trainings)
        for sharp in (1.0, 4.0, 16.0)[:BESIDE]
    )


def bounds_hold(made: Array, truth: Array, trainings: bool = True) -> bool:
    """Whether every loss is no further behind the best than the bounds say, all at once."""
    limits = behind(estimate(errors(made), trainings=trainings), ALPHA)
    return bool((truth - truth.min() <= limits + 1e-12).all())


def shuffled(table: Table, luck: np.random.Generator) -> Table:
    """The losses change places within every training: whatever is said of them then is wrong.

    Only for values of one loss under several seeds, which have nothing but luck to tell them apart.
    """
    z = np.empty_like(table.z)
    for repeat in range(len(z)):
        for fold in np.unique(table.fold[repeat]):
            here = table.fold[repeat] == fold
            z[repeat, here] = table.z[repeat, here][:, luck.permutation(z.shape[2])]
    return Table(z, table.fold, table.finest)


def by_bootstrap(z: Array, draws: int = 4000, seed: int = 0) -> NDArray[np.float64]:
    """The p-values of the set over rows alone, by drawing rows anew (Hansen, Lunde & Nason 2011).

    For (rows, losses) of one repeat; it shares no step with `model_confidence_set`.
    """
    n, losses = z.shape
    weight = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), draws) / n
    means = weight @ z
    gaps = z.mean(0)[:, None] - z.mean(0)[None, :]
    moved = means[:, :, None] - means[:, None, :] - gaps
    error = np.sqrt((moved**2).mean(0))
    error[error == 0] = np.inf
    there, p, running = list(range(losses)), np.ones(losses), 0.0
    while len(there) > 1:
        own = np.ix_(there, there)
        score = (gaps / error)[own]
        luck = np.abs(moved / error)[:, own[0], own[1]].max((1, 2))
        running = max(running, float((luck >= score.max()).mean()))
        out = there[int(score.max(1).argmax())]
        p[out] = running
        there.remove(out)
    return p
