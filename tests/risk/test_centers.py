"""Center loss in one process: value, gradients, eq. 4 by hand, what drops out, what stays put."""

import copy
import pickle
import warnings

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

import lossmith
from lossmith.risk.ranks import Group

nan = float("nan")
F64 = torch.float64


def made(update="paper", classes=5, dim=3, dtype=torch.float32, **options):
    """A center loss whose centres are not all zero."""
    center = lossmith.CenterLoss(classes, dim, update=update, **options).to(dtype)
    with torch.no_grad():
        center.centers.copy_(torch.linspace(-1, 2, classes * dim).view(classes, dim))
    return center


def batch(*shape, classes=5, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(*shape, generator=generator, dtype=dtype)
    rows = (shape[0], *shape[2:])
    target = torch.randint(0, classes, rows, generator=generator)
    weight = torch.rand(rows, generator=generator, dtype=dtype) + 0.5
    mask = torch.rand(rows, generator=generator) < 0.7
    return features, target, weight, mask


def bits(tensor):
    """Equality of these is equality to the last bit, the sign of zero included."""
    return (
        tensor.detach().clone().view(torch.int32 if tensor.dtype == torch.float32 else torch.int64)
    )


def test_eq_4_by_hand():
    center = lossmith.CenterLoss(3, 2, alpha=0.5)
    center.centers.copy_(torch.tensor([[1.0, 1.0], [7.0, 7.0], [0.0, 4.0]]))
    features = torch.tensor([[3.0, 1.0], [5.0, 3.0], [2.0, 2.0]])
    loss = center(features, torch.tensor([0, 0, 2]))
    # From the centres as they were: (2² + 0 + 4² + 2² + 2² + 2²) / 2 over three rows.
    assert loss.item() == pytest.approx((4 + 20 + 8) / 2 / 3)
    # Class 0: 1 + 0.5 (2 + 4)/(1 + 2), 1 + 0.5 (0 + 2)/3. Class 2: 0 + 0.5·2/2, 4 - 0.5·2/2.
    expected = torch.tensor([[2.0, 1 + 1 / 3], [7.0, 7.0], [0.5, 3.5]])
    torch.testing.assert_close(center.centers, expected)


def test_a_weight_counts_rows():
    features, target, _, _ = batch(6, 3)
    twice = torch.tensor([2.0, 1.0, 0.0, 1.0, 2.0, 1.0])
    one, other = made(), made()
    weighted = one(features, target, sample_weight=twice)
    rows = torch.repeat_interleave(torch.arange(6), twice.long())
    torch.testing.assert_close(weighted, other(features[rows], target[rows]))
    torch.testing.assert_close(one.centers, other.centers)


@pytest.mark.parametrize("classes", [4, 30])  # fewer and more than rows: two roads to the sums
def test_eq_4_written_out(classes):
    features, target, weight, mask = batch(3, 2, 5, classes=4, dtype=F64)
    target[0, 0] = -100
    center = made(classes=classes, dim=2, alpha=0.3, dtype=F64)
    expected = center.centers.clone()
    for j in range(4):
        counted = torch.where(mask & (target == j), weight, 0.0)
        pull = (counted.unsqueeze(1) * (features - expected[j].view(1, 2, 1))).sum((0, 2))
        expected[j] += 0.3 * pull / (1 + counted.sum())
    with torch.inference_mode():
        center(features, target, weight, mask)
    torch.testing.assert_close(center.centers, expected, rtol=1e-14, atol=1e-14)
    assert torch.equal(center.centers[4:], expected[4:])


@pytest.mark.parametrize("update", ["paper", "gradient"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(7, 3), (4, 3, 5), (2, 3, 4, 5)])
def test_it_is_half_the_squared_distance(update, reduction, shape):
    features, target, weight, mask = batch(*shape, dtype=F64)
    target[0] = -100
    center = made(update, dtype=F64, reduction=reduction).eval()
    rows = features.movedim(1, -1)
    own = center.centers[target.clamp(min=0)]
    losses = ((rows - own) ** 2).sum(-1) / 2
    counted = torch.where(mask & (target != -100), weight, 0.0)
    total, mass = (losses * counted).sum(), counted.sum()
    expected = {"mean": total / mass, "sum": total, "none": losses * counted}[reduction]
    torch.testing.assert_close(center(features, target, weight, mask), expected)
    pair = center.total(features, target, sample_weight=weight, mask=mask)
    torch.testing.assert_close(pair, (total, mass))


@pytest.mark.parametrize(
    "loss", ["huber", lossmith.huber, lossmith.Huber, lossmith.Huber(delta=1.0, reduction="none")]
)
@pytest.mark.parametrize("update", ["paper", "gradient"])
def test_any_residual_loss(loss, update):
    features, target, _, _ = batch(7, 3)
    center = made(update, loss=loss)
    own = center.centers[target].detach()
    huber = torch.nn.functional.huber_loss(features, own, reduction="none")
    torch.testing.assert_close(center(features, target), huber.sum(1).mean())


def test_a_learned_parameter_of_the_loss_is_learned():
    delta = torch.nn.Parameter(torch.tensor(0.5))
    center = made(loss=lossmith.Huber(delta=delta))
    features, target, _, _ = batch(7, 3)
    center(features, target).backward()
    assert dict(center.named_parameters()).keys() == {"loss.delta"}
    assert delta.grad.item() > 0


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("loss", [None, "log_cosh"])
def test_gradients(loss, reduction):
    features, target, weight, mask = batch(6, 3, dtype=F64)
    features.requires_grad_()
    fixed = made(dtype=F64, loss=loss, reduction=reduction).eval()  # in training mode it moves

    def of_features(x):
        return fixed(x, target, weight, mask)

    # A second backward is computed anew, with its factors in another order.
    assert gradcheck(of_features, features, nondet_tol=1e-13)
    assert gradgradcheck(of_features, features)
    learned = made("gradient", dtype=F64, loss=loss, reduction=reduction)

    def of_both(x, centers):
        return functional_call(learned, {"centers": centers}, (x, target, weight, mask))

    centers = learned.centers.detach().clone().requires_grad_()
    assert gradcheck(of_both, (features, centers))
    assert gradgradcheck(of_both, (features, centers))


def test_training_keeps_the_gradient_of_the_old_centres():
    features, target, _, _ = batch(7, 3)
    features.requires_grad_()
    center, old = made(), made().centers.clone()
    loss = center(features, target)
    assert not torch.equal(center.centers, old)
    loss.backward()
    torch.testing.assert_close(features.grad, (features.detach() - old[target]) / 7)


def test_the_trajectory_knows_nothing_of_the_loss():
    def run(scale, **options):
        center = made(**options)
        for step in range(3):
            features, target, _, _ = batch(9, 3, seed=step)
            loss = center(features.requires_grad_(), target)
            if scale is not None:
                (scale * loss.sum()).backward()
        return center.centers

    expected = run(1.0)
    assert torch.equal(run(1e-6), expected)
    assert torch.equal(run(None), expected)
    assert torch.equal(run(1e3, reduction="sum"), expected)
    assert torch.equal(run(1.0, reduction="none", loss="huber"), expected)


def test_only_training_moves_centres():
    features, target, _, _ = batch(7, 3)
    center = made()
    before = center.centers.clone()
    center.eval()
    center(features, target)
    assert torch.equal(center.centers, before)
    center.train()
    with torch.no_grad():
        center(features, target)
    assert not torch.equal(center.centers, before)
    learned = made("gradient")
    learned(features, target)
    assert torch.equal(learned.centers, before)


@pytest.mark.parametrize("update", ["paper", "gradient"])
@pytest.mark.parametrize("classes", [5, 9])  # fewer and more than rows
def test_unseen_classes_stay_put_bitwise(update, classes):
    features, _, _, _ = batch(6, 3)
    center = made(update, classes)
    with torch.no_grad():
        center.centers[0] = -0.0  # dropped rows are looked up in class 0
        center.centers[3] = torch.tensor([nan, -0.0, 1e-40])
    before = bits(center.centers)
    loss = center(features, torch.tensor([1, 2, -100, 2, 1, -100]))
    if update == "gradient":
        loss.backward()
        assert (center.centers.grad[[0, 3, 4]] == 0).all()
        assert center.centers.grad[[1, 2]].all()
        return
    assert torch.equal(bits(center.centers)[[0, 3, 4]], before[[0, 3, 4]])
    assert (bits(center.centers) != before)[[1, 2]].all()


@pytest.mark.parametrize("update", ["paper", "gradient"])
@pytest.mark.parametrize("how", ["ignore_index", "mask", "sample_weight"])
def test_nan_in_a_dropped_row_reaches_nothing(update, how):
    features, target, _, _ = batch(6, 3)
    keep = torch.tensor([True, False, True, True, False, True])
    expected = made(update)
    clean = features[keep].clone().requires_grad_()
    expected(clean, target[keep]).backward()

    features[~keep] = nan
    features.requires_grad_()
    center = made(update)
    options = {}
    if how == "ignore_index":
        target[~keep] = -100
    elif how == "mask":
        options["mask"] = keep
        target[~keep] = 99  # nor does the label there matter
    else:
        options["sample_weight"] = keep.float()
    loss = center(features, target, **options)
    loss.backward()
    torch.testing.assert_close(features.grad[keep], clean.grad)
    assert (features.grad[~keep] == 0).all()
    torch.testing.assert_close(center.centers, expected.centers)
    if update == "gradient":
        torch.testing.assert_close(center.centers.grad, expected.centers.grad)


def test_a_row_that_is_not_finite_shows_in_the_loss_and_spares_its_centre():
    features, target, _, _ = batch(6, 3)
    expected = made()
    expected(features[2:], target[2:])
    features[0, 1], features[1, 0] = nan, float("inf")
    center = made()
    assert center(features, target).isnan()
    torch.testing.assert_close(center.centers, expected.centers)


@pytest.mark.parametrize("update", ["paper", "gradient"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("rows", [0, 4])
def test_a_batch_of_mass_zero_is_a_connected_zero(update, reduction, rows):
    features = torch.full((rows, 3), nan, requires_grad=True)
    center = made(update, reduction=reduction)
    before = bits(center.centers)
    loss = center(features, torch.full((rows,), -100))
    assert loss.item() == 0
    loss.backward()
    assert features.grad.shape == (rows, 3)
    assert (features.grad == 0).all()
    assert torch.equal(bits(center.centers), before)
    total, mass = center.total(features, torch.full((rows,), -100))
    assert (total.item(), mass.item()) == (0, 0)


@pytest.mark.parametrize("update", ["paper", "gradient"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(update, dtype):
    features, target, _, _ = batch(7, 3)
    features = features.to(dtype)
    center, expected = made(update), made(update)
    wide = features.float().requires_grad_()
    reference = expected(wide, target)
    reference.backward()
    features.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = center(features, target)
    loss.backward()
    assert (loss.dtype, center.centers.dtype) == (torch.float32, torch.float32)
    assert features.grad.dtype == dtype
    torch.testing.assert_close(loss, reference)
    torch.testing.assert_close(features.grad, wide.grad.to(dtype))
    torch.testing.assert_close(center.centers, expected.centers)


def test_centres_follow_to_but_not_into_half_precision():
    center = made()
    state = bits(center.centers)
    assert center.half() is center
    center.to(torch.bfloat16)
    assert torch.equal(bits(center.centers), state)
    moved = torch.nn.Sequential(made("gradient")).to("meta")[0]
    assert moved.centers.device.type == "meta"
    assert isinstance(moved.centers, torch.nn.Parameter)
    center.double()
    assert center.centers.dtype == F64
    features, target, _, _ = batch(7, 3, dtype=F64)
    assert center(features, target).dtype == F64
    assert center.centers.dtype == F64


@pytest.mark.parametrize("update", ["paper", "gradient"])
def test_state_dict_pickle_and_deepcopy(update):
    features, target, _, _ = batch(7, 3)
    center = made(update, loss=lossmith.Huber(delta=0.7), alpha=0.3)
    center(features, target)
    assert list(center.state_dict()) == ["centers"]
    fresh = lossmith.CenterLoss(5, 3, update, 0.3, lossmith.Huber(delta=0.7))
    fresh.load_state_dict(copy.deepcopy(center.state_dict()))
    others = [fresh, copy.deepcopy(center), pickle.loads(pickle.dumps(center))]
    again = center(features, target)
    for other in others:
        assert repr(other) == repr(center)
        assert torch.equal(other(features, target), again)
        assert torch.equal(bits(other.centers), bits(center.centers))


def test_a_process_group_is_shared_by_copies_and_left_out_of_pickles():
    group = Group(process_group=object())
    assert copy.deepcopy(group).process_group is group.process_group
    assert pickle.loads(pickle.dumps(group)).process_group is None


class Largest(TorchDispatchMode):
    """The largest tensor that any operation made anew."""

    def __init__(self, known):
        super().__init__()
        self.known, self.numel = known.untyped_storage().data_ptr(), 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            storage = result.untyped_storage()
            if storage.data_ptr() != self.known:
                # By its storage: an expanded tensor holds less than it shows.
                self.numel = max(self.numel, storage.nbytes() // result.element_size())
        return result


@pytest.mark.parametrize("update", ["paper", "gradient"])
def test_memory_never_holds_rows_times_classes(update):
    classes, rows, dim = 1_000_000, 64, 4
    center = lossmith.CenterLoss(classes, dim, update=update)
    features, target, _, _ = batch(rows, dim, classes=classes)
    features.requires_grad_()
    center(features, target).backward()  # as it runs
    with Largest(center.centers) as largest:
        center(features, target).backward()
    # "paper" needs one number per class besides; "gradient" has its gradient, as any parameter.
    allowed = classes if update == "paper" else classes * dim
    assert rows * dim <= largest.numel <= allowed


@pytest.fixture
def fresh_dynamo():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own
@pytest.mark.parametrize("update", ["paper", "gradient"])
@pytest.mark.parametrize("training", [True, False])
def test_it_compiles_as_one_graph(update, training):
    features, target, weight, _ = batch(7, 3)
    target[2] = -100
    features.requires_grad_()
    plain = made(update).train(training)
    center = copy.deepcopy(plain)
    expected = plain(features, target, weight)
    expected.backward()
    expected_gradient, features.grad = features.grad, None
    compiled = torch.compile(center, fullgraph=True, backend="aot_eager")
    loss = compiled(features, target, weight)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(features.grad, expected_gradient)
    torch.testing.assert_close(center.centers, plain.centers)


@pytest.mark.parametrize("held_by", ["", "optimiser", "data", "frozen", "eval", "paper"])
def test_a_parameter_that_nobody_moves_is_told_once(held_by):
    """Also an optimiser that writes past the version counter, through `.data`, has moved it."""
    torch.manual_seed(0)
    center = made("paper" if held_by == "paper" else "gradient")
    center.train(held_by != "eval")
    if held_by == "frozen":
        center.requires_grad_(False)
    features, target, *_ = batch(4, 3)
    features.requires_grad_()
    step = torch.optim.SGD(center.parameters(), lr=0.1) if held_by == "optimiser" else None
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for call in range(600):
            center(features, target).backward()
            if step is not None and call == 200:
                step.step()
            if held_by == "data" and call == 200:
                center.centers.data.sub_(0.1 * center.centers.grad)
    words = [str(w.message) for w in seen]
    assert len(words) == (not held_by), words
    if words:
        assert seen[0].filename == __file__
        for part in (
            "256 training calls",
            "centers has never changed",
            "parameters()",
            'update="paper"',
        ):
            assert part in words[0]


X, Y = torch.zeros(4, 3), torch.tensor([0, 1, 2, 4])
ERRORS = {
    "no classes": (lambda: lossmith.CenterLoss(0, 3), lossmith.ParameterError, "num_classes = 0"),
    "no dim": (lambda: lossmith.CenterLoss(5, -1), lossmith.ParameterError, "dim = -1"),
    "half a class": (lambda: lossmith.CenterLoss(2.5, 3), lossmith.ParameterError, "num_classes"),
    "alpha 0": (lambda: made(alpha=0), lossmith.ParameterError, "alpha = 0 .*default is 0.5"),
    "alpha 2": (lambda: made(alpha=2.0), lossmith.ParameterError, r"alpha = 2.0 .*\(0, 1\]"),
    "alpha nan": (lambda: made(alpha=nan), lossmith.ParameterError, "alpha = nan"),
    "update": (lambda: made("ema"), lossmith.InputError, "'ema'.*\"paper\".*\"gradient\""),
    "reduction": (lambda: made(reduction="avg"), lossmith.InputError, "reduction='avg'"),
    "ignore_index": (lambda: made(ignore_index=None), lossmith.InputError, "ignore_index.*None"),
    "a margin loss": (lambda: made(loss="hinge"), lossmith.InputError, "residual.*huber"),
    "no loss": (lambda: made(loss=torch.nn.MSELoss()), lossmith.InputError, "loss=MSELoss"),
    "wrong dim": (
        lambda: made()(torch.zeros(4, 2), Y), lossmith.ShapeError, r"\(4, 2\).*dim = 3",
    ),
    "one row": (lambda: made()(torch.zeros(3), Y[0]), lossmith.ShapeError, r"\(3,\).*\(N, 3\)"),
    "rows": (lambda: made()(X, Y[:3]), lossmith.ShapeError, r"\(4, 3\).*\(4,\).*\(3,\)"),
    "soft labels": (lambda: made()(X, X), lossmith.DtypeError, "float32.*class indices"),
    "boolean": (lambda: made()(X, Y > 0), lossmith.DtypeError, "bool.*class indices"),
    "whole features": (lambda: made()(X.long(), Y), lossmith.DtypeError, "features are .*int64"),
    "a list": (lambda: made()([[0.0] * 3], Y), lossmith.DtypeError, "features.*list"),
    "too high": (
        lambda: made(classes=4)(X, Y), lossmith.LabelError,
        r"target\[3\] = 4 .*num_classes = 4, .*0 to 3.*ignore_index \(-100\)",
    ),
    "below 0": (lambda: made()(X, Y - 2), lossmith.LabelError, r"target\[0\] = -2.*2 such"),
    "sample_weight shape": (
        lambda: made()(X, Y, sample_weight=torch.ones(3)), lossmith.ShapeError,
        r"sample_weight.*\(3,\).*\(4,\)",
    ),
    "negative weight": (
        lambda: made()(X, Y, sample_weight=torch.tensor([1.0, 1, 1, -2])), lossmith.InputError,
        "sample_weight.*-2.*negative",
    ),
    "mask dtype": (lambda: made()(X, Y, mask=Y), lossmith.DtypeError, "mask.*int64.*boolean"),
    "device": (
        lambda: made()(X.to("meta"), Y.to("meta")), lossmith.DeviceError, "centers is on cpu",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors_say_what_was_given_and_what_is_needed(case):
    call, kind, says = ERRORS[case]
    with pytest.raises(kind, match=says) as caught:
        call()
    assert isinstance(caught.value, lossmith.LossmithError)


def test_an_error_moves_no_centre():
    center = made()
    before = bits(center.centers)
    with pytest.raises(lossmith.LabelError):
        center(X + 1, Y + 1)
    assert torch.equal(bits(center.centers), before)


def test_the_typed_page_knows_it():
    page = lossmith.__file__.replace(".py", ".pyi")
    with open(page, encoding="utf-8") as text:
        assert "import CenterLoss as CenterLoss" in text.read()
    assert lossmith.CenterLoss.__module__ == "lossmith.risk.centers"
