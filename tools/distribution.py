"""Build sdist and wheel, check them, and try the wheel alone in a new environment: `make dist`.

Everything happens in temporary environments; what passed is left in `dist/`. Versions come from
constraints.txt where it names them.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
# A loss through the fused kernels, one through the reference engine, and a Module.
TRY = """
import torch, lossmith
print("lossmith", lossmith.__version__, "torch", torch.__version__)
z, t = torch.tensor([0.5, 3.0], requires_grad=True), torch.zeros(2)
assert lossmith.engine_for(lossmith.huber, z, t).startswith("cpu")
lossmith.huber(z, t, reduction="sum").backward()
assert z.grad.tolist() == [0.5, 1.0], z.grad
assert torch.func.grad(lambda z: lossmith.l2(z, t, reduction="sum"))(z).tolist() == [1.0, 6.0]
value = lossmith.CrossEntropy()(torch.zeros(2, 4), torch.tensor([1, 2]))
torch.testing.assert_close(value, torch.tensor(4.0).log())
"""


def step(what: str) -> None:
    print(f"--- {what}", flush=True)


def run(*words: object, expect: int = 0) -> str:
    """What a command prints; another exit status than expected ends the whole."""
    ended = subprocess.run(
        [str(word) for word in words], text=True, capture_output=True, cwd=ROOT, check=False
    )
    said = ended.stdout + ended.stderr
    if ended.returncode != expect:
        sys.exit(f"{said}\n{' '.join(map(str, words))}: exit status {ended.returncode}")
    return said


def environment(folder: Path, *packages: object) -> Path:
    """The folder of programs of a new environment with these packages."""
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    install(programs, *packages)
    return programs


def install(programs: Path, *packages: object) -> None:
    pip = (programs / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--constraint", ROOT / "constraints.txt", *packages)


def missing(wheel: Path, sdist: Path) -> list[str]:
    """Files that git holds under src/ and that a distribution lacks."""
    tracked = run("git", "ls-files", "src").splitlines()
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    return [f"wheel: {name}" for name in tracked if name.removeprefix("src/") not in in_wheel] + [
        f"sdist: {name}" for name in tracked if name not in in_sdist
    ]


def main() -> None:
    """Build, check, install and try; the first thing that is wrong ends it."""
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="lossmith-dist-") as made:
        folder = Path(made)
        step("build sdist, and the wheel from it")
        tools = environment(folder / "tools", "build", "twine")
        run(tools / "python", "-m", "build", "--outdir", DIST)
        (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
        step("check both")
        run(tools / "python", "-m", "twine", "check", "--strict", wheel, sdist)
        if lacking := missing(wheel, sdist):
            sys.exit("\n".join(["files are missing:", *lacking]))
        step("install the wheel alone, and run losses")
        programs = environment(folder / "fresh", wheel)
        print(run(programs / "python", "-c", TRY).strip())
        said = run(programs / "lossmith", "list", expect=2)
        if "lossmith[lab]" not in said:
            sys.exit(f"without the extra, `lossmith list` said: {said}")
        step("install it with its laboratory, and run commands")
        install(programs, f"{wheel}[lab]")
        for words in (("--version",), ("list",), ("show", "huber"), ("properties", "hinge")):
            run(programs / "lossmith", *words)
    print("\n".join(str(path.relative_to(ROOT)) for path in (sdist, wheel)))


if __name__ == "__main__":
    main()
