"""The other processes of a distributed run, as far as a loss needs them: adding up."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


class Group:
    """The ranks that learn together: those of a process group, or of the default one.

    A process group cannot be pickled. A deep copy shares it; an unpickled module falls back to
    the default group, which is what it had in nearly every case.
    """

    def __init__(self, process_group: Any = None) -> None:
        self.process_group = process_group

    def size(self) -> int:
        """How many ranks there are; 1 where nothing is distributed."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return 1
        return distributed.get_world_size(self.process_group)

    def rank(self) -> int:
        """This process's place among them."""
        return distributed.get_rank(self.process_group) if self.several() else 0

    def several(self) -> bool:
        """Whether there is anyone to add up with."""
        return self.size() > 1

    def add(self, tensor: Tensor) -> None:
        """Replace the tensor by its sum over all ranks; each of them has to call this."""
        distributed.all_reduce(tensor, group=self.process_group)

    def device(self) -> torch.device:
        """Where a tensor has to lie to be added up; the CPU, where the group can do that."""
        if not self.several():
            return torch.device("cpu")
        # Such as "cpu:gloo,cuda:nccl"; a device without an index is the current one.
        kinds = [part.split(":")[0] for part in _backends(self.process_group).split(",")]
        return torch.device("cpu" if "cpu" in kinds else kinds[0])

    def __deepcopy__(self, memo: Any) -> Group:
        return self

    def __reduce__(self) -> Any:
        return Group, ()


def _backends(process_group: Any) -> str:
    return str(distributed.get_backend_config(process_group))
