"""The other processes of a distributed run, as far as a loss needs them: adding up."""

from __future__ import annotations

from typing import Any

from torch import Tensor, distributed


class Group:
    """The ranks that learn together: those of a process group, or of the default one.

    A process group cannot be pickled. A deep copy shares it; an unpickled module falls back to
    the default group, which is what it had in nearly every case.
    """

    def __init__(self, process_group: Any = None) -> None:
        self.process_group = process_group

    def several(self) -> bool:
        """Whether there is anyone to add up with."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return False
        return distributed.get_world_size(self.process_group) > 1

    def add(self, tensor: Tensor) -> None:
        """Replace the tensor by its sum over all ranks; each of them has to call this."""
        distributed.all_reduce(tensor, group=self.process_group)

    def __deepcopy__(self, memo: Any) -> Group:
        return self

    def __reduce__(self) -> Any:
        return Group, ()
