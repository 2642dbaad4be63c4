"""One process: masses ahead, the two roads, and what is refused."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import lossmith
from lossmith.errors import InputError, LabelError, ShapeError
from risk import normalise_cases as nc

CE = lossmith.CrossEntropy()


def layer():
    torch.manual_seed(1)
    return torch.nn.Linear(nc.WIDTH, nc.CLASSES, dtype=torch.float64)


def batches(*sizes):
    generator = torch.Generator().manual_seed(2)
    return [
        (
            torch.randn(n, nc.WIDTH, generator=generator, dtype=torch.float64),
            torch.randint(0, nc.CLASSES, (n,), generator=generator),
        )
        for n in sizes
    ]


def trained():
    model = layer()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    return model, optimizer, lossmith.StepMean(model, optimizer)


def test_the_mass_ahead_is_the_mass_of_the_total():
    with nc.using("reference"):
        for case in nc.cases():
            one = nc.One(case, torch.float64)
            for valid in (0, 1, 7):
                rows = case.rows(0, valid, torch.float64)
                ahead = lossmith.mass_of(
                    one.criterion, rows[1], rows[2].get("sample_weight"), rows[2].get("mask")
                )
                torch.testing.assert_close(ahead, one(*rows)[1], rtol=1e-12, atol=0, msg=case.name)


@pytest.mark.parametrize("soft", [False, True])
def test_the_mass_of_classes_on_several_ranks(soft):
    """Each rank that has a part of the classes says the same as its total."""
    z = torch.randn(6, nc.CLASSES, dtype=torch.float64)
    y = z.softmax(1) if soft else torch.tensor([0, 3, -1, 1, 2, -1])
    weight, heavy = torch.rand(6, dtype=torch.float64), torch.tensor([0.5, 2.0, 1.0, 3.0])
    for given in ({"class_weight": heavy, "ignore_index": -1}, {"ignore_index": -1}):
        inner = lossmith.ClassParallelLoss(lossmith.Focal(**given))
        for split in (lossmith.ClassParallelLoss("focal", **given), inner):
            ahead = lossmith.mass_of(split, y, weight)
            torch.testing.assert_close(ahead, split.total(z, y, weight)[1])
    own = lossmith.ClassParallelLoss(class_weight=heavy, per_class="shard")
    with pytest.raises(lossmith.UnsupportedError, match="class weights of one rank"):
        lossmith.mass_of(own, torch.tensor([0]))


def test_the_mass_of_pixels_and_tokens():
    target = torch.tensor([[0, 1, -1], [2, -1, 1]])
    weight = torch.tensor([[1.0], [10.0]])
    heavy = torch.tensor([1.0, 2.0, 4.0])
    options = {"class_weight": heavy, "ignore_index": -1}
    assert lossmith.mass_of("cross_entropy", target, weight, **options) == 1 + 2 + 40 + 20
    assert lossmith.mass_of(lossmith.cross_entropy, target) == 6  # -1 is a label, -100 is not
    soft = torch.softmax(torch.randn(2, 3, 5), 1)  # classes on dimension 1
    assert lossmith.mass_of(lossmith.Focal(), soft) == 10
    assert lossmith.mass_of(lossmith.linear_loss, soft.movedim(1, 2)) == 10
    by_hand = (soft * heavy.view(1, 3, 1)).sum().double()
    found = lossmith.mass_of(lossmith.CrossEntropy(class_weight=heavy), soft)
    torch.testing.assert_close(found, by_hand, rtol=1e-6, atol=0)


@pytest.mark.parametrize("sizes", [(12,), (7, 1, 0, 120), (0, 3)])
def test_both_roads_are_torch_on_the_joined_batch(sizes):
    rows = batches(*sizes)
    model, _, mean = trained()
    joined = torch.cat([x for x, _ in rows]), torch.cat([y for _, y in rows])
    truth = torch.nn.functional.cross_entropy(model(joined[0]), joined[1])
    gradient = torch.autograd.grad(truth, model.weight)[0]
    mass = lossmith.global_masses(sum(lossmith.mass_of(CE, y) for _, y in rows))
    shares = 0.0
    for x, y in lossmith.micro_batches(model, rows):
        share = lossmith.share_of_mean(CE.total(model(x), y), mass, model)
        share.backward()
        shares += share.item()
    torch.testing.assert_close(model.weight.grad, gradient, rtol=1e-12, atol=1e-14)
    assert shares == pytest.approx(truth.item(), rel=1e-12)
    model.zero_grad()
    for x, y in lossmith.micro_batches(model, rows):
        mean.add(CE.total(model(x), y)).backward()
    assert mean.finish().item() == pytest.approx(truth.item(), rel=1e-12)
    torch.testing.assert_close(model.weight.grad, gradient, rtol=1e-12, atol=1e-14)


def test_several_losses_each_by_its_own_mass():
    model, (x, y) = layer(), batches(9)[0]
    smooth = lossmith.Huber()
    few = torch.arange(9) < 2
    masses = lossmith.global_masses(
        {"huber": lossmith.mass_of(smooth, x, mask=few.unsqueeze(1)), "ce": 9}
    )
    assert list(masses) == ["huber", "ce"]
    assert masses["huber"] == 6
    out = model(x)
    pairs = {"huber": smooth.total(out[:, :3], x, mask=few.unsqueeze(1)), "ce": CE.total(out, y)}
    found = sum(lossmith.share_of_mean(pairs[k], masses[k], model) for k in pairs)
    truth = torch.nn.functional.huber_loss(out[few, :3], x[few])
    truth = truth + torch.nn.functional.cross_entropy(out, y)
    torch.testing.assert_close(found, truth)


def test_mass_zero_gives_zero_gradients():
    model, _, mean = trained()
    x, y = batches(5)[0]
    ignored = torch.full_like(y, -100)
    lossmith.share_of_mean(CE.total(model(x), ignored), lossmith.global_masses(0), model).backward()
    assert not model.weight.grad.any()
    model.zero_grad()
    mean.add(CE.total(model(x), ignored)).backward()
    assert mean.finish() == 0
    assert not model.weight.grad.any()


def test_sparse_and_half_gradients():
    sparse = torch.nn.Embedding(6, 4, sparse=True)
    half = torch.nn.Linear(4, 4, dtype=torch.bfloat16)
    unused = torch.nn.Parameter(torch.zeros(1))
    index, y = torch.tensor([1, 1, 4]), torch.tensor([0, 1, 2])
    inputs = {sparse: index, half: torch.eye(4, dtype=torch.bfloat16)[:3]}
    for model, x in inputs.items():
        mean = lossmith.StepMean(model, torch.optim.SGD([*model.parameters(), unused], 0.1))
        mean.add(CE.total(model(x), y)).backward()
        sums = model.weight.grad.to_dense().clone()
        mean.finish()
        torch.testing.assert_close(model.weight.grad.to_dense(), sums / 3)


@pytest.mark.parametrize("keyword", [False, True])
@pytest.mark.parametrize("kind", [torch.optim.LBFGS, torch.optim.SGD])
def test_a_step_with_a_closure_is_that_of_the_whole_batch(kind, keyword):
    """LBFGS calls its closure several times a step; torch's own loss of all rows is the truth."""
    rows = [batch for batch in batches(5, 2, 6) if len(batch[0])]
    whole = torch.cat([x for x, _ in rows]), torch.cat([y for _, y in rows])
    found = []
    for by_parts in (True, False):
        model = layer()
        optimizer = kind(model.parameters(), lr=0.3)
        mean = lossmith.StepMean(model, optimizer) if by_parts else None

        def closure(model=model, optimizer=optimizer, mean=mean):
            optimizer.zero_grad()
            if mean is None:
                loss = torch.nn.functional.cross_entropy(model(whole[0]), whole[1])
                loss.backward()
                return loss
            for x, y in rows:
                mean.add(CE.total(model(x), y)).backward()
            return mean.finish()

        for _ in range(3):
            loss = optimizer.step(closure=closure) if keyword else optimizer.step(closure)
        found.append([loss.detach(), *(p.detach() for p in model.parameters())])
    for ours, truth in zip(*found, strict=True):
        torch.testing.assert_close(ours, truth, check_dtype=False)


def test_a_closure_without_finish_is_refused_before_it_steps():
    model, optimizer, mean = trained()
    x, y = batches(5)[0]
    before = model.weight.detach().clone()

    def closure():
        loss = mean.add(CE.total(model(x), y))
        loss.backward()
        return loss

    for call in (lambda: optimizer.step(closure), lambda: optimizer.step(closure=closure)):
        with pytest.raises(InputError, match="before it returns"):
            call()
        assert torch.equal(model.weight, before)
        mean.discard()
        optimizer.zero_grad()


def test_paper_centres_move_once_a_step_if_they_are_called_once():
    rows = batches(7, 1, 0, 12)
    centers = [lossmith.CenterLoss(nc.CLASSES, nc.WIDTH) for _ in range(2)]
    for x, y in rows:
        centers[0].eval().total(x, y)
    joined = torch.cat([x for x, _ in rows]), torch.cat([y for _, y in rows])
    centers[0].train()(*joined)
    centers[1](*joined)
    assert centers[1].centers.any()
    assert torch.equal(centers[0].centers, centers[1].centers)
    centers[1].centers.zero_()
    for x, y in rows:
        centers[1](x, y)
    assert not torch.allclose(centers[0].centers, centers[1].centers)


class _NoLooking(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert "_local_scalar_dense" not in str(function), "a value was looked at"
        return function(*args, **(kwargs or {}))


def test_nothing_waits_for_a_device():
    model, _, mean = trained()
    x, y = batches(7)[0]
    weight = torch.rand(7)
    pair = CE.total(model(x), y, weight)
    with _NoLooking():
        mass = lossmith.global_masses({"ce": lossmith.mass_of(CE, y, weight, weight > 0.5)})["ce"]
        lossmith.share_of_mean(pair, mass, model)
        total = mean.add(pair)
    total.backward()
    with _NoLooking():
        mean.finish()
    with pytest.raises(AssertionError, match="looked at"), _NoLooking():
        mass.item()


def test_what_goes_wrong_in_a_step_is_said():
    model, optimizer, mean = trained()
    x, y = batches(7)[0]

    def pair():
        return CE.total(model(x), y)

    with pytest.raises(InputError, match="nothing was added"):
        mean.finish()
    mean.add(pair()).backward()
    with pytest.raises(InputError, match="still totals"):
        optimizer.step()
    mean.finish()
    with pytest.raises(InputError, match="called twice"):
        mean.finish()
    optimizer.step()
    with pytest.raises(InputError, match="zero_grad"):
        mean.add(pair())
    optimizer.zero_grad(set_to_none=False)  # zeros are nothing
    mean.add(pair())
    with pytest.raises(InputError, match="two losses"):
        mean.add(lossmith.Huber().total(model(x), torch.zeros(7, nc.CLASSES).double()))
    with pytest.raises(InputError, match="no backward"):
        mean.finish()
    mean.discard()
    optimizer.step()  # nothing waits any more
    total = mean.add(pair())
    total.backward(retain_graph=True)
    with pytest.raises(InputError, match="second backward"):
        total.backward()
    mean.discard()
    optimizer.zero_grad()
    with pytest.raises(InputError, match="divided already"):
        mean.add(CE(model(x), y))
    with torch.no_grad(), pytest.raises(InputError, match="needs no gradient"):
        mean.add(pair())
    with pytest.raises(ShapeError, match="scalars"):
        mean.add((torch.ones(2), torch.ones(2)))
    with pytest.raises(InputError, match="no batch at all"):
        list(lossmith.micro_batches(model, []))
    with pytest.raises(InputError, match="Optimizer"):
        lossmith.StepMean(model, model.parameters())
    with pytest.raises(InputError, match="wrapped as it is"):
        lossmith.share_of_mean(pair(), 7, "model")
    with pytest.raises(InputError, match="those of ce: each has a mass of its own"):
        lossmith.share_of_mean({"ce": pair()}, 7, model)


def test_what_has_no_mass_is_said():
    y = torch.tensor([0, 3, 1])
    with pytest.raises(InputError, match="no loss of ours"):
        lossmith.mass_of(torch.nn.MSELoss(), y)
    with pytest.raises(InputError, match=r"Objective is no loss of ours.*objective\.masses"):
        lossmith.mass_of(CE + lossmith.L2(), y)
    with pytest.raises(InputError, match="brings its own"):
        lossmith.mass_of(CE, y, class_weight=torch.ones(4))
    with pytest.raises(InputError, match="neither"):
        lossmith.mass_of("huber", torch.ones(3), ignore_index=1)
    with pytest.raises(LabelError, match="3 is no class"):
        lossmith.mass_of("focal", y, class_weight=torch.ones(3))
    with pytest.raises(ShapeError, match="distributions"):
        lossmith.mass_of(CE, torch.ones(3))
    with pytest.raises(ShapeError, match="sample_weight has shape"):
        lossmith.mass_of(CE, y, torch.ones(2))
    with pytest.raises(InputError, match="target must be"):
        lossmith.mass_of(CE, 3)
    with pytest.raises(InputError, match="finite"):
        lossmith.global_masses({"ce": float("nan")})
    with pytest.raises(InputError, match="one number"):
        lossmith.global_masses({"ce": torch.ones(2)})
    with pytest.raises(InputError, match="empty"):
        lossmith.global_masses({})
