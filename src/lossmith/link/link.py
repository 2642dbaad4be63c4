"""A formula under a link, one call of the two, and what every link says of itself.

A link turns prediction and target into the one number u that a formula takes. It knows the words
for it, the options, the shapes and the labels, how losses, slopes and curvatures follow from ψ in
plain torch, what ψ's properties become in the prediction, and what a kernel has to do. Everything
else asks it: a link is a file here, a line in links.py, and a kernel body for each engine that
has one.

ψ itself comes from an engine, see `Psi`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch
from torch import Tensor

from lossmith.errors import InputError
from lossmith.formula.record import Family, Formula
from lossmith.link.dtypes import compute_dtype
from lossmith.link.forms import PLAIN, known
from lossmith.link.options import Option
from lossmith.link.reach import Reach

if TYPE_CHECKING:
    from lossmith.formula.algebra import Properties

HARMLESS = 1.0  # what dropped elements are replaced with: every ψ is finite there (-1 for log p)


class Psi(Protocol):
    """ψ of a call, as an engine evaluates it at numbers of u, its parameters put in."""

    def __call__(
        self, u: Tensor, form: str = PLAIN, label: Tensor | None = None, order: int = 0
    ) -> Tensor:
        """ψ in one of its forms (see forms.py), or its derivative of an order; differentiable.

        `label` picks a parameter that is given for
        each class; without one it lies along the class dimension.
        """

    def at_zero(self, form: str = PLAIN) -> float:
        """The limit of a form as u → -∞."""

    def ready(self, *forms: str) -> None:
        """These forms will be used: a tracer keeps what it saw first."""


@dataclass(frozen=True, eq=False)
class Linked:
    """A formula and the link that feeds it: what a loss is, before options and data.

    `key` tells formulas apart across calls and processes, see `forms.known`.
    """

    formula: Formula
    link: Link
    name: str
    key: str
    options: tuple[Option, ...]  # what it takes beside its parameters

    @property
    def classes(self) -> bool:
        """Whether the prediction has a score for each class."""
        return self.link.classes

    def takes(self, option: Option) -> bool:
        """Whether it has an option."""
        return option in self.options

    def unit(self, parameters: tuple[Any, ...], order: int = 0) -> Any:
        """s^(power - order): what the scale s of ψ(r) = s^power·ψ₀(r/s) makes of a derivative."""
        scale = self.formula.scale
        return 1.0 if scale is None else parameters[-1] ** (scale.power - order)


def linked(formula: Formula, link: Link) -> Linked:
    """A formula under a link; an error in words if that one cannot feed it."""
    link.admit(formula)
    name = formula.name if link.natural else f"{link.name}_{formula.name}"
    return Linked(formula, link, name, known(formula), link.options(formula))


@dataclass(slots=True)
class Call:
    """One checked call of a loss. Written once, handed from floor to floor."""

    loss: Linked
    prediction: Tensor
    target: Tensor
    parameters: tuple[Any, ...]  # numbers or tensors, in the order of formula.parameters
    weight: Tensor | None = None
    mask: Tensor | None = None
    signed: bool = False  # margin labels are ±1 instead of 0 … 1
    alpha: Any = None  # of balanced losses: weight of the positive class, or one for each class
    class_weight: Tensor | None = None
    label_smoothing: float = 0.0
    ignore_index: int = -100
    reverse: bool = False  # a divergence is averaged over the prediction
    scores: bool = False  # the target of a divergence is scores, not probabilities

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What an engine makes gradients of."""
        return (self.prediction,)

    @property
    def count(self) -> int:
        """How many losses it has, dropped ones included."""
        shape, axis = self.prediction.shape, self.loss.link.axis
        return shape.numel() if axis is None else shape.numel() // shape[axis]

    @property
    def dtype(self) -> torch.dtype:
        """What its loss is returned in."""
        return compute_dtype(self.prediction.dtype)

    def strip(self) -> tuple[Tensor | None, ...]:
        """Take its tensors out: autograd is to hold them, which frees them and sees changes."""
        alpha = self.alpha if isinstance(self.alpha, Tensor) else None  # elsewhere it is a number
        held = (self.prediction, self.target, self.weight, self.mask, self.class_weight, alpha)
        self.prediction = self.target = None  # type: ignore[assignment]
        self.weight = self.mask = self.class_weight = None
        if alpha is not None:
            self.alpha = None
        return held

    def filled(self, tensors: tuple[Tensor | None, ...]) -> Call:
        """A copy with its tensors back: what autograd frees must not be held on to here."""
        call = copy(self)
        call.prediction, call.target, call.weight, call.mask, call.class_weight, alpha = tensors  # type: ignore[assignment]
        if alpha is not None:
            call.alpha = alpha
        return call

    @property
    def shape_parameters(self) -> tuple[Any, ...]:
        return self.parameters[: len(self.loss.formula.shape)]

    @property
    def scale(self) -> Any:
        """The scale s of ψ(r) = s^power ψ₀(r/s), or None."""
        return self.parameters[-1] if self.loss.formula.scale else None

    @property
    def hard(self) -> bool:
        """Whether a class target is an index per row (not a distribution)."""
        return not self.target.is_floating_point()

    @property
    def rows(self) -> tuple[int, ...]:
        """The shape of the losses."""
        return self.loss.link.rows(self.prediction.shape)

    def but(self, **changes: Any) -> Call:
        """A copy with some things changed."""
        return replace(self, **changes)


Fault = tuple[Callable[[Call, tuple[int, ...], str], str], Tensor]


def entry(place: tuple[int, ...]) -> str:
    """A place of the target, as a person would write it."""
    return f"target[{', '.join(map(str, place))}]"


class Link:
    """What u is. This one's own answers are those of a loss with one u for each element."""

    name: ClassVar[str]
    family: ClassVar[Family]  # whose formulas it feeds
    natural: ClassVar[bool] = False  # whether such a formula is meant under this link
    axis: ClassVar[int | None] = None  # the dimension of the prediction that one loss sees whole
    classes: ClassVar[bool] = False  # whether that is one of classes
    spare: ClassVar[float] = HARMLESS  # what takes the place of scores that are dropped
    labelled: ClassVar[bool] = False  # whether targets are labels over classes

    # Words, for docstrings: what u is, what the prediction is called, shapes, what one loss is of.
    u: ClassVar[str]
    word: ClassVar[str] = "prediction"
    prediction_shape: ClassVar[str] = "any shape"
    target_shape: ClassVar[str] = "the prediction's shape"
    result: ClassVar[str] = "element (row)"
    targets: ClassVar[tuple[str, ...]] = ("target",)  # names under which it may come, exactly one
    means: ClassVar[tuple[str, ...]] = ("",)  # what it is under each of them
    noun: ClassVar[str] = "labels"  # what is wrong where something is wrong with several

    def admit(self, formula: Formula) -> None:
        """Raise where a formula cannot stand under this link."""
        if formula.family != self.family:
            raise InputError(
                f"{formula.name} is a {formula.family} loss, and the link {self.name!r} takes "
                f"losses of the family {self.family!r}; `lossmith list` shows them."
            )

    def options(self, formula: Formula) -> tuple[Option, ...]:
        """What such a loss takes beside its parameters and the reduction."""
        return ()

    # -- shapes ----------------------------------------------------------------------------------

    def check(
        self, name: str, prediction: Any, target: Any, argument: str = "target"
    ) -> tuple[Any, Tensor]:
        """The shape of the losses, and the target in a dtype that engines take.

        Raises for what is no tensor, and for shapes, dtypes and devices that do not fit each
        other. `argument` is the name under which the target came.
        """
        raise NotImplementedError

    def rows(self, shape: Any) -> tuple[int, ...]:
        """The shape of the losses of such a prediction."""
        whole = tuple(shape)
        if self.axis is None:
            return whole
        place = self.axis % len(whole)
        return whole[:place] + whole[place + 1 :]

    def along(self, each: Tensor) -> Tensor:
        """One number for each loss, so that it repeats along the prediction."""
        return each if self.axis is None else each.unsqueeze(self.axis)

    def spare_target(self, call: Call) -> float:
        """What takes the place of targets that are dropped, where they are no labels."""
        return self.spare

    # -- mathematics -----------------------------------------------------------------------------

    def losses(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> Tensor:
        """Losses without weights, differentiable to any order.

        `z` and `target` are in the dtype that is computed in, and what is dropped is replaced.
        """
        raise NotImplementedError

    def derivatives(self, call: Call, psi: Psi, z: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient and Hessian diagonal of each loss, in closed form by ψ' and ψ''."""
        raise NotImplementedError

    # -- labels ----------------------------------------------------------------------------------

    def faults(self, call: Call) -> Iterator[Fault]:
        """What may be wrong with labels: a sentence, and where it is true.

        One flag for each loss, or for each entry of the prediction.
        """
        return iter(())

    # -- engines ---------------------------------------------------------------------------------

    split: ClassVar[bool] = False  # whether classes may lie on several ranks
    panels: ClassVar[bool] = False  # whether rows of few classes can be computed side by side

    @property
    def body(self) -> str:
        """The name of what a kernel does with one element, or one row."""
        return self.name

    def form(self, hard: bool, smoothed: bool) -> str:
        """The form of ψ that the kernel's program is written from."""
        return PLAIN

    def why_no_kernel(self, call: Call) -> str | None:
        """None if there are kernels for such a call; else why not."""
        return None

    # -- what is known of it ---------------------------------------------------------------------

    adds: ClassVar[bool] = True  # whether ψ of two such losses add up to one of the same u

    def curve(self, formula: Formula, **parameters: float) -> Properties:
        """The properties of ψ as a function of what `reach` asks about; those of sums add."""
        from lossmith.formula import properties

        return properties.of(formula, **parameters)

    def reach(self, curve: Properties) -> Reach:
        """What they become in the prediction."""
        return Reach(
            curve.convex, curve.lipschitz, curve.lipschitz, curve.smooth,
            curve.lowest, curve.highest,
        )  # fmt: skip

    def probable(self, formula: Formula) -> bool:
        """Whether scores mean probabilities: see `probability`."""
        return False

    def probability(self, scores: Tensor) -> Tensor:
        """What they mean then: the probability of the positive class, or one for each class."""
        raise NotImplementedError


def hot(target: Tensor, like: Tensor) -> Tensor:
    """Class indices as flags along dimension 1."""
    classes = torch.arange(like.shape[1], device=like.device)
    return target.unsqueeze(1) == classes.view((1, -1) + (1,) * (like.dim() - 2))


def part(
    psi: Callable[[Tensor], Tensor], u: Tensor, share: Tensor, harmless: float = HARMLESS
) -> Tensor:
    """share · ψ(u), where a share of 0 is nothing at all, also beside an infinite ψ."""
    some = share != 0
    stay = some | torch.isnan(u)  # a NaN score counts whatever its share
    return torch.where(
        stay, torch.where(some, share, 1.0) * psi(torch.where(stay, u, harmless)), 0.0
    )
