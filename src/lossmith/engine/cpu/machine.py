"""From kernel text to a callable: Numba makes object code by LLVM, ctypes calls it.

An object that is already in the cache is loaded without importing Numba or SymPy.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

from lossmith.engine import cache as store
from lossmith.engine.cpu.source import Source

_C = {"int64": ctypes.c_int64, "float32": ctypes.c_float, "float64": ctypes.c_double}
_lock = threading.RLock()


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()  # another thread may have held it while the parent forked


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


@cache
def _cpu() -> tuple[str, str]:
    llvm = _llvm()
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


@cache
def tag() -> str:
    """A hash of the processor and of LLVM: object code is good for exactly these."""
    import llvmlite

    text = "|".join((*_cpu(), llvmlite.__version__))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
    from numba.core import types as numba_types

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


def _load(head: dict[str, str], code: bytes) -> Callable[..., int]:
    llvm = _llvm()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(head["symbol"])
    kinds: list[Any] = [
        ctypes.c_void_p if t.endswith("*") else _C[t] for t in head["signature"].split()
    ]
    prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *kinds)
    _keep.append(engine)
    return prototype(address)


def kernel(name: str, write: Callable[[], Source]) -> Callable[..., int]:
    """The callable of the kernel `name`, whose text `write()` makes if the cache has no object.

    Call it as kernel(UNUSED, UNUSED, first_block, last_block, ...); it releases Python's lock.
    """
    with _lock:
        stored = store.read(f"{name}-{tag()}.o")
        if stored is not None:
            line, _, stored_code = stored.partition(b"\n")
            return _load(json.loads(line), stored_code)
        source = write()
        head, code = _compile(source, name[:12])
        store.write(f"{name}.py", "".join(source).encode(), checksum=False)
        store.write(f"{name}-{tag()}.o", json.dumps(head).encode() + b"\n" + code)
        return _load(head, code)
