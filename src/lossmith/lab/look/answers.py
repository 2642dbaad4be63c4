"""Records and their properties as rows of text and as JSON."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import click

from lossmith.errors import InputError
from lossmith.formula import ledger, properties
from lossmith.formula.algebra import Properties
from lossmith.formula.kinks import Kink
from lossmith.formula.phrases import number, place, said
from lossmith.formula.record import Formula

# What u is, said once for each family.
MEANING = {
    "residual": "u = prediction - target",
    "margin": "u = ±score, positive where its sign is right",
    "probability": "u = log of the target's probability, at most 0",
    "divergence": "u = log(b/a) of two probabilities of one class, and D = Σ a·ψ(u)",
}
NONE = "–"


def choose(names: tuple[str, ...], family: str | None = None) -> list[Formula]:
    """The records of these names, or all; an unknown name is an error with the nearest ones."""
    if names:
        return [ledger.find(name.replace("-", "_")) for name in names]
    known = [*ledger.LEDGER.values(), *ledger.DIVERGENCES.values()]
    return [r for r in known if family in (None, r.family)]


def settings(values: dict[str, float]) -> str:
    """Parameters as they are typed: c=4.685, gamma=2."""
    return ", ".join(f"{name}={value:g}" for name, value in values.items())


def brief(p: Properties) -> dict[str, str]:
    """The properties in a word or a number each, for a table with many rows."""
    cells = {
        "convex": "strictly" if p.strictly_convex else said(p.convex),
        "Lipschitz": _or_none(p.lipschitz),
        "smooth": _or_none(p.smooth),
        "highest": _or_none(p.highest),
        "slopes": _orders(p.differentiable),
    }
    if p.family == "residual":
        cells |= {"symmetric": said(p.symmetric), "redescends": said(p.redescending)}
    if p.family == "margin":
        cells |= {"≥ 0-1": _factor(p.zero_one_factor), "calibrated": said(p.calibrated)}
    return cells | {"least at": place(p.minimiser)}


COLUMNS = {
    "convex": "the curve never lies above its chords; strictly: always below them",
    "Lipschitz": "the largest |slope|",
    "smooth": "the largest |curvature|, where the slope does not jump",
    "highest": "the least upper bound of the loss",
    "slopes": "how many derivatives are continuous; jumps: not even the loss itself",
    "redescends": "far residuals no longer pull",
    "≥ 0-1": "at least the 0-1 loss, as it stands, × a factor, or in bits (/ log 2)",
    "calibrated": "its best score has the sign of the likelier class",
}


def _or_none(x: float | None) -> str:
    return "unknown" if x is None else NONE if math.isinf(x) else number(x)


def _orders(order: float | None) -> str:
    if order is None:
        return "unknown"
    return "jumps" if order < 0 else "all" if math.isinf(order) else f"{order:g}"


def _factor(k: float | None) -> str:
    if k is None or math.isinf(k):
        return "no"
    if math.isclose(k, 1 / math.log(2)):
        return "in bits"
    return "yes" if k <= 1 else f"× {number(k)}"


def table(records: list[Formula]) -> dict[str, list[tuple[Formula, dict[str, str]]]]:
    """Rows by family, in the order of the ledger."""
    rows: dict[str, list[tuple[Formula, dict[str, str]]]] = {}
    for record in records:
        cells = brief(properties.of(record))
        rows.setdefault(record.family, []).append((record, cells))
    return rows


def as_data(record: Formula, values: dict[str, float]) -> dict[str, Any]:
    """One loss at these parameters, as JSON holds it: null is unknown, "inf" is infinite."""
    p = properties.of(record, **values)
    known = {name: plain(getattr(p, name)) for name in p.__dataclass_fields__ if name != "family"}
    known |= {"bounded": p.bounded, "minimiser": place(p.minimiser)}
    return {
        "name": record.name,
        "family": record.family,
        "parameters": values,
        "properties": known,
    }


def plain(value: Any) -> Any:
    """A number that JSON has no word for as a text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return [plain(v) for v in value] if isinstance(value, tuple) else value


def kink_text(k: Kink) -> str:
    """What happens at a kink, and which value the formula takes there."""
    where = f"u = {number(k.u)}"
    if k.order < 0:
        left, right = k.values
        return f"{where}: the value jumps from {left:.6g} to {right:.6g}; here {k.value:.6g}"
    if k.order == 0:
        left, right = k.slopes
        return f"{where}: the slope jumps from {left:.6g} to {right:.6g}; subgradient {k.slope:.6g}"
    if k.order == 1:
        left, right = k.curvatures
        return (
            f"{where}: the curvature jumps from {left:.6g} to {right:.6g}; here {k.curvature:.6g}"
        )
    return f"{where}: derivative {k.order + 1} jumps; value, slope and curvature do not"


def read_settings(words: tuple[str, ...]) -> tuple[list[str], dict[str, float]]:
    """`tukey_biweight --c 3` or `--c=3`: what is no option is a name."""
    names: list[str] = []
    values: dict[str, float] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            names.append(word)
            continue
        option, equals, text = word[2:].partition("=")
        if not equals and not rest:
            raise click.UsageError(f"--{option} needs a number after it.")
        text = text if equals else rest.pop(0)
        try:
            values[option.replace("-", "_")] = float(text)
        except ValueError:
            raise InputError(f"--{option} {text}: that is not a number.") from None
    return names, values


def dump(data: Any) -> None:
    # Where a letter cannot be written as it is, JSON has its own way to say it.
    plain = "utf" not in (getattr(sys.stdout, "encoding", None) or "").lower()
    click.echo(json.dumps(data, indent=1, ensure_ascii=plain, allow_nan=False))
