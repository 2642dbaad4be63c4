"""The Module of a loss, made from the same record as its function."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from functools import cache
from typing import Any

from torch import Tensor, nn

from lossmith.errors import InputError
from lossmith.face import describe, names, signature
from lossmith.face.settings import check
from lossmith.face.summand import Summand
from lossmith.link.link import Link, Linked

_SHORT = ("kl", "js")  # words that are the first letters of names


class Loss(Summand, nn.Module):
    """What all loss Modules share: settings kept as attributes, data of a batch in the call.

    A setting given as a tensor that requires grad (or an nn.Parameter) is learned; any other
    tensor is a constant that follows `.to()` and stays out of the state_dict.

    Formula:
        loss = total / mass, total = Σ weight·ψ(u), mass = Σ weight; each loss states its ψ and u.

    Shapes:
        forward(prediction, target, sample_weight=None, mask=None): those of the loss; the result is
        a scalar, or with reduction="none" one loss for each element (row).

    Parameters:
        settings: parameters and options of the loss, as its own constructor takes them.
    """

    function: Any  # the function of the same loss; class attribute of each subclass
    settings: tuple[str, ...] = ()
    # What takes a batch is made for each loss, in the words of its link: see `calls`.
    forward: Callable[..., Tensor]
    total: Callable[..., tuple[Tensor, Tensor]]

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        for name, value in settings.items():
            value = check(self.loss, self.loss.name, name, value)
            if isinstance(value, nn.Parameter):
                self.register_parameter(name, value)  # also one that is frozen for now
            else:
                hold(self, name, value)

    @property
    def loss(self) -> Linked:
        """Formula and link."""
        return self.function.loss

    def given(self) -> dict[str, Any]:
        """The settings, by name."""
        return {name: getattr(self, name) for name in self.settings}

    def lasting(self) -> dict[str, Any]:
        """The settings without the reduction."""
        return {name: getattr(self, name) for name in self.settings if name != "reduction"}

    def extra_repr(self) -> str:
        """Settings, as the constructor takes them."""
        shown = (f"{k}={_short(v)}" for k, v in self.given().items())
        return ", ".join(shown)

    def __reduce__(self) -> Any:
        # Not by the constructor: what was learned may have left its domain since.
        function, state = type(self).function, self.__getstate__()
        if type(self) is getattr(function, "Module", None):
            # The function is importable by name also where a person's class is not.
            return _rebuild, (function,), state
        return copyreg.__newobj__, (type(self),), state  # type: ignore[attr-defined]


def hold(module: nn.Module, name: str, value: Any) -> None:
    """Keep a setting: learned if it requires grad, a constant that follows `.to()`, or a number."""
    if isinstance(value, Tensor) and value.requires_grad and not value.is_leaf:
        raise InputError(
            f"{type(module).__name__}: {name} was computed from other tensors that require a "
            "gradient, and a Module made of it would keep the number and lose the way back to "
            "them. Give nn.Parameter(…) or a tensor of your own; to learn what lies behind it, "
            f"call the function with {name}= at each step."
        )
    if isinstance(value, Tensor) and value.requires_grad:
        learned = value if isinstance(value, nn.Parameter) else nn.Parameter(value.detach())
        module.register_parameter(name, learned)
    elif isinstance(value, Tensor):
        module.register_buffer(name, value, persistent=False)
    else:
        setattr(module, name, value)


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        # A number is shown where it can be read without waiting for a device.
        if value.dim() == 0 and value.device.type == "cpu":
            return f"{value.item():g}"
        return f"tensor of shape {tuple(value.shape)}"
    return repr(value)


def _rebuild(function: Any) -> Loss:
    """A Module before its state, which comes next."""
    return function.Module.__new__(function.Module)


@cache
def attributes() -> frozenset[str]:
    """The names that mean something on every Module, so that no setting can have them."""
    return frozenset({*dir(Loss), *Loss.__annotations__, *dir(nn.Module())})


def class_name(name: str) -> str:
    """smooth_l1 → SmoothL1, kl_divergence → KLDivergence."""
    words = name.split("_")
    return "".join(w.upper() if w in _SHORT else w[:1].upper() + w[1:] for w in words)


def calls(link: Link) -> dict[str, Any]:
    """The methods that take a batch, in the words of a link."""
    batch = signature.batch(link)
    first, *data = (a.name for a in batch if not isinstance(a, str))
    handed = ", ".join([first, *(f"{n}={n}" for n in data)])
    scope: dict[str, Any] = {"refuse": names.refuse}
    made = {}
    for name, called, given, says in (
        ("forward", "self.function", "self.given()", "The reduced loss of a batch."),
        (
            *("total", "self.function.total", "self.lasting()"),
            "(total, mass) of a batch: pairs of micro-batches and ranks add up.",
        ),
    ):
        text = (
            f"def {name}(self, {signature.source(batch)}, **unknown):\n"
            f"    if unknown:\n"
            f"        refuse(type(self).__name__, unknown, self.{name}, self.settings)\n"
            f"    return {called}({handed}, **{given})\n"
        )
        exec(compile(text, f"<lossmith {link.name}>", "exec"), scope)  # text of our own writing
        scope[name].__doc__ = says
        made[name] = names.listed(scope[name])
    return made


def make(function: Any, module: str) -> type[Loss]:
    """The Module class of a function made by `functions.make`; also `function.Module`."""
    loss: Linked = function.loss
    own, options = signature.parameters(loss), signature.options(loss)
    settings = tuple(a.name for a in [*own, *options])
    arguments = signature.source([*own, "*", *options])
    passed = ", ".join(f"{n}={n}" for n in settings)
    hide, title = signature.hidden(loss), class_name(loss.name)  # a parameter may be called Loss
    scope: dict[str, Any] = {
        f"{hide}Loss": Loss, f"{hide}refuse": names.refuse, "__name__": module
    }  # fmt: skip
    text = (
        f"def __init__(self, {arguments}, **{hide}unknown):\n"
        f"    if {hide}unknown:\n"
        f"        {hide}refuse({title!r}, {hide}unknown, self.__init__, called=self.forward)\n"
        f"    {hide}Loss.__init__(self, {passed})\n"
    )
    exec(compile(text, f"<lossmith {loss.name}>", "exec"), scope)  # text of our own writing
    scope["__init__"].__kwdefaults__ |= {o.name: o.default for o in loss.options}  # as the function
    made: type[Loss] = type(
        title,
        (Loss,),
        {
            "__init__": names.listed(scope["__init__"]),
            **calls(loss.link),
            "__doc__": describe.docstring(loss, module=True),
            "__module__": module,
            "function": staticmethod(function),
            "settings": settings,
        },
    )
    function.Module = made
    return made
