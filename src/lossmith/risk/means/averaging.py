"""What a wrapper does to gradients: DistributedDataParallel and FSDP divide by their ranks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from torch import Tensor, distributed, nn

from lossmith.errors import InputError
from lossmith.risk.ranks import Group

T = TypeVar("T")


def wrappers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The outermost modules that average gradients over ranks, with their kind."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return []
    model = getattr(model, "_orig_mod", model)  # torch.compile's own wrapper hides the class
    kind = _kind(model)
    if kind is not None:
        return [(kind, model)]
    return [found for child in model.children() for found in wrappers(child)]


def _kind(module: nn.Module) -> str | None:
    from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel

    if isinstance(module, nn.parallel.DistributedDataParallel):
        return "DDP"
    if isinstance(module, FullyShardedDataParallel):
        return "FSDP1"
    return "FSDP2" if isinstance(module, FSDPModule) else None


def divided_by(caller: str, model: Any, group: Any = None) -> int:
    """By what the gradients of a model are divided while they are added up over ranks."""
    if isinstance(model, int) and not isinstance(model, bool) and model >= 1:
        return model
    if not isinstance(model, nn.Module):
        raise InputError(
            f"{caller}: model={model!r}; give the module that you train, wrapped as it is, or the "
            "number (from 1) by which its gradients are divided while ranks add them up."
        )
    ranks = Group(group).size()
    found = wrappers(model)
    if not found:
        if ranks == 1:
            return 1
        raise InputError(
            f"{caller}: there are {ranks} ranks, but {type(model).__name__} is neither "
            "DistributedDataParallel nor FSDP, so nobody here knows how its gradients meet. Give "
            f"the number by which you divide them: model=1 if you add them up, model={ranks} if "
            "you average them."
        )
    sizes = {_size(caller, kind, module, group) for kind, module in found}
    if len(sizes) > 1:
        raise InputError(
            f"{caller}: parts of the model are averaged over {sorted(sizes)} ranks; one number "
            "cannot undo that. Wrap them over the same ranks."
        )
    return sizes.pop()


def outside(model: Any, parameters: Iterable[Tensor]) -> list[Tensor]:
    """Those of the parameters whose gradients no wrapper of the model averages over ranks."""
    found = wrappers(model) if isinstance(model, nn.Module) else []
    inside = {id(p) for _, module in found for p in module.parameters()}
    return [p for p in parameters if id(p) not in inside] if found else []


def _size(caller: str, kind: str, module: Any, group: Any) -> int:
    own = _own_group(kind, module)
    if own is not None:
        return Group(own).size()
    if kind == "FSDP2" and group is None:
        raise InputError(
            f"{caller}: the mesh of the FSDP model has several dimensions, or does not show; give "
            "group=, the process group of all the ranks that see different data, or the number of "
            "these ranks in place of the model."
        )
    return Group(group).size()


def _own_group(kind: str, module: Any) -> Any:
    """The ranks over which a wrapper averages, where it says so."""
    if kind == "DDP":
        return module.process_group
    if kind == "FSDP2":
        mesh = _mesh(module)
        return mesh.get_group() if mesh is not None and mesh.ndim == 1 else None
    return None


def _mesh(module: Any) -> Any:
    """The mesh of an FSDP2 model; between forward and backward its parameters do not show it."""
    from torch.distributed.fsdp import FSDPModule

    for part in module.modules():
        # Not public, but there at any time and without going through every parameter; where it is
        # gone, the parameters tell, or the error that follows asks for the group.
        state = getattr(part, "_get_fsdp_state", None) if isinstance(part, FSDPModule) else None
        for group in getattr(state and state(), "_fsdp_param_groups", None) or ():
            return getattr(getattr(group, "mesh_info", None), "mesh", None)
    for parameter in module.parameters():
        if hasattr(parameter, "device_mesh"):
            return parameter.device_mesh
    return None


def group_of(model: Any, group: Any) -> Any:
    """The process group given, or the one that a wrapped model brings along."""
    if group is None and isinstance(model, nn.Module):
        groups = [_own_group(kind, module) for kind, module in wrappers(model)]
        return groups[0] if groups else None
    return group


def micro_batches(model: nn.Module, batches: Iterable[T]) -> Iterator[T]:
    """Go through the micro-batches of one step; ranks exchange gradients at the last one only.

    for x, y in micro_batches(model, batches): …forward and backward… All but the last run in
    DistributedDataParallel's no_sync(), or with FSDP2's set_requires_gradient_sync(False), where
    gradients only add up; a model that is not wrapped is left alone. Leave the loop by its end.

    Parameters:
        model: the module whose forward the loop calls, wrapped as it is.
        batches: at least one; the next is fetched before this one is handed out. A rank that has
            no rows gives one empty batch, because the others wait for its backward.

    Ranks may have different numbers of micro-batches under DistributedDataParallel. Under FSDP
    each forward gathers parameters from all ranks, so there the numbers must be the same: fill up
    with empty batches.

    Errors:
        InputError for no batch at all, and under DistributedDataParallel in no_sync(), where the
        last one would not be exchanged either; a loop over these batches that was left before
        its end keeps the model there as long as somebody holds its iterator.
    """
    left = iter(batches)
    try:
        current = next(left)
    except StopIteration:
        raise InputError(
            "micro_batches: no batch at all. The other ranks wait for this one's backward; run "
            "one empty batch, such as x[:0] and y[:0]."
        ) from None
    found = wrappers(model)
    for kind, module in found:
        if kind == "DDP" and not module.require_backward_grad_sync:
            raise InputError(
                "micro_batches: the model is in no_sync(), so ranks would exchange nothing at the "
                "last micro-batch. Was an earlier loop left before its end while its iterator is "
                "still held? Close that, iterator.close(), and do not call this in no_sync()."
            )
    for following in left:
        with _apart(found):
            yield current
        current = following
    yield current


@contextmanager
def _apart(found: list[tuple[str, nn.Module]]) -> Iterator[None]:
    """Gradients stay on their rank."""
    with ExitStack() as stack:
        for kind, module in found:
            wrapped: Any = module
            if kind == "FSDP2":
                wrapped.set_requires_gradient_sync(False)
                stack.callback(wrapped.set_requires_gradient_sync, True)
            else:
                stack.enter_context(wrapped.no_sync())
        yield
