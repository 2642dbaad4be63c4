"""ψ and ψ' as few torch operations; where those would not do, as the programs that define them.

At NaN, ±∞ and the ends of a dtype the short form is held against the plain one before it is used:
in between both are the same arithmetic, whose digits `lossmith accuracy` measures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor

from lossmith.engine import looking
from lossmith.engine.lean import thrift, tree
from lossmith.engine.pointwise import partials, program
from lossmith.engine.reference import Psi, registered
from lossmith.link.forms import PLAIN
from lossmith.link.infinity import beyond
from lossmith.link.link import Call
from lossmith.link.softmax import CERTAIN

Numbers = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """Some of ψ and ψ' as one function of u and the parameters; the results times `factors`."""

    run: Callable[..., tuple[Tensor, ...]]
    factors: tuple[float, ...]
    finite: tuple[bool, ...] = (False, False)  # whether each is known to be so, at ±∞ as well
    certain: bool = False  # whether both are known to be right where u is +∞
    turned: bool = False  # takes -u instead of u


def of_call(
    call: Call,
    orders: tuple[int, ...],
    dtype: torch.dtype,
    *,
    form_of: str = PLAIN,
    label: Tensor | None = None,
    owned: bool = True,
) -> tuple[Form, Callable[[Tensor], tuple[Tensor, ...]]]:
    """ψ of a call in one of its forms, and the same with the parameters of the call put in."""
    psi = Psi(call)
    numbers = psi.by_class(label)
    found = form(registered(psi.key, form_of, psi.fixed), orders, numbers, dtype, owned=owned)
    if not call.loss.formula.builtin:  # a person's own may have a pole anywhere
        found = replace(found, finite=(False,) * len(orders))
    return found, lambda u: found.run(u, *numbers)


def form(
    key: str, orders: tuple[int, ...], numbers: Numbers, dtype: torch.dtype, *, owned: bool = True
) -> Form:
    """ψ (order 0) or ψ' (order 1) or both, of a u that may be overwritten or may not.

    Some take -u: whoever calls has a sign to choose, mostly at no cost.
    """
    found = _found.get((key, orders, numbers, dtype, owned)) if _hashable(numbers) else None
    if found is not None:
        return found
    # Nothing can be tried out where somebody records or only pretends, nor with every tensor.
    if not _hashable(numbers) or not looking.readable():
        return _plain(key, orders)
    if len(_found) > 4096:  # somebody sweeps a parameter
        _found.clear()
    found = _found[key, orders, numbers, dtype, owned] = _tried(key, orders, numbers, dtype, owned)
    return found


_found: dict[Any, Form] = {}


def _hashable(numbers: Numbers) -> bool:
    return all(type(number) is float for number in numbers)


def _tried(
    key: str, orders: tuple[int, ...], numbers: Numbers, dtype: torch.dtype, owned: bool
) -> Form:
    """The shortest form that does what the plain one does where floating point ends."""
    plain, ends = _plain(key, orders), _ends(dtype)
    wanted = plain.run(ends, *numbers)
    finite = tuple(bool(torch.isfinite(x[1:]).all()) for x in wanted)
    surely = plain.run(ends.new_full((1,), CERTAIN), *numbers)
    certain = all(bool(torch.allclose(x[1], y)) for x, y in zip(wanted, surely, strict=True))
    # Where ψ is NaN of a number, that number is none that a link makes: log p is never above 0.
    counts = [torch.isnan(ends) | ~torch.isnan(x) for x in wanted]
    for tried in (*_candidates(key, orders, numbers, dtype, owned), plain):
        found = tried.run(-ends if tried.turned else ends.clone(), *numbers)
        if all(
            a.dtype == dtype and torch.allclose((a * f)[i], b[i], 1e-4, 1e-30, equal_nan=True)
            for a, f, b, i in zip(found, tried.factors, wanted, counts, strict=True)
        ):
            break
    return replace(tried, finite=finite, certain=certain)


def _candidates(
    key: str, orders: tuple[int, ...], numbers: Numbers, dtype: torch.dtype, owned: bool
) -> Iterator[Form]:
    yield _short(key, orders, owned)
    yield _short(key, orders, owned, bounded=True)
    if len(orders) == 1:
        yield _short(key, orders, owned, beyond(dtype))
    else:
        second = form(key, orders[1:], numbers, dtype, owned=owned)
        yield _apart(_short(key, orders[:1], owned=False), second)


def _apart(first: Form, second: Form) -> Form:
    """Two forms, one after the other."""

    def run(u: Tensor, *parameters: Any) -> tuple[Tensor, ...]:
        results = first.run(-u if first.turned else u, *parameters)
        return *results, *second.run(u.neg_() if second.turned else u, *parameters)

    return Form(run, first.factors + second.factors)


@lru_cache(maxsize=4)
def _ends(dtype: torch.dtype) -> Tensor:
    info = torch.finfo(dtype)
    sizes = [math.inf, info.max, beyond(dtype), info.max**0.5, info.max ** (1 / 3), 1e3, 100.0]
    sizes += [20.0, 1.0, 0.5, info.eps, info.tiny**0.5, info.tiny, 0.0]
    ends = [math.nan, *sizes, *(-s for s in sizes)]
    return torch.tensor(ends, dtype=dtype, device="cpu")


@cache
def _short(
    key: str,
    orders: tuple[int, ...],
    owned: bool = True,
    far: float | None = None,
    bounded: bool = False,
) -> Form:
    """Few operations. The limit of what is 0 · ∞ as it stands: hold u, or factors of the slope."""
    text = program(key, orders)
    outputs = tree.read(text)
    factors, nodes = zip(*(tree.coefficient(output) for output in outputs), strict=True)
    if bounded:
        nodes = tuple(tree.bounded(n) if o else n for n, o in zip(nodes, orders, strict=True))
    nodes = tuple(n if tree.keeps_nan(n) else ("keep_nan", tree.U, n) for n in nodes)
    opposite = tuple(tree.turned(n) for n in nodes)
    turned = all(n is not None for n in opposite) and any(
        a != b for a, b in zip(nodes, opposite, strict=True)
    )
    name = f"{key}{orders}"
    return Form(
        thrift.made(opposite if turned else nodes, text.arguments, owned=owned, far=far, name=name),
        factors,
        turned=turned,
    )


@cache
def _plain(key: str, orders: tuple[int, ...]) -> Form:
    runs = [partials(key, order) for order in orders]

    def run(u: Tensor, *parameters: Any) -> tuple[Tensor, ...]:
        found: list[Tensor] = []
        for one in runs:
            (x,) = one(u, *parameters)
            taken = x is u or any(x is y for y in found)
            found.append(x.clone() if taken else x)  # each is somebody's to write into
        return tuple(found)

    return Form(run, (1.0,) * len(runs))
