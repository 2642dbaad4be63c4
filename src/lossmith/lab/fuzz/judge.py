"""One drawn call, the library's answer held against the definition's."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from lossmith.errors import LossmithError
from lossmith.face import catalogue, multiclass, radial
from lossmith.face.inspect import derivatives
from lossmith.lab.definition import loss as definition
from lossmith.lab.definition.psi import MARGIN, RESIDUAL
from lossmith.lab.fuzz.calls import Case, settings
from lossmith.lab.fuzz.layouts import lay, memory
from lossmith.lab.fuzz.tensors import Made, make

# Of value and gradient, relative to the largest (a gradient: to the largest sum of its parts'
# sizes), and absolute: half a step of a gradient that is stored in half precision.
TOLERANCE = {
    "float64": (1e-12, 1e-12, 0.0),
    "float32": (5e-6, 1e-5, 0.0),
    "bfloat16": (5e-6, 2.0**-8 + 1e-5, 0.0),
    "float16": (5e-6, 2.0**-11 + 1e-5, 2.0**-25),
}
# Second derivatives, by torch's own differentiation of the definition, which rounds as well.
SECOND = {"float64": 1e-9, "float32": 1e-4, "bfloat16": 1e-4, "float16": 1e-4}
# Links that a Module puts around another loss.
WRAPPERS: dict[str, Any] = {
    "crammer_singer": multiclass.CrammerSinger,
    "one_vs_rest": multiclass.OneVsRest,
    "norm": radial.Radial,
}
GAP = 1e-3  # nearer to a kink or a tie, a slope is a convention


def judge(case: Case) -> str | None:
    """What is wrong with a case, in one line that repeats it; None if nothing is."""
    threads = torch.get_num_threads()
    torch.set_num_threads(case.threads)
    try:
        for which, shape in enumerate(case.shapes):
            try:
                fault = _one(case, which)
            except LossmithError as error:
                fault = f"refused: {error}"
            except Exception as error:  # whatever it is: a library that is called right raises none
                fault = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            if fault:
                return f"{fault}, at shape {shape} of {case}"
    finally:
        torch.set_num_threads(threads)
    return None


def _one(case: Case, which: int) -> str | None:
    made = make(case, which)
    kept = [memory(x) for x in made.data()]
    truth = _Truth(case, made)
    fault = _FACES.get(case.face, _function)(case, made, truth)
    for x, bytes_before in zip(made.data(), kept, strict=True):
        if not torch.equal(memory(x), bytes_before):
            return "a tensor that was given has been written to"
    return fault


class _Truth:
    """The definition's answer for a call, and where a slope is no more than a convention."""

    def __init__(self, case: Case, made: Made) -> None:
        self.case = case
        self.wide = made.z.detach().double().clone().requires_grad_()
        target = made.target
        if case.labels == "logits":
            target = torch.softmax(target.double(), 1)
        self.options = made.options(case)
        self.leaves: dict[str, Tensor] = {}
        for name, value in made.learned.items():
            wide = value.detach().double()
            # A number for each element, so that a sum's parts can be seen.
            wide = wide.expand(made.z.shape).clone() if case.elementwise else wide.clone()
            self.leaves[name] = self.options.parameters[name] = wide.requires_grad_()
        formula = case.formula
        self.given = (case.link, formula, self.wide, target, self.options)
        self.smooth = ~_rough(case, self.wide.detach(), target, self.options.parameters)

    def value(self) -> Tensor:
        return definition.loss(*self.given)

    def gradient(self, loss: Tensor, at: Tensor, upstream: Tensor, graph: bool = False) -> Tensor:
        if not loss.requires_grad:
            return torch.zeros_like(at)
        return torch.autograd.grad(
            loss, at, upstream.double(), retain_graph=True, allow_unused=True,
            materialize_grads=True, create_graph=graph,
        )[0]  # fmt: skip

    def size(self, at: Tensor, upstream: Tensor) -> Tensor:
        """Σ |part| of a gradient."""
        whole = [self.gradient(p, at, upstream).abs() for p in definition.parts(*self.given)]
        return torch.stack(whole).sum(0)


def _rough(case: Case, z: Tensor, target: Tensor, parameters: dict[str, Any]) -> Tensor:
    """Where a score lies near a kink or ties with another (of a row of rivals: the whole row)."""
    rough = torch.zeros(z.shape, dtype=torch.bool)
    plain = {k: v.detach() if isinstance(v, Tensor) else v for k, v in parameters.items()}
    if case.link == "residual":
        for kink in RESIDUAL[case.formula].kinks(**plain):
            rough |= (z - target.double() - kink).abs() < GAP
    elif case.link == "norm":
        length = torch.linalg.vector_norm(z - target.double(), dim=-1, keepdim=True)
        near = length < GAP  # where the direction is that of rounding
        for kink in RESIDUAL[case.formula].kinks(**plain):
            near = near | ((length - kink).abs() < GAP)
        rough |= near
    elif case.link in ("margin", "one_vs_rest"):
        for kink in MARGIN[case.formula].kinks(**plain):
            rough |= ((z - kink).abs() < GAP) | ((z + kink).abs() < GAP)
    elif case.link == "crammer_singer":
        best = z.nan_to_num(0.0).topk(min(3, z.shape[1]), 1).values
        row = ((best[:, :-1] - best[:, 1:]) < GAP).any(1, keepdim=True)
        rival = torch.where(z == best[:, :1], best[:, 1:2], best[:, :1])
        for kink in MARGIN[case.formula].kinks(**plain):
            row = row | ((z - rival - kink).abs() < GAP).any(1, keepdim=True)
        rough |= row
    return rough


@cache
def loss_of(case_link: str, formula: str) -> Any:
    """The function of a loss behind a link."""
    if case_link in WRAPPERS:
        return WRAPPERS[case_link](formula).function
    return catalogue.FUNCTIONS[formula]


def _arguments(case: Case, made: Made) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings, and the data of a batch."""
    fixed = {**settings(case), **dict(case.parameters), **made.learned}
    for name in ("class_weight", "alpha"):
        if (value := getattr(made, name)) is not None:
            fixed[name] = value
    data = {
        name: value
        for name, value in (("sample_weight", made.weight), ("mask", made.mask))
        if value is not None
    }
    word = "target"
    if case.link == "divergence":
        word = "target_logits" if case.labels == "logits" else "target_probs"
    return fixed, {word: made.target, **data}


def _function(case: Case, made: Made, truth: _Truth) -> str | None:
    fixed, data = _arguments(case, made)
    z = made.z.detach().requires_grad_()
    if case.face == "module":
        value = _module(case, fixed | {"reduction": case.reduction})(z, **data)
    else:
        other = forward_ad.dual_level() if case.face == "reference" else contextlib.nullcontext()
        with other:
            value = loss_of(case.link, case.formula)(z, reduction=case.reduction, **fixed, **data)
    return _compare(case, made, truth, z, value, truth.value())


def _module(case: Case, fixed: dict[str, Any]) -> Any:
    # A Module makes a learned setting of its own; the leaves drawn here stay what is learned.
    fixed = {k: torch.nn.Parameter(v) if _leaf(v) else v for k, v in fixed.items()}
    if case.link in WRAPPERS:
        return WRAPPERS[case.link](case.formula, **fixed)
    return loss_of(case.link, case.formula).Module(**fixed)


def _leaf(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _total(case: Case, made: Made, truth: _Truth) -> str | None:
    fixed, data = _arguments(case, made)
    z = made.z.detach().requires_grad_()
    total, mass = loss_of(case.link, case.formula).total(z, **fixed, **data)
    truth.options.reduction = "sum"
    expected = definition.mass(*truth.given)
    if not abs(float(mass) - float(expected)) <= 1e-6 * float(expected):
        return f"mass {float(mass)}, not {float(expected)}"
    return _compare(case, made, truth, z, total, truth.value())


def _compare(
    case: Case, made: Made, truth: _Truth, z: Tensor, value: Tensor, expected: Tensor
) -> str | None:
    single = torch.float64 if case.dtype == "float64" else torch.float32
    if value.dtype != single or value.shape != expected.shape:
        return f"a result of {value.dtype} and {tuple(value.shape)}, not {tuple(expected.shape)}"
    allowed = TOLERANCE[case.dtype]
    fault = _apart("value", value.detach(), expected.detach(), None, allowed[0], 0.0)
    g = torch.Generator().manual_seed(case.seed)
    for _ in range(2):  # a second backward over the same graph, with another upstream
        if fault:
            return fault
        upstream = lay(0.1 + 2 * torch.rand(expected.shape, generator=g), case.layouts[2])
        fault = _slopes(case, made, truth, z, value, expected, upstream.to(single))
    return fault


def _slopes(
    case: Case, made: Made, truth: _Truth, z: Tensor, value: Tensor, expected: Tensor, up: Tensor
) -> str | None:
    leaves = [] if case.face == "module" else list(made.learned)
    got = torch.autograd.grad(
        value, [z, *(made.learned[n] for n in leaves)], up, retain_graph=True,
        allow_unused=True, materialize_grads=True,
    )  # fmt: skip
    if got[0].dtype != z.dtype or got[0].shape != z.shape:
        return f"a gradient of {got[0].dtype} and {tuple(got[0].shape)}"
    _, relative, absolute = TOLERANCE[case.dtype]
    want = truth.gradient(expected, truth.wide, up)
    fault = _apart("gradient", got[0], want, truth.smooth, relative, absolute)
    if fault:
        size = truth.size(truth.wide, up)
        fault = _apart("gradient", got[0], want, truth.smooth, relative, absolute, size)
    if fault or not bool(truth.smooth.all()):
        return fault
    for name, slope in zip(leaves, got[1:], strict=True):
        each = truth.gradient(expected, truth.leaves[name], up)
        whole = each.sum_to_size(slope.shape) if case.elementwise else each
        size = each.abs().sum() if case.elementwise else _largest_part(truth, up)
        close = 1e-9 if case.dtype == "float64" else 1e-4
        fault = fault or _apart(f"∂/∂{name}", slope, whole, None, close, 0.0, size)
    return fault


def _largest_part(truth: _Truth, up: Tensor) -> Tensor:
    """A bound for sums over rows: what the scores' own gradient adds up to, and the loss."""
    return truth.size(truth.wide, up).sum() + (truth.value() * up.double()).abs().sum().detach()


def _second(case: Case, made: Made, truth: _Truth) -> str | None:
    """A derivative of the gradient, along drawn directions."""
    fixed, data = _arguments(case, made)
    z = made.z.detach().requires_grad_()
    value = loss_of(case.link, case.formula)(z, reduction=case.reduction, **fixed, **data)
    expected = truth.value()
    g = torch.Generator().manual_seed(case.seed)
    up = 0.1 + torch.rand(expected.shape, generator=g, dtype=torch.float64)
    along = torch.randn(z.shape, generator=g, dtype=torch.float64)
    (slope,) = torch.autograd.grad(value, z, up, create_graph=True)
    wanted = truth.gradient(expected, truth.wide, up, graph=True)
    fault = _apart("gradient", slope.detach(), wanted.detach(), truth.smooth, 1e-11, 0.0)
    if fault or not slope.requires_grad or not wanted.requires_grad:
        return fault and _compare(case, made, truth, z, value, expected)
    turned = torch.autograd.grad(
        slope, z, along, allow_unused=True, materialize_grads=True
    )[0]  # fmt: skip
    want = truth.gradient(wanted, truth.wide, along)
    size = want.abs() + wanted.detach().abs()
    return _apart("Hessian product", turned, want, truth.smooth, SECOND["float64"], 0.0, size)


def _derivatives(case: Case, made: Made, truth: _Truth) -> str | None:
    fixed, data = _arguments(case, made)
    found = derivatives(
        loss_of(case.link, case.formula), made.z, data.pop("target"), **fixed, **data
    )
    truth.options.reduction = "none"
    value = truth.value()
    ones = torch.ones_like(value)
    slope = truth.gradient(value, truth.wide, ones, graph=True)
    allowed = TOLERANCE["float64" if case.dtype == "float64" else "float32"]
    fault = _apart("value", found.value, value.detach(), None, allowed[0], 0.0)
    size = truth.size(truth.wide, ones)
    fault = fault or _apart(
        "gradient", found.gradient, slope.detach(), truth.smooth, allowed[1], 0.0, size
    )
    axis = case.axis
    if fault or not slope.requires_grad or (axis is not None and made.z.shape[axis] > 8):
        return fault
    curved = torch.zeros_like(slope)
    if axis is None:
        curved = truth.gradient(slope, truth.wide, torch.ones_like(slope))
    else:
        for k in range(slope.shape[axis]):
            row = slope.select(axis, k)
            own = truth.gradient(row, truth.wide, torch.ones_like(row))
            curved.select(axis, k).copy_(own.select(axis, k))
    size = curved.abs() + size
    return _apart("Hessian", found.hessian, curved, truth.smooth, SECOND[case.dtype], 0.0, size)


_FACES = {"total": _total, "second": _second, "derivatives": _derivatives}


def _apart(
    what: str, got: Tensor, want: Tensor, where: Tensor | None, relative: float, absolute: float,
    size: Tensor | None = None,
) -> str | None:  # fmt: skip
    """How far two tensors are apart, if too far; `size` is what an error is relative to."""
    if got.shape != want.shape:
        return f"{what} of shape {tuple(got.shape)}, not {tuple(want.shape)}"
    if where is not None:
        got, want = got[where], want[where]
        size = None if size is None else size[where]
    if not got.numel():
        return None
    # What the dtype cannot hold is infinite in it.
    want = torch.where(want.abs() > torch.finfo(got.dtype).max, want * torch.inf, want)
    error = torch.where(got.double() == want, 0.0, (got.double() - want).abs())
    want = want.nan_to_num(0.0, 0.0, 0.0)
    largest = float((want if size is None else size).abs().max())
    if bool((error <= relative * largest + absolute).all()):  # and no NaN
        return None
    worst = int(error.nan_to_num(torch.inf).flatten().argmax())
    return f"{what} {float(got.flatten()[worst])!r} for {float(want.flatten()[worst])!r}"
