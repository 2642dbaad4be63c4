"""Means over micro-batches and ranks that are those of one process on the joined batch.

A mean is total / mass, and both add up; a mean of means is another number wherever masses differ.
Road A knows the global mass before the forward passes: `global_masses`, then `share_of_mean`.
Road B adds up totals, and divides the gradients once at the step: `StepMean`.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lossmith.errors import InputError, ShapeError
from lossmith.risk.means.averaging import divided_by, group_of, outside
from lossmith.risk.ranks import Group


def share_of_mean(
    pair: tuple[Tensor, Tensor], mass: Tensor | float, model: nn.Module | int, group: Any = None
) -> Tensor:
    """What one micro-batch adds to the mean over all micro-batches and ranks (road A).

    mass = global_masses(sum(mass_of(criterion, y) for _, y in batches))
    for x, y in micro_batches(model, batches):
        share_of_mean(criterion.total(model(x), y), mass, model).backward()

    Formula:
        share = ranks · total / mass, where `ranks` undoes the division by which
        DistributedDataParallel and FSDP average gradients, and is 1 elsewhere. Shares of several
        losses, each by its own mass and with its own weight, may be added. Mass 0 gives a connected
        0. For a log: the mean over ranks of the sums over micro-batches is the mean itself.

    Parameters:
        pair: (total, mass) of the micro-batch, from criterion.total(…).
        mass: the global mass of that loss, from `global_masses`.
        model: the module that you train, wrapped as it is; or the number by which its gradients
            are divided while ranks add them up (for a wrapper with a hook of its own).
        group (default None): the ranks that see different data, where the wrapper does not tell.

    Errors:
        InputError (a ValueError) for a mean in place of a pair, and for a plain model in a run of
        several ranks.
    """
    total, _ = _checked("share_of_mean", pair)
    ranks = divided_by("share_of_mean", model, group)
    if not isinstance(mass, Tensor):
        mass = torch.full((), float(mass), dtype=torch.float32, device=total.device)
    mass = mass.detach().to(total.device)
    inverse = _inverse(mass, ranks).to(total.dtype)
    return torch.where(mass == 0, total * 0.0, total * inverse)


class StepMean:
    """Divide gradients by the global mass once at the step: no mass is needed ahead (road B).

    mean = StepMean(model, optimizer)
    for x, y in micro_batches(model, batches):
        mean.add(criterion.total(model(x), y)).backward()
    loss = mean.finish()  # then clip, then optimizer.step(), then optimizer.zero_grad()

    In a step with a closure (LBFGS), all of this is the closure: it calls optimizer.zero_grad(),
    adds every micro-batch, and returns mean.finish().

    Formula:
        gradient = Σ gradients of totals / Σ masses, both over micro-batches and ranks. `finish`
        adds up masses in one all-reduce, multiplies every param.grad by ranks / mass (`ranks`
        undoes the division by which DistributedDataParallel and FSDP average), and returns the
        mean, detached. A mass of 0 everywhere gives gradients of 0.

    Parameters:
        model: the module that you train, wrapped as it is; or the number by which its gradients
            are divided while ranks add them up.
        optimizer: the optimiser; the gradients of its parameters are divided, and it refuses to
            step while totals wait for `finish`.
        group (default None): the ranks that see different data; None takes those of the
            wrapped model, else the default group.

    Gradients can be divided by one mass only: for several losses with masses of their own take
    road A. Whatever else has a gradient (a penalty, say) belongs after `finish`. Nothing waits for
    a device, and ranks exchange nothing but in `finish`, which every rank has to call.

    Errors:
        InputError (a ValueError) for two totals in one backward, a total without a backward or
        with two, gradients from before, no `finish` before the step, `finish` twice.
    """

    def __init__(self, model: nn.Module | int, optimizer: Optimizer, group: Any = None) -> None:
        if not isinstance(optimizer, Optimizer):
            raise InputError(
                f"StepMean: optimizer is {type(optimizer).__name__}; give the "
                "torch.optim.Optimizer whose parameters' gradients are to be divided: "
                "StepMean(model, optimizer)."
            )
        self._ranks = divided_by("StepMean", model, group)
        self._group = Group(group_of(model, group))
        self._optimizer = optimizer
        self._sums: Tensor | None = None
        self._count, self._waiting = 0, False
        self._model = model if isinstance(model, nn.Module) and self._ranks > 1 else None
        self._inside = 0  # how many parameters of the optimiser are known to be in the model
        self._look_inside()
        self._guard()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copied or loaded optimiser has lost its hooks."""
        self.__dict__.update(state)
        self._guard()

    def _look_inside(self) -> None:
        """Also for parameters that the optimiser was given later."""
        if self._model is not None and (count := len(self._parameters())) != self._inside:
            _all_inside(self._model, self._optimizer)
            self._inside = count

    def _guard(self) -> None:
        """The optimiser refuses to step while totals wait, also those that a closure adds."""
        me = weakref.ref(self)  # the optimiser may outlive this object

        def refuse_totals() -> None:
            living = me()
            if living is not None and living._count:
                raise InputError(
                    "StepMean: optimizer.step() with gradients that are still totals. Call "
                    "finish() before clipping and stepping (a closure: before it returns), or "
                    "discard() to drop this step."
                )

        def before_step(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            refuse_totals()
            by_name = kwargs.get("closure") is not None
            closure = kwargs["closure"] if by_name else (*args, None)[1]
            if closure is None:
                return None

            def finished() -> Any:
                loss = closure()
                refuse_totals()
                return loss

            if by_name:
                return args, {**kwargs, "closure": finished}
            return (args[0], finished, *args[2:]), kwargs

        self._optimizer.register_step_pre_hook(before_step)

    def add(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        """Count the mass of a micro-batch; the total comes back for its one backward."""
        total, mass = _checked("StepMean.add", pair)
        if self._waiting:
            raise InputError(
                "StepMean.add: the total before this one had no backward yet. Either it was "
                "forgotten, or two losses are to share one backward: gradients can be divided by "
                "one mass only. For losses with masses of their own use global_masses and "
                "share_of_mean."
            )
        if not total.requires_grad:
            raise InputError(
                "StepMean.add: the total needs no gradient (under torch.no_grad, or computed from "
                "detached tensors?), so it has no part in this step. An empty batch too has to "
                "go through the model."
            )
        if not self._count:
            self._look_inside()
            self._no_gradients()
        dtype = torch.float32 if total.device.type == "mps" else torch.float64
        seen = torch.stack([total.detach().to(dtype), mass.detach().to(dtype)])
        self._sums = seen if self._sums is None else self._sums + seen
        self._count, self._waiting = self._count + 1, True
        place, times = self._count, [0]

        def differentiated(_: Tensor) -> None:
            times[0] += 1
            if times[0] > 1:
                raise InputError(
                    "StepMean: a second backward of one total; its rows would count twice, and "
                    "its mass only once."
                )
            if place == self._count:
                self._waiting = False

        total.register_hook(differentiated)
        return total

    @torch.no_grad()
    def finish(self) -> Tensor:
        """Divide the gradients by the mass of all micro-batches and ranks; the mean, detached."""
        if self._sums is None:
            raise InputError(
                "StepMean.finish: nothing was added since the last step. It was called twice, or "
                "this rank had no micro-batch: then run one empty batch, such as x[:0] and y[:0]."
            )
        if self._waiting:
            raise InputError(
                "StepMean.finish: the last total had no backward, so its rows are in the mass and "
                "not in the gradients. Write mean.add(criterion.total(…)).backward()."
            )
        sums = self._sums.clone()  # those of this rank, if the exchange fails and is tried again
        if self._group.several():
            self._group.add(sums)
        total, mass = sums.unbind()
        factor = _inverse(mass, self._ranks)
        alike: dict[Any, list[Tensor]] = defaultdict(list)
        for parameter in self._parameters():
            gradient = _local(parameter.grad)
            if gradient is None:
                continue
            if gradient.is_sparse:
                gradient.mul_(factor.to(gradient.device))
            else:
                alike[gradient.device, gradient.dtype].append(gradient)
        for (device, _), gradients in alike.items():
            torch._foreach_mul_(gradients, factor.to(device))
        self.discard()
        return total * _inverse(mass, 1)

    def discard(self) -> None:
        """Drop what was added, on every rank alike, for a step that is given up; then zero_grad."""
        self._sums, self._count, self._waiting = None, 0, False

    def _parameters(self) -> list[Tensor]:
        return [p for group in self._optimizer.param_groups for p in group["params"]]

    def _no_gradients(self) -> None:
        """At the start of a step: a gradient from before would be divided with the others."""
        for parameter in self._parameters():
            gradient = _local(parameter.grad)
            # Zeros are fine; on a device, looking would wait for it.
            if gradient is None or gradient.device.type != "cpu":
                continue
            if (gradient._values() if gradient.is_sparse else gradient).any():
                raise InputError(
                    "StepMean.add: parameters have gradients from before this step, which "
                    "finish() would divide as well. Call optimizer.zero_grad() after each step; "
                    "add the gradients of penalties after finish()."
                )


def _checked(caller: str, pair: Any) -> tuple[Tensor, Tensor]:
    if isinstance(pair, Mapping):
        raise InputError(
            f"{caller} takes one pair (total, mass), got those of {', '.join(map(str, pair))}: "
            "each has a mass of its own. Call the objective with masses={name: mass of the step} "
            "and, over ranks, wrapper=model: see lossmith.Objective."
        )
    if (
        not isinstance(pair, (tuple, list))
        or len(pair) != 2
        or not all(isinstance(part, Tensor) for part in pair)
    ):
        raise InputError(
            f"{caller} takes the pair (total, mass) of criterion.total(…), got "
            f"{type(pair).__name__}. A mean that was divided already cannot be added up."
        )
    total, mass = pair
    if total.dim() or mass.dim():
        raise ShapeError(
            f"{caller}: total and mass have shapes {tuple(total.shape)} and {tuple(mass.shape)}; "
            "both must be scalars, as criterion.total(…) returns them."
        )
    return total, mass.to(total.device)


def _inverse(mass: Tensor, ranks: int) -> Tensor:
    """Ranks / mass; 0 for a mass of 0, where there is nothing to divide."""
    return torch.where(mass == 0, 0.0, ranks / torch.where(mass == 0, 1.0, mass))


def _local(gradient: Any) -> Tensor | None:
    """This rank's part of a gradient; FSDP keeps a shard on each rank."""
    return gradient.to_local() if hasattr(gradient, "to_local") else gradient


def _all_inside(model: nn.Module, optimizer: Optimizer) -> None:
    """Whether every parameter of the optimiser is one that the wrapper averages."""
    learned = [p for g in optimizer.param_groups for p in g["params"] if p.requires_grad]
    shapes = [tuple(p.shape) for p in outside(model, learned)]
    if shapes:
        raise InputError(
            f"StepMean: {len(shapes)} parameter(s) of the optimiser, shapes {shapes[:3]}, lie "
            "outside the wrapped model, so no one adds up their gradients over ranks. A loss "
            "with learned parameters goes inside: wrap one module that holds both."
        )
