"""The races of a comparison, one for each condition, side by side over the same workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lossmith.lab.compare.conditions import Condition
from lossmith.lab.compare.evidence import Evidence
from lossmith.lab.compare.jobs import Results
from lossmith.lab.compare.metrics import METRICS
from lossmith.lab.compare.plan import Plan
from lossmith.lab.compare.race import FEWEST, HEADLINE, Look, look, looks, why_over
from lossmith.lab.compare.trial import Trial

# Runs these trials and hands out each with its result.
Execute = Callable[[list[Trial]], Results]


@dataclass(eq=False)
class Race:
    """One condition: what was looked at, who is in, and why it is over ("" while it is not)."""

    evidence: Evidence
    metric: str
    looks: list[Look] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)
    failed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    repeats: dict[str, int] = field(default_factory=dict)  # that each loss was given
    why: str = ""

    @property
    def condition(self) -> Condition:
        """Of the training rows."""
        return self.evidence.condition

    @property
    def baseline(self) -> str:
        """The first of the candidates."""
        return self.evidence.plan.candidates[0].spec

    @property
    def finished(self) -> list[str]:
        """The losses that failed nowhere, in their order."""
        return [spec for spec in self.repeats if spec not in self.failed]

    @property
    def margin(self) -> float:
        """The difference that does not matter, in the metric's own unit."""
        share = self.evidence.plan.work.settings.margin / 100
        if METRICS[self.metric].unit != "target":
            return share
        spec = next(iter(self.finished))
        values = self.evidence.values(spec, self.metric, self.repeats[spec])
        return share * abs(float(values.mean())) if values is not None else 0.0

    @property
    def trials(self) -> list[Trial]:
        """What was run, or has to be before the next look."""
        return [
            trial
            for spec, repeats in self.repeats.items()
            for trial in self.evidence.trials(spec, repeats)
        ]

    def go_on(self) -> None:
        """Give every loss that is in the repeats up to the next look."""
        settings = self.evidence.plan.work.settings
        at = looks(settings)[len(self.looks)]
        if not self.repeats:
            self.inside = [candidate.spec for candidate in self.evidence.plan.candidates]
        self.repeats |= dict.fromkeys(self.inside, at)

    def judge(self) -> None:
        """Look at what is there: put losses out, and see whether the race is over."""
        settings = self.evidence.plan.work.settings
        planned = looks(settings)
        at = planned[len(self.looks)]
        for spec in list(self.inside):
            if words := self.evidence.failed(spec, self.metric, at):
                self.failed[spec] = words
                self.inside.remove(spec)
        if not self.inside or (len(self.inside) == 1 and not self.looks):
            self.why = "alone" if self.inside else "none"
            return
        if at * settings.folds < FEWEST:
            self.why = "untested"
            return
        table = self.evidence.table(self.inside, self.metric, at)
        made = look(table, self.inside, at, HEADLINE / len(planned))
        self.looks.append(made)
        self.inside = [spec for spec in self.inside if spec in made.inside]
        self.why = why_over(made, self.margin, last=at == planned[-1])


def run(
    plan: Plan,
    found: dict[str, Any],
    execute: Execute,
    looked: Callable[[Race], None] = lambda race: None,
) -> list[Race]:
    """Race under every condition until all races are over.

    `found` holds finished trials and takes in new ones. What is run depends on results alone, so
    a run that goes on where another was killed runs the same trials to the same end.
    """
    metrics = dict(plan.work.metrics)
    races = [
        Race(Evidence(plan, condition, found), metrics[condition.key])
        for condition in plan.work.settings.conditions
    ]
    while going := [race for race in races if not race.why]:
        for race in going:
            race.go_on()
        wanted = [trial for race in going for trial in in_order(race.trials)]
        for trial, result in execute([trial for trial in wanted if trial.key not in found]):
            found[trial.key] = result
        for race in going:
            race.judge()
            looked(race)
    return races


def in_order(trials: list[Trial]) -> list[Trial]:
    """The losses as the inner loop, so that they share the arrays of a fold."""
    return sorted(trials, key=lambda trial: (trial.repeat, trial.fold, trial.place))


def used(race: Race) -> Mapping[str, int]:
    """How many trainings of how many were needed."""
    settings = race.evidence.plan.work.settings
    most = len(race.repeats) * settings.repeats * settings.folds
    return {"used": len(race.trials), "most": most}
