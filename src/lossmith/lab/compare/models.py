"""The networks that are trained: the same one under every loss."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from lossmith.errors import InputError


class Net(nn.Module):
    """A body that makes features and a head that makes scores from them."""

    def __init__(self, body: nn.Module, head: nn.Module, single: bool) -> None:
        super().__init__()
        self.body, self.head, self.single = body, head, single

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(rows)
        scores: Tensor = self.head(features)
        return (scores.squeeze(-1) if self.single else scores), features


def build(model: str, shape: tuple[int, ...], outputs: int, hidden: int) -> Net:
    """Make the model for rows of this shape, with first weights from torch's random state."""
    single = outputs == 1
    if model == "linear":
        return Net(nn.Flatten(), nn.Linear(prod(shape), outputs), single)
    if model == "mlp":
        body = nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), hidden), nn.ReLU())
        return Net(body, nn.Linear(hidden, outputs), single)
    if model == "cnn":
        return Net(_convolutions(shape, hidden), nn.Linear(hidden, outputs), single)
    try:
        made = _factory(model)(shape, outputs)
    except InputError:
        raise
    except Exception as error:  # a person's code may raise anything
        raise InputError(
            f"--model {model}: called with {shape}, {outputs} it raises "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(made, nn.Module):
        raise InputError(f"--model {model} gave {type(made).__name__}, not a torch.nn.Module")
    if isinstance(made, nn.Sequential) and len(made) > 1:
        net = Net(made[:-1], made[-1], single)
    else:
        net = Net(nn.Identity(), made, single)
    try:
        with torch.no_grad():
            scores = made.eval()(torch.zeros(2, *shape))
    except Exception as error:
        raise InputError(
            f"--model {model} takes no rows of shape {shape}: {type(error).__name__}: {error}"
        ) from error
    made.train()
    given = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    if given != (2, outputs):
        raise InputError(
            f"--model {model} turns 2 rows of shape {shape} into {given}; "
            f"it must give {(2, outputs)}"
        )
    return net


def hidden_features(model: str, shape: tuple[int, ...], outputs: int, hidden: int) -> int:
    """How many hidden features the model has; 0 where the head works on the rows themselves."""
    if model == "linear":
        return 0
    if model in ("mlp", "cnn"):
        return hidden
    with torch.random.fork_rng(devices=[]):
        net = build(model, shape, outputs, hidden)
    if isinstance(net.body, nn.Identity):
        return 0
    with torch.no_grad():
        features = net.eval().body(torch.zeros(2, *shape))
    return int(features.shape[1]) if features.ndim == 2 else 0


def _convolutions(shape: tuple[int, ...], hidden: int) -> nn.Sequential:
    if len(shape) != 3:
        raise InputError("--model cnn needs images, and these rows are columns: use mlp or linear")
    return nn.Sequential(
        nn.Conv2d(shape[0], 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(4),
        nn.Flatten(),
        nn.Linear(32 * 16, hidden),
        nn.ReLU(),
    )


def text_of(model: str) -> str | None:
    """The source of a person's own model, which decides the digits; None for those that are here.

    Only of the file that is named: what it imports in turn is not followed.
    """
    if ":" not in model:
        return None
    _factory(model)
    file = getattr(sys.modules[model.partition(":")[0]], "__file__", None) or ""
    return Path(file).read_text(encoding="utf-8") if file.endswith(".py") else None


def _factory(model: str) -> Callable[..., object]:
    module, _, name = model.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does
    try:
        found: Callable[..., object] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"--model {model}: {error}") from None
    except Exception as error:  # whatever the module does when it is imported
        raise InputError(f"--model {model}: {type(error).__name__}: {error}") from error
    return found
