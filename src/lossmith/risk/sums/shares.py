"""Of a sum over many batches: what each term divides by, and whether it was given right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from lossmith.engine.reduction import divide
from lossmith.errors import InputError
from lossmith.risk.means.masses import mass_of
from lossmith.risk.sums import inputs, terms
from lossmith.risk.sums.terms import Rule

_TARGETS = ("target", "target_probs", "target_logits")


def mass(rule: Rule, module: nn.Module, given: Mapping[str, Any]) -> Tensor | float:
    """The mass of a term in a batch, from its target, sample_weight and mask; a penalty's is 1."""
    if getattr(module, "total", None) is None:
        return 1.0
    target = next((given[name] for name in _TARGETS if given.get(name) is not None), None)
    if target is None:
        own = [w.source for w in rule.wires if w.word in _TARGETS and w.source is not None]
        raise InputError(
            f"Objective: the mass of {rule.name} needs {' or '.join(own) or 'a target'} in every "
            f"batch; given: {inputs.listed(given)}. Give each batch as a mapping such as "
            f"{{{(own or _TARGETS)[0]!r}: y}}, with sample_weight and mask where the call has them."
        )
    sample_weight = given.get("sample_weight")
    return terms.named(
        rule.name,
        mass_of,
        loss=module,
        target=target,
        sample_weight=sample_weight,
        mask=given.get("mask"),
    )


def check_batch(given: Any) -> None:
    """One micro-batch is a mapping of inputs."""
    if not isinstance(given, Mapping):
        raise InputError(
            f"Objective: masses takes a list of micro-batches, each a mapping of inputs by name; "
            f"one of them is {type(given).__name__}. For a single batch: masses([{{'target': y}}])."
        )


def check(masses: Mapping[str, Any], names: list[str]) -> None:
    """Every term has its mass, and nothing else has one."""
    for name in masses:
        if name not in names:
            raise InputError(
                f"Objective: masses name {name!r}, which is no term{inputs.near(name, names)}. "
                f"The terms are {inputs.listed(names)}."
            )
    for name in names:
        if name not in masses:
            raise InputError(
                f"Objective: masses lack {name!r}. Give each term its mass over the whole step, "
                "as objective.masses(batches) and lossmith.global_masses find them."
            )


def inside(name: str, masses: Mapping[str, Any]) -> dict[str, Any]:
    """The masses of a sum that is a term of this name."""
    start = f"{name}."
    return {k.removeprefix(start): v for k, v in masses.items() if k.startswith(start)}


def over(total: Tensor, whole: Any) -> Tensor:
    """total / whole, and a connected 0 where the whole is 0."""
    if isinstance(whole, Tensor):
        whole = whole.detach().to(total.device, total.dtype)
    else:
        whole = total.new_full((), float(whole))  # filled there, where a copy would be waited for
    return divide(total, whole)
