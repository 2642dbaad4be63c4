"""A penalty as a Module: Σ ψ(w) over the weights of a model, with everything derived from ψ."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lossmith.errors import InputError, ParameterError, ShapeError
from lossmith.face.inspect import formula_of
from lossmith.face.summand import Summand
from lossmith.formula.penalty import PENALTIES
from lossmith.formula.record import Formula
from lossmith.risk.penalty.scalar import Scalar
from lossmith.risk.penalty.select import Found, Rules, find, select


class Penalty(Summand, nn.Module):
    """A penalty of any formula, a person's own included: penalty(model) = Σ ψ(w).

    objective = lossmith.CrossEntropy() + 1e-4 * lossmith.Penalty("l1"); for zeros that are exact
    leave it out of the loss and give it to `lossmith.ProximalStep`.

    Formula:
        penalty = Σ_w ψ(w) over every weight w that is chosen: a sum and not a mean, so λ does not
        change its meaning with the size of the model.
        prox(x, t) = argmin_u ½(u - x)² + t·ψ(u), solved piece by piece from ψ; exact where ψ is
        not convex too.

    Shapes:
        parameters of any shape; the result is a scalar.

    Parameters:
        formula: "l1", "l2", "elastic_net", "mcp", "scad", or a residual loss (the residual is the
            weight less 0): its name, function, Module or record.
        only (default None): which parameters: names such as "encoder" (and all below) or
            "*.weight", classes of layers, or functions of an object with .name, .parameter and
            .layer; one or a list, of which one must agree. None: all but biases and the
            parameters of normalisation layers. A dict or list of tensors is taken as it is.
        skip (default None): parameters to leave out of those, said in the same way.
        settings: the formula's own parameters, as keywords.
        forward(parameters): a model, an iterable of tensors, or a dict of them by name. Shared
        parameters count once, frozen ones (requires_grad False) not at all.

    Errors:
        InputError (a ValueError) for a formula, parameter or setting that is not possible.
        UnsupportedError from `prox` where ψ's pieces have no short solution.

    Source: proximal operators: Parikh & Boyd 2014, doi:10.1561/2400000003.
    """

    def __init__(
        self, formula: Any, only: Rules = None, skip: Rules = None, **settings: float
    ) -> None:
        super().__init__()
        known = isinstance(formula, str) and formula in PENALTIES
        record = PENALTIES[formula] if known else formula_of(formula)
        if record.family != "residual":
            raise InputError(
                f"Penalty: {record.name} is a {record.family} loss; a penalty is a function of a "
                "weight's distance from 0: one of " + ", ".join(PENALTIES) + ", or a residual loss."
            )
        self.formula: Formula = record
        self._in_ledger = record in PENALTIES.values()
        self._given = record.name if known or record.builtin else formula
        self.settings = record.bind(settings)
        self.only, self.skip = only, skip
        self._scalar = Scalar(record, tuple(self.settings.values()))

    def __getstate__(self) -> dict[str, Any]:
        """A record is found again, not copied: its programs are kept by its identity."""
        return {k: v for k, v in self.__dict__.items() if k not in ("formula", "_scalar")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        name = self._given
        ours = isinstance(name, str) and name in PENALTIES and self._in_ledger
        self.formula = PENALTIES[name] if ours else formula_of(name)
        self._scalar = Scalar(self.formula, tuple(self.settings.values()))

    @property
    def _name(self) -> str:
        return type(self).__name__

    def select(self, parameters: Any) -> list[Found]:
        """The parameters that are penalised: objects with .name, .parameter and .layer."""
        return select(self._name, parameters, self.only, self.skip)

    def _find(self, parameters: Any) -> list[Found]:
        """The same where there may be none."""
        return find(self._name, parameters, self.only, self.skip)

    def forward(self, parameters: Any) -> Tensor:
        """Σ ψ, differentiable; at a kink with the slope that the formula states there."""
        found = self.select(parameters)
        return torch.stack([self._value(f).to(_device(found)) for f in found]).sum()

    def prox(self, tensor: Tensor, step: float | Tensor) -> Tensor:
        """argmin_u ½(u - tensor)² + step·ψ(u), elementwise.

        Parameters:
            tensor: any floating tensor.
            step: λ times the step size, ≥ 0; a number, or a tensor that broadcasts.
        """
        check_step(self._name, step)
        return self._scalar.prox(tensor, step)

    def distance(self, parameters: Any, gradients: Any = None, weight: float = 1.0) -> Tensor:
        """How far the parameters are from a stationary point of loss + weight·penalty.

        The largest, over all penalised weights, of the distance from -gradient to the
        subdifferential weight·∂ψ(w): 0 exactly at a stationary point (skglm's subdiff_distance).

        Parameters:
            parameters: as in a call.
            gradients (default None, each parameter's .grad): of the loss alone, in the same form
                and order as the parameters that are penalised: a list, or a dict by name.
            weight (default 1.0): λ.
        """
        distances = self.distances(parameters, gradients, weight)
        return torch.stack([d.max() for d in distances.values()]).max()

    @torch.no_grad()
    def distances(
        self, parameters: Any, gradients: Any = None, weight: float = 1.0
    ) -> dict[str, Tensor]:
        """The same for each weight (each group), by the names of the parameters."""
        found = self.select(parameters)
        pulls = self._gradients(found, gradients)
        return {f.name: self._distance(f, -g, weight) for f, g in zip(found, pulls, strict=True)}

    @torch.no_grad()
    def lambda_max(self, parameters: Any, gradients: Any = None) -> float:
        """The smallest λ at which all penalised weights being 0 is stationary; ∞ if none is.

        Parameters:
            parameters: as in a call.
            gradients (default None, each parameter's .grad): of the loss where the penalised
                weights are 0 and all others (biases) at their optimum; the form as in `distance`.

        For a convex loss and penalty everything is 0 exactly from there on.
        """
        found = self.select(parameters)
        grads = self._gradients(found, gradients)
        return max(self._threshold(f, g) for f, g in zip(found, grads, strict=True))

    def _gradients(self, found: list[Found], gradients: Any) -> list[Tensor]:
        if gradients is None:
            given = [f.parameter.grad for f in found]
        elif isinstance(gradients, dict):
            given = [gradients.get(f.name) for f in found]
        else:
            given = [gradients] if isinstance(gradients, Tensor) else list(gradients)
            if len(given) != len(found):
                raise InputError(
                    f"{self._name}: {len(given)} gradients for {len(found)} penalised parameters "
                    f"({', '.join(f.name for f in found)})."
                )
        result = []
        for f, g in zip(found, given, strict=True):
            if g is None:
                raise InputError(
                    f"{self._name}: {f.name} has no gradient; call backward() of the loss alone "
                    "first, or pass gradients=."
                )
            if g.shape != f.parameter.shape:
                raise ShapeError(
                    f"{self._name}: the gradient of {f.name} has shape {tuple(g.shape)}; the "
                    f"parameter has {tuple(f.parameter.shape)}."
                )
            result.append(g)
        return result

    # What a penalty of groups does in its own way:

    def _value(self, found: Found) -> Tensor:
        return self._scalar.value(found.parameter).sum()

    def _distance(self, found: Found, pull: Tensor, weight: float) -> Tensor:
        return self._scalar.distance(found.parameter, pull, weight)

    def _threshold(self, found: Found, gradient: Tensor) -> float:
        low, high = self._scalar.at_zero
        above = _over((-gradient).max().item(), high)
        return max(0.0, above, _over(gradient.max().item(), -low))

    def _prox_of(self, found: Found, x: Tensor, step: float | Tensor) -> Tensor:
        """The proximal operator in the metric of a step size, or of one for each weight."""
        return self._scalar.prox(x, step)

    def extra_repr(self) -> str:
        """Settings, as the constructor takes them."""
        parts = [f"{n}={v:g}" for n, v in self.settings.items()]
        if type(self) is Penalty:
            parts.insert(0, repr(self.formula.name))
        parts += [f"{n}={v!r}" for n in ("only", "skip") if (v := getattr(self, n)) is not None]
        return ", ".join(parts)


def _over(pull: float, slope: float) -> float:
    """The λ at which λ·slope holds a pull."""
    if pull <= 0:
        return 0.0
    return pull / slope if slope > 0 else math.inf


def _device(found: list[Found]) -> torch.device:
    return found[0].parameter.device


def check_step(who: str, step: Any) -> None:
    if isinstance(step, Tensor):
        return
    if not isinstance(step, int | float) or not 0 <= step < math.inf:
        raise ParameterError(f"{who}: step = {step!r}; it must be a finite number >= 0.")
