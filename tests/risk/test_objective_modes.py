"""Objectives without a wait for the device, compiled, copied, saved, moved, and in threads."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import lossmith
from risk.objectives import Net, batch, by_hand, everything, full

F32 = torch.float32
aten = torch.ops.aten


class NoReading(TorchDispatchMode):
    """Fails wherever a device would be waited for: numbers read, shapes that depend on values."""

    waiting = (
        aten._local_scalar_dense, aten.item, aten.is_nonzero, aten.equal, aten.nonzero,
        aten.masked_select, aten._unique2, aten.unique_consecutive,
    )  # fmt: skip

    def __init__(self):
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen += 1
        if function.overloadpacket in self.waiting:
            raise RuntimeError(f"{function} waits for the device")
        return function(*args, **(kwargs or {}))


def test_the_watch_sees_what_it_is_for():
    for read in (torch.Tensor.item, bool, float, torch.Tensor.nonzero):
        with pytest.raises(RuntimeError, match="waits for the device"), NoReading():
            read(torch.ones(()))


@pytest.mark.parametrize("with_masses", [False, True])
def test_no_step_of_training_waits_for_the_device(with_masses):
    """Value, components, weights, backward, the optimiser's step and the schedule's."""
    objective, net, given = full(), Net(), batch()
    masses = {k: m for k, (_, m) in objective.totals(**everything(net, given)).items()}
    learned = [*net.parameters(), *objective.parameters()]
    optimizer = torch.optim.SGD(learned, lr=0.1)
    log = []
    with NoReading() as watch:
        for _ in range(3):
            optimizer.zero_grad()
            value, parts = objective.parts(
                masses=masses if with_masses else None, **everything(net, given)
            )
            value.backward()
            optimizer.step()
            objective.advance()
            log.append((value.detach(), parts, objective.weights()))
    assert watch.seen > 100
    values = [value.item() for value, _, _ in log]
    assert len({*values}) == 3  # something was learned between the steps


def test_it_runs_on_the_meta_device():
    """Where there are no numbers, none can be read."""
    objective = full().float().to("meta")
    net = Net(F32).to("meta")
    given = {k: v.to("meta") for k, v in batch(dtype=F32).items()}
    value, parts = objective.parts(**everything(net, given))
    value.backward()
    objective.advance()
    assert value.device.type == "meta"
    assert all(c.device.type == "meta" and c.shape == () for c in parts.values())
    assert all(p.grad.shape == p.shape for p in objective.parameters())
    assert "center_loss(features, target)" in repr(objective)


@pytest.fixture
def fresh_dynamo():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own
def test_it_compiles_as_one_graph_and_only_once():
    objective, net, given = full(), Net(), batch()
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    def run():
        return objective.parts(**everything(net, given))

    run()  # settings that were found right are remembered, and the memory is guarded
    compiled = torch.compile(run, fullgraph=True, backend=backend)
    learned = [*net.parameters(), *objective.parameters()]
    seen = []
    for step in range(4):  # the weights of a schedule are data of the graph, not part of it
        objective.set_step(step)
        value, components = compiled()
        gradients = torch.autograd.grad(value, learned)
        expected, own = run()
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
        torch.testing.assert_close(components, own, rtol=1e-12, atol=0)
        for a, b in zip(gradients, torch.autograd.grad(expected, learned), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)
        seen.append(value.item())
    assert len(graphs) == 1
    assert len({*seen}) == 4


@pytest.mark.parametrize(
    "how", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["deepcopy", "pickle"]
)
def test_copies_are_whole_and_apart(how):
    objective, net, given = full(), Net(), batch()
    other = how(objective)
    assert repr(other) == repr(objective)
    inputs = everything(net, given)
    before = objective(**inputs)
    assert torch.equal(other(**inputs), before)
    mine, theirs = objective.state_dict(), other.state_dict()
    assert list(mine) == list(theirs)
    assert all(torch.equal(mine[k], theirs[k]) for k in mine)
    with torch.no_grad():
        for p in other.parameters():
            p.add_(1)
    other.advance()
    assert torch.equal(objective(**inputs), before)
    assert not torch.equal(other(**inputs), before)


def test_the_state_is_what_was_learned_and_the_step():
    objective = full()
    assert sorted(objective.state_dict()) == [
        "center_loss.centers", "weighting.huber.log_variance", "weighting.l2.step",
    ]  # fmt: skip
    assert sorted(n for n, _ in objective.named_parameters()) == [
        "center_loss.centers", "weighting.huber.log_variance",
    ]  # fmt: skip
    fresh = full()
    with torch.no_grad():
        objective.center_loss.centers.add_(0.7)
        objective.weighting.huber.log_variance.sub_(1.0)
    objective.set_step(2)
    fresh.load_state_dict(objective.state_dict())
    inputs = everything(Net(), batch())
    assert torch.equal(fresh(**inputs), objective(**inputs))


def test_weights_keep_their_digits_in_half_precision():
    objective = (lossmith.LinearRamp(0, 0.1, steps=3) * lossmith.L2()) + torch.tensor(
        0.1
    ) * lossmith.L1()
    objective = objective + lossmith.Uncertainty(log_variance=0.1) * lossmith.Huber()
    objective.advance(3)
    objective.to(torch.bfloat16)
    x = torch.ones(4)
    expected = 0.1 * 4 + 0.1 * 2 + 1.5 * torch.exp(torch.tensor(-0.1)) + 0.05
    torch.testing.assert_close(objective(prediction=x + 2, target=x), expected)


def test_it_goes_into_a_model_with_its_own_step():
    """As a child of a Module it is moved, saved and trained with it."""
    model = torch.nn.Module()
    model.net, model.objective = Net(), full()
    assert "objective.weighting.l2.step" in model.state_dict()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    given, values = batch(), []
    for _ in range(30):
        optimizer.zero_grad()
        value = model.objective(**everything(model.net, given))
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0]
    torch.testing.assert_close(
        model.objective(**everything(model.net, given)),
        by_hand(model.objective, model.net, given)[0],
        rtol=1e-12,
        atol=1e-14,
    )


def test_calls_from_several_threads_do_not_mix():
    objective, net = full(), Net()
    batches = [batch(seed=k) for k in range(8)]
    expected = [objective.parts(**everything(net, given)) for given in batches]

    def run(k):
        return objective.parts(**everything(net, batches[k % 8]))

    with ThreadPoolExecutor(4) as pool:
        for k, (value, components) in enumerate(pool.map(run, range(64))):
            torch.testing.assert_close(value, expected[k % 8].value, rtol=0, atol=0)
            torch.testing.assert_close(components, expected[k % 8].components, rtol=0, atol=0)


def test_double_backward_and_func():
    objective, net, given = full(), Net(), batch()
    learned = [net.numbers.weight, objective.weighting.huber.log_variance]

    def second(value):
        first = torch.autograd.grad(value, learned, create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), learned)

    ours = second(objective(**everything(net, given)))
    expected = second(by_hand(objective, net, given)[0])
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-13)
    out, y = net(given["x"]), given["target"]
    square = lossmith.Objective(square=lambda logits: logits.square().mean())
    small = lossmith.CrossEntropy() + 0.1 * square

    def value(z):
        return small(logits=z, target=y)

    def plain(z):
        return torch.nn.functional.cross_entropy(z, y) + 0.1 * z.square().mean()

    z = out["logits"].detach()
    torch.testing.assert_close(torch.func.grad(value)(z), torch.func.grad(plain)(z))
    torch.testing.assert_close(torch.func.hessian(value)(z), torch.func.hessian(plain)(z))
