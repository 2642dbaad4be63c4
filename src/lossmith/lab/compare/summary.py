"""From runs to the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lossmith.lab.compare.candidates import Candidate
from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.statistics import Interval, all_pairs, among_best, interval
from lossmith.lab.compare.train import Run


@dataclass(frozen=True)
class Row:
    """One loss under one condition. A loss that diverged at any seed has no numbers."""

    candidate: Candidate
    seconds: float
    diverged: tuple[int, ...]  # the seeds at which it did
    accuracy: Interval | None = None
    difference: Interval | None = None  # from the baseline, paired by seed
    p_value: float | None = None  # of that difference, adjusted for all pairs
    macro_f1: Interval | None = None
    log_loss: Interval | None = None


@dataclass(frozen=True)
class Condition:
    """A share of spoiled labels: a row per loss, baseline first, and who is among the best."""

    label_noise: float
    rows: tuple[Row, ...]
    best: tuple[str, ...]  # specs, by falling mean accuracy

    @property
    def title(self) -> str:
        """The condition in words."""
        if self.label_noise == 0:
            return "Clean labels"
        return f"{100 * self.label_noise:g} % of the training labels wrong"

    def row(self, spec: str) -> Row:
        """The row of one candidate."""
        return next(row for row in self.rows if row.candidate.spec == spec)


def summarize(
    runs: Sequence[Run], candidates: Sequence[Candidate], settings: Settings
) -> list[Condition]:
    """One condition per share of noise, in the order in which they ran."""
    return [
        _condition([run for run in runs if run.label_noise == share], candidates, share)
        for share in settings.label_noise
    ]


def _condition(runs: Sequence[Run], candidates: Sequence[Candidate], share: float) -> Condition:
    by_loss = {c.spec: [run for run in runs if run.loss == c.spec] for c in candidates}
    accuracy = {
        spec: [run.accuracy for run in own if run.accuracy is not None]
        for spec, own in by_loss.items()
        if all(run.diverged_at is None for run in own)
    }
    one_row = 1 / runs[0].test_rows
    pairs = all_pairs(accuracy, one_row)
    baseline = candidates[0].spec
    rows = []
    for candidate in candidates:
        spec, own = candidate.spec, by_loss[candidate.spec]
        seconds = sum(run.seconds for run in own) / len(own)
        if spec not in accuracy:
            failed = tuple(run.seed for run in own if run.diverged_at is not None)
            rows.append(Row(candidate, seconds, failed))
            continue
        gaps = []
        if spec != baseline and baseline in accuracy:
            gaps = [a - b for a, b in zip(accuracy[spec], accuracy[baseline], strict=True)]
        log_loss = [run.log_loss for run in own if run.log_loss is not None]
        rows.append(
            Row(
                candidate,
                seconds,
                diverged=(),
                accuracy=interval(accuracy[spec], one_row),
                difference=interval(gaps, one_row) if gaps else None,
                p_value=pairs[frozenset((spec, baseline))] if gaps else None,
                macro_f1=interval([run.macro_f1 for run in own if run.macro_f1 is not None]),
                log_loss=interval(log_loss) if log_loss else None,
            )
        )
    best = tuple(among_best(accuracy, pairs)) if accuracy else ()
    return Condition(share, tuple(rows), best)
