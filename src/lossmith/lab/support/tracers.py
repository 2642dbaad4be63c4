"""The modes in which something else runs the loss, or only its shapes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad, vmap

from lossmith.lab.support.rows import ROWS, Row
from lossmith.lab.support.truth import MismatchError, batch, plain_run, run, same


@contextmanager
def quiet() -> Iterator[None]:
    """A fresh compiler, whose own warnings are not about the loss."""
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    torch._dynamo.reset()


def compiled(row: Row, form: str) -> str:
    """torch.compile(fullgraph=True, dynamic=True): three batch sizes, no more graphs."""
    from torch._dynamo.testing import CompileCounterWithBackend

    backend = "inductor" if row.inductor else "aot_eager"
    with quiet():
        counter = CompileCounterWithBackend(backend)
        loss = row.make(form)
        fast = torch.compile(lambda a, b: loss(a, b), fullgraph=True, dynamic=True, backend=counter)
        graphs = []
        for count in (ROWS, 2 * ROWS + 1, 3):
            _still(loss, row)
            plain_run(row, fast, *batch(row, count, count), f"{count} rows")
            graphs.append(counter.frame_count)
        if graphs[-1] - graphs[0] != row.graphs - 1:
            raise MismatchError(f"{graphs} graphs after each of three batch sizes")
    return backend + (f", {row.graphs} graphs" if row.graphs > 1 else "")


def _still(loss: Any, row: Row) -> None:
    """Centres that moved go back: each batch is held against those at the start."""
    if not isinstance(loss, nn.Module):
        return
    for name, tensor in loss.named_buffers():
        if name.endswith("centers"):
            fresh: Any = row.make("Module")
            with torch.no_grad():
                tensor.copy_(fresh.centers)


def exported(row: Row, form: str) -> None:
    """torch.export with a batch of any size: value and gradient of the exported program."""
    z, t = batch(row)
    rows = torch.export.Dim("rows", min=2)
    with quiet():
        loss: Any = row.make(form)
        program = torch.export.export(
            loss,
            (z.clone().requires_grad_(), t),
            dynamic_shapes={"prediction": {0: rows}, "target": {0: rows}},
        )
        for count in (ROWS, 2 * ROWS + 1):
            runnable = program.module()
            _still(runnable, row)
            plain_run(row, runnable, *batch(row, count, count), f"{count} rows")


def core(row: Row, form: str) -> None:
    """The exported value in torch's core operations only, which other runtimes translate."""
    z, t = batch(row)
    rows = torch.export.Dim("rows", min=2)
    with quiet(), torch.no_grad():
        loss: Any = row.make(form)
        loss.eval()
        program = torch.export.export(
            loss, (z, t), dynamic_shapes={"prediction": {0: rows}, "target": {0: rows}}
        ).run_decompositions()
        for node in program.graph.nodes:
            if node.op == "call_function" and not str(node.target).startswith(_CORE):
                raise MismatchError(f"{node.target} is none of torch's core operations")
        for count in (ROWS, 2 * ROWS + 1):
            z, t = batch(row, count, count)
            same(f"{count} rows", program.module()(z, t), row.each(z, t).mean())


_CORE = ("aten.", "<built-in function", "sym_")


@contextmanager
def _unlogged() -> Iterator[None]:
    """Without the exporter's word on each package that it would translate and does not find."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


# The exporter writes the constants of a graph in float32, whatever the dtype of its inputs.
_SINGLE = (2e-7, 2e-7)


def onnx(row: Row, form: str) -> None:
    """torch.onnx.export(dynamo=True) with a batch of any size, run by onnxruntime: the value."""
    import onnxruntime

    z, t = batch(row)
    rows = torch.export.Dim("rows", min=2)
    with quiet(), _unlogged(), torch.no_grad():
        loss: Any = row.make(form)
        loss.eval()
        program = torch.onnx.export(
            loss, (z, t), dynamo=True, verbose=False,
            dynamic_shapes={"prediction": {0: rows}, "target": {0: rows}},
        )  # fmt: skip
    text = program.model_proto.SerializeToString()  # type: ignore[union-attr]
    session = onnxruntime.InferenceSession(text, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    for count in (ROWS, 2 * ROWS + 1):
        z, t = batch(row, count, count)
        (value,) = session.run(None, dict(zip(names, (z.numpy(), t.numpy()), strict=True)))
        same(f"{count} rows", torch.as_tensor(value), row.each(z, t).mean(), _SINGLE)


def compiled_transform(row: Row, form: str) -> None:
    """torch.compile of vmap(grad): the transforms are in the graph."""
    z, t = batch(row)
    with quiet():
        loss = row.make(form)
        by_example = vmap(grad(lambda a, b: loss(a[None], b[None])))
        fast = torch.compile(by_example, fullgraph=True, backend="aot_eager")
        got = fast(z, t)
    leaf = z.clone().requires_grad_()
    (want,) = torch.autograd.grad(row.each(leaf, t).sum(), leaf)
    same("gradients by example", got, want)


def traced(row: Row, form: str) -> None:
    """torch.jit.trace with one batch: value and gradient of others, of other sizes."""
    z, t = batch(row)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss: Any = row.make(form)
        whole = loss if form == "Module" else lambda a, b: loss(a, b)  # a partial is no function
        recorded = torch.jit.trace(whole, (z, t), check_trace=False)
        for count in (ROWS, 2 * ROWS + 1, 3):
            _still(recorded, row)
            plain_run(row, recorded, *batch(row, count, count), f"{count} rows")


def autocast(dtype: torch.dtype) -> Any:
    """Scores in half precision, as a layer gives them: the loss in float32, its gradient half."""

    def check(row: Row, form: str) -> None:
        z, t = batch(row)
        z = z.to(dtype)
        if t.dim() == 2:  # a distribution: rounded to half precision it would not sum to 1
            t = t.float()
        elif t.is_floating_point():
            t = t.to(dtype)
        with torch.autocast("cpu", dtype=dtype):
            value, slope = run(row.make(form), z, t)
        exact = t.double() if t.is_floating_point() else t
        want, gradient = run(lambda a, b: row.each(a, b).mean(), z.double(), exact)
        if value.dtype not in (torch.float32, torch.float64) or slope.dtype != dtype:
            raise MismatchError(f"the loss is {value.dtype} and its gradient {slope.dtype}")
        same("value", value, want.to(value.dtype), (2e-5, 2e-6))
        half = torch.finfo(dtype).eps
        same("gradient", slope.double(), gradient, (2 * half, half * 1e-2))

    return check


def deterministic(row: Row, form: str) -> None:
    """torch.use_deterministic_algorithms: no complaint, and the same bits twice."""
    z, t = batch(row)
    before = torch.are_deterministic_algorithms_enabled()
    warn = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        plain_run(row, row.make(form), z, t, "mean")
        first, second = (run(row.make(form), z, t) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn)
    if not all(torch.equal(a, b) for a, b in zip(first, second, strict=True)):
        raise MismatchError("two runs differ")


def meta(row: Row, form: str) -> None:
    """Shapes, dtypes and device on "meta": those of the real run."""
    z, t = batch(row)
    for reduction in ("mean", "none"):
        loss: Any = row.make(form, reduction)
        if isinstance(loss, nn.Module):
            loss = loss.to("meta")
        leaf = z.to("meta").requires_grad_()
        _described(loss(leaf, t.to("meta")), leaf, row.make(form, reduction)(z, t), "meta")


def fake(row: Row, form: str) -> None:
    """The same under FakeTensorMode."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    z, t = batch(row)
    real = {r: row.make(form, r)(z, t) for r in ("mean", "none")}
    made = {r: row.make(form, r) for r in real}
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        for reduction, want in real.items():
            leaf = mode.from_tensor(z).requires_grad_()
            _described(made[reduction](leaf, mode.from_tensor(t)), leaf, want, "cpu")


def _described(got: Tensor, leaf: Tensor, want: Tensor, device: str) -> None:
    if (got.shape, got.dtype, got.device.type) != (want.shape, want.dtype, device):
        raise MismatchError(
            f"{got.dtype}{tuple(got.shape)} on {got.device}, not {want.dtype}{tuple(want.shape)}"
        )
    (slope,) = torch.autograd.grad(got.sum(), leaf)
    if (slope.shape, slope.dtype, slope.device.type) != (leaf.shape, leaf.dtype, device):
        raise MismatchError(f"the gradient is {slope.dtype}{tuple(slope.shape)} on {slope.device}")
