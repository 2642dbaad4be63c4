"""Classes that lie on the ranks of a device mesh: from a DTensor to this rank's part of it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lossmith.errors import InputError, UnsupportedError
from lossmith.risk.ranks import Group


def group(name: str, logits: Any, process_group: Any) -> tuple[Group, int | None]:
    """The ranks among which the classes lie; for a DTensor also the dimension of its mesh."""
    if not _is_dtensor(logits):
        return Group(process_group), None
    mesh, placements = logits.device_mesh, logits.placements
    split = [i for i, placement in enumerate(placements) if placement.is_shard(1)]
    if len(split) != 1 or not all(p.is_shard(1) or p.is_replicate() for p in placements):
        raise UnsupportedError(
            f"{name}: the logits are a DTensor with placements {placements}; it takes Shard(dim=1),"
            " the classes, on one dimension of the mesh and Replicate() on the others. Use "
            "logits.redistribute(placements=…), or logits.to_local() with process_group= the group "
            "of the mesh dimension over which the classes are split."
        )
    if process_group is not None:
        raise InputError(
            f"{name}: the logits are a DTensor, whose mesh says which ranks share the classes; "
            "leave process_group out."
        )
    return Group(mesh.get_group(split[0])), split[0]


def local(name: str, argument: str, value: Any, *, dim: int | None, whole: bool) -> Any:
    """This rank's part of a DTensor that lies as the argument should; other values as they are."""
    if not _is_dtensor(value):
        return value
    if dim is None:
        raise UnsupportedError(
            f"{name}: {argument} is a DTensor and the logits are not; use {argument}.to_local()."
        )
    classes = 1 if argument in ("logits", "target") else 0
    alike = argument in ("sample_weight", "mask") or not value.dim() or (whole and not classes)
    alike = alike or (argument == "target" and not value.is_floating_point())
    for i, placement in enumerate(value.placements):
        wanted = i == dim and not alike
        if not (placement.is_shard(classes) if wanted else placement.is_replicate()):
            needed = f"Shard(dim={classes})" if wanted else "Replicate()"
            raise UnsupportedError(
                f"{name}: {argument} is a DTensor with placements {value.placements}; on dimension "
                f"{i} of the mesh it needs {needed}, beside logits with Shard(dim=1) on "
                f"dimension {dim}. Use {argument}.redistribute(placements=…)."
            )
    return value.to_local()


def _is_dtensor(value: Any) -> bool:
    # Not imported here: whoever has a DTensor has imported it, and others need not wait for it.
    return isinstance(value, Tensor) and hasattr(value, "device_mesh")
