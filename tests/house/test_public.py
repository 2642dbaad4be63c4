"""The public names: each documented, and none added, lost or renamed by accident.

After a wanted change, write the list anew with `python tests/house/test_public.py` and commit it:
the diff shows the reviewer what users gain and lose.
"""

import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import lossmith

NAMES = Path(__file__).with_name("public_names.txt")
UPDATE = "If the change is wanted: python tests/house/test_public.py, then commit the new list."

# A loss says all of this, each under a heading of its own.
HEADINGS = {"Formula": "Formula", "Shapes": "Shapes?", "Parameters": "(?:Parameters|Args)"}


def is_loss(item: Any) -> bool:
    """A loss is what takes a target: anything called with one, or a Module called with one."""
    if inspect.isclass(item):
        return issubclass(item, torch.nn.Module) and takes_target(item.forward)
    return callable(item) and takes_target(item)


def takes_target(function: Any) -> bool:
    return "target" in inspect.signature(function).parameters


def spelled(default: Any) -> set[str]:
    """The ways in which a docstring may write a default."""
    ways = {str(default), repr(default)}
    if isinstance(default, float):
        ways.add(f"{default:g}")
    return ways


def loss_problems(name: str, item: Any, doc: str) -> list[str]:
    found = [
        f"{name}: the docstring has no '{heading}' section"
        for heading, pattern in HEADINGS.items()
        if not re.search(rf"^\W*{pattern}\b", doc, re.MULTILINE)
    ]
    if "=" not in doc:
        found.append(f"{name}: the docstring states no formula")
    for parameter in inspect.signature(item).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        lines = [s for s in doc.splitlines() if re.search(rf"\b{parameter.name}\b", s)]
        if not lines:
            found.append(f"{name}: the docstring does not name the parameter '{parameter.name}'")
        elif parameter.default not in (parameter.empty, None) and not any(
            re.search(rf"(?<![\w.]){re.escape(way)}(?![\w.]*\w)", line)
            for way in spelled(parameter.default)
            for line in lines
        ):
            found.append(
                f"{name}: no line of the docstring gives '{parameter.name}' "
                f"with its default {parameter.default!r}"
            )
    return found


def doc_problems(items: Iterable[tuple[str, Any]]) -> list[str]:
    found = []
    for name, item in items:
        if not (callable(item) or isinstance(item, ModuleType)):
            continue  # a constant, such as __version__
        # A class that inherits its docstring has none of its own.
        doc = item.__dict__.get("__doc__") if inspect.isclass(item) else inspect.getdoc(item)
        if not (doc or "").strip():
            found.append(f"{name}: no docstring")
        elif is_loss(item):
            found += loss_problems(name, item, doc)
    return found


def test_every_public_name_exists_and_is_documented() -> None:
    missing = [name for name in lossmith.__all__ if not hasattr(lossmith, name)]
    assert missing == []
    assert doc_problems((name, getattr(lossmith, name)) for name in lossmith.__all__) == []


def test_there_are_losses_to_look_at() -> None:
    losses = {name for name in lossmith.__all__ if is_loss(getattr(lossmith, name))}
    assert {"huber", "Huber", "focal", "Focal", "cross_entropy", "CrossEntropy"} <= losses


def test_public_names_are_the_agreed_ones() -> None:
    assert NAMES.exists(), f"no list of public names yet. {UPDATE}"
    agreed = set(NAMES.read_text(encoding="utf-8").split())
    lost, new = sorted(agreed - {*lossmith.__all__}), sorted({*lossmith.__all__} - agreed)
    assert not lost, f"gone from lossmith.__all__: {', '.join(lost)}. {UPDATE}"
    assert not new, f"new in lossmith.__all__: {', '.join(new)}. {UPDATE}"


def test_public_names_are_unique_and_shown_by_dir() -> None:
    assert len(lossmith.__all__) == len({*lossmith.__all__})
    assert {*lossmith.__all__} <= {*dir(lossmith)}


def sound(prediction: Any, target: Any, beta: float = 1.0, *, reduction: str = "mean") -> None:
    """Square near zero.

    Formula: ψ(u) = u²

    Shapes: any, both the same.

    Parameters:
        prediction, target: the two tensors.
        beta (default 1.0): where the square ends.
        reduction (default "mean"): how the elements become one number.
    """


def test_a_sound_docstring_passes() -> None:
    assert doc_problems([("sound", sound)]) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Formula:", "", "'Formula'"),
        ("ψ(u) = u²", "", "states no formula"),
        ("Shapes:", "", "'Shapes'"),
        ("Parameters:", "", "'Parameters'"),
        ("beta", "gamma", "does not name the parameter 'beta'"),
        ("default 1.0", "default 2.0", "'beta' with its default 1.0"),
        ("default 1.0", "default 1.05", "'beta' with its default 1.0"),
        ('default "mean"', 'default "sum"', "'reduction' with its default 'mean'"),
    ],
)
def test_a_planted_fault_is_found(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, says: str
) -> None:
    assert sound.__doc__
    monkeypatch.setattr(sound, "__doc__", sound.__doc__.replace(old, new))
    (problem,) = doc_problems([("sound", sound)])
    assert says in problem


def test_a_class_needs_its_own_docstring() -> None:
    class Bare(torch.nn.Module):
        def forward(self, prediction: Any, target: Any) -> None: ...

    assert doc_problems([("Bare", Bare)]) == ["Bare: no docstring"]


if __name__ == "__main__":
    NAMES.write_text("\n".join(sorted(lossmith.__all__)) + "\n", encoding="utf-8")
    print(f"{len(lossmith.__all__)} names written to {NAMES}")
