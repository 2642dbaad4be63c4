"""The page of claims: everything inside, nothing from the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lossmith.lab.claims.claim import RULE, Claim, Result, Verdict
from lossmith.lab.output import provenance
from lossmith.lab.page.render import environment

PACKAGES = ("lossmith", "torch", "numpy", "scipy", "scikit-learn")
MARKS = {Verdict.HOLDS: "●", Verdict.IN_PART: "◐", Verdict.NOT: "○", Verdict.OPEN: "?"}


def as_data(
    claims: Sequence[Claim],
    results: Mapping[str, Result],
    seeds: int,
    quick: bool,
    seconds: float,
) -> dict[str, Any]:
    """Everything; whatever the clock decides is called `seconds`, the rest is repeatable."""
    words = ["lossmith claims", *(f"--only {c.name}" for c in claims if len(claims) < 15)]
    words += ["--quick"] if quick else []
    return {
        "format": 1,
        "command": " ".join([*words, f"--seeds {seeds}"]),
        "environment": provenance(PACKAGES, "claim"),
        "claims": [results[claim.name].as_data(claim) for claim in claims],
        "seconds": round(seconds, 1),
    }


def html(claims: Sequence[Claim], results: Mapping[str, Result], data: dict[str, Any]) -> str:
    """The page."""
    engine = environment("lossmith.lab.claims")
    counted = Counter(results[claim.name].verdict for claim in claims)
    rows = [(claim, results[claim.name], MARKS[results[claim.name].verdict]) for claim in claims]
    return engine.get_template("template.html").render(
        rows=rows,
        counted=[(v, MARKS[v], counted[v]) for v in Verdict if counted[v] or v != Verdict.OPEN],
        rule=RULE,
        data=data,
    )
