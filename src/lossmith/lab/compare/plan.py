"""What a comparison consists of, decided before the first trial."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from lossmith.errors import InputError
from lossmith.lab.compare import conditions, folds, goals, models, owned, same, tuning
from lossmith.lab.compare.candidates import Candidate, parse
from lossmith.lab.compare.conditions import CLEAN, Condition
from lossmith.lab.compare.first_look import Finding, look
from lossmith.lab.compare.folds import Place
from lossmith.lab.compare.goals import Goal
from lossmith.lab.compare.metrics import IMBALANCED, METRICS
from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.trial import Trial, Work
from lossmith.lab.data.builtin import SHIPPED
from lossmith.lab.data.dataset import Dataset

# What a built-in data set shows besides itself; a person's own data are taken as they are.
SHOWN = {
    "classification": Condition("label_noise", 0.4),
    "binary": Condition("label_noise", 0.4),
    "regression": Condition("outliers", 0.1),
}


@dataclass(frozen=True, eq=False)
class Plan:
    """The work, its candidates, and why each condition is decided by its metric."""

    work: Work
    dataset: Dataset
    candidates: list[Candidate]
    reasons: dict[str, str]
    left_out: tuple[str, ...] = ()  # losses that would have run twice, a sentence each
    goal: str = ""  # what is to be predicted, and why that, in a sentence

    @cached_property
    def look(self) -> tuple[Finding, ...]:
        """What is seen in the data before any training."""
        return look(self.dataset)

    @property
    def trials(self) -> list[Trial]:
        """Every trial; the losses are the inner loop, so that they share the arrays of a fold."""
        settings = self.work.settings
        return [
            Trial(condition, candidate.spec, place, repeat, fold)
            for condition in settings.conditions
            for repeat in range(settings.repeats)
            for fold in range(settings.folds)
            for place, candidate in enumerate(self.candidates)
        ]


def resolve(settings: Settings, dataset: Dataset) -> Plan:
    """Fill in what was left open, and refuse what cannot be run."""
    task = dataset.task
    _enough_rows(settings, dataset)
    shown = (CLEAN, SHOWN[task]) if dataset.name in SHIPPED else (CLEAN,)
    asked = settings.conditions or shown
    conditions.suited(asked, task)
    own = None if settings.losses_from is None else owned.text_of(settings.losses_from)
    mine = owned.losses(own, settings.losses_from or "") if own is not None else None
    goal, why = _goal(settings, dataset)
    candidates = (
        parse(settings.losses, task, mine, goal.baseline(task))
        if settings.losses
        else [*goal.chosen(task), *parse([",".join(mine)], task, mine)[1:]]
        if mine
        else goal.chosen(task)
    )
    ratios = {c.key: folds.class_ratio(dataset, settings, c) for c in asked}
    features = _features(settings, dataset, asked[0])
    if not settings.losses:
        candidates = [c for c in candidates if features or not c.extra("center")]
        if max(ratios.values()) > IMBALANCED:
            candidates[1:1] = parse([f"{candidates[0].name}:balanced=1"], task)[1:]
    candidates = _tunable(candidates, settings)
    candidates, left_out = same.apart(candidates)
    for candidate in candidates:
        if candidate.extra("center") and not features:
            raise InputError(
                f"{candidate.spec}: --model {settings.model} has no hidden features for a center "
                "loss: use mlp, cnn, or a torch.nn.Sequential that ends in its head"
            )
    chosen = {key: goal.metric(task, ratio) for key, ratio in ratios.items()}
    if settings.metric is not None:
        _suits(settings.metric, task, candidates)
        chosen = dict.fromkeys(chosen, (settings.metric, "chosen by --metric"))
        why = f"{why} {goal.doubt(settings.metric)}".rstrip()
    specs = tuple(candidate.spec for candidate in candidates)
    full = replace(settings, losses=specs, conditions=asked, goal=goal.text)
    work = Work(full, task, own, tuple((key, name) for key, (name, _) in chosen.items()))
    own_cut = "; each loss at its own best cut, chosen on held-back rows"
    reasons = {k: why + own_cut * METRICS[name].cut for k, (name, why) in chosen.items()}
    return Plan(work, dataset, candidates, reasons, tuple(left_out), why)


def _tunable(candidates: list[Candidate], settings: Settings) -> list[Candidate]:
    """With --tune each loss that has parameters of its own gets `tuned=1`, once for each name."""
    if not settings.tune:
        for candidate in candidates:
            if candidate.extra("tuned"):
                raise InputError(
                    f"{candidate.spec}: tuned=1 needs --tune N, the trainings to do so"
                )
        return candidates
    tuning.library()
    made: list[Candidate] = []
    for candidate in candidates:
        several = sum(other.name == candidate.name for other in candidates) > 1
        if not several and not candidate.extra("tuned") and tuning.ranges(candidate):
            candidate = replace(candidate, extras=(*candidate.extras, ("tuned", 1.0)))
        made.append(candidate)
    return made


def _goal(settings: Settings, dataset: Dataset) -> tuple[Goal, str]:
    inferred, why = goals.infer(dataset, settings.metric)
    goal = inferred if settings.goal is None else goals.read(settings.goal, dataset.task)
    if goal == inferred:
        return goal, why  # said or not: the command on the page says it, and gives the same page
    return goal, f"Goal: {goal.words}, as --goal says."


def _features(settings: Settings, dataset: Dataset, condition: Condition) -> int:
    """How many hidden features the model has on these data; whatever does not fit is said here."""
    rows = folds.rowset(dataset, settings, Place(condition, 0, 0))
    outputs = len(dataset.classes) if dataset.task == "classification" else 1
    shape = tuple(rows.rows.shape[1:])
    if settings.model == "cnn":
        models.build(settings.model, shape, outputs, settings.hidden)
    return models.hidden_features(settings.model, shape, outputs, settings.hidden)


def _enough_rows(settings: Settings, dataset: Dataset) -> None:
    if dataset.task == "regression":
        least = 2 * settings.folds
        if dataset.rows < least:
            raise InputError(
                f"{dataset.name} has {dataset.rows} rows, and {settings.folds} folds need {least}"
            )
        if float(dataset.target.std()) == 0:
            raise InputError(f"{dataset.name}: the target is the same in every row")
        return
    dataset.require_members(settings.folds)


def _suits(name: str, task: str, candidates: list[Candidate]) -> None:
    there = [key for key, metric in METRICS.items() if task in metric.tasks]
    if name not in there:
        raise InputError(f"--metric {name}: for {task} there are {', '.join(there)}")
    without = [c.spec for c in candidates if not c.gives_probabilities]
    if METRICS[name].probabilities and without:
        raise InputError(
            f"--metric {name} needs probabilities, which {without[0]} does not train: "
            "leave it out with --losses"
        )
