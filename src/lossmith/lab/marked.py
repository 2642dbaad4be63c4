"""The blocks of a page that a command measures and writes: what stands between two marks.

A block called bench lies between `<!-- bench:begin -->` and `<!-- bench:end -->`.
"""

from __future__ import annotations

from pathlib import Path

from lossmith.errors import InputError


def marks(name: str) -> tuple[str, str]:
    """The lines before and after a block."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def read(path: Path, name: str, new: str | None = None) -> str:
    """A page that has the block; where there is no page, `new` and an empty block, if given.

    To be asked before the work, so that a page without its marks is an error then.
    """
    try:
        page = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"cannot read {path}: it is no text") from None
    except OSError as error:
        if new is None or not isinstance(error, FileNotFoundError):
            raise InputError(f"cannot read {path}: {error.strerror}") from None
        begin, end = marks(name)
        page = f"{new}{begin}\n{end}\n"
    rewritten(page, name, "", path)
    return page


def inside(page: str, name: str) -> str:
    """The block, without its marks."""
    begin, end = marks(name)
    return page.partition(begin)[2].partition(end)[0].strip("\n")


def rewritten(page: str, name: str, block: str, path: Path) -> str:
    """The page with another block; what lies around it stays as it is."""
    begin, end = marks(name)
    head, found, rest = page.partition(begin)
    _, ended, tail = rest.partition(end)
    if not found or not ended or begin in tail or end in head + tail:
        raise InputError(
            f"{path} has no place for the table: it needs the lines {begin} and {end}, once each "
            "and in this order."
        )
    return f"{head}{begin}\n{block}\n{end}{tail}"
