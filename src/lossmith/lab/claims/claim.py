"""A claim: what an article says, an experiment, and a rule that turns numbers into a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isnan
from typing import Any

from lossmith.lab.claims.measure import Measure
from lossmith.lab.page.drawing import Picture

Numbers = Mapping[str, Measure]

# The two articles, in English; their texts are in Chinese.
DEEP = "Loss functions in deep learning"
COMMON = "L1, L2, cross-entropy and other losses"

RULE = (
    "The claim holds if every part below does. It does not hold if none does, or if the part "
    "marked as its heart fails. Otherwise it holds in part. An experiment that failed to give one "
    "of its numbers cannot be judged."
)


class Verdict(StrEnum):
    """What the numbers say about a claim."""

    HOLDS = "holds"
    IN_PART = "holds in part"
    NOT = "does not hold"
    OPEN = "cannot be judged"


@dataclass(frozen=True)
class Part:
    """One thing that a claim asks of the numbers, in words and as a test of them."""

    asks: str
    test: Callable[[Numbers], bool]
    heart: bool = False


@dataclass(frozen=True)
class Budget:
    """How much an experiment may do."""

    seeds: tuple[int, ...]
    quick: bool = False

    def pick(self, full: int, quick: int) -> int:
        """One number for the full run, another for the quick one."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Evidence:
    """What an experiment gives: numbers by name, figures, and sentences that read them out."""

    numbers: Numbers
    figures: Sequence[Picture]
    sentences: Sequence[str]


@dataclass(frozen=True)
class Claim:
    """One claim of the articles, and how it is tried.

    Parameters:
        number: its place in the list.
        name: a word for the command line.
        title: the claim in a few words.
        articles: which of the two says so.
        says: what the article says, in English.
        experiment: what is done, on which data.
        parts: what is asked of the numbers.
        run: the experiment.
    """

    number: int
    name: str
    title: str
    articles: tuple[str, ...]
    says: str
    experiment: str
    parts: tuple[Part, ...]
    run: Callable[[Budget], Evidence]

    @property
    def rule(self) -> str:
        """The rule in words."""
        asked = "; ".join(
            f"({chr(97 + place)}) {part.asks}{' [heart]' if part.heart else ''}"
            for place, part in enumerate(self.parts)
        )
        return f"{RULE} {asked}."

    def answers(self, numbers: Numbers) -> tuple[bool, ...]:
        """Which parts hold."""
        return tuple(bool(part.test(numbers)) for part in self.parts)

    def judge(self, numbers: Numbers) -> Verdict:
        """The verdict, from the numbers alone; a number that is none decides nothing."""
        if any(isnan(measure.mean) for measure in numbers.values()):
            return Verdict.OPEN
        answers = self.answers(numbers)
        if all(answers):
            return Verdict.HOLDS
        broken = any(
            part.heart and not answer for part, answer in zip(self.parts, answers, strict=True)
        )
        return Verdict.NOT if broken or not any(answers) else Verdict.IN_PART


@dataclass(frozen=True)
class Result:
    """A claim that was tried."""

    name: str
    evidence: Evidence
    answers: tuple[bool, ...]
    verdict: Verdict
    seconds: float

    def as_data(self, claim: Claim) -> dict[str, Any]:
        """For JSON; only `seconds` depends on the clock."""
        return {
            "number": claim.number,
            "name": claim.name,
            "title": claim.title,
            "articles": list(claim.articles),
            "says": claim.says,
            "experiment": claim.experiment,
            "rule": claim.rule,
            "parts": [
                {"asks": part.asks, "heart": part.heart, "holds": answer}
                for part, answer in zip(claim.parts, self.answers, strict=True)
            ],
            "verdict": self.verdict.value,
            "sentences": list(self.evidence.sentences),
            "numbers": {key: m.as_data() for key, m in self.evidence.numbers.items()},
            "figures": [{"title": f.title, "says": f.caption} for f in self.evidence.figures],
            "seconds": round(self.seconds, 2),
        }
