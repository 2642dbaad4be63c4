"""From a person's arguments to a checked Call: the one road of every loss."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.compiler import is_compiling

from lossmith.errors import InputError
from lossmith.face import checks, values
from lossmith.link.dtypes import compute_dtype
from lossmith.link.link import Call, Linked

# Settings that were found right before; a small loss should not pay for looking again.
_GOOD: set[tuple[str, tuple[Any, ...]]] = set()


def checked(
    loss: Linked,
    prediction: Any,
    target: Any,
    parameters: tuple[Any, ...],
    sample_weight: Any,
    mask: Any,
    options: tuple[Any, ...] = (),
    argument: str = "target",
    level: int = 4,
) -> Call:
    """The call, its options in the order of `loss.options`.

    `argument`: how the target came; `level`: where a person's own line is, for warnings.
    """
    name, link = loss.name, loss.link
    rows, target = link.check(name, prediction, target, argument)
    if sample_weight is not None:
        checks.per_loss(name, "sample_weight", sample_weight, rows, prediction)
    if mask is not None:
        checks.per_loss(name, "mask", mask, rows, prediction)
    if parameters:
        parameters = _parameters(loss, parameters, prediction)
    call = Call(loss, prediction, target, parameters, sample_weight, mask)
    if options:
        for option, value in zip(loss.options, options, strict=True):
            default = option.default
            # Not by == alone: of a tensor that is a tensor again.
            if value is not default and (type(value) is not type(default) or value != default):
                checks.option(call, option, value)
    if link.classes:
        values.expect_logits(name, name, prediction, level)
    return call


def of_several(
    loss: Linked,
    prediction: Any,
    targets: tuple[Any, ...],
    parameters: tuple[Any, ...],
    sample_weight: Any,
    mask: Any,
    options: tuple[Any, ...] = (),
) -> Call:
    """The call of a loss whose target may come under one of several names."""
    words = loss.link.targets
    given = [i for i, target in enumerate(targets) if target is not None]
    if len(given) != 1:
        got = "neither" if not given else "both"
        raise InputError(
            f"{loss.name}: got {got} of {' and '.join(words)}; give exactly one: "
            + ", ".join(
                f"{word}= for {what}" for word, what in zip(words, loss.link.means, strict=True)
            )
            + "."
        )
    (which,) = given
    call = checked(
        loss, prediction, targets[which], parameters, sample_weight, mask, options, words[which], 5
    )
    call.scores = which > 0
    return call


def _parameters(loss: Linked, given: tuple[Any, ...], prediction: Tensor) -> tuple[Any, ...]:
    if is_compiling():  # a tracer would compile again whenever _GOOD has grown
        return _look(loss, given, prediction)
    for value in given:
        if type(value) is not float:
            return _look(loss, given, prediction)
    if (loss.key, given) not in _GOOD:
        _look(loss, given, prediction)
        if len(_GOOD) > 4096:  # somebody sweeps a parameter
            _GOOD.clear()
        _GOOD.add((loss.key, given))
    return given


def _look(loss: Linked, given: tuple[Any, ...], prediction: Tensor) -> tuple[Any, ...]:
    made = tuple(
        checks.parameter(loss.name, spec, value, prediction, loss.link)
        for spec, value in zip(loss.formula.parameters, given, strict=True)
    )
    if any(isinstance(value, Tensor) for value in made):
        dtype = compute_dtype(prediction.dtype)
        made = tuple(v.to(dtype) if isinstance(v, Tensor) else v for v in made)
    return made
