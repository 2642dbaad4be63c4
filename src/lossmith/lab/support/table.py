"""The table: a cell is "yes", or "no" with the reason raised; anything else is a defect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch

from lossmith.errors import LossmithError
from lossmith.lab.support import modes, tracers, travel
from lossmith.lab.support.rows import Row
from lossmith.lab.support.truth import MismatchError

Check = Callable[[Row, str], Any]
MODES: dict[str, Check] = {
    "backward": modes.backward,
    "double backward": modes.double_backward,
    "batched gradients": modes.batched_gradients,
    "jvp": modes.forward_mode,
    "vmap(grad)": modes.vmap_grad,
    "jacrev": modes.reverse_jacobian,
    "hessian": modes.second_derivatives,
    "compile": tracers.compiled,
    "compile(vmap(grad))": tracers.compiled_transform,
    "export": tracers.exported,
    "core ATen": tracers.core,
    "ONNX": tracers.onnx,
    "jit.trace": tracers.traced,
    "autocast bfloat16": tracers.autocast(torch.bfloat16),
    "autocast float16": tracers.autocast(torch.float16),
    "deterministic": tracers.deterministic,
    "pickle": travel.pickled,
    "state_dict": travel.state,
    "deepcopy": travel.deep_copied,
    "threads": travel.threads,
    "meta": tracers.meta,
    "FakeTensor": tracers.fake,
}
TOGETHER = (
    "compile",
    "compile(vmap(grad))",
    "export",
    "core ATen",
    "ONNX",
)  # function and Module in one graph
# What a mode needs beside the library, and cannot be measured without.
NEEDS = {"ONNX": ("onnx", "onnxscript", "onnxruntime")}


@dataclass(frozen=True)
class Cell:
    """What came of one loss in one mode."""

    row: str
    mode: str
    outcome: str  # "yes", "no" or "DEFECT"
    note: str = ""  # the backend of "yes"; the reason of "no"; what went wrong

    @property
    def text(self) -> str:
        """What the table shows."""
        return (
            f"{self.outcome}, {self.note}" if self.outcome == "yes" and self.note else self.outcome
        )


def missing(mode: str) -> list[str]:
    """The packages that a mode needs and that are not installed."""
    return [name for name in NEEDS.get(mode, ()) if find_spec(name) is None]


def measure(row: Row, mode: str) -> Cell:
    """Try every form of a loss in one mode."""
    note = ""
    for form in ("both",) if mode in TOGETHER else row.forms():
        try:
            note = MODES[mode](row, form) or note
        except MismatchError as error:
            return Cell(row.name, mode, "DEFECT", f"{form}: {error}")
        except Exception as error:  # whatever a mode makes of it is what the table is about
            ours = reason(error)
            if ours is None:
                text = f"{form}: {type(error).__name__}: {error}"
                return Cell(row.name, mode, "DEFECT", " ".join(text.split())[:2000])
            said = str(ours).partition("\n\nfrom user code:")[0]  # a compiler adds where it was
            return Cell(row.name, mode, "no", " ".join(said.split()))
    return Cell(row.name, mode, "yes", note)


def reason(error: BaseException | None) -> LossmithError | None:
    """Our own error, also where a tracer has wrapped it."""
    while error is not None:
        if isinstance(error, LossmithError):
            return error
        error = error.__cause__ or error.__context__
    return None
