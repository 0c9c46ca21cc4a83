"""What is promised of every input: a result or one printable line, soon, in bounded memory."""

import os
import resource
import signal
from contextlib import contextmanager

from xbarsim.errors import InputError

SECONDS, MEMORY_MB = 20, 2000
COUNT = int(os.environ.get("XBARSIM_FUZZ_COUNT", "100"))
SEED = int(os.environ.get("XBARSIM_FUZZ_SEED", "1"))


@contextmanager
def soon():
    """Fail after SECONDS."""

    def late(*_):
        raise AssertionError(f"not done within {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def settled(call):
    """Whether a call gave a result; False if it gave one printable line, and nothing else is let through."""
    with soon():
        try:
            call()
        except InputError as error:
            assert str(error).isprintable() and len(str(error)) < 3000, repr(error)
            return False
    return True


def taken_MB():
    """The most memory that this process has taken."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
