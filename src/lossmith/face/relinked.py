"""What Modules share that put a formula under another link than its family's own."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from lossmith.errors import InputError
from lossmith.face import functions, inner, modules
from lossmith.formula.ledger import find
from lossmith.formula.record import Formula
from lossmith.link.links import LINKS, link


@cache
def made(formula: Formula, name: str) -> Any:
    """The function of a formula under a link."""
    function = functions.make(link(formula, name), "lossmith")
    modules.make(function, "lossmith")
    return function


class Relinked(modules.Loss):
    """A Module around another loss, of whose formula and settings it is made."""

    link: ClassVar[str]  # by name
    examples: ClassVar[tuple[str, str]]  # losses that it can be made of

    def __init_subclass__(cls, **_: Any) -> None:
        if "link" in cls.__dict__:
            for name, call in modules.calls(LINKS[cls.link]).items():
                setattr(cls, name, call)

    def _make(self, loss: Any, settings: dict[str, Any], parameters: dict[str, Any]) -> None:
        """The constructor: `settings` are those of every such Module, `parameters` the loss's."""
        owner = type(self).__name__
        formula = _formula(type(self), loss)
        # A Module brings its own settings along.
        brought = loss.given() if isinstance(loss, modules.Loss) else {}
        self._refuse(owner, formula, parameters, brought)
        function = made(formula, self.link)
        given, _ = inner.parameters(owner, function.loss, parameters, brought)
        reduction = {"reduction": settings.pop("reduction")}
        given |= settings | inner.options(owner, function.loss, reduction, brought)
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "settings", tuple(given))
        modules.Loss.__init__(self, **given)

    def _refuse(
        self, owner: str, formula: Formula, given: dict[str, Any], brought: dict[str, Any]
    ) -> None:
        """Raise for options of the loss that have no meaning under this link."""

    def extra_repr(self) -> str:
        """The other loss, and the settings."""
        return f"{self.loss.formula.name!r}, {super().extra_repr()}"

    def __reduce__(self) -> Any:
        formula = self.loss.formula
        loss = formula.name if formula.builtin else formula.function
        state = {k: v for k, v in self.__getstate__().items() if k != "function"}
        return _rebuild, (type(self), loss), state


def _rebuild(kind: type[Relinked], loss: Any) -> Any:
    """A Module before its state, which comes next."""
    module = kind.__new__(kind)
    object.__setattr__(module, "function", made(_formula(kind, loss), kind.link))
    return module


def _formula(kind: type[Relinked], loss: Any) -> Formula:
    """The formula of a loss given by name, function or Module, which this link takes."""
    formula = find(loss) if isinstance(loss, str) else getattr(loss, "formula", None)
    if formula is None:
        formula = getattr(getattr(loss, "loss", None), "formula", None)
    family, (name, function) = LINKS[kind.link].family, kind.examples
    if not isinstance(formula, Formula) or formula.family != family:
        raise InputError(
            f"{kind.__name__} needs a {family} loss, got {loss!r}. Give a name such as {name!r}, "
            f"or a function such as lossmith.{function}; `lossmith list` shows the {family} "
            "family."
        )
    return formula
