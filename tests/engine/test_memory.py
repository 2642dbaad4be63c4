"""Large results take their memory from what earlier ones let go, and never from each other."""

import copy
import gc
import io
import os
import subprocess
import sys
import threading

import pytest
import torch
import torch.nn.functional as F

import lossmith
from lossmith.engine.cpu import memory
from patience import HANG

SHAPE = (3000, 1000)
SIZE = 3000 * 1000 * 4


@pytest.fixture(autouse=True)
def nothing_waits():
    gc.collect()
    memory._waiting.clear()
    yield
    memory._waiting.clear()


def test_what_was_let_go_is_used_again_and_only_then():
    first = memory.fresh(SHAPE, torch.float32)
    place = first.data_ptr()
    second = memory.fresh(SHAPE, torch.float32)
    assert second.data_ptr() != place
    part = first[5:]  # a view keeps the memory, as the tensor itself would
    del first
    assert memory.fresh(SHAPE, torch.float32).data_ptr() != place
    del part
    again = memory.fresh(SHAPE, torch.float32).data_ptr()
    for _ in range(3):
        assert memory.fresh(SHAPE, torch.float32).data_ptr() == again
    third = memory.fresh(SHAPE, torch.float32)
    assert third.data_ptr() != second.data_ptr()
    assert third.data_ptr() % 64 == 0


def test_a_block_serves_other_dtypes_but_not_much_smaller_results():
    place = memory.fresh(SHAPE, torch.float32).data_ptr()
    fewer = memory.fresh((3000, 1500), torch.bfloat16)  # 9 MB of 12
    assert (fewer.data_ptr(), fewer.dtype, fewer.shape) == (place, torch.bfloat16, (3000, 1500))
    assert fewer.is_contiguous()
    del fewer
    assert memory.fresh((5000, 2000), torch.float64).data_ptr() != place
    assert len(memory._waiting) == 2


def test_no_more_waits_than_was_allowed(monkeypatch):
    monkeypatch.setattr(memory, "_most", lambda: 30 << 20)
    several = [memory.fresh(SHAPE, torch.float32) for _ in range(5)]
    del several
    assert sum(block.size for block in memory._waiting) == 2 * SIZE
    large = memory.fresh((3000, 4000), torch.float32)
    del large  # alone too large to wait, so nothing else has to go
    assert len(memory._waiting) == 2


def test_a_person_can_forbid_it():
    code = (
        "import torch\nfrom lossmith.engine.cpu import memory\n"
        "memory.fresh(torch.Size((3000, 1000)), torch.float32)\nprint(len(memory._waiting))"
    )
    for given, waiting in (("0", "0"), ("64", "1"), ("no number", "1")):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {memory.ENVIRONMENT: given},
            capture_output=True, text=True, timeout=HANG,
        )  # fmt: skip
        assert run.stdout.strip() == waiting, run.stderr


def test_gradients_of_a_training_loop_stay_apart():
    z = torch.randn(2048, 1200, requires_grad=True)
    t = torch.randint(0, 1200, (2048,))
    (wanted,) = torch.autograd.grad(F.cross_entropy(z, t), z)
    kept = []
    for step in range(4):
        z.grad = None
        (lossmith.cross_entropy(z, t) * (step + 1)).backward()
        kept.append(z.grad)
    for step, gradient in enumerate(kept):
        torch.testing.assert_close(gradient, wanted * (step + 1), rtol=1e-5, atol=1e-9)


def test_gradients_do_what_other_tensors_do():
    gradient = memory.fresh(SHAPE, torch.float32).fill_(2.0)
    file = io.BytesIO()
    torch.save(gradient, file)
    file.seek(0)
    for other in (torch.load(file), copy.deepcopy(gradient), gradient.clone().share_memory_()):
        assert torch.equal(other, gradient)
    assert not gradient._is_view()
    z = torch.zeros(SHAPE, requires_grad=True)
    z.grad = gradient
    z.grad.add_(1.0)
    assert float(gradient[0, 0]) == 3.0


def test_threads_take_and_give_without_sharing():
    wrong = []

    def work(number):
        for step in range(60):
            tensor = memory.fresh(SHAPE, torch.float32)
            mine = float(100 * number + step)
            tensor[::500] = mine
            if not bool((tensor[::500] == mine).all()):
                wrong.append((number, step))

    several = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in several:
        thread.start()
    for thread in several:
        thread.join()
    assert not wrong
    assert sum(block.size for block in memory._waiting) <= memory.KEEP_MIB << 20
