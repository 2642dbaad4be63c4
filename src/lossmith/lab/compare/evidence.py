"""The row values of a condition, put together from its finished trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossmith.lab.compare import kept
from lossmith.lab.compare.conditions import Condition
from lossmith.lab.compare.influence import Said
from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.plan import Plan
from lossmith.lab.compare.statistics import Table
from lossmith.lab.compare.trial import Trial

Array = NDArray[np.float64]
Result = Mapping[str, Any]
Found = Mapping[str, Result]  # the results by the keys of their trials


class Evidence:
    """What the trials of one condition say of its losses. `found` grows while they run."""

    def __init__(self, plan: Plan, condition: Condition, found: Found) -> None:
        self.plan, self.condition, self.found = plan, condition, found
        self._said: dict[str, Said] = {}  # of the repeats that were last asked for

    def trials(self, spec: str, repeats: int) -> list[Trial]:
        """The trials of a loss in the first repeats."""
        place = next(at for at, c in enumerate(self.plan.candidates) if c.spec == spec)
        return [
            Trial(self.condition, spec, place, repeat, fold)
            for repeat in range(repeats)
            for fold in range(self.plan.work.settings.folds)
        ]

    def results(self, spec: str, repeats: int) -> list[Result]:
        """Their results."""
        return [self.found[trial.key] for trial in self.trials(spec, repeats)]

    def failed(self, spec: str, metric: str, repeats: int) -> tuple[str, ...]:
        """Where a loss failed and why; a failure in any trial takes it out."""
        words = [
            f"repeat {result['repeat']}, fold {result['fold']}: {result['why']}"
            for result in self.results(spec, repeats)
            if result["status"] != "done"
        ]
        if not words and self.values(spec, metric, repeats) is None:
            words = [f"{METRICS[metric].label} has no value"]
        return tuple(words)

    def values(self, spec: str, metric: str, repeats: int) -> Array | None:
        """The row values of a loss, (repeats, rows); None where it has none of this metric."""
        return METRICS[metric].rows(self.said(spec, repeats))

    def table(self, specs: Sequence[str], metric: str, repeats: int) -> Table:
        """The row values of several losses, turned so that lower is better."""
        values = [self.values(spec, metric, repeats) for spec in specs]
        z = np.stack([v for v in values if v is not None], axis=2)
        about = METRICS[metric]
        finest = float(np.ptp(z, axis=(0, 1)).max()) / z.shape[1] if about.counts else 0.0
        return Table(-z if about.higher else z, self.said(specs[0], repeats).fold, finest)

    def said(self, spec: str, repeats: int) -> Said:
        """What a loss that failed nowhere said of the kept rows."""
        if (kept_now := self._said.get(spec)) is None or len(kept_now.fold) != repeats:
            kept_now = self._gathered(self.results(spec, repeats), repeats)
            self._said[spec] = kept_now
        return kept_now

    def _gathered(self, results: Sequence[Result], repeats: int) -> Said:
        dataset = self.plan.dataset
        rows = kept.chosen(dataset)
        size = (repeats, len(rows.place))
        fold = np.zeros(size, np.int64)
        facts: dict[str, NDArray[Any]] = {}
        for result in results:
            place = np.searchsorted(rows.place, result["rows"]["place"])
            fold[result["repeat"], place] = result["fold"]
            for name, values in result["rows"].items():
                if name != "place":
                    whole = facts.setdefault(name, np.zeros(size, values.dtype))
                    whole[result["repeat"], place] = values
        target = dataset.target[rows.place]
        if dataset.task == "regression":
            return Said(facts, fold, target, rows.weight)
        rarest = int(dataset.counts.argmin())
        return Said(facts, fold, target, rows.weight, len(dataset.classes), rarest)
