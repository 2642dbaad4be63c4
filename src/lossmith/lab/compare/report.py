"""One page that holds everything and asks the network for nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lossmith.lab.compare import figures
from lossmith.lab.compare.candidates import Candidate
from lossmith.lab.compare.data import Dataset
from lossmith.lab.compare.paint import HUES
from lossmith.lab.compare.settings import Settings
from lossmith.lab.compare.summary import Condition
from lossmith.lab.compare.terminal import scaled
from lossmith.lab.compare.train import Run
from lossmith.lab.compare.verdict import verdict

DASHES = ("none", "7 2.2", "1.7 2", "8.4 2.2 1.7 2.2")  # as paint.dash, for the key


def page(
    dataset: Dataset,
    candidates: Sequence[Candidate],
    settings: Settings,
    conditions: Sequence[Condition],
    runs: Sequence[Run],
    data: dict[str, Any],
) -> str:
    """The report as HTML."""
    loader = PackageLoader("lossmith.lab.compare", ".")
    engine = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters["scaled"] = scaled
    engine.filters["unbroken"] = _unbroken
    sections = [
        _section(
            condition,
            [r for r in runs if r.label_noise == condition.label_noise],
            candidates,
            settings,
            f"c{place}",
        )
        for place, condition in enumerate(conditions)
    ]
    key = [
        {
            "label": c.label,
            "hue": place % HUES,
            "dash": DASHES[place % len(DASHES)],
            "about": c.record.doc.partition("\n\n")[0],
            "cite": c.record.cite,
        }
        for place, c in enumerate(candidates)
    ]
    return engine.get_template("template.html").render(
        dataset=dataset,
        settings=settings,
        baseline=candidates[0],
        sections=sections,
        key=key,
        losses=figures.losses(candidates),
        data=data,
        rows=round(len(dataset.labels) * (1 - settings.test_share)),
    )


def _section(
    condition: Condition,
    runs: Sequence[Run],
    candidates: Sequence[Candidate],
    settings: Settings,
    name: str,
) -> dict[str, Any]:
    return {
        "id": name,
        "condition": condition,
        "verdict": verdict(condition, settings.seeds),
        "intervals": figures.intervals(condition, f"{name}-intervals"),
        "learning": figures.learning(condition, runs, candidates, name),
        "by_seed": [
            (c.label, [run.accuracy for run in runs if run.loss == c.spec]) for c in candidates
        ],
    }


def _unbroken(text: str) -> str:
    """No line ends inside `97.8 ± 0.6 %` or `q = 0.7`."""
    return re.sub(r" (?=[±=%])|(?<=[±=]) ", "\N{NO-BREAK SPACE}", text)
