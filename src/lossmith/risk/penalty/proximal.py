"""The proximal step: after an optimiser's own, it makes weights exactly zero."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, optim

from lossmith.errors import DtypeError, InputError, ParameterError, UnsupportedError
from lossmith.risk.penalty.base import Penalty
from lossmith.risk.penalty.groups import GroupLasso
from lossmith.risk.penalty.select import Found
from lossmith.risk.penalty.steps import Steps

# In this order the proximal operators of two penalties of the same weights follow one another and
# give that of their sum: a common shrinking, thresholds weight by weight, then groups.
_ORDER = {"l2": 0, "l1": 1, "group": 2}


class ProximalStep:
    """Minimise loss + λ·penalty with zeros that are exact: call `.step()` after `optimizer.step()`.

    prox = lossmith.ProximalStep(optimizer, {lossmith.L1Penalty(): 1e-4}, model)
    loss.backward(); optimizer.step(); prox.step()

    The loss is the loss alone: a penalty that is given here does not belong into it as well.

    Formula:
        w ← argmin_u Σ ½(u - w)²/τ + λ·penalty(u), with τ the step size of the optimiser:
        SGD: τ = lr; with momentum τ = lr·c, c ← momentum·c + 1 - dampening (1 at first), which
        goes to (1 - dampening)/(1 - momentum); Nesterov: lr·(1 + momentum·c).
        Adam, AdamW: τ = lr/(√v̂ + eps), one for each weight; RMSprop: lr·c/(√v + eps); Adagrad:
        lr/((1 + (t - 1)·lr_decay)·(√Σg² + eps)).
        At rest 0 ∈ ∇loss + λ·∂penalty, the same minimum for every optimiser and learning rate.
        `lr` is that of the step just taken, so schedulers may come before or after.

    A step that a gradient scaler skips is none, and shrinks nothing. To copy or pickle a run, take
    model, optimiser and ProximalStep together, copy.deepcopy((model, optimizer, prox)); what it
    knows of momentum is part of the optimiser's state_dict.

    Group lasso in an adaptive metric is solved exactly too (a root for each group). AdamW's decay,
    and SGD's, stay theirs; decoupled, it has no common minimum with a loss.

    Parameters:
        optimizer: torch's SGD, Adam, AdamW, RMSprop or Adagrad.
        penalties: {penalty: λ, …} or (penalty, λ); λ ≥ 0. Several penalties of the same weights
            may be one each of L1Penalty, GroupLasso and L2Penalty, whose steps add up to that of
            the sum (sparse group lasso, for example).
        model: what the penalties are called with: a model, an iterable or dict of parameters.
            Parameters of other optimisers are left to a ProximalStep of their own. Those that the
            optimiser is given later, or that are thawed, are penalised from then on; frozen ones
            are left alone.

    Errors:
        UnsupportedError for other optimisers, maximize=True and differentiable=True, and for
        penalties that do not add up in steps.
        InputError if the optimiser moves none of the penalised parameters; ParameterError for λ.

    Source: Parikh & Boyd 2014, doi:10.1561/2400000003, sec. 4.2; with momentum, Yang et al. 2020,
    ProxSGD, ICLR; in a diagonal metric, Becker & Fadili 2012, arXiv:1206.1156; sums, Yu 2013,
    On decomposing the proximal map, NeurIPS.
    """

    def __init__(self, optimizer: optim.Optimizer, penalties: Any, model: Any) -> None:
        if not isinstance(optimizer, optim.Optimizer):
            raise DtypeError(
                f"ProximalStep: optimizer is {type(optimizer).__name__}; give a torch optimiser."
            )
        pairs = _pairs(penalties)
        self.penalties = tuple(p for p, _ in pairs)
        self.weights = [weight for _, weight in pairs]
        # Asked again later, which an iterator could not be.
        self._model = list(model) if isinstance(model, Iterator) else model
        self._terms: dict[Tensor, tuple[Found, list[int]]] = {}
        self._steps = Steps(optimizer)
        for penalty, mine in zip(self.penalties, self._choose(first=True), strict=True):
            if not mine:
                raise InputError(
                    f"ProximalStep: the optimiser moves no parameter that {penalty!r} penalises. "
                    "Was it made for another model, or before the model was moved or copied?"
                )

    def _choose(self, first: bool = False) -> list[list[Found]]:
        """Which parameters of the optimiser are penalised, as both are now."""
        owned = {p for g in self._steps.optimizer.param_groups for p in g["params"]}
        chosen = [
            [f for f in (p.select if first else p._find)(self._model) if f.parameter in owned]
            for p in self.penalties
        ]
        terms: dict[Tensor, tuple[Found, list[int]]] = {}
        for i, mine in enumerate(chosen):
            for found in mine:
                terms.setdefault(found.parameter, (found, []))[1].append(i)
        for found, which in terms.values():
            which.sort(key=lambda i: _ORDER.get(_kind(self.penalties[i]), -1))
            _check_sum(found, [self.penalties[i] for i in which])
        self._terms = terms
        # One that is frozen may be penalised when it is no longer.
        self._steps.ignored = {p for p in owned if p not in terms and p.requires_grad}
        return chosen

    @torch.no_grad()
    def step(self) -> None:
        """Apply the proximal operators for all that the optimiser has done since the last call."""
        pending = self._steps.pending
        self._steps.expect()
        # A parameter that the optimiser was given, or that was thawed, since the last choice.
        if any(p not in self._terms for p in pending):
            self._choose()
        for parameter, (found, which) in self._terms.items():
            step = pending.get(parameter)
            if step is None:  # no gradient, or a step that a gradient scaler skipped
                continue
            if found.layer is not None and not parameter.requires_grad:  # frozen since
                continue
            x: Tensor = parameter.detach()
            for i in which:
                weight = self.weights[i]
                x = self.penalties[i]._prox_of(found, x, step * weight)
                if _kind(self.penalties[i]) == "l2":
                    # ½(u - x)²/τ + ½λu² is ½(u - x')²/τ' and a constant: those who follow see τ'.
                    step = step / (1 + step * weight)
            parameter.copy_(x)
            del pending[parameter]  # one by one: an error leaves the others for the next call
        pending.clear()

    def __repr__(self) -> str:
        terms = ", ".join(f"{w:g}·{p!r}" for p, w in zip(self.penalties, self.weights, strict=True))
        optimizer = type(self._steps.optimizer).__name__
        return f"ProximalStep({optimizer}, {terms}; {len(self._terms)} parameters)"


def _pairs(penalties: Any) -> list[tuple[Penalty, float]]:
    if isinstance(penalties, Mapping):
        pairs = list(penalties.items())
    elif isinstance(penalties, tuple) and len(penalties) == 2 and isinstance(penalties[0], Penalty):
        pairs = [penalties]
    else:
        pairs = list(penalties) if isinstance(penalties, list | tuple) else [penalties]
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], Penalty):
            raise DtypeError(
                f"ProximalStep: penalties = {penalties!r}; give {{penalty: λ}} or (penalty, λ), "
                "for example {lossmith.L1Penalty(): 1e-4}."
            )
        weight = pair[1]
        if not isinstance(weight, numbers.Real) or not 0 <= float(weight) < float("inf"):
            raise ParameterError(
                f"ProximalStep: λ = {weight!r} for {pair[0]!r}; it must be a finite number >= 0."
            )
    if not pairs:
        raise InputError("ProximalStep: no penalty given.")
    return [(p, float(w)) for p, w in pairs]


def _kind(penalty: Penalty) -> str:
    if isinstance(penalty, GroupLasso):
        return "group" if penalty.formula.name == "l1" else "other"
    return penalty.formula.name if penalty.formula.name in ("l1", "l2") else "other"


def _check_sum(found: Found, penalties: list[Penalty]) -> None:
    kinds = [_kind(p) for p in penalties]
    if len(kinds) > 1 and ("other" in kinds or len(set(kinds)) < len(kinds)):
        names = " and ".join(repr(p) for p in penalties)
        raise UnsupportedError(
            f"ProximalStep: {found.name} is penalised by {names}, and the proximal operator of "
            "that sum is not that of one after the other. One each of L1Penalty, GroupLasso and "
            "L2Penalty may share parameters; keep others apart with only= and skip=."
        )
