"""Exceptions and signals at every point of a threaded kernel: nothing is lent that is written to.

A thread that goes on after its call has failed would write into the next gradient.
"""

import os
import signal
import threading
import time

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lossmith
from lossmith.engine.cpu import launch, memory, threads

DRAWN = settings(
    derandomize=True, deadline=None, max_examples=8, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
COUNT = 2_200_000  # a gradient of 8.8 MB, whose memory is used again
SCORES = (30_000, 75)  # likewise


class StopError(BaseException):
    """What nobody else raises."""


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    memory._waiting.clear()
    yield
    memory._waiting.clear()
    torch.set_num_threads(before)


def one_each(scale=1.0):
    z = torch.full((COUNT,), 0.5 * scale, requires_grad=True)
    return (
        lossmith.huber(z, torch.zeros(COUNT), reduction="sum"),
        z,
        torch.full((COUNT,), 0.5 * scale),
    )


def rows(scale=1.0):
    """All scores alike: a gradient of 1/75 everywhere, and of -74/75 at the label."""
    z = torch.full(SCORES, scale, requires_grad=True)
    label = torch.zeros(SCORES[0], dtype=torch.long)
    want = torch.full(SCORES, 1 / SCORES[1])
    want[:, 0] -= 1
    return lossmith.cross_entropy(z, label, reduction="sum"), z, want


def right(loss):
    """Gradients of other numbers, twice: what was still written would be in one of them."""
    for scale in (0.5, 1.0):
        value, z, want = loss(scale)
        (got,) = torch.autograd.grad(value, z)
        assert torch.allclose(got, want, rtol=1e-5, atol=1e-7)


class Faulty:
    """A kernel that fails at one of its calls, where the others take their time and then write."""

    def __init__(self, kernel, at):
        self.kernel, self.at = kernel, at
        self.lock, self.calls, self.inside = threading.Lock(), 0, 0

    def __call__(self, *arguments):
        with self.lock:
            self.calls += 1
            mine = self.calls
            self.inside += 1
        try:
            if mine == self.at:
                raise StopError
            time.sleep(0.002)
            return self.kernel(*arguments)
        finally:
            with self.lock:
                self.inside -= 1


@pytest.mark.parametrize("loss", [one_each, rows])
@DRAWN
@given(at=st.integers(1, 36))
def test_a_fault_in_any_thread_leaves_nobody_at_work(loss, at):
    loss()
    made, kernel = [], launch._kernel

    def faulty(*arguments):
        made.append(Faulty(kernel(*arguments), at))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "_kernel", faulty)
        try:
            loss()
        except StopError:
            assert made[0].calls >= at
        else:
            assert made[0].calls < at
        assert made[0].inside == 0
        before = made[0].calls
        time.sleep(0.003)
        assert made[0].calls == before
    right(loss)


@pytest.mark.parametrize("loss", [one_each, rows])
def test_memory_stays_with_a_thread_that_was_left_behind(loss, monkeypatch):
    """Even if a caller got away from its helpers (a second signal may lead anywhere)."""
    enter, leave, left = threading.Event(), threading.Event(), []
    kernel = launch._kernel

    def slow(*arguments):
        real = kernel(*arguments)

        def run(*given_):
            enter.set()
            assert leave.wait(60)
            return real(*given_)

        return run

    def escaping(run, blocks, grain):
        left.append(threading.Thread(target=run, args=(0, blocks)))
        left[0].start()
        assert enter.wait(60)
        raise StopError

    size = COUNT * 4 if loss is one_each else SCORES[0] * SCORES[1] * 4
    with monkeypatch.context() as patch:
        patch.setattr(launch, "_kernel", slow)
        patch.setattr(launch, "share", escaping)
        with pytest.raises(StopError):
            loss()
    taken = [memory.fresh((size // 4,), torch.float32).fill_(7.0) for _ in range(3)]
    leave.set()
    left[0].join(60)
    assert all(bool((t == 7.0).all()) for t in taken)
    right(loss)


@pytest.fixture
def stopped():
    """A handler that raises, as a timeout's does, while this event is set."""
    armed = threading.Event()

    def handler(number, frame):
        if armed.is_set():
            raise StopError

    before = signal.signal(signal.SIGUSR1, handler)
    yield armed
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("loss", [one_each, rows])
@DRAWN
@given(delays=st.lists(st.floats(0, 0.02), min_size=1, max_size=3))
def test_signals_at_any_moment(stopped, loss, delays):
    """A handler that raises, up to three times in one call; what comes after is right."""
    loss()
    stopped.set()

    def send():
        for delay in delays:
            time.sleep(delay)
            os.kill(os.getpid(), signal.SIGUSR1)

    sender = threading.Thread(target=send)
    for step in (sender.start, loss, loss, loss, sender.join):
        try:
            step()
        except StopError:
            continue
    while sender.is_alive():
        try:
            sender.join()
        except StopError:
            continue
    # A signal that went to another thread may still be on its way here.
    while stopped.is_set():
        try:
            stopped.clear()
        except StopError:
            continue
    right(loss)


def test_what_a_handler_raises_is_not_mistaken_for_a_system_without_threads(monkeypatch):
    class Pool:
        def submit(self, *arguments):
            raise RuntimeError("took too long")

    monkeypatch.setattr(threads, "_workers", lambda wanted: Pool())
    with pytest.raises(RuntimeError, match="took too long"):
        threads.share(lambda first, last: None, 4, 1)


def test_without_more_threads_the_caller_does_it_all(monkeypatch):
    class Pool:
        def submit(self, *arguments):
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_workers", lambda wanted: Pool())
    done = []
    threads.share(lambda first, last: done.append((first, last)), 5, 2)
    assert done == [(0, 2), (2, 4), (4, 5)]


def test_a_failed_call_holds_no_memory():
    """Neither the error nor a helper that has yet to start keeps the gradient."""
    kept = []
    with pytest.MonkeyPatch.context() as patch:
        kernel = launch._kernel
        patch.setattr(launch, "_kernel", lambda *a: Faulty(kernel(*a), 2))
        with pytest.raises(StopError) as caught:
            one_each()
        kept.append(caught.type)
        del caught
    first = memory.fresh((COUNT,), torch.float32)
    assert len(memory._waiting) == 1, "the block of the failed call serves again"
    del first


def test_a_large_gradient_can_be_resized_as_any_other():
    z = torch.full((COUNT,), 0.5, requires_grad=True)
    lossmith.huber(z, torch.zeros(COUNT), reduction="sum").backward()
    storage = z.grad.untyped_storage()
    storage.resize_(0)
    right(one_each)
    storage.resize_(COUNT * 4)
    z.grad.fill_(3.0)
    right(one_each)
    assert bool((z.grad == 3.0).all())


def test_memory_that_is_shared_or_exported_is_not_lent_again():
    """Another process, or an array, may still look at it."""
    for keep in ("share_memory_", "numpy"):
        memory._waiting.clear()
        tensor = memory.fresh((COUNT,), torch.float32).fill_(1.0)
        kept = getattr(tensor, keep)()
        place = torch.as_tensor(kept).data_ptr()  # share_memory_ moves it, and frees where it was
        del tensor
        other = memory.fresh((COUNT,), torch.float32)
        assert other.data_ptr() != place
        other.fill_(2.0)
        assert kept[0] == kept[-1] == 1.0
