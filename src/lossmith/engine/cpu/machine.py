"""From kernel text to a callable: Numba makes object code by LLVM, ctypes calls it.

An object is stored under a hash of its text. Making the text takes SymPy, so a small file beside it
says which text belongs to which plan, as long as no source that shapes texts has changed: with
both there, nothing heavy is imported. Where nothing can be compiled, `without` says why.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import threading
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Any

from lossmith.engine import cache as store
from lossmith.engine.cpu.source import Source
from lossmith.engine.protocol import NotHereError

_C = {"int64": ctypes.c_int64, "float32": ctypes.c_float, "float64": ctypes.c_double}
_lock = threading.RLock()


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()  # another thread may have held it while the parent forked


if hasattr(os, "register_at_fork"):  # where there is no fork, there is nothing to mend
    os.register_at_fork(after_in_child=_after_fork)
_keep: list[Any] = []  # LLVM's engines own the code; they live as long as the process
# Numba's calling convention starts with two places to write to, which our kernels do not use.
_unused = ctypes.create_string_buffer(64)
UNUSED = ctypes.addressof(_unused)


@cache
def _llvm() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


class NoCompilerError(NotHereError):
    """No kernel can be made here; the reference engine computes the same."""


@cache
def without() -> str | None:
    """None where kernels can be made; else why not, said in one warning."""
    why = _obstacle()
    if why is not None:
        warnings.warn(
            f"Lossmith makes no kernels: {why}. The reference engine runs, with the same results, "
            "slower.",
            RuntimeWarning,
            stacklevel=2,
        )
    return why


_failed: list[str] = []  # what went wrong when Numba was needed


def _obstacle() -> str | None:
    if _failed:
        return _failed[0]
    if os.environ.get("NUMBA_DISABLE_JIT", "0").strip() not in ("", "0"):
        return "NUMBA_DISABLE_JIT is set"
    for package in ("llvmlite", "numba"):
        if util.find_spec(package) is None:
            return f"{package} is not installed"
    try:
        _llvm()
    except Exception as error:  # whatever a library that does not fit this machine raises
        return f"LLVM does not start ({error})"
    return None


def _give_up(why: str) -> NoCompilerError:
    """Numba turned out not to work: from now on the reference engine runs."""
    _failed.append(why)
    without.cache_clear()
    return NoCompilerError(
        f"no kernel can be made: {why}. Call again: the reference engine runs then."
    )


@cache
def _cpu() -> tuple[str, str]:
    llvm = _llvm()
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


# Settings of Numba that no object depends on. Any other may decide what an object holds, for which
# processor, and is part of its name; new ones are too, until they are known to be harmless.
_HARMLESS = (
    *("NUMBA_NUM_THREADS", "NUMBA_CACHE_DIR", "NUMBA_CACHE_LOCATOR_CLASSES"),
    *("NUMBA_THREADING_LAYER", "NUMBA_THREADING_LAYER_PRIORITY", "NUMBA_DISABLE_JIT"),
    *("NUMBA_COLOR_SCHEME", "NUMBA_DISABLE_PERFORMANCE_WARNINGS"),
)
_SETTINGS = Path(".numba_config.yaml")  # where Numba looks for further ones


def tag() -> str:
    """A hash of all besides its text that object code depends on: how it is made, and for what."""
    settings = [
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if name.startswith("NUMBA_") and name not in _HARMLESS
    ]
    if _SETTINGS.is_file():
        settings.append(_SETTINGS.read_text(encoding="utf-8", errors="replace"))
    text = "|".join((*_maker(), *settings))
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


@cache
def _maker() -> tuple[str, ...]:
    """The processor, the versions of what makes objects, and this very file."""
    versions = (_version("llvmlite"), _version("numba"))
    return (*_cpu(), *versions, Path(__file__).read_text(encoding="utf-8"))


def _version(package: str) -> str:
    try:
        return metadata.version(package)  # without importing it
    except metadata.PackageNotFoundError:
        return str(import_module(package).__version__)


def _target_machine() -> Any:
    llvm = _llvm()
    name, features = _cpu()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=name, features=features, opt=3, jit=True
    )


@cache
def _library(text: str) -> dict[str, Any]:
    """The names of the part that kernels share, run once: its functions are compiled once, too."""
    scope: dict[str, Any] = {"__name__": "lossmith_kernel_library"}
    exec(compile(text, "<lossmith kernel library>", "exec"), scope)  # text of our own writing
    return scope


def _compile(source: Source, name: str) -> tuple[dict[str, str], bytes]:
    """Compile a kernel file's text. Imports Numba."""
    try:
        from numba.core import config
        from numba.core import types as numba_types
    except Exception as error:  # it is missing, or does not fit the versions of the rest
        raise _give_up(f"Numba cannot be imported ({error})") from error
    if config.DISABLE_JIT:
        raise _give_up("Numba's compiler is switched off (NUMBA_DISABLE_JIT)")
    types: Any = numba_types
    scope = _library(source.library) | {"__name__": f"lossmith_kernel_{name}"}
    text = source.head + source.own
    exec(compile(text, f"<lossmith kernel {name}>", "exec"), scope)  # text of our own writing
    signature = scope["SIGNATURE"]
    arguments = tuple(
        types.CPointer(getattr(types, t[:-1])) if t.endswith("*") else getattr(types, t)
        for t in signature.split()
    )
    kernel = scope["kernel"]
    kernel.compile(arguments)
    (compiled,) = kernel.overloads.values()
    head = {"symbol": compiled.fndesc.llvm_func_name, "signature": signature}
    # The object that Numba made for its own use, which a pickle of its would carry.
    _, _, (code, _) = compiled.library.serialize_using_object_code()
    return head, code


def _load(head: dict[str, str], code: bytes) -> Callable[..., int] | None:
    llvm = _llvm()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(head["symbol"])
    if not address:
        return None  # to call it would end the process
    kinds: list[Any] = [
        ctypes.c_void_p if t.endswith("*") else _C[t] for t in head["signature"].split()
    ]
    prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *kinds)
    _keep.append(engine)
    return prototype(address)


def kernel(plan: str, write: Callable[[], Source]) -> Callable[..., int]:
    """The callable of the plan with this hash, whose text `write()` makes if the cache lacks it.

    Call it as kernel(UNUSED, UNUSED, first_block, last_block, ...); it releases Python's lock.
    """
    with _lock:
        index = f"{store.PREFIX}{plan}.key"
        known = store.read(index)
        found = _stored(known.decode()) if known is not None else None
        if found is None:
            source = write()
            text = "".join(source)
            key = hashlib.sha256(text.encode()).hexdigest()[:32]
            found = _stored(key) or _made(source, text, key)
            if known != key.encode():
                store.write(index, key.encode())
        return found


def _stored(key: str) -> Callable[..., int] | None:
    """The kernel whose text has this hash, if an object of it lies in the cache."""
    stored = store.read(f"{store.PREFIX}{key}-{tag()}.o")
    if stored is None:
        return None
    head, _, code = stored.partition(b"\n")
    return _load(json.loads(head), code)


def _made(source: Source, text: str, key: str) -> Callable[..., int]:
    head, code = _compile(source, key[:12])
    found = _load(head, code)
    if found is None:
        raise NoCompilerError(f"LLVM made no function {head['symbol']}; please report this.")
    store.write(f"{store.PREFIX}{key}.py", text.encode(), checksum=False)
    store.write(f"{store.PREFIX}{key}-{tag()}.o", json.dumps(head).encode() + b"\n" + code)
    return found
