"""What lies in the kernel cache is executed: only what is ours, whole and rightly named counts.

Faults are drawn: what is read back is what was stored or nothing, no foreign file goes, nothing
hangs. The files here are no kernels, so nothing is compiled unless a test says so.
"""

import os
import stat
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lossmith
from lossmith.engine import cache
from lossmith.engine.cpu import launch, machine

ROOT = Path(__file__).resolve().parents[2]
A, B, C = (f"lossmith-{letter * 32}-{'0' * 16}.o" for letter in "abc")
STRANGER = 54321  # a user who is not us
many = settings(derandomize=True, deadline=None, max_examples=60)
posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="owners are POSIX's")
superuser = pytest.mark.skipif(
    getattr(os, "geteuid", lambda: 1)() != 0, reason="only a superuser gives files away"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    return use(tmp_path / "cache", monkeypatch)


def use(place, monkeypatch):
    place.mkdir(mode=0o700)
    monkeypatch.setenv("LOSSMITH_CACHE_DIR", str(place))
    monkeypatch.setattr(cache, "_warned", set())
    return place


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One folder for the draws of a test, which a fixture of a function cannot be."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield use(tmp_path_factory.mktemp("drawn") / "cache", monkeypatch)


def read(name):
    """What is read, and what was said."""
    cache._warned.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = cache.read(name)
    assert all(w.category is lossmith.CacheWarning for w in caught)
    return found, " ".join(str(w.message) for w in caught)


def script(text, **environment):
    """Run Python on its own, for what would take the tests down with it."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


@many
@given(st.data())
def test_whatever_happens_to_a_file_it_is_whole_or_counts_as_missing(shared, data):
    content = data.draw(st.binary(max_size=300))
    cache.write(A, content)
    cache.write(B, b"another's")
    path = shared / A
    raw = path.read_bytes()
    at = data.draw(st.integers(0, len(raw) - 1))
    fault = data.draw(st.sampled_from(["bit", "cut", "more", "swap", "drop", "none"]))
    changed = {
        "bit": raw[:at] + bytes([raw[at] ^ (1 << data.draw(st.integers(0, 7)))]) + raw[at + 1 :],
        "cut": raw[:at],
        "more": raw[:at] + data.draw(st.binary(min_size=1, max_size=9)) + raw[at:],
        "swap": (shared / B).read_bytes(),
        "drop": raw[:at] + raw[at + 1 :],
        "none": raw,
    }[fault]
    path.write_bytes(changed)
    found, said = read(A)
    assert found == (content if changed == raw else None)
    assert (said != "") == (changed != raw)


def test_an_object_under_the_name_of_another_is_none(folder):
    cache.write(A, b"for A")
    cache.write(B, b"for B")
    os.replace(folder / A, folder / B)
    assert read(B)[0] is None
    assert "damaged" in read(B)[1]


@posix
@many
@given(st.integers(0, 0o777), st.integers(0, 0o777))
def test_what_others_may_write_is_refused(shared, of_file, of_folder):
    cache.write(A, b"content")
    open_to_others = stat.S_IWGRP | stat.S_IWOTH
    of_file, of_folder = of_file | 0o400, of_folder | 0o700
    (shared / A).chmod(of_file)
    shared.chmod(of_folder)
    try:
        found, said = read(A)
        assert (found is None) == bool((of_file | of_folder) & open_to_others)
        assert ("others may write" in said) == (found is None)
        if of_folder & open_to_others:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                cache.write(C, b"nothing is put there either")
            assert not (shared / C).exists()
    finally:
        shared.chmod(0o700)
        (shared / A).unlink()


@superuser
@pytest.mark.parametrize("what", ["file", "folder", "link to the folder"])
def test_what_another_user_owns_is_refused(what, folder, tmp_path, monkeypatch):
    cache.write(A, b"content")
    if what == "file":
        os.chown(folder / A, STRANGER, -1)
    elif what == "folder":
        os.chown(folder, STRANGER, -1)
    else:
        link = tmp_path / "link"
        link.symlink_to(folder)
        monkeypatch.setenv("LOSSMITH_CACHE_DIR", str(link))
        assert read(A)[0] == b"content"  # our own link is as good as the folder
        os.chown(link, STRANGER, -1, follow_symlinks=False)
    found, said = read(A)
    assert found is None
    assert "another user" in said


@posix
@pytest.mark.parametrize("what", ["pipe", "link", "link in a circle", "folder", "endless"])
def test_what_is_no_file_is_refused_at_once(what, folder, tmp_path):
    """In a process of its own, which would wait for the pipe for ever."""
    made = {
        "pipe": lambda path: os.mkfifo(path, 0o600),
        "link": lambda path: path.symlink_to(folder / B),
        "link in a circle": lambda path: path.symlink_to(path),
        "folder": lambda path: path.mkdir(mode=0o700),
        "endless": lambda path: path.symlink_to("/dev/zero"),
    }
    cache.write(A, b"content")
    os.replace(folder / A, folder / B)
    made[what](folder / A)
    done = script(
        f"""
        import resource, warnings
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        from lossmith.engine import cache
        warnings.simplefilter("always")
        assert cache.read({A!r}) is None
        cache.write({A!r}, b"mended")
        print(cache.read({A!r}))
        """
    )
    assert "CacheWarning" in done.stderr
    assert done.stdout.strip() == ("None" if what == "folder" else "b'mended'")
    assert (folder / B).exists()


@posix
def test_killed_or_out_of_room_at_every_step_of_a_write(folder):
    """Killed at each call to the system, and with room for each number of bytes."""
    done = script(
        f"""
        import os, resource, signal, sys, warnings
        from lossmith.engine import cache, folder
        warnings.simplefilter("ignore")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        old, new = b"o" * 20_000, b"n" * 20_000

        def at_step(step):
            seen = 0
            def watch(event, args):
                nonlocal seen
                if event in ("open", "os.rename", "os.remove", "os.listdir", "os.chmod"):
                    seen += 1
                    if seen == step:
                        os.kill(os.getpid(), signal.SIGKILL)
            sys.addaudithook(watch)

        def with_room(size):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        ends = set()
        faults = [(at_step, n) for n in range(1, 8)]
        faults += [(with_room, n) for n in range(0, 24_000, 3_000)]
        for fault, amount in faults:
            cache.write({A!r}, old)
            assert cache.read({A!r}) == old
            child = os.fork()
            if child == 0:
                fault(amount)
                cache.write({A!r}, new)
                os._exit(0)
            ends.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            assert cache.read({A!r}) in (old, new), (fault, amount)
        print(sorted(ends))
        """
    )
    assert done.stdout.strip() == "[-9, 0]"
    for path in folder.glob(".writing-*"):
        os.utime(path, (time.time() - 7200,) * 2)
    cache.write(B, b"")
    assert list(folder.glob(".writing-*")) == []  # what a killed process left goes in time


@many
@given(st.data())
def test_only_the_oldest_of_our_own_files_leave_and_never_another(tmp_path_factory, data):
    place = tmp_path_factory.mktemp("room") / "cache"
    sizes = data.draw(st.lists(st.integers(0, 600_000), max_size=8))
    foreign = ("notes.txt", "d41d8cd98f00b204e9800998ecf8427e.o", ".writing-mine", f"{A}.bak")
    with pytest.MonkeyPatch.context() as monkeypatch:
        use(place, monkeypatch)
        monkeypatch.setenv("LOSSMITH_CACHE_MIB", "1")
        for name in foreign:
            (place / name).write_bytes(b"x" * 700_000)
            os.utime(place / name, (1, 1))
        for number, size in enumerate(sizes):
            name = f"lossmith-{number:032x}.py"
            cache.write(name, b"x" * size, checksum=False)
            os.utime(place / name, (1000 + number,) * 2)
        cache.write(A, b"the newest")
        assert read(A)[0] == b"the newest"
    assert all((place / name).stat().st_size == 700_000 for name in foreign)
    ours = {p.name: p.stat().st_size for p in place.glob("lossmith-*") if p.name not in foreign}
    assert sum(ours.values()) <= 1 << 20
    kept = [number for number in range(len(sizes)) if f"lossmith-{number:032x}.py" in ours]
    assert kept == list(range(len(sizes)))[len(sizes) - len(kept) :]


@pytest.mark.parametrize("given", ["~/kernels", "~nobody-of-this-name/kernels"])
def test_no_folder_is_called_tilde(given, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LOSSMITH_CACHE_DIR", given)
    monkeypatch.setattr(cache, "_warned", set())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cache.write(A, b"content")
    known = given.startswith("~/")
    assert (home / "kernels" / A).exists() == known
    assert len(caught) == (0 if known else 1)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_folder_that_goes_while_it_is_used_is_made_again(folder):
    cache.write(A, b"content")
    (folder / A).unlink()
    folder.rmdir()
    assert read(A) == (None, "")
    cache.write(A, b"again")
    assert read(A) == (b"again", "")


@pytest.mark.parametrize(
    "setting", ["CPU_NAME", "CPU_FEATURES", "OPT", "ENABLE_AVX", "BOUNDSCHECK", "ANY_NEW_ONE"]
)
def test_numbas_settings_are_part_of_an_objects_name(setting, monkeypatch):
    before = machine.tag()
    monkeypatch.setenv(f"NUMBA_{setting}", "0")
    assert machine.tag() != before
    monkeypatch.delenv(f"NUMBA_{setting}")
    assert machine.tag() == before
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    assert machine.tag() == before


def test_another_edit_of_the_source_compiles_nothing_again(monkeypatch):
    """The index of plans is stale then; the text is made once more, and its object is there."""
    z, t = torch.linspace(-3, 3, 9), torch.zeros(9)
    monkeypatch.setattr(launch, "_KERNELS", {})  # a kernel of another test may lie elsewhere
    first = lossmith.huber(z, t, delta=0.7)
    asked = []
    monkeypatch.setattr(cache, "fingerprint", lambda: "after an edit that changes no text")
    monkeypatch.setattr(machine, "_compile", lambda *_: asked.append(1) or pytest.fail("compiled"))
    monkeypatch.setattr(launch, "_KERNELS", {})
    assert torch.equal(lossmith.huber(z, t, delta=0.7), first)
    assert asked == []


def test_texts_in_the_cache_are_not_read(monkeypatch):
    z, t = torch.linspace(-3, 3, 9), torch.zeros(9)
    lossmith.huber(z, t, delta=0.7)
    asked, real = [], cache.read
    monkeypatch.setattr(cache, "read", lambda name: asked.append(name) or real(name))
    monkeypatch.setattr(launch, "_KERNELS", {})
    lossmith.huber(z, t, delta=0.7)
    assert {name.rpartition(".")[2] for name in asked} == {"key", "o"}


# The kernel texts of some losses, which are not compiled.
TEXTS = """
import hashlib
import torch
import lossmith
from lossmith.engine.cpu import launch, machine

def texts():
    found, z = [], torch.zeros(4, 3)
    class Enough(Exception): pass
    def kernel(name, write):
        found.append(hashlib.sha256("".join(write()).encode()).hexdigest())
        raise Enough
    known, made = launch._KERNELS, machine.kernel
    launch._KERNELS, machine.kernel = {}, kernel
    try:
        for loss, target in (
            (lossmith.poly1, torch.zeros(4, dtype=torch.int64)),
            (lossmith.barron, z), (lossmith.tukey_biweight, z), (lossmith.log_cosh, z),
        ):
            try: loss(z.requires_grad_(), target.detach())
            except Enough: pass
    finally:
        launch._KERNELS, machine.kernel = known, made
    return found
"""


def test_the_text_of_a_kernel_is_the_same_in_every_process():
    """Or it would be compiled again under new names. This process has a seed of its own."""
    scope: dict = {}
    exec(compile(TEXTS, "texts", "exec"), scope)
    here = scope["texts"]()
    assert len(set(here)) == 4
    assert script(TEXTS + "print(*texts())", PYTHONHASHSEED="1").stdout.split() == here


@pytest.mark.parametrize("package", ["numba", "llvmlite"])
def test_a_missing_package_is_an_obstacle(package, monkeypatch):
    monkeypatch.setattr(machine.util, "find_spec", lambda name: None if name == package else 1)
    assert package in (machine._obstacle() or "")


WITHOUT = {
    "switched off": "os.environ['NUMBA_DISABLE_JIT'] = '1'",
    "not importable": "sys.meta_path.insert(0, Broken())",
}


@pytest.mark.parametrize("way", WITHOUT)
def test_without_a_compiler_the_reference_runs_with_one_warning(way, folder):
    done = script(
        f"""
        import os, sys, warnings

        class Broken:
            def find_spec(self, name, path=None, target=None):
                if name == "numba.core":
                    raise ImportError("Numba needs NumPy 2.2 or less")

        {WITHOUT[way]}
        import torch, lossmith
        warnings.simplefilter("always")
        z = torch.tensor([0.5, -3.0], requires_grad=True)
        for _ in range(2):
            z.grad = None
            value = lossmith.huber(z, torch.zeros(2))
            value.backward()
            assert abs(value.item() - 1.3125) < 1e-6
            assert z.grad.tolist() == [0.25, -0.5]
        linear = torch.nn.Linear(3, 4)
        hidden, target = torch.ones(2, 3), torch.tensor([0, 1])
        got = lossmith.linear_loss(hidden, linear.weight, target, linear.bias)
        assert torch.isclose(got, torch.nn.functional.cross_entropy(linear(hidden), target))
        print(lossmith.engine_for(lossmith.huber, z, torch.zeros(2)))
        """
    )
    assert done.stdout.startswith("reference: no kernel can be made here")
    assert done.stderr.count("Warning:") == 1, done.stderr
    assert "Traceback" not in done.stderr
