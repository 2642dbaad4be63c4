"""What a step that was left half way leaves behind, and what a copy keeps of the original."""

import copy
import pickle

import pytest
import torch
from torch import nn, optim
from torch.nn.parallel import DistributedDataParallel

import lossmith
from risk.processes import joined_group

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 1, 0])


def copies(value):
    return copy.deepcopy(value), pickle.loads(pickle.dumps(value))


def test_a_copied_step_mean_still_guards_its_optimiser():
    model = nn.Linear(3, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    run = (model, optimizer, lossmith.StepMean(model, optimizer))
    for model, optimizer, mean in (*copies(run), run):
        mean.add(lossmith.CrossEntropy().total(model(X), Y)).backward()
        with pytest.raises(lossmith.InputError, match="still totals"):
            optimizer.step()
        value = mean.finish()
        torch.testing.assert_close(value, nn.functional.cross_entropy(model(X), Y).double())
        optimizer.step()


class Exchange:
    """Two ranks alike, of which the first exchange fails half way."""

    failed = False

    def several(self):
        return True

    def add(self, tensor):
        tensor.mul_(2)
        if not self.failed:
            self.failed = True
            raise RuntimeError("connection lost")


def test_an_exchange_that_failed_may_be_tried_again():
    model = nn.Linear(3, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    mean = lossmith.StepMean(model, optimizer)
    mean._group = Exchange()
    mean.add(lossmith.CrossEntropy().total(model(X), Y)).backward()
    gradient = model.weight.grad.clone()
    with pytest.raises(RuntimeError, match="connection lost"):
        mean.finish()
    mean.finish()
    torch.testing.assert_close(model.weight.grad, gradient / 8)


@pytest.fixture
def alone(tmp_path):
    threads = torch.get_num_threads()
    with joined_group(0, 1, tmp_path / "meeting", 20):
        yield
    torch.set_num_threads(threads)


def test_a_loop_over_micro_batches_that_was_left(alone):
    model = DistributedDataParallel(nn.Linear(3, 2))
    for _ in lossmith.micro_batches(model, range(4)):
        break
    assert list(lossmith.micro_batches(model, range(2))) == [0, 1]
    assert model.require_backward_grad_sync

    def fails():
        for batch in lossmith.micro_batches(model, range(4)):
            batch / batch

    with pytest.raises(ZeroDivisionError):
        fails()
    assert model.require_backward_grad_sync
    held = lossmith.micro_batches(model, range(4))
    next(held)
    with pytest.raises(lossmith.InputError, match="no_sync"):
        list(lossmith.micro_batches(model, range(2)))
    held.close()
    assert list(lossmith.micro_batches(model, range(2))) == [0, 1]


def test_schedules_advance_together_or_not_at_all():
    def ends(step):
        return 1.0 if step < 2 else float("nan")

    objective = lossmith.LinearRamp(0.0, 1.0, steps=4) * lossmith.CrossEntropy()
    objective = objective + ends * lossmith.L1Penalty()
    objective.advance()
    before = {k: float(v) for k, v in objective.weights().items()}
    for move in (objective.advance, lambda: objective.set_step(3)):
        with pytest.raises(lossmith.ParameterError, match="at step"):
            move()
        assert {k: float(v) for k, v in objective.weights().items()} == before
        assert all(int(v) == 1 for k, v in objective.state_dict().items() if k.endswith("step"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_weight_that_is_changed_in_place_keeps_its_name_through_dtypes(dtype):
    weight = torch.tensor(1.0, dtype=dtype)
    objective = weight * lossmith.L1Penalty() + 0.0 * lossmith.L2Penalty()
    for move in (lambda o: o.double(), lambda o: o.to(torch.float32), lambda o: o.half()):
        weight.fill_(2.0)
        move(objective)
        weight.fill_(3.0)
        assert float(objective(parameters=[torch.ones(2)])) == 6.0
