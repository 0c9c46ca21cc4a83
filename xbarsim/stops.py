"""Requests to stop: Ctrl-C, or the system's signal to end, obeyed within two seconds.

The main thread gets a KeyboardInterrupt, as always. Compiled code and libraries turn that into other errors,
or swallow it, so whatever comes out of a trial or a command once a stop was asked for counts as the stop. A
thread beside it reads signals as the system delivers them, wherever the main thread is, and ends the process
itself if that takes too long, or if it is asked a second time.

Nothing is handled before `run_program` or `installed`, which programs call, never a library. What is known of
a request lives in the handler, which the interpreter holds.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

GRACE_S = 1.0
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR = b"\x1b[?25h"  # progress bars hide it
OVER = b"\0"


class _Handler:
    """What signals call in a program that obeys them, and what is known of the request."""

    def __init__(self) -> None:
        self.number = 0
        self.remedy = ""
        self.temporaries: set[Path] = set()
        self._raised, self._held, self._unsaid = False, False, threading.Lock()
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._hooks = sys.unraisablehook, threading.excepthook
        # a job in the background ignores Ctrl-C, and goes on ignoring it
        self._before = {
            number: old
            for number in SIGNALS
            if (old := signal.getsignal(number)) not in (signal.SIG_IGN, None)
        }
        for number in self._before:
            signal.signal(number, self)
        self._wakeup = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="stops", daemon=True).start()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note the request and interrupt the main thread, once."""
        self.number = self.number or number
        # the interrupt may come up where Python can only print it: in a destructor, in a thread
        sys.unraisablehook = threading.excepthook = _say_nothing
        if not self._held:
            self.interrupt()

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt, once."""
        if not self._raised:
            self._raised = True
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the main thread finish what is within, then interrupt it if that was asked for meanwhile."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.number:
            self.interrupt()

    def done(self) -> None:
        """Interrupt nothing from now on: what is left to do is to end."""
        self._raised = True

    def _watch(self) -> None:
        number = self._next(None)
        if number is not OVER:
            self.number = self.number or number
            if self._next(GRACE_S) is not OVER:
                self.end()
        os.close(self._reading)

    def _next(self, seconds: float | None) -> Any:
        """The next signal; `OVER` where the program handles none any more, None after so many seconds."""
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([self._reading], [], [], left)[0]:
                return None
            byte = os.read(self._reading, 1)
            if byte == OVER:
                return OVER
            if byte[0] in SIGNALS:
                return byte[0]

    def end(self) -> NoReturn:
        """End the process now: its workers and its unfinished files go, what it has stored stays."""
        with suppress(Exception):
            for child in sys.modules["multiprocessing"].active_children():
                child.kill()
        for path in list(self.temporaries):
            for file in path.parent.glob(f"{path.stem}*"):  # and a database's logs
                with suppress(OSError):
                    file.unlink()
        with suppress(OSError):
            if os.isatty(2):
                os.write(2, SHOW_CURSOR)
        self.say()
        os._exit(self.code)

    @property
    def code(self) -> int:
        """The shell's exit code after a signal; Ctrl-C's if none came."""
        return 128 + (self.number or signal.SIGINT)

    def say(self) -> None:
        """Tell of the stop in one line, once; not by `sys.stderr`, which the main thread may hold."""
        if self._unsaid.acquire(blocking=False):
            with suppress(OSError):
                os.write(2, _line(self.remedy))

    def close(self) -> None:
        """Let go of the signals."""
        signal.set_wakeup_fd(self._wakeup)
        for number, old in self._before.items():
            signal.signal(number, old)
        sys.unraisablehook, threading.excepthook = self._hooks
        os.write(self._writing, OVER)
        os.close(self._writing)


def run_program(work: Callable[[], int]) -> NoReturn:
    """Run a program's work and end the process, as `obeyed` says; for the main thread."""
    if _handler() is None:
        _Handler()
    # processes that tidy up after one that ended at once do not tell of it
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")
    code = obeyed(work)
    if (handler := _handler()) is not None and asked():
        handler.end()
    # not by way of `sys.exit`: while the interpreter takes itself down, a signal is anybody's
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed by whoever began us
            stream.flush()
    os._exit(code)


@contextmanager
def installed() -> Iterator[None]:
    """Obey signals meanwhile, unless somebody does already; beside the main thread, nobody can."""
    if _handler() is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = _Handler()
    try:
        yield
    finally:
        handler.close()


def obeyed(work: Callable[[], int]) -> int:
    """Run a program's work; return its exit code, or after a stop the shell's: 130, 143."""
    handler = _handler()
    try:
        code = work()
        if handler is not None:
            handler.done()
        if not asked():
            return code
    except BaseException as error:
        if not caused(error):
            raise
    if handler is None:
        os.write(2, _line(""))
        return 128 + signal.SIGINT
    handler.say()
    return handler.code


def asked() -> bool:
    """Return whether this process was asked to stop."""
    handler = _handler()
    return handler is not None and bool(handler.number)


def caused(error: BaseException) -> bool:
    """Return whether an error is a stop, or what something made of one."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, KeyboardInterrupt):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return asked()


def check() -> None:
    """Raise KeyboardInterrupt if this process was asked to stop, whoever swallowed the first."""
    if asked():
        raise KeyboardInterrupt


def remedy(words: str) -> None:
    """Say how one goes on after a stop: it is told with it."""
    if (handler := _handler()) is not None:
        handler.remedy = words


@contextmanager
def temporary(path: Path) -> Iterator[None]:
    """Have an unfinished file removed if a stop ends the process meanwhile."""
    handler = _handler()
    if handler is None:
        yield
        return
    handler.temporaries.add(path)
    try:
        yield
    finally:
        handler.temporaries.discard(path)


@contextmanager
def undisturbed_children() -> Iterator[None]:
    """Start processes within: they never see Ctrl-C, not even before they can handle it.

    The start itself is whole or has not begun: half of one has a child that fails aloud.
    """
    handler = _handler()
    with nullcontext() if handler is None else handler.held(), _blocked(signal.SIGINT):
        yield


@contextmanager
def _blocked(number: int) -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _handler() -> _Handler | None:
    for number in SIGNALS:
        if isinstance(found := signal.getsignal(number), _Handler):
            return found
    return None


def _line(remedy: str) -> bytes:
    return f"xbarsim: stopped{'; ' if remedy else ''}{remedy}\n".encode(errors="backslashreplace")


def _say_nothing(*_: object) -> None:
    """In place of the interpreter's traceback."""
