"""Classes over ranks, real processes over gloo: what one process computes of all classes."""

import math

import pytest
import torch
import torch.nn.functional as F

import lossmith
from engine.cases import on_reference
from patience import HANG
from risk import split_rank
from risk.processes import run_ranks

WORLDS = [2, 3]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1e-5}


@pytest.fixture(scope="module", params=WORLDS)
def ranks(request, tmp_path_factory):
    """The results of all ranks, each world started once."""
    world, folder = request.param, tmp_path_factory.mktemp("ranks")
    return run_ranks(split_rank.run, world, folder, HANG, world)


def plain(name):
    return split_rank.own if name == "own" else getattr(lossmith, name)


def focal_by_class(logits, target, gamma, alpha, label_smoothing=0.0):
    """Focal loss with a gamma of its own for each class, written out."""
    p = logits.softmax(1)
    share = F.one_hot(target, p.shape[1]).to(p) if target.dim() == 1 else target
    share = (1 - label_smoothing) * share + label_smoothing / p.shape[1]
    return (share * alpha * (1 - p) ** gamma * -p.log()).sum(1).mean()


def close(found, expected, tolerance, what):
    scale = max(1.0, float(expected.abs().nan_to_num(0.0, 0.0).amax())) if expected.numel() else 1.0
    torch.testing.assert_close(
        found.double(), expected.double(), rtol=0, atol=tolerance * scale,
        msg=lambda m: f"{what}: {m}",
    )  # fmt: skip


def described(given):
    shown = {k: v for k, v in given["options"].items() if not isinstance(v, torch.Tensor)}
    kind = "soft" if given["target"].is_floating_point() else "index"
    options = sorted(given["options"])
    return f"{given['loss']} {given['sizes']} {kind} {options} {shown} {given['logits'].dtype}"


@pytest.mark.slow
def test_value_gradient_and_second_derivative_are_those_of_one_process(ranks):
    for number, given in enumerate(split_rank.cases(len(ranks))):
        name, dtype = described(given), given["logits"].dtype

        def call(leaf, options, given=given):
            if torch.is_tensor(options.get("gamma")) and options["gamma"].dim():
                return focal_by_class(leaf, given["target"], **options)
            return plain(given["loss"])(leaf, given["target"], **options)

        with on_reference():  # the kernels are compared with it elsewhere
            expected = split_rank.outcome(call, given["logits"], given)
        found = [rank["cases"][number] for rank in ranks]
        for rank in found:
            assert torch.equal(rank["value"].nan_to_num(-7), found[0]["value"].nan_to_num(-7)), (
                f"{name}: ranks differ"
            )
            assert rank["value"].dtype == expected["value"].dtype
            close(rank["value"], expected["value"], TOLERANCE[dtype], f"{name} value")
        for kind in ("gradient", "again", "second"):
            joined = torch.cat([rank[kind] for rank in found], 1)
            assert joined.dtype == dtype
            # A gradient in half precision is rounded once, wherever it came from.
            tolerance = 2**-8 if dtype == torch.bfloat16 else TOLERANCE[dtype]
            close(joined, expected[kind], tolerance, f"{name} {kind}")
        for i, learned in enumerate(given["learned"]):
            parts = [rank["slopes"][i] for rank in found]
            per_class = given["options"][learned].dim()
            if per_class and given["per_class"] == "shard":  # each rank its own entries
                parts = [sum(parts)]
            for rank, part in enumerate(parts):
                close(part, expected["slopes"][i], 1e-12, f"{name} of {learned} on rank {rank}")


@pytest.mark.slow
def test_cross_entropy_is_torchs(ranks):
    """An oracle that knows nothing of formulas."""
    seen = 0
    for number, given in enumerate(split_rank.cases(len(ranks))):
        options = given["options"]
        if given["loss"] != "cross_entropy" or {*options} - {"ignore_index", "reduction"}:
            continue
        if not given["logits"].numel() or given["logits"].dtype != torch.float64:
            continue
        expected = F.cross_entropy(given["logits"], given["target"], **options)
        if math.isfinite(expected.sum()):
            close(ranks[0]["cases"][number]["value"], expected, 1e-12, described(given))
            seen += 1
    assert seen >= 4


@pytest.mark.slow
def test_what_travels_does_not_depend_on_the_number_of_classes(ranks):
    rows, world = 9, len(ranks)
    for result in ranks:
        traffic = result["traffic"]
        for (width, soft, told), (forward, backward) in traffic.items():
            assert (forward, backward) == traffic[2, soft, told]
            asked = [] if told else [("gather", 8, 64)]
            if soft:
                # Two largest logits; then Σ exp, the best logit, allowed classes and, on the CPU,
                # three checks of labels; then the loss of each row.
                expected = [("gather", 2 * rows, 16 * rows), ("reduce", 6 * rows, 48 * rows)]
                expected += [("reduce", rows, 8 * rows)]
                assert backward == [("reduce", 2 * rows, 16 * rows)]
            else:
                expected = [("reduce", rows, 8 * rows), ("reduce", 2 * rows, 16 * rows)]
                assert backward == []
            assert forward == asked + expected, (width, soft, told, world)


@pytest.mark.slow
def test_dtensor_split_over_the_classes(ranks):
    for soft in (False, True):
        sizes = split_rank.SIZES[len(ranks)][0]
        given = split_rank.case(sizes, 5, "focal", soft=soft, class_weight=True)
        leaf = given["logits"].requires_grad_()
        with on_reference():
            expected = lossmith.focal(leaf, given["target"], **given["options"])
        (gradient,) = torch.autograd.grad(expected, leaf)
        for result in ranks:
            found, (kind, words) = result["mesh"][soft]
            for value, joined in found:
                close(value, expected.detach(), 1e-12, "value")
                close(joined, gradient, 1e-12, "gradient")
            assert kind == "UnsupportedError"
            assert "Shard(dim=0)" in words
            assert "process_group" in words


SAYS = {
    "range": ("LabelError", "0 to"),
    "rows": ("InputError", "logits of different rows"),
    "target": ("InputError", "different class indices"),
    "target shape": ("ShapeError", "class indices of shape (4,)"),
    "dtype": ("InputError", "different dtypes"),
    "gradient": ("InputError", "require a gradient"),
    "option": ("InputError", "options"),
    "parameter": ("ParameterError", "gamma"),
    "weights": ("InputError", "different weights"),
    "class_weight": ("ShapeError", 'per_class="shard"'),
    "class_weight shard": ("ShapeError", "class_weight has shape (2,)"),
    "forbidden": ("LabelError", "-inf"),
    "forbidden, smoothed": ("LabelError", "-inf"),
    "forbidden share": ("LabelError", "gives mass to a class"),
    "sum": ("LabelError", "sums to 1.3 over all ranks"),
    "negative": ("LabelError", "no probability"),
    "all forbidden": ("LabelError", "every logit of row [0]"),
    "not a tensor": ("DtypeError", "target must be a torch.Tensor"),
    "per_class": ("InputError", '"shard"'),
    "loss": ("InputError", "no probability loss"),
    "sizes": ("ShapeError", "shard_sizes"),
}


@pytest.mark.slow
def test_what_one_rank_refuses_is_an_error_on_all(ranks):
    """Had any hung, there would be no results at all."""
    last = len(ranks) - 1
    assert {*ranks[0]["wrongs"]} == {*SAYS}
    for name, (kind, words) in SAYS.items():
        for rank, result in enumerate(ranks):
            found, text = result["wrongs"][name]
            assert found != "none", f"{name}: rank {rank} saw nothing"
            if f"rank {last} refused" in text:
                assert rank < last, name
                continue
            assert found == kind, (name, text)
            assert words in text, (name, text)
            assert text.startswith(("class_parallel_loss: ", "cross_entropy: ", "focal: ")), text


@pytest.mark.slow
def test_module_group_pair_and_nan(ranks):
    given = split_rank.case(split_rank.SIZES[len(ranks)][0], 3, "focal")
    z, target = given["logits"], given["target"]
    with on_reference():
        expected = lossmith.focal(z, target, gamma=3.0, label_smoothing=0.1)
        single = lossmith.focal(z, target)
    for rank, result in enumerate(ranks):
        found = result["modules"]
        close(found["mean"], expected, 1e-12, "mean")
        total, mass = found["pair"]
        close(total, expected * 9, 1e-12, "total")
        assert mass == 9
        if rank == 0:
            close(found["single"], single, 1e-12, "a group of one")
        for e, unread in zip((0.0, 0.1), found["unread"], strict=True):
            assert unread.isnan().tolist() == [False] * 2 + [True] * 2 + [False] * 5
            sound = F.cross_entropy(z, target, reduction="none", label_smoothing=e)
            close(unread[4:], sound[4:], 1e-12, "beside labels that are no class")
        for lost in found["lost"]:
            assert lost.isnan().tolist() == [False, True] + [False] * 7


def test_without_other_processes_it_is_the_plain_loss():
    given = split_rank.case((5,), 1, "focal")
    found = lossmith.class_parallel_loss(given["logits"], given["target"], "focal")
    with on_reference():
        close(found, lossmith.focal(given["logits"], given["target"]), 1e-12, "value")
    with pytest.raises(lossmith.UnsupportedError, match=r"torch\.func"):
        torch.func.grad(lambda z: lossmith.class_parallel_loss(z, given["target"]))(given["logits"])
    module = lossmith.Focal(label_smoothing=0.1)
    with pytest.raises(lossmith.InputError, match="label_smoothing is given here and in the loss"):
        lossmith.class_parallel_loss(given["logits"], given["target"], module, label_smoothing=0.2)
    with pytest.raises(lossmith.ParameterError, match="gama"):
        lossmith.ClassParallelLoss("focal", gama=1.0)
    learned = lossmith.ClassParallelLoss("focal", gamma=torch.tensor(2.0, requires_grad=True))
    learned(given["logits"], given["target"]).backward()
    assert learned.gamma.grad != 0
    assert {*learned.state_dict()} == {"gamma"}
