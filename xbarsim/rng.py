"""From a seed to independent random streams: the same seed and trial give the same faults everywhere.

A stream is named by what it is for (the scenario) and by the trial number, so that no method, order or
worker count can change what a trial meets (numpy's SeedSequence with a spawn key).
"""

from __future__ import annotations

from zlib import crc32

import numpy as np

from xbarsim.errors import check_int


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
