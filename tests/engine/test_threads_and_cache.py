"""Threads, forks, and whatever can happen to the folder of compiled kernels."""

import os
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import lossmith
from engine import cases
from patience import HANG

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def results(name, z, t, **options):
    loss = cases.function(name)
    z = z.clone().requires_grad_()
    out = []
    for reduction in ("sum", "mean", "none"):
        value = loss(z, t, reduction=reduction, **options)
        out += [value.detach(), cases.gradient(value, z, torch.full_like(value, 0.7))]
    return out


def large(name):
    g = torch.Generator().manual_seed(5)
    if name in cases.ELEMENTWISE:
        z = 3 * torch.randn(300_001, generator=g)
        return z, (torch.rand(300_001, generator=g) < 0.5).float()
    return 3 * torch.randn(3001, 100, generator=g), torch.randint(0, 100, (3001,), generator=g)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "name",
    ["huber", "barron", "binary_focal", "focal", "CrammerSinger('hinge')", "OneVsRest('hinge')"],
)
def test_one_thread_or_many_give_the_same_bits(name, weighted, threads):
    z, t = large(name)
    options = {"sample_weight": torch.rand(len(z))} if weighted else {}
    found = []
    for count in (1, 2, 5):
        threads(count)
        found.append(results(name, z, t, **options))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("shape", [(7, 100_000), (40, 30, 20, 11)])
def test_rows_of_any_length_give_the_same_bits(shape, threads):
    g = torch.Generator().manual_seed(6)
    z = torch.randn(shape, generator=g)
    t = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=g)
    threads(1)
    one = results("cross_entropy", z, t)
    threads(2)
    two = results("cross_entropy", z, t)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    torch.testing.assert_close(one[2], F.cross_entropy(z, t), rtol=1e-5, atol=1e-6)


def test_eight_threads_calling_different_losses_at_once(threads):
    threads(2)
    names = ["huber", "l2", "cauchy", "logistic", "binary_focal", "focal", "cross_entropy", "hinge"]
    inputs = {name: large(name) for name in names}
    alone = {name: results(name, *inputs[name]) for name in names}
    start, failures = threading.Barrier(8), []

    def work(name):
        start.wait()
        try:
            for _ in range(5):
                for a, b in zip(results(name, *inputs[name]), alone[name], strict=True):
                    assert torch.equal(a, b)
        except BaseException as error:
            failures.append((name, error))

    workers = [threading.Thread(target=work, args=(name,)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []


def script(text, cache, timeout=HANG, **environment):
    """Run Python in a process of its own; returns what it printed."""
    env = {
        **os.environ, "LOSSMITH_CACHE_DIR": str(cache), "PYTHONWARNINGS": "always",
        "PYTHONPATH": str(ROOT / "src"), **environment,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        env=env, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def test_a_forked_worker_computes_losses(tmp_path):
    """A DataLoader worker (fork) after the parent has used threads, and a plain fork."""
    done = script(
        """
        import os, numpy as np, torch, lossmith
        torch.set_num_threads(2)
        z = torch.linspace(-3, 3, 400_000); t = torch.zeros_like(z)
        parent = lossmith.huber(z, t)

        class Data(torch.utils.data.Dataset):
            def __len__(self): return 4
            def __getitem__(self, i):
                torch.set_num_threads(2)
                known, new = lossmith.huber(z, t), lossmith.cauchy(z, t)
                return torch.stack([known, new])

        loader = torch.utils.data.DataLoader(Data(), num_workers=2, multiprocessing_context="fork")
        rows = torch.cat(list(loader))
        assert (rows[:, 0] == parent).all(), (rows, parent)
        assert (rows[:, 1] == lossmith.cauchy(z, t)).all()

        # In a forked child torch's own threads (OpenMP) hang on large tensors; ours must not.
        child = os.fork()
        if child == 0:
            x = z.detach().requires_grad_()
            fine = all(
                np.isfinite(torch.autograd.grad(loss(x, t), x)[0].numpy()).all()
                for loss in (lossmith.huber, lossmith.welsch)
            )
            os._exit(0 if fine else 3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert lossmith.huber(z, t) == parent
        print("fine")
        """,
        tmp_path,
    )
    assert done.stdout.strip() == "fine"


def test_a_fork_while_other_threads_compute(tmp_path):
    done = script(
        """
        import os, threading, time, torch, lossmith
        torch.set_num_threads(2)
        z = torch.linspace(-3, 3, 400_000); t = torch.zeros_like(z)
        lossmith.huber(z, t); lossmith.l2(z, t)
        stop = False

        def work():
            while not stop:
                lossmith.huber(z, t)

        threads = [threading.Thread(target=work) for _ in range(2)]
        [x.start() for x in threads]
        for _ in range(5):
            child = os.fork()
            if child == 0:
                os._exit(0 if lossmith.l2(z, t) > 0 else 3)
            limit = time.time() + 30
            while True:
                pid, status = os.waitpid(child, os.WNOHANG)
                if pid: break
                if time.time() > limit:
                    os.kill(child, 9); stop = True
                    raise SystemExit("the child hangs")
                time.sleep(0.01)
            assert status == 0, status
        stop = True
        [x.join() for x in threads]
        print("fine")
        """,
        tmp_path,
    )
    assert done.stdout.strip() == "fine"


CALL = """
import torch, lossmith
z = torch.tensor([0.5, -3.0], requires_grad=True)
value = lossmith.huber(z, torch.zeros(2))
value.backward()
assert abs(value.item() - (0.125 + 2.5) / 2) < 1e-7, value
assert z.grad.tolist() == [0.25, -0.5], z.grad
rows = lossmith.cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
assert abs(rows.item() - 0.6931472) < 1e-6
print(lossmith.engine_for(lossmith.huber, z, torch.zeros(2)).split(":")[0])
"""


def check(cache, warned, **environment):
    done = script(CALL, cache, **environment)
    assert done.stdout.strip() == "cpu"
    assert done.stderr.count("CacheWarning:") <= 1, done.stderr
    assert ("CacheWarning" in done.stderr) == warned, done.stderr
    assert "Traceback" not in done.stderr


def left_behind(folder):
    return [p.name for p in folder.rglob(".writing-*")]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernels")
    check(folder, warned=False)
    files = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    assert files
    assert left_behind(folder) == []
    return files


DAMAGE = {
    "cut off": lambda b: b[: len(b) // 2],
    "empty": lambda b: b"",
    "garbled": lambda b: bytes(x ^ 0x5A for x in b),
    "one bit": lambda b: b[:-9] + bytes([b[-9] ^ 1]) + b[-8:],
    "no checksum": lambda b: b.partition(b"\n")[2],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache(damage, filled, tmp_path):
    for name, content in filled.items():
        (tmp_path / name).write_bytes(DAMAGE[damage](content))
    check(tmp_path, warned=True)
    assert left_behind(tmp_path) == []
    check(tmp_path, warned=False)  # it was mended


def test_a_missing_cache_is_made(tmp_path):
    check(tmp_path / "not" / "yet", warned=False)
    assert any((tmp_path / "not" / "yet").iterdir())


def test_a_file_in_place_of_the_folder(tmp_path):
    place = tmp_path / "file"
    place.write_text("mine")
    check(place, warned=True)
    assert place.read_text() == "mine"


def test_a_folder_that_may_not_be_written(filled, tmp_path):
    """Full or empty; a superuser may write anywhere, so the folder is made of /proc for one."""
    if os.geteuid() == 0:
        if not Path("/proc/self").exists():
            pytest.skip("a superuser may write everywhere here")
        check(Path("/proc/lossmith"), warned=True)
        return
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    for name, content in filled.items():
        (full / name).write_bytes(content)
    empty.chmod(0o500)
    full.chmod(0o500)
    check(empty, warned=True)
    check(full, warned=False)  # there is nothing to write
    empty.chmod(0o700)
    full.chmod(0o700)


def test_several_processes_at_once_on_an_empty_cache(tmp_path):
    env = {**os.environ, "LOSSMITH_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT / "src")}
    running = [
        subprocess.Popen([sys.executable, "-W", "error::UserWarning", "-c", CALL], env=env)
        for _ in range(3)
    ]
    assert [p.wait(timeout=HANG) for p in running] == [0, 0, 0]
    assert left_behind(tmp_path) == []
    check(tmp_path, warned=False)


def test_a_warning_says_what_to_do(tmp_path, monkeypatch):
    place = tmp_path / "file"
    place.write_text("")
    monkeypatch.setenv("LOSSMITH_CACHE_DIR", str(place))
    from lossmith.engine import cache

    monkeypatch.setattr(cache, "_warned", type(cache._warned)())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cache.write("x", b"content")
    (warning,) = caught
    assert warning.category is lossmith.CacheWarning
    assert "LOSSMITH_CACHE_DIR" in str(warning.message)
    assert str(place) in str(warning.message)
