"""Primitives written out in what torch has fused, so that value and slope share the parts.

Each keeps the digits of the primitive over its whole range: products and quotients of what has its
digits, and no difference of two numbers that nearly agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Node = tuple[Any, ...]


def k(value: float) -> Node:
    return ("k", value)


def _rhypot(x: Node) -> Node:
    return ("/", k(1.0), ("root", ("held", x)))


def _unit(x: Node) -> Node:
    return ("/", ("held", x), ("root", ("held", x)))


def _hypot1m1(x: Node) -> Node:
    return ("/", ("*", x, _unit(x)), ("+", _rhypot(x), k(1.0)))


def _log1p_square(x: Node) -> Node:
    return ("*", ("log1p", _hypot1m1(x)), k(2.0))


def _log_cosh(x: Node) -> Node:
    a, t = ("absolute", x), ("tanh", x)
    near = ("*", k(-0.5), ("log1p", ("-", ("square", t))))
    far = ("+", ("+", a, ("softplus", ("*", a, k(-2.0)))), k(-0.6931471805599453))
    return ("where", ("<", a, k(1.0)), near, far)


def _softsign(x: Node) -> Node:
    return ("/", ("held", x), ("+", ("absolute", ("held", x)), k(1.0)))


def _gauss_rise(x: Node) -> Node:
    return ("-", ("expm1", ("-", ("square", x))))


def _gauss_moment(x: Node, n: int) -> Node | None:
    return ("*", x, ("exp", ("-", ("square", x)))) if n == 1 else None


def _logistic_density(x: Node) -> Node:
    return ("*", ("sigmoid", x), ("sigmoid", ("-", x)))


UNFOLD: dict[str, Callable[..., Node | None]] = {
    "rhypot": _rhypot,
    "unit": _unit,
    "hypot1m1": _hypot1m1,
    "log1p_square": _log1p_square,
    "log_cosh": _log_cosh,
    "softsign": _softsign,
    "gauss_rise": _gauss_rise,
    "gauss_moment": _gauss_moment,
    "logistic_density": _logistic_density,
}


def gathered(node: Node) -> Node | None:
    """e^x - 1 - x and a share k of 1 - e^x as -x and one of k - 1: no term is negative if k ≥ 1."""
    excess, more = node[1:]
    if excess[0] != "exp_excess":
        excess, more = more, excess
    if excess[0] != "exp_excess" or more[0] != "*" or more[2][0] != "k" or more[2][1] < 1:
        return None
    x, rest = excess[1], more[1]
    if rest == ("complement", x):  # whose x is never positive
        return ("+", ("-", x), ("*", rest, k(more[2][1] - 1)))
    if x[0] == "-" and x[1][0] == "softplus" and rest == ("sigmoid", x[1][1]):
        return ("+", x[1], ("*", rest, k(more[2][1] - 1)))
    return None
