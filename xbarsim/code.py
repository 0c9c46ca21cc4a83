"""Python files that a user names as code: 'file.py:function', and plug-ins. Nothing else is ever run.

A file is run once a process, under a name of its own, so that what it defines can travel to workers.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any

from xbarsim.errors import InputError

PREFIX = "xbarsim_code_"
REMEDY = "name it as file.py:function"


def load_code(path: str | Path) -> ModuleType:
    """Run a file, unless this process has run it already, and return its module.

    Raises
    ------
    InputError : no such file, or whatever goes wrong in it, in one line.
    """
    file = Path(path)
    if file.suffix != ".py" or not os.path.isfile(file):
        got = "another one" if os.path.exists(file) else "nothing there"
        raise InputError(f"code {path}", "a Python file", got)
    where = Path(os.path.realpath(file))
    name = f"{PREFIX}{where.stem}_{blake2b(bytes(where), digest_size=6).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, where)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        if isinstance(error, InputError):
            raise error.at(f"code {path}") from error
        raise InputError(
            f"code {path}", "a file that runs", f"{type(error).__name__}: {error}"[:200]
        ) from error
    return module


def is_code(reference: str) -> bool:
    """Whether a reference names something in a Python file: 'file.py:function'.

    >>> is_code("mine.py:network"), is_code("isaac:arrays=3")
    (True, False)
    """
    return reference.rpartition(":")[0].endswith(".py")


def call_code(reference: str, what: str) -> Any:
    """Return what a function or class of a Python file gives; any other object is taken as it is.

    Parameters
    ----------
    reference : 'file.py:function'
    what : that it should give, for messages

    Raises
    ------
    InputError : no such file or function, one that needs arguments, or whatever goes wrong in it.
    """
    path, _, name = reference.rpartition(":")
    module = load_code(path)
    if not hasattr(module, name):
        known = [n for n in vars(module) if not n.startswith("_")]
        raise InputError(
            f"code {path}", f"{what} named {name!r}", f"{', '.join(known)[:200] or 'nothing'}", REMEDY
        )
    found = getattr(module, name)
    made = not isinstance(found, type) and (hasattr(found, "state_dict") or hasattr(found, "program"))
    if made or not callable(found):
        return found
    try:
        return found()
    except InputError as error:
        raise error.at(reference) from error
    except (Exception, SystemExit) as error:
        got = f"{type(error).__name__}: {error}"[:200]
        raise InputError(reference, f"a function without arguments that gives {what}", got) from error


def code_of(*things: Any) -> tuple[Path, ...]:
    """Return the files, run by `load_code`, in which the classes of these things are defined."""
    names = dict.fromkeys(type(thing).__module__ for thing in things)
    files = [sys.modules[name].__file__ for name in names if name.startswith(PREFIX)]
    return tuple(Path(file) for file in files if file is not None)
