"""Sums of losses and penalties as one Module: the structural risk that people train with."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from torch import Tensor, nn

from lossmith.errors import InputError, ParameterError
from lossmith.face.summand import Summand
from lossmith.formula.domain import as_number
from lossmith.risk.means import averaging
from lossmith.risk.means.unused import refuse_unused
from lossmith.risk.sums import inputs, joint, shares, terms
from lossmith.risk.sums.inputs import Wire, Wires
from lossmith.risk.sums.joint import JointProperties
from lossmith.risk.sums.terms import Rule, Term
from lossmith.risk.sums.weights import Scheduled, Uncertainty, Weight, weight


class Parts(NamedTuple):
    """The value of an objective, to differentiate, and its components, detached, to log."""

    value: Tensor
    components: dict[str, Tensor]


class Objective(Summand, nn.Module):
    """A sum of losses and penalties, each with a weight: the structural risk.

    objective = CrossEntropy() + 0.01 * CenterLoss(10, 64) + 1e-4 * L1Penalty()
    loss = objective(logits=z, features=x, target=y, parameters=model)
    loss, components = objective.parts(logits=z, features=x, target=y, parameters=model)

    Formula:
        value = Σ_i λ_i · component_i (+ s_i/2 for a weight that is learned, see Uncertainty).
        A component is a mean, total / mass of its own loss, or the value of a penalty. So λ_i is
        the worth of one unit of mean loss, the same at any batch size; scikit-learn's α for a
        Lasso, for example, is λ with a mean of ½u².

    Shapes:
        Inputs by name, each as its term takes it; the result is one differentiable scalar.

    Parameters:
        terms: a mapping of names to losses, penalties, functions of named inputs, and sums; or
        the same as keywords, Objective(coarse=CrossEntropy(), fine=0.5 * CrossEntropy()). A sum
        of several terms in it stays one term, its components named coarse.cross_entropy and so on.

    Inputs: each term takes those that its signature names: logits, scores or prediction (the word
    of its documentation), target, features, sample_weight, mask, parameters … Terms that name the
    same input share it; `.on(logits="coarse_logits", target="coarse")` gives a term others, and
    `.on(sample_weight=None)` keeps an optional one away from it. Terms are named after their class,
    cross_entropy, center_loss, numbered from the second on, or by `.named("coarse")`.

    Operators: losses and sums take +, -, number *, and / number. -x is (-1)·x, for terms to be
    maximised. A weight is a number, a function of the step (LinearRamp, CosineRamp, or your own),
    a tensor of one number that you change in place, or Uncertainty(). Call `advance()` after each
    step of the optimiser if there are schedules; their step is in the state_dict. Operators make
    new sums of the same Modules, they copy none.

    `parts` returns value and components rather than keeping the latter in the Module: results of
    several threads do not mix, and a compiled graph has no hidden state. Nothing here reads a
    number, so no device is waited for.

    Exact means over micro-batches and ranks: `totals(…)` gives (total, mass) of every term,
    `masses(…)` the masses alone, before a model runs, and a call with masses={name: mass of the
    whole step} divides by those, so that the values and gradients of all calls of the step add up
    to those of the joined batch. A penalty has mass 1 in each call; its mass of the step is the
    number of calls, and so it counts once. `wrapper=model`, the module that you train as it is
    wrapped, multiplies the value by the number of ranks over which DistributedDataParallel or FSDP
    average its gradients (or give that number). Learned weights and losses have to lie
    inside the wrapped module, or each rank would move them its own way.

    Errors:
        InputError (a ValueError) for an input that is missing or that no term takes, and whatever
        a term refuses; the message names the term. Also for a penalty of parameters that took no
        part in the forward of DistributedDataParallel(find_unused_parameters=True).
    """

    called = "sum"  # as a term of another sum

    def __init__(self, terms: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        super().__init__()
        given = {**(terms or {}), **named}
        if not given:
            raise InputError("Objective: no terms; an objective is the sum of one or more.")
        self._fill(_under(name, value) for name, value in given.items())

    def _fill(self, given: Iterable[Term]) -> None:
        self._rules: dict[str, Rule] = {}
        self.weighting = nn.Module()
        for t in terms.numbered(given, lambda name: hasattr(self, name)):
            self.add_module(t.name, t.module)
            if t.weight is not None:
                self.weighting.add_module(t.name, t.weight)
            self._rules[t.name] = t.rule()  # Modules have one place, where .to() finds them

    @classmethod
    def _sum(cls, given: Iterable[Term]) -> Objective:
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        made._fill(given)
        return made

    @classmethod
    def of(cls, value: Any) -> Objective:
        """A loss, a penalty, a function or a sum, as a sum; sums are returned as they are."""
        return value if isinstance(value, Objective) else cls._sum([terms.term(value)])

    def terms(self) -> list[Term]:
        """The terms in order, with their Modules and weights."""
        return [
            Term(r.name, r.given, r.wires, r.factor, module=module, weight=own)
            for r, module, own in self._items()
        ]

    def _items(self) -> list[tuple[Rule, Any, Any]]:
        own = self.weighting._modules
        return [(r, self._modules[name], own.get(name)) for name, r in self._rules.items()]

    def forward(
        self,
        *unnamed: Any,
        masses: Mapping[str, Any] | None = None,
        wrapper: nn.Module | int = 1,
        **given: Any,
    ) -> Tensor:
        """The weighted sum of a batch."""
        if unnamed:
            raise InputError(
                f"Objective: {len(unnamed)} inputs without a name; several terms share them, so "
                f"they go by name: {inputs.listed(f'{name}=…' for name in self.inputs())}."
            )
        return self.parts(masses=masses, wrapper=wrapper, **given).value

    def parts(
        self,
        *,
        masses: Mapping[str, Any] | None = None,
        wrapper: nn.Module | int = 1,
        **given: Any,
    ) -> Parts:
        """Value and components of a batch.

        Components are not weighted, and detached. With masses they are this batch's part of the
        mean over the whole step; those of all micro-batches and ranks add up to it.
        """
        value, components, _ = self._evaluate(masses, given)
        refuse_unused("Objective", value, given.values())
        if isinstance(wrapper, nn.Module) or wrapper != 1:
            value = value * self._averaged(masses, wrapper)
        return Parts(value, components)

    def _averaged(self, masses: Mapping[str, Any] | None, wrapper: Any) -> int:
        """The number of ranks by which gradients will be divided."""
        if masses is None:
            raise InputError(
                "Objective: wrapper= undoes the average over ranks, which is right beside masses= "
                "only: give the mass of each term over all ranks (lossmith.global_masses)."
            )
        learned = {name: p for name, p in self.named_parameters() if p.requires_grad}
        if learned and (outside := averaging.outside(wrapper, learned.values())):
            names = [name for name, p in learned.items() if any(p is q for q in outside)]
            raise InputError(
                f"Objective: {inputs.listed(names)} is learned and lies outside the wrapped "
                "model, so no one adds up its gradients over ranks. Wrap one module that holds "
                "both the model and the objective."
            )
        return averaging.divided_by("Objective", wrapper)

    def _evaluate(
        self, masses: Mapping[str, Any] | None, given: dict[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        """Value, components, and the part of the whole step that this call stands for."""
        inputs.refuse_unused(given, self.inputs())
        if masses is not None:
            shares.check(masses, self.names())
        values: list[Tensor] = []
        components: dict[str, Tensor] = {}
        first: Tensor | None = None
        for rule, module, own in self._items():
            name, share = rule.name, None
            taken = inputs.gather(name, rule.wires, given)
            if isinstance(module, Objective):
                inner = None if masses is None else shares.inside(name, masses)
                component, found, share = module._evaluate(inner, taken)
                components |= {f"{name}.{k}": c for k, c in found.items()}
            elif masses is None:
                component = terms.component(name, module, taken)
                components[name] = component.detach()
            else:
                total, mass = terms.total(name, module, taken)
                whole = masses[name]
                component, share = shares.over(total, whole), shares.over(mass, whole)
                components[name] = component.detach()
            part = component if own is None else own(component, share)
            values.append(part if rule.factor == 1.0 else part * rule.factor)
            first = share if first is None else first
        return functools.reduce(operator.add, values), components, first

    def totals(self, **given: Any) -> dict[str, tuple[Tensor, Tensor]]:
        """(total, mass) of every term, without weights: pairs of micro-batches and ranks add up.

        A penalty gives its value and 1.
        """
        inputs.refuse_unused(given, self.inputs())
        found: dict[str, tuple[Tensor, Tensor]] = {}
        for rule, module, _ in self._items():
            taken = inputs.gather(rule.name, rule.wires, given)
            if isinstance(module, Objective):
                found |= {f"{rule.name}.{k}": p for k, p in module.totals(**taken).items()}
            else:
                found[rule.name] = terms.total(rule.name, module, taken)
        return found

    def masses(self, batches: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """The mass of every term over these micro-batches, before any model runs.

        Each batch is a mapping of inputs as in a call, of which targets, weights and masks are
        enough: objective.masses({"target": y} for _, y in batches). The mass of a penalty is the
        number of batches. Added over ranks by lossmith.global_masses, it is what `masses=` takes.
        """
        found: dict[str, Any] = dict.fromkeys(self.names(), 0.0)
        users = self.inputs()
        for given in batches:
            shares.check_batch(given)
            inputs.refuse_unused(given, users)
            for name, mass in self._masses(given).items():
                found[name] = found[name] + mass
        return found

    def _masses(self, given: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for rule, module, _ in self._items():
            taken = inputs.present(rule.wires, given)
            if isinstance(module, Objective):
                found |= {f"{rule.name}.{k}": m for k, m in module._masses(taken).items()}
            else:
                found[rule.name] = shares.mass(rule, module, taken)
        return found

    def weights(self) -> dict[str, float | Tensor]:
        """The weight of every component as it is now: a number, or a detached tensor."""
        found: dict[str, float | Tensor] = {}
        for t in self.terms():
            own = t.factor if t.weight is None else t.factor * t.weight.factor()
            if isinstance(t.module, Objective):
                found |= {f"{t.name}.{k}": own * w for k, w in t.module.weights().items()}
            else:
                found[t.name] = own
        return found

    def inputs(self) -> dict[str, list[str]]:
        """The names of the inputs, each with the terms that take it."""
        users: dict[str, list[str]] = {}
        for name, rule in self._rules.items():
            for source in rule.sources:
                users.setdefault(source, []).append(name)
        return users

    def names(self) -> list[str]:
        """The names of the components, those of nested sums with a dot."""
        return list(self.weights())

    def advance(self, steps: int = 1) -> None:
        """Move every schedule on: once after each step of the optimiser."""
        self._go({s: s.later(steps) for s in self._schedules()})

    def set_step(self, step: int) -> None:
        """Move every schedule to this step."""
        self._go(dict.fromkeys(self._schedules(), step))

    def _go(self, steps: Mapping[Scheduled, int]) -> None:
        """All schedules, or none where one of them raises."""
        values = {schedule: schedule.at(step) for schedule, step in steps.items()}
        for schedule, value in values.items():
            schedule.go(steps[schedule], value)

    def _schedules(self) -> list[Scheduled]:
        return [m for m in self.modules() if isinstance(m, Scheduled)]

    def properties(self) -> JointProperties:
        """What is sure of the value as a function of the inputs, at the weights as they are now."""
        return joint.of(self.terms())

    def plus(self, other: Any) -> Objective:
        """self + other."""
        return self._sum([*self.terms(), *Objective.of(other).terms()])

    def times(self, by: Any) -> Objective:
        """by · self, term by term where that is the same."""
        by, mine = weight(by), self.terms()
        if isinstance(by, Weight):
            # exp(-s)·(a + b) + s/2 has one s/2, and a weight on a weighted term is a second one.
            apart = len(mine) > 1 or mine[0].factor != 1.0
            if any(t.weight is not None for t in mine) or (isinstance(by, Uncertainty) and apart):
                return self._sum([replace(_nested(self, "sum"), given=False, weight=by)])
            return self._sum(replace(t, weight=by) for t in mine)
        for t in mine:
            if isinstance(t.weight, Uncertainty) and t.factor * by < 0:
                raise InputError(
                    f"Objective: {t.name} has a learned weight and a factor below 0, so that "
                    "learning would drive it to -∞. Use a number as its weight."
                )
        return self._sum(replace(t, factor=t.factor * by) for t in mine)

    def over(self, number: Any) -> Objective:
        """self / number."""
        by = as_number(number)
        if by is None or by == 0 or not math.isfinite(by):
            raise ParameterError(
                f"Objective: a sum cannot be divided by {number!r}; give a finite number other "
                "than 0."
            )
        return self._sum(replace(t, factor=t.factor / by) for t in self.terms())

    def on(self, **names: str | None) -> Objective:
        """The same sum, taking its inputs under other names."""
        known = {w: 0 for t in self.terms() for wire in t.wires for w in inputs.words(wire)}
        for old in names:
            if old not in known:
                raise InputError(
                    f"Objective: no term of {self.formula()} has an input "
                    f"{old!r}{inputs.near(old, known)}. Its inputs are "
                    f"{inputs.listed(self.inputs())}."
                )
        return self._sum(
            t.bound({k: v for k, v in names.items() if any(k in inputs.words(w) for w in t.wires)})
            for t in self.terms()
        )

    def named(self, name: str) -> Objective:
        """The same under a name of your own; several terms become one, with theirs behind a dot."""
        return self._sum([_under(name, self)])

    def formula(self) -> str:
        """The sum as it would be typed, with the required inputs of each term."""
        text = ""
        for t in self.terms():
            sign = ("- " if t.factor < 0 else "+ ") if text else ("-" if t.factor < 0 else "")
            text += (" " if text else "") + sign + t.formula()
        return text

    def __repr__(self) -> str:
        lines = [f"({name}): {self._modules[name]!r}" for name in self._rules]
        body = "\n".join(lines).replace("\n", "\n  ")
        return f"Objective(\n  {self.formula()}\n  {body}\n)"


def _under(name: str, value: Any) -> Term:
    """One term of this name."""
    made = Objective.of(value)
    if len(made._rules) > 1:
        return _nested(made, name)
    return replace(made.terms()[0], name=name, given=True)


def _nested(objective: Objective, name: str) -> Term:
    return Term(name, True, _wires(objective.terms()), module=objective)


def _wires(given: Iterable[Term]) -> Wires:
    """The inputs of a sum, as one of its terms would state them."""
    needed: dict[str, bool] = {}
    for t in given:
        for wire in t.wires:
            if wire.source is not None:
                needed[wire.source] = needed.get(wire.source, False) or wire.required
    return tuple(Wire(name, name, name, required) for name, required in needed.items())
