"""A person's own loss, by the same door as ours: decorate a function of u, get function and Module.

@lossmith.residual
def capped(u, c: lossmith.Positive = 1.0):
    return lossmith.primitives.where(abs(u) <= c, u**2 / 2, c**2 / 2)

capped(prediction, target, c=2.0);   capped.Module(c=2.0);   capped.formula
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lossmith.face import functions, modules
from lossmith.formula import record
from lossmith.formula.record import Formula, Scale
from lossmith.link.links import link


def _door(kind: record.Family) -> Callable[..., Any]:
    make_record = record.family(kind)

    def decorate(
        function: Callable[..., Any] | None = None,
        *,
        scale: Scale | None = None,
        cite: str = "",
        twin: str = "",
        start: str = "",
    ) -> Any:
        if function is None:
            return lambda f: decorate(f, scale=scale, cite=cite, twin=twin, start=start)
        made: Formula = make_record(function, scale=scale, cite=cite, twin=twin, start=start)
        from lossmith.formula.calculus import slope

        slope(made)  # whatever is wrong with the formula is said here, at its definition
        home = function.__module__ or "__main__"  # exec without a __name__ gives none
        face = functions.make(link(made), home)
        face.__qualname__ = function.__qualname__
        modules.make(face, home)
        return face

    decorate.__name__ = decorate.__qualname__ = kind
    decorate.__doc__ = f"""Make a loss from a formula of u (family: {kind}).

    The decorated function takes u and named parameters, each annotated with its domain and given
    a default, and returns an expression written with Python's operators and
    `lossmith.primitives`. The result is a function `f(prediction, target, …)` with `f.Module`,
    `f.total` and `f.formula`: kernels, derivatives, properties and LaTeX come with it.

    Parameters:
        scale (default None): `lossmith.Scale(name, default, power)` for ψ(r) = s^power·ψ₀(r/s).
        cite (default ""): where the formula comes from.
        twin (default ""): what equals it elsewhere.
        start (default ""): the convex loss that training is to begin with, by name.

    Errors:
        FormulaError, in words that name the fix: unknown function, free symbol, not real, a
        Python if on a parameter, a parameter without a domain or default, or with a name that
        the call or the Module uses.
    """
    return decorate


residual, margin, probability = _door("residual"), _door("margin"), _door("probability")
