"""A residual loss of how far a point is off, whatever the direction."""

from __future__ import annotations

from typing import Any

from lossmith.face.relinked import Relinked


class Radial(Relinked):
    """A loss of the distance between two points: end-point error, keypoints, Huber of a norm.

    Formula:
        ψ(‖prediction - target‖₂), the norm over the last dimension, for any residual formula ψ that
        is the same for u and -u. Its gradient points along prediction - target; at the target
        itself it is 0, also where ψ has a corner there.

    Shapes:
        prediction: (…, D), a point of D coordinates for each loss; target: the same.
        Result: a scalar, or with reduction="none" one loss for each point, (…).

    Parameters:
        loss (default "huber"): a residual loss by name, function or Module: "l1" is the end-point
            error of optical flow, "l2" the squared distance. A Module brings its settings along;
            giving one of them another value here is an error.
        reduction (default "mean"): "mean" = total / mass over points, "sum", or "none".
        parameters: those of the loss, for example delta=2.0 for "huber", in units of the distance.

    Errors:
        InputError for a loss that is no residual loss or asks for the sign of a residual, such as
        "pinball", and for wrong shapes.

    Source: Baker et al. 2011, doi:10.1007/s11263-010-0390-2 (the end-point error).
    """

    link = "norm"
    examples = ("huber", "l1")

    def __init__(self, loss: Any = "huber", *, reduction: str = "mean", **parameters: Any) -> None:
        self._make(loss, {"reduction": reduction}, parameters)
