"""Learned class centres: each row's distance to the centre of its class, never to all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Never

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossmith.engine import looking
from lossmith.errors import (
    DtypeError,
    InputError,
    LabelError,
    ParameterError,
    ShapeError,
    UnsupportedError,
)
from lossmith.face import checks, names, settings
from lossmith.face.catalogue import FUNCTIONS
from lossmith.face.modules import Loss
from lossmith.face.summand import Summand
from lossmith.formula.domain import as_number
from lossmith.formula.ledger import find
from lossmith.link import shapes
from lossmith.link.link import entry
from lossmith.risk.ranks import Group
from lossmith.risk.unmoved import Unmoved

_NAME = "CenterLoss"
_TRANSFORMED = (
    f'{_NAME}: update="paper" moves the centres at each call in training mode, and a torch.func '
    "transform cannot move what comes from outside of it. Call loss.eval() for the transform, or "
    'use update="gradient".'
)
_HALVES = (torch.float16, torch.bfloat16)
# torch 2.6 cannot tell an export from a compilation; what exports also compiles.
_exporting: Any = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)
_NOTHING = -0.0  # x + (-0.0) is x to the last bit for every x, which +0.0 does not do for -0.0


class CenterLoss(Summand, nn.Module):
    """Pull the features of each class together around a centre that is learned with them.

    Added with a small weight to a cross-entropy on the same features, it makes classes compact:
    loss = cross_entropy(logits, target) + 0.01 * center(features, target).

    Formula:
        loss = Σ_d ψ(x_d - c_yd), by default ψ(u) = u²/2, hence ½‖x - c_y‖²
        update="paper": c_j ← c_j + α Σ_{y_i=j} w_i (x_i - c_j) / (1 + Σ_{y_i=j} w_i), after the
        loss of the batch was computed from the centres as they were. It needs no optimiser and
        knows nothing of the loss's weight, its ψ or its reduction. Like BatchNorm's statistics,
        centres move at each call in training mode, with or without grad; model.eval() holds them.
        update="gradient": centres are a Parameter for your optimiser, with the loss's gradient. A
        warning says so, once, if they have not moved in the first 256 training calls.

    Shapes:
        features: (N, dim) or (N, dim, d1, …). target: class indices, (N,) or (N, d1, …).
        sample_weight, mask: the target's shape, or a size of 1 where they repeat.
        Result: a scalar, or with reduction="none" one loss for each row, (N, d1, …).
        centers: (num_classes, dim), float32 and zero at first, so that all ranks begin alike.

    Parameters:
        num_classes: number of centres.
        dim: number of features.
        update (default "paper"): "paper" or "gradient", see Formula.
        alpha (default 0.5): in (0, 1], the share of the way that a centre goes; "paper" only.
        loss (default None, ½u²): a residual loss by name, function or Module, for example
            lossmith.Huber(delta=1.0). A Module brings its settings, except for its reduction.
        ignore_index (default -100): rows with this class index are dropped.
        reduction (default "mean"): "mean" = total / mass, mass = Σ weight; "sum", or "none".
        process_group (default None, the default group): the ranks that share the centres.
        forward(features, target, sample_weight=None, mask=None) takes the data of a batch:
        non-negative weights, by which a row also pulls its centre, and True in the mask for rows
        that count.

    Dropped rows reach nothing, NaN included. Where a NaN or infinity does count, the loss shows it
    and "paper" leaves that row out of the centres, which would never recover. A batch of mass 0
    gives a connected 0 and moves no centre. Memory beyond the centres is O(N·dim); half precision
    is computed in float32, and neither autocast nor .half() touches the centres' float32.

    With torch.distributed, "paper" adds up counts and sums over all ranks (num_classes · (dim + 1)
    numbers at each call), so the centres are those of one process on the joined batch; a rank
    without rows has to call the loss as well, with an empty batch. With "gradient" nothing is
    exchanged here: DistributedDataParallel averages the centres' gradient like any other.

    Errors:
        InputError (a ValueError) for wrong shapes, dtypes, labels and parameters: what was given,
        what is needed. Labels and weights are looked at on the CPU only.

    Source: Wen et al. 2016, A discriminative feature learning approach for deep face recognition,
    doi:10.1007/978-3-319-46478-7_31, eq. 2 to 4.
    """

    centers: Tensor
    loss: Loss | None
    update: str
    alpha: float
    ignore_index: int
    reduction: str
    _group: Group
    _expected: Unmoved

    def __init__(
        self,
        num_classes: int,
        dim: int,
        update: str = "paper",
        alpha: float = 0.5,
        loss: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        *,
        process_group: Any = None,
    ) -> None:
        super().__init__()
        self.num_classes = settings.count(_NAME, "num_classes", num_classes)
        self.dim = settings.count(_NAME, "dim", dim)
        if not isinstance(update, str) or update not in ("paper", "gradient"):
            raise InputError(
                f'{_NAME}: update={settings.shown(update)} is not known. Use "paper" '
                '(centres move by themselves in training mode) or "gradient" (centres are a '
                "parameter for the optimiser)."
            )
        share = as_number(alpha)
        if share is None or not 0.0 < share <= 1.0:
            raise ParameterError(
                f"{_NAME}: alpha = {settings.shown(alpha)} is outside (0, 1]. It is the share "
                "of the way to the mean of its rows that a centre goes; the default is 0.5."
            )
        self.update, self.alpha = update, share
        self.ignore_index = settings.index(_NAME, ignore_index)
        self.reduction = settings.reduction(_NAME, reduction)
        self.loss = _residual(loss)
        self._group = Group(process_group)
        self._expected = Unmoved()
        centers = torch.zeros(self.num_classes, self.dim, dtype=torch.float32)
        if update == "gradient":
            self.centers = nn.Parameter(centers)
        else:
            self.register_buffer("centers", centers)

    @names.listed
    def forward(
        self,
        features: Tensor,
        target: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        **unknown: Never,
    ) -> Tensor:
        """The reduced loss of a batch; in training mode "paper" then moves the centres."""
        if unknown:
            names.refuse(_NAME, unknown, self.forward)

        def reduced(function: Any, **batch: Any) -> Tensor:
            result: Tensor = function(**batch, reduction=self.reduction)
            if self.reduction == "none":
                return result.sum(1)
            # The mean over rows, where the function took one over rows and features.
            return result * self.dim if self.reduction == "mean" else result

        return self._halved(self._run(reduced, features, target, sample_weight, mask))

    @names.listed
    def total(
        self,
        features: Tensor,
        target: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
        **unknown: Never,
    ) -> tuple[Tensor, Tensor]:
        """(total, mass) of a batch; in training mode "paper" then moves the centres."""
        if unknown:
            names.refuse(_NAME, unknown, self.total)

        def pair(function: Any, **batch: Any) -> tuple[Tensor, Tensor]:
            return function.total(**batch)

        total, mass = self._run(pair, features, target, sample_weight, mask)
        return self._halved(total), mass / self.dim

    def _run(
        self,
        reduce: Callable[..., Any],
        features: Tensor,
        target: Tensor,
        sample_weight: Tensor | None,
        mask: Tensor | None,
    ) -> Any:
        self._check(features, target, sample_weight, mask)
        labels = shapes.indices(_NAME, target)
        keep = labels != self.ignore_index
        if mask is not None:
            keep = keep & mask
        if sample_weight is not None:
            keep = keep & (sample_weight != 0)
        every = False
        if looking.readable(target):
            self._look(labels, keep, sample_weight)
            every = bool(keep.all())
        index = torch.where(keep, labels, 0).flatten()
        own = F.embedding(index, self.centers)  # a copy: moving the centres leaves it alone
        function = FUNCTIONS["l2"] if self.loss is None else self.loss.function
        settings = {} if self.loss is None else self.loss.given()
        settings.pop("reduction", None)
        result = reduce(
            function,
            prediction=features,
            target=own.unflatten(0, labels.shape).movedim(-1, 1),
            sample_weight=None if sample_weight is None else sample_weight.unsqueeze(1),
            mask=None if every else keep.unsqueeze(1),
            **settings,
        )
        if self.training and self.update == "gradient":
            self._expected.call(_NAME, "centers", self.centers)
        if self.training and self.update == "paper":
            weighted = sample_weight is not None
            amount = (
                torch.where(keep, sample_weight.detach(), 0.0)
                if sample_weight is not None
                else keep
            )
            if torch.compiler.is_compiling():
                _not_transformed()
            try:
                self._move(features.detach(), index, amount.flatten(), own.detach(), weighted)
            except RuntimeError as error:
                if not looking.transformed():
                    raise
                raise UnsupportedError(_TRANSFORMED) from error
        return result

    def _halved(self, value: Tensor) -> Tensor:
        """The default is half of `l2`, which is u²; halving is exact."""
        return value * 0.5 if self.loss is None else value

    @torch.no_grad()
    def _move(
        self, features: Tensor, index: Tensor, amount: Tensor, own: Tensor, weighted: bool
    ) -> None:
        """Eq. 4, with a weight (0: dropped) for each row; every sum is over the rows of a class."""
        centers = self.centers
        away = features.movedim(1, -1).reshape(-1, self.dim).to(centers.dtype) - own
        amount = amount.to(centers.dtype)
        # A row with a NaN or infinity has no finite sum, and its sum is cheaper to look at.
        sound = (amount != 0) & amount.isfinite() & away.sum(1).isfinite()
        amount = torch.where(sound, amount, 0.0)
        away.masked_fill_(~sound.unsqueeze(1), 0.0)
        if weighted:
            away.mul_(amount.unsqueeze(1))
        rows, several = index.numel(), self._group.several()
        # An exported program has no branch on the size of its batch.
        if several or _exporting() or self.num_classes <= rows:
            sums, mass = _sums(away, amount, index, self.num_classes)
            if several:
                self._group.add(sums)
                self._group.add(mass)
            centers.add_(self._step(sums, mass))
            return
        # More classes than rows: the sums of a class are gathered at the place of one of its rows,
        # whichever the table ends up with. No memory of num_classes × dim, and no shape that
        # depends on the labels, for which a device would be waited for. Rows of a class then
        # write the same numbers.
        table = torch.empty(self.num_classes, dtype=index.dtype, device=index.device)
        table[index] = torch.arange(rows, device=index.device)
        place = table[index]
        step = self._step(*_sums(away, amount, place, rows))
        centers[index] = step.index_select(0, place).add_(own)

    def _step(self, sums: Tensor, mass: Tensor) -> Tensor:
        """α·sums / (1 + mass), in place: fresh memory is what such a pass costs most."""
        mass = mass.unsqueeze(1)
        return sums.mul_(self.alpha / (1.0 + mass)).masked_fill_(mass == 0, _NOTHING)

    def _check(
        self, features: Any, target: Any, sample_weight: Tensor | None, mask: Tensor | None
    ) -> None:
        """What shapes, dtypes and devices can tell."""
        for argument, value in (("features", features), ("target", target)):
            if not isinstance(value, Tensor):
                settings.no_tensor(_NAME, argument, value)
            settings.dense(_NAME, argument, value)
        if features.dtype not in settings.FLOATS:
            raise DtypeError(
                f"{_NAME}: features are {features.dtype}; they must be real floating numbers. Are "
                "features and target swapped?"
            )
        if target.dtype not in settings.INTEGERS:
            raise DtypeError(
                f"{_NAME}: the target is {target.dtype}; give class indices (int64). A row has one "
                "centre, so distributions over classes are not taken."
            )
        if features.dim() < 2 or features.shape[1] != self.dim:
            raise ShapeError(
                f"{_NAME}: features have shape {tuple(features.shape)}; they need (N, {self.dim}) "
                f"or (N, {self.dim}, d1, …), dim = {self.dim} features on dimension 1."
            )
        rows = features.shape[:1] + features.shape[2:]
        if target.shape != rows:
            raise ShapeError(
                f"{_NAME}: features of shape {tuple(features.shape)} need class indices of shape "
                f"{tuple(rows)}, got {tuple(target.shape)}."
            )
        shapes.device(_NAME, "target", target, features)
        shapes.device(_NAME, "centers", self.centers, features)
        if sample_weight is not None:
            checks.per_loss(_NAME, "sample_weight", sample_weight, rows, features)
        if mask is not None:
            checks.per_loss(_NAME, "mask", mask, rows, features)

    def _look(self, labels: Tensor, keep: Tensor, sample_weight: Tensor | None) -> None:
        """What is wrong with the values of labels and weights, dropped rows left out."""
        bad = keep & ((labels < 0) | (labels >= self.num_classes))
        if bad.any():
            place = tuple(bad.nonzero()[0].tolist())
            more = f" ({int(bad.sum())} such labels)" if bad.sum() > 1 else ""
            raise LabelError(
                f"{_NAME}: {entry(place)} = {labels[place].item()} is no "
                f"class{more}: num_classes = {self.num_classes}, classes are 0 to "
                f"{self.num_classes - 1}. Rows to leave out carry ignore_index "
                f"({self.ignore_index}) or a mask."
            )
        if sample_weight is not None and (keep & (sample_weight < 0)).any():
            raise InputError(
                f"{_NAME}: sample_weight goes down to {sample_weight.min().item():g}; it must not "
                "be negative, for it counts how often a row pulls at its centre."
            )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> CenterLoss:
        """Follow `.to()`, but stay out of half precision, where small steps round to nothing."""

        def careful(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            if moved.dtype in _HALVES and tensor.dtype not in _HALVES:
                return tensor.to(moved.device)
            return moved

        super()._apply(careful, recurse)
        return self

    def extra_repr(self) -> str:
        """Settings, as the constructor takes them."""
        alpha = f"alpha={self.alpha}, " if self.update == "paper" else ""
        return (
            f"{self.num_classes}, {self.dim}, update={self.update!r}, {alpha}"
            f"ignore_index={self.ignore_index}, reduction={self.reduction!r}"
        )


def _sums(rows: Tensor, weight: Tensor, place: Tensor, places: int) -> tuple[Tensor, Tensor]:
    """Sums of rows and of their weights by place."""
    # An embedding's gradient is such a sum: in a fixed order, and a hundred times as fast on the
    # CPU as index_add_ over rows.
    sums = torch.ops.aten.embedding_dense_backward(rows, place, places, -1, False)
    return sums, weight.new_zeros(places).index_add_(0, place, weight)


def _residual(loss: Any) -> Loss | None:
    """The Module of a residual loss given in any of the usual ways."""
    if loss is None:
        return None
    if isinstance(loss, str):
        loss = FUNCTIONS[find(loss).name]
    if not isinstance(loss, Loss):
        function = getattr(loss, "function", loss)  # a Module's class knows its function
        module = getattr(function, "Module", None)
        loss = module() if isinstance(module, type) else loss
    if (
        not isinstance(loss, Loss)
        or loss.loss.formula.family != "residual"
        or not loss.loss.link.natural
    ):
        raise InputError(
            f"{_NAME}: loss={loss!r} is no residual loss. Give a name such as 'huber', a function "
            "such as lossmith.huber, or a Module such as lossmith.Huber(delta=1.0); `lossmith "
            "list` shows the residual family."
        )
    return loss


@looking.constant_to_tracers  # whose user sees what is raised here as it is
def _not_transformed() -> None:
    if looking.transformed():
        raise UnsupportedError(_TRANSFORMED)
