"""ψ as a differentiable torch operation whose derivatives come from the formula, at any order.

One `autograd.Function` class per expression. Its backward applies the classes of the partial
derivatives, which have backwards of their own: reverse, forward, double and higher derivatives,
`vmap` and `torch.compile` all follow, and none of them differentiates through floating point.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lossmith.engine.looking import constant_to_tracers
from lossmith.engine.torch_math import TORCH
from lossmith.errors import FormulaError, UnsupportedError
from lossmith.formula.program import Program
from lossmith.link.infinity import beyond

Expr = Any
_TRACED = SimpleNamespace()


class _Registered(NamedTuple):
    """An expression, and of what it is a derivative: by which arguments, from which root."""

    expression: Expr
    arguments: tuple[str, ...]
    variables: int
    root: str
    by: tuple[int, ...] = ()


_REGISTERED: dict[str, _Registered] = {}


def register(key: str, expression: Expr, arguments: tuple[str, ...], variables: int = 1) -> str:
    """Remember an expression of `arguments` under a key that `pointwise` can be asked for.

    The first of the arguments, or the first few, are variables; the others are parameters.
    """
    _REGISTERED.setdefault(key, _Registered(expression, arguments, variables, key))
    return key


def pointwise(key: str) -> Any:
    """The operation of a registered expression: `.apply(u, *parameters)`."""
    if torch.compiler.is_compiling():
        _ready_for_tracers(key)
        if orders := _orders():
            return _Jet(key, orders)
        # By attribute: tracers guard on where they found a class, and look at a dict only once.
        return getattr(_TRACED, key)
    return _eager(key)


@constant_to_tracers
def _ready_for_tracers(key: str) -> bool:
    if not hasattr(_TRACED, key):
        setattr(_TRACED, key, _for_tracers(key))
    return True


def _partial(key: str, i: int) -> str:
    """∂/∂arguments[i]. Of several variables in one order, so that ∂²/∂v∂w is ∂²/∂w∂v."""
    found = _REGISTERED[key]
    if found.variables == 1:
        return _derived(key, i)
    key = found.root
    for place in sorted((*found.by, i)):
        key = _derived(key, place)
    return key


def _derived(key: str, i: int) -> str:
    from lossmith.formula.calculus import derivative

    found = _REGISTERED[key]
    name = key + ("'" if i == 0 and found.variables == 1 else f"_{found.arguments[i]}'")
    if name not in _REGISTERED:
        expression = derivative(found.expression, found.arguments[i])
        _REGISTERED[name] = found._replace(expression=expression, by=(*found.by, i))
    return name


def program(key: str, orders: tuple[int, ...]) -> Program:
    """One program of a registered expression in u and its derivatives of these orders."""
    from lossmith.formula.lowering import make

    names = [key]
    for _ in range(max(orders)):
        names.append(_partial(names[-1], 0))
    (variable, *parameters) = _REGISTERED[key].arguments
    outputs = tuple(_REGISTERED[names[order]].expression for order in orders)
    return make(outputs, (variable,), tuple(parameters))


def partials(key: str, order: int) -> Any:
    """The program of the order-th derivative in u of a registered expression."""
    return run_text(derived(key, order))


@constant_to_tracers
def derived(key: str, order: int) -> str:
    """The key of the order-th derivative in u of a registered expression."""
    for _ in range(order):
        key = _partial(key, 0)
    return key


@cache
def run_text(key: str) -> Any:
    """The program of a registered expression over torch tensors."""
    from lossmith.formula.lowering import make

    found = _REGISTERED[key]
    variables, parameters = found.arguments[: found.variables], found.arguments[found.variables :]
    program = make((found.expression,), variables, parameters)
    run = TORCH.function(program, key)
    limited = found.by and found.variables == 1 and not program.arithmetic
    return _to_the_limit(run) if limited else run


def _to_the_limit(run: Callable[..., Any]) -> Callable[..., Any]:
    """A slope at ±∞ by its limit: there, as it stands, it may be 0 · ∞."""

    def held(u: Tensor, *parameters: Any) -> tuple[Any]:
        far = beyond(u.dtype)
        (value,) = run(torch.clamp(u, -far, far), *parameters)
        grown = torch.isinf(u) & (torch.abs(value) > far / 2**40)
        return (torch.where(grown, value * torch.inf, value),)

    return held


class _Psi(torch.autograd.Function):
    """What every operation shares: keep the inputs, tensors as tensors and numbers as numbers."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        tensors = [a for a in inputs if isinstance(a, Tensor)]
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.numbers = tuple(None if isinstance(a, Tensor) else a for a in inputs)


@cache
def _eager(key: str) -> Any:
    """Every mode at every order: the derivative is again such an operation, made when asked for."""
    program = run_text(key)

    class Psi(_Psi):
        @staticmethod
        def forward(u: Tensor, *parameters: Any) -> Tensor:
            return _own(program(u, *parameters)[0], u)

        @staticmethod
        def backward(ctx: Any, upstream: Tensor) -> Any:
            inputs = _refill(ctx)
            return tuple(
                _fold(upstream * _eager(_partial(key, i)).apply(*inputs), a)
                if ctx.needs_input_grad[i]
                else None
                for i, a in enumerate(inputs)
            )

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            inputs = _refill(ctx)
            return sum(
                t * _eager(_partial(key, i)).apply(*inputs)
                for i, t in enumerate(tangents)
                if isinstance(t, Tensor)
            )

    Psi.__name__ = Psi.__qualname__ = f"Psi[{key}]"
    return Psi


def _for_tracers(key: str) -> Any:
    """The same for `torch.compile`, which wants no forward-mode rule and nothing left to derive.

    Compiled graphs have no double backward, so the slopes are plain programs.
    """
    program = run_text(key)
    slopes = tuple(run_text(_partial(key, i)) for i in range(len(_REGISTERED[key].arguments)))

    class Psi(_Psi):
        @staticmethod
        def forward(u: Tensor, *parameters: Any) -> Tensor:
            return _own(program(u, *parameters)[0], u)

        @staticmethod
        def backward(ctx: Any, upstream: Tensor) -> Any:
            inputs = _refill(ctx)
            return tuple(
                _fold(upstream * slopes[i](*inputs)[0], a) if ctx.needs_input_grad[i] else None
                for i, a in enumerate(inputs)
            )

    # Where nothing requires grad, Dynamo counts the declared arguments to tell whether the first
    # is a context; *parameters counts as one.
    kind = inspect.Parameter.POSITIONAL_ONLY
    declared = [inspect.Parameter(n, kind) for n in _REGISTERED[key].arguments]
    Psi.forward.__signature__ = inspect.Signature(declared)  # type: ignore[attr-defined]
    Psi.__name__ = Psi.__qualname__ = f"Psi[{key}]"
    return Psi


@constant_to_tracers
def _orders() -> int:
    """How many derivatives may be taken where `torch.compile` traces transforms of torch.func.

    Each of them takes one, and so may the backward of the compiled graph.
    """
    from torch._C._functorch import TransformType, get_interpreter_stack

    taken = (TransformType.Grad, TransformType.Jvp)
    found = sum(level.key() in taken for level in get_interpreter_stack() or ())
    return found + 1 if found else 0


class _Jet:
    """The operation where a tracer meets a transform: together they know none of our own.

    Taylor's polynomial at the point itself: ψ + d·(ψ' + d/2·(ψ'' + …)), where d = u - u is 0 and
    has the slope 1. Its value is ψ's, and so are its derivatives up to that order, by whatever
    means they are taken. Where u is infinite it is NaN.
    """

    def __init__(self, key: str, orders: int) -> None:
        self.key, self.orders = key, orders

    def apply(self, *inputs: Any) -> Tensor:
        point = [a.detach() if isinstance(a, Tensor) else a for a in inputs]
        away = [
            a - b if isinstance(a, Tensor) else None for a, b in zip(inputs, point, strict=True)
        ]
        return self._taylor(self.key, 1, point, away)

    def _taylor(self, key: str, order: int, point: list[Any], away: list[Any]) -> Tensor:
        value: Tensor = getattr(_TRACED, _ready_program(key))(*point)[0]
        if order > self.orders:
            return value
        for i, d in enumerate(away):
            if d is not None:
                value = value + d / order * self._taylor(_next(key, i), order + 1, point, away)
        return value


@constant_to_tracers
def _next(key: str, i: int) -> str:
    try:
        return _partial(key, i)
    except FormulaError as error:
        name = _REGISTERED[key].arguments[i]
        raise UnsupportedError(
            f"torch.compile over torch.func needs derivatives of every order in {name}, which is a "
            f"tensor here, and there is one that cannot be derived. Give {name} as a number, or "
            "leave out torch.compile."
        ) from error


@constant_to_tracers
def _ready_program(key: str) -> str:
    name = f"program of {key}"
    setattr(_TRACED, name, run_text(key))
    return name


def _own(value: Tensor, u: Tensor) -> Tensor:
    """Autograd wants an output that is no input; of u²/2 the slope is u itself."""
    return value.clone() if value is u else value


def _refill(ctx: Any) -> list[Any]:
    tensors = iter(ctx.saved_tensors)
    return [next(tensors) if n is None else n for n in ctx.numbers]


def _fold(gradient: Tensor, like: Any) -> Tensor:
    """Sum a gradient over the dimensions along which its argument was broadcast."""
    return gradient.sum_to_size(like.shape) if gradient.shape != like.shape else gradient
