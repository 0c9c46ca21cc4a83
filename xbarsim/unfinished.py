"""Unfinished files: written beside their place, gone if they are not finished, whatever ends the process.

A process that is killed cannot remove what it had begun. The next one that writes to the same folder does, by
the name: that of this program, of the machine, and of a process that no longer runs.
"""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from xbarsim import stops


@contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """Make an empty file beside another, of the same suffix; it is gone in the end unless it was moved."""
    _clear(target.parent)
    path = target.with_name(f"{_mark()}{os.getpid()}-{uuid.uuid4().hex}{target.suffix}")
    with stops.temporary(path):
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            yield path
        finally:
            path.unlink(missing_ok=True)


@cache
def _clear(folder: Path) -> None:
    """Remove what killed processes left in a folder; once in a process, since folders may be large."""
    for path in folder.glob(f"{_mark()}*"):
        process = path.name.removeprefix(_mark()).partition("-")[0]
        if process.isdecimal() and not _runs(int(process)):
            with suppress(OSError):  # somebody else's, or gone by now
                path.unlink()


@cache
def _mark() -> str:
    """What names begin with: numbers of processes mean nothing on another machine that shares the folder."""
    return f".xbarsim-{hashlib.sha256(platform.node().encode()).hexdigest()[:8]}-"


def _runs(process: int) -> bool:
    if os.name != "posix":  # elsewhere, asking would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True
