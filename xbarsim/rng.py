"""From a seed to independent random streams: the same seed and trial give the same faults everywhere.

A stream is named by what it is for (the scenario) and by the trial number, so that no method, order or
worker count can change what a trial meets (numpy's SeedSequence with a spawn key).
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np

from xbarsim.errors import check_int
from xbarsim.hints import check_fields, checked


@checked
def stream(seed: int, scenario: str, trial: int = 0) -> np.random.Generator:
    """Return the random stream of one trial of one scenario.

    >>> a, b = stream(7, "faults", 3), stream(7, "faults", 3)
    >>> bool((a.integers(0, 100, 8) == b.integers(0, 100, 8)).all())
    True
    """
    check_int("seed", seed, 0, 2**63 - 1)
    check_int("trial", trial, 0, 2**32 - 1)
    key = (crc32(scenario.encode()), trial)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def generator_of(seed: int | np.random.Generator) -> np.random.Generator:
    """Return a generator as it is, and of a number a new one: numpy's `default_rng`.

    Raises
    ------
    InputError : neither of them, or a negative number.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    remedy = "or hand in a numpy.random.Generator"
    return np.random.default_rng(check_int("seed", seed, 0, 2**63 - 1, remedy))


@dataclass(frozen=True)
class Trial:
    """One chip of many: whatever is drawn for it comes from streams that a seed and its number name.

    >>> bool(Trial(7, 3).stream("faults").random() == stream(7, "faults", 3).random())
    True
    """

    seed: int = 0
    number: int = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def stream(self, scenario: str) -> np.random.Generator:
        """Return the stream of a purpose; drawing more for one purpose moves no other."""
        return stream(self.seed, scenario, self.number)
