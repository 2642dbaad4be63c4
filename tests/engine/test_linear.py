"""A linear layer with its loss in blocks, against the same loss of logits made by hand."""

import os
import random
import time
from typing import Any

import pytest
import torch
from torch import Tensor

import lossmith
from lossmith.engine.cpu.engine import Cpu
from lossmith.lab.bench.linear import extra_memory

_WHY = Cpu.why_not
NAMES = ("cross_entropy", "focal", "generalized_cross_entropy", "poly1")
SECONDS = 20.0
DRAWS = 400


@lossmith.probability
def _own(u, k: lossmith.Positive = 0.5):  # type: ignore[no-untyped-def]
    """A person's own loss."""
    return -u + k * (1 - lossmith.primitives.exp(u)) ** 2


def _losses() -> list[tuple[Any, Any, dict[str, Any]]]:
    """What is given as `loss`, the function on logits, and parameters."""
    found: list[tuple[Any, Any, dict[str, Any]]] = [(n, getattr(lossmith, n), {}) for n in NAMES]
    found += [
        ("focal", lossmith.focal, {"gamma": 0.7}),
        (lossmith.poly1, lossmith.poly1, {"epsilon": 2.0}),
        (_own, _own, {"k": 1.5}),
    ]
    return found


def _close(found: Tensor, expected: Tensor, what: str, rtol: float = 1e-11) -> None:
    torch.testing.assert_close(
        found, expected, rtol=rtol, atol=rtol, equal_nan=False, msg=lambda m: f"{what}: {m}"
    )


def _batch(draw: random.Random) -> dict[str, Any]:
    seed = draw.randrange(1 << 30)
    generator = torch.Generator().manual_seed(seed)
    lead = draw.choice([(13,), (1,), (3, 5), (40,)])
    classes = draw.choice([2, 7, 150])
    width = draw.choice([1, 4])

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    features = normal(*lead, width)
    if draw.random() < 0.3:  # strided
        features = normal(*lead, 2 * width)[..., ::2]
    weight = normal(width, classes).t() if draw.random() < 0.3 else normal(classes, width)
    soft = draw.random() < 0.4
    target: Tensor
    if soft:
        target = (2 * normal(*lead, classes)).softmax(-1)
    else:
        target = torch.randint(classes, lead, generator=generator)
    options: dict[str, Any] = {}
    if not soft and draw.random() < 0.5:
        options["ignore_index"] = draw.choice([-100, 0])
        target = torch.where(normal(*lead) < -0.3, options["ignore_index"], target)
    if draw.random() < 0.4:
        options["class_weight"] = torch.rand(classes, generator=generator).double()
        if draw.random() < 0.3:
            options["class_weight"][0] = 0.0
    if draw.random() < 0.4:
        options["label_smoothing"] = 0.1
    rows: dict[str, Any] = {}
    if draw.random() < 0.4:
        rows["sample_weight"] = (torch.rand(lead, generator=generator).double() * 2).round() * 0.7
    if draw.random() < 0.4:
        rows["mask"] = normal(*lead) > -0.5
    return {
        "features": features, "weight": weight, "target": target, "options": options, "rows": rows,
        "bias": normal(classes) if draw.random() < 0.5 else None,
        "reduction": draw.choice(["mean", "sum", "none"]),
        "block": draw.choice([None, 1, 3, 8]), "lead": lead, "seed": seed,
    }  # fmt: skip


def _one(draw: random.Random) -> None:
    batch = _batch(draw)
    loss, plain, parameters = draw.choice(_losses())
    if loss == "focal" and draw.random() < 0.3:
        parameters = {**parameters, "alpha": torch.rand(batch["weight"].shape[0]).double() + 0.1}
    given = [batch["features"], batch["weight"], batch["bias"]]
    frozen = [t is None or draw.random() < 0.3 for t in given]
    leaves = [
        None if t is None else t.detach().requires_grad_(not f)
        for t, f in zip(given, frozen, strict=True)
    ]
    features, weight, bias = leaves
    assert features is not None
    assert weight is not None
    rows = batch["rows"]
    found = lossmith.linear_loss(
        features, weight, batch["target"], bias, loss, reduction=batch["reduction"],
        sample_weight=rows.get("sample_weight"), mask=rows.get("mask"), block=batch["block"],
        **batch["options"], **parameters,
    )  # fmt: skip
    logits = (features @ weight.t() + (0.0 if bias is None else bias)).movedim(-1, 1)
    target = batch["target"]
    target = target.movedim(-1, 1) if target.is_floating_point() else target
    expected = plain(
        logits, target, reduction=batch["reduction"], **rows, **batch["options"], **parameters
    )
    _close(found, expected, "value")
    inputs = [t for t in leaves if t is not None and t.requires_grad]
    assert found.requires_grad == bool(inputs)
    if not inputs:
        return
    for _ in range(2):  # backward twice, with upstream gradients that differ
        upstream = torch.randn(found.shape, dtype=found.dtype)
        theirs = torch.autograd.grad(expected, inputs, upstream, retain_graph=True)
        ours = torch.autograd.grad(found, inputs, upstream, retain_graph=True)
        for a, b in zip(ours, theirs, strict=True):
            _close(a, b, "gradient")


def _refuse(monkeypatch: pytest.MonkeyPatch, reason: str | None) -> None:
    """Let no kernel run if there is a reason why not."""
    monkeypatch.setattr(Cpu, "why_not", lambda *a: reason or _WHY(*a))


def test_every_option_in_every_combination_equals_the_dense_road(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Most draws by the reference engine: what is tried is the blocks, and kernels compile long."""
    seed = int(os.environ.get("LOSSMITH_SEED", random.randrange(1 << 30)))
    print(f"LOSSMITH_SEED={seed}")
    begin, done = time.perf_counter(), 0
    while done < DRAWS and time.perf_counter() - begin < SECONDS:
        torch.manual_seed(seed + done)
        draw = random.Random(seed + done)
        reason = None if draw.random() < 0.03 else "a test"
        _refuse(monkeypatch, reason)
        try:
            _one(draw)
        except Exception as error:
            raise AssertionError(f"LOSSMITH_SEED={seed + done}: {error}") from error
        done += 1
    assert done >= 20


def _focal(logits: Tensor, target: Tensor, o: dict[str, Any], alpha: Tensor) -> Tensor:
    """Focal loss with every option, written out: total / mass."""
    classes = logits.shape[1]
    counted = o["mask"] & (o["sample_weight"] != 0)
    if target.is_floating_point():
        share = target
        mass = (target * o["class_weight"]).sum(1)
    else:
        counted = counted & (target != o["ignore_index"])
        label = torch.where(counted, target, 0)
        share = torch.nn.functional.one_hot(label, classes).to(logits.dtype)
        mass = o["class_weight"][label]
    mass = torch.where(counted, mass * o["sample_weight"], 0.0)
    share = (1 - o["label_smoothing"]) * share + o["label_smoothing"] / classes
    log_p = logits.log_softmax(1)
    each = (share * alpha * (1 - log_p.exp()) ** 1.5 * -log_p).sum(1)
    return (mass * each).sum() / mass.sum()


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("engine", ["reference", "kernels"])
def test_all_options_of_focal_together(
    soft: bool, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the formula written out, and against the loss of all logits at once."""
    reason = "a test" if engine == "reference" else None
    _refuse(monkeypatch, reason)
    draw = torch.Generator().manual_seed(11)
    f, w, b, target = _small()
    labels: Tensor = torch.where(torch.arange(9) == 4, -1, target)
    if soft:
        labels = (2 * torch.randn(9, 6, generator=draw, dtype=torch.float64)).softmax(1)
    alpha = torch.rand(6, generator=draw, dtype=torch.float64) + 0.1
    class_weight = torch.rand(6, generator=draw, dtype=torch.float64)
    class_weight[int(target[0])] = 0.0
    options: dict[str, Any] = {
        "class_weight": class_weight, "label_smoothing": 0.1, "ignore_index": -1,
        "mask": torch.arange(9) != 7,
        "sample_weight": torch.tensor([1, 0.5, 0, 2, 1, 1, 3, 1, 0.7], dtype=torch.float64),
    }  # fmt: skip
    found = lossmith.linear_loss(
        f, w, labels, b, "focal", gamma=1.5, alpha=alpha, block=2, **options
    )
    logits = f @ w.t() + b
    for expected in (
        _focal(logits, labels, options, alpha),
        lossmith.focal(logits, labels, gamma=1.5, alpha=alpha, **options),
    ):
        _close(found, expected, "value")
        ours = torch.autograd.grad(found, (f, w, b), retain_graph=True)
        theirs = torch.autograd.grad(expected, (f, w, b), retain_graph=True)
        for a, c in zip(ours, theirs, strict=True):
            _close(a, c, "gradient")


def _small(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    features = torch.randn(9, 4, generator=draw, dtype=torch.float64).to(dtype).requires_grad_()
    weight = torch.randn(6, 4, generator=draw, dtype=torch.float64).to(dtype).requires_grad_()
    bias = torch.randn(6, generator=draw, dtype=torch.float64).to(dtype).requires_grad_()
    return features, weight, bias, torch.randint(6, (9,), generator=draw)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("soft", [False, True])
def test_gradients_of_gradients(reduction: str, soft: bool) -> None:
    *given, target = _small()
    labels = torch.nn.functional.one_hot(target, 6).double() * 0.9 + 0.1 / 6 if soft else target

    def loss(f: Tensor, w: Tensor, b: Tensor) -> Tensor:
        options: Any = {"reduction": reduction, "block": 4}
        return lossmith.linear_loss(f, w, labels, b, "focal", **options)

    assert torch.autograd.gradcheck(loss, given)
    assert torch.autograd.gradgradcheck(loss, given)


@pytest.mark.parametrize("kind", [lossmith.CrammerSinger, lossmith.OneVsRest])
@pytest.mark.parametrize("soft", [False, True])
def test_margins_over_classes(kind: Any, soft: bool) -> None:
    f, w, b, target = _small()
    labels = torch.nn.functional.one_hot(target, 6).double() * 0.9 + 0.1 / 6 if soft else target
    module = kind("logistic", class_weight=torch.rand(6).double())
    found = lossmith.linear_loss(f, w, labels, b, module, block=4)
    expected = module(f @ w.t() + b, labels)
    _close(found, expected, "value")
    for ours, theirs in zip(
        torch.autograd.grad(found, (f, w, b)), torch.autograd.grad(expected, (f, w, b)), strict=True
    ):
        _close(ours, theirs, "gradient")
    with pytest.raises(lossmith.ParameterError, match="label_smoothing"):
        lossmith.linear_loss(f, w, labels, b, module, label_smoothing=0.1)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("drop", ["mask", "weight", "ignore", "class_weight"])
@pytest.mark.parametrize("create_graph", [False, True])
def test_nothing_of_a_dropped_row_gets_out(reduction: Any, drop: str, create_graph: bool) -> None:
    f, w, b, target = _small()
    with torch.no_grad():
        f[2], f[5] = torch.nan, torch.inf
    keep = torch.ones(9, dtype=torch.bool)
    keep[2] = keep[5] = False
    options: dict[str, Any] = {}
    if drop == "mask":
        options["mask"] = keep
    elif drop == "weight":
        options["sample_weight"] = keep.double()
    elif drop == "ignore":
        target = torch.where(keep, target, -100)
    else:
        target = torch.where(keep, target.clamp(1), 0)
        options["class_weight"] = torch.tensor([0.0, 1, 1, 1, 1, 1]).double()
    found = lossmith.linear_loss(f, w, target, b, reduction=reduction, block=4, **options)
    expected = lossmith.linear_loss(f[keep], w, target[keep], b, reduction=reduction)
    _close(found.sum(), expected.sum(), "value")
    ours = torch.autograd.grad(found.sum(), (f, w, b), create_graph=create_graph)
    theirs = torch.autograd.grad(expected.sum(), (f, w, b))
    for a, c in zip(ours, theirs, strict=True):
        _close(a, c, "gradient")


def test_a_batch_without_mass_is_a_connected_zero() -> None:
    f, w, b, target = _small()
    for rows in (9, 0):
        options: Any = {"mask": torch.zeros(rows, dtype=torch.bool)}
        loss = lossmith.linear_loss(f[:rows], w, target[:rows], b, **options)
        assert loss == 0
        for gradient in torch.autograd.grad(loss, (f, w, b)):
            assert not gradient.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_half_precision_rounds_nothing_but_the_gradient(dtype: torch.dtype, reduction: Any) -> None:
    f, w, b, target = _small(dtype)
    wide = [t.detach().double().requires_grad_() for t in (f, w, b)]
    found = lossmith.linear_loss(f, w, target, b, "poly1", reduction=reduction, block=4)
    expected = lossmith.linear_loss(wide[0], wide[1], target, wide[2], "poly1", reduction=reduction)
    assert found.dtype == torch.float32
    _close(found.double(), expected, "value", 1e-5)
    ours = torch.autograd.grad(found.sum(), (f, w, b))
    for a, c in zip(ours, torch.autograd.grad(expected.sum(), wide), strict=True):
        assert a.dtype == dtype
        _close(a.double(), c, "gradient", 2 * torch.finfo(dtype).eps)


def test_autocast_changes_nothing() -> None:
    f, w, b, target = _small(torch.float32)
    plain = torch.autograd.grad(lossmith.linear_loss(f, w, target, b), (f, w, b))
    with torch.autocast("cpu", torch.bfloat16):
        loss = lossmith.linear_loss(f, w, target, b)
        assert loss.dtype == torch.float32
        assert all(map(torch.equal, plain, torch.autograd.grad(loss, (f, w, b))))


def test_other_roads_give_the_same() -> None:
    f, w, b, target = _small()
    options: Any = {"loss": "focal", "label_smoothing": 0.1, "mask": torch.arange(9) != 4}

    def loss(f: Tensor, w: Tensor, b: Tensor, **more: Any) -> Tensor:
        return lossmith.linear_loss(f, w, target, b, **options, **more)

    expected = torch.autograd.grad(loss(f, w, b), (f, w, b))
    gamma = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)  # learned: dense
    *learned, slope = torch.autograd.grad(loss(f, w, b, gamma=gamma), (f, w, b, gamma))
    assert slope != 0
    transformed = torch.func.grad(loss, (0, 1, 2))(f.detach(), w.detach(), b.detach())
    constant = torch.autograd.grad(loss(f, w, b, gamma=gamma.detach()), (f, w, b))  # blocks
    for road in (learned, transformed, constant):
        for a, c in zip(road, expected, strict=True):
            _close(a, c, "gradient")
    with torch.no_grad():
        assert not loss(f, w, b).requires_grad
        _close(loss(f, w, b), loss(*(t.detach() for t in (f, w, b))), "value")


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compile_traces_it() -> None:
    f, w, b, target = _small()
    compiled = torch.compile(
        lambda f, w, b: lossmith.linear_loss(f, w, target, b, mask=target != 1),
        fullgraph=True, backend="aot_eager",
    )  # fmt: skip
    _close(compiled(f, w, b), lossmith.linear_loss(f, w, target, b, mask=target != 1), "value")


def test_module_total_and_state() -> None:
    torch.manual_seed(0)
    module = lossmith.LinearLoss(4, 6, lossmith.Focal(gamma=3.0), label_smoothing=0.1)
    f, *_, target = _small(torch.float32)
    layer = torch.nn.Linear(4, 6)
    layer.load_state_dict(module.state_dict())
    expected = lossmith.focal(layer(f), target, gamma=3.0, label_smoothing=0.1)
    _close(module(f, target), expected, "value", 1e-5)
    total, mass = module.total(f, target, mask=torch.arange(9) < 5)
    assert mass == 5
    _close(total / mass, module(f[:5], target[:5]), "mean", 1e-5)
    total, mass = lossmith.linear_loss.total(f, module.weight, target)  # type: ignore[attr-defined]
    assert mass == 9
    assert total.requires_grad
    _close(module.logits(f), layer(f), "logits", 1e-5)
    learned = lossmith.LinearLoss(4, 6, "focal", gamma=torch.tensor(1.0, requires_grad=True))
    learned(f, target).backward()
    assert learned.gamma.grad != 0
    assert "gamma" in learned.state_dict()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"features": torch.zeros(9, 5)}, lossmith.ShapeError, r"\(classes, 5\)"),
        ({"weight": torch.zeros(4, 6)}, lossmith.ShapeError, r"weight\.t\(\)"),
        ({"features": torch.zeros(4)}, lossmith.ShapeError, "unsqueeze"),
        ({"target": torch.zeros(8, dtype=torch.int64)}, lossmith.ShapeError, r"\(9,\)"),
        ({"target": torch.zeros(9, 5)}, lossmith.ShapeError, r"\(9, 6\)"),
        ({"target": torch.full((9,), 6)}, lossmith.LabelError, r"target\[0\] = 6"),
        ({"target": torch.ones(9, dtype=torch.bool)}, lossmith.DtypeError, "class indices"),
        ({"bias": torch.zeros(5)}, lossmith.ShapeError, r"\(6,\)"),
        ({"bias": 1.0}, lossmith.DtypeError, "bias"),
        ({"weight": torch.zeros(6, 4, device="meta")}, lossmith.DeviceError, "weight is on meta"),
        ({"loss": "nonsense"}, lossmith.InputError, "focal"),
        ({"loss": "huber"}, lossmith.InputError, "residual"),
        ({"loss": "focal", "gama": 2.0}, lossmith.ParameterError, "gamma"),
        ({"class_weight": torch.ones(5)}, lossmith.ShapeError, "class_weight"),
        ({"sample_weight": torch.ones(5)}, lossmith.ShapeError, "sample_weight"),
        ({"mask": torch.ones(9)}, lossmith.DtypeError, "mask"),
        ({"block": 0}, lossmith.ParameterError, "block"),
        ({"reduction": "batchmean"}, lossmith.InputError, "reduction"),
        ({"label_smoothing": 1.5}, lossmith.ParameterError, "label_smoothing"),
    ],
)
def test_errors_name_what_is_wrong(change: dict[str, Any], error: Any, says: str) -> None:
    given: dict[str, Any] = {
        "features": torch.zeros(9, 4), "weight": torch.zeros(6, 4),
        "target": torch.zeros(9, dtype=torch.int64),
    }  # fmt: skip
    with pytest.raises(error, match=says):
        lossmith.linear_loss(**(given | change))


def test_a_wrong_label_is_told_by_its_place_in_the_batch() -> None:
    target = torch.zeros(3, 5, dtype=torch.int64)
    target[2, 3] = 9
    with pytest.raises(lossmith.LabelError, match=r"target\[2, 3\] = 9"):
        lossmith.linear_loss(torch.zeros(3, 5, 4), torch.zeros(6, 4), target, block=2)


def test_a_module_and_the_call_do_not_contradict_each_other() -> None:
    f, w, b, target = _small()
    module = lossmith.Focal(label_smoothing=0.1)
    same = lossmith.linear_loss(f, w, target, b, "focal", label_smoothing=0.1)
    _close(lossmith.linear_loss(f, w, target, b, module), same, "value")
    with pytest.raises(lossmith.InputError, match=r"label_smoothing is 0\.2 here and 0\.1"):
        lossmith.linear_loss(f, w, target, b, module, label_smoothing=0.2)


def test_memory_is_an_eighth_of_the_dense_road() -> None:
    rows, width, classes = 2048, 16, 32000
    ours, dense = (extra_memory(w, rows, width, classes) for w in ("ours", "dense"))
    if ours is None or dense is None:
        pytest.skip("this system does not tell the peak of a process")
    assert dense > 2 * rows * classes * 4  # the measurement sees the logits and their gradient
    assert ours <= dense / 8
