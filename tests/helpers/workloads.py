"""Workloads of the tests, at the top of a module so that worker processes can receive them."""

import os
import signal
import sys
import time
from dataclasses import dataclass

import numpy as np

from xbarsim.campaigns.task import Outcome
from xbarsim.rng import stream


@dataclass(frozen=True)
class Chips:
    """A made-up chip's accuracy on 100 images, with two more counts."""

    rate: float = 0.1
    seconds: float = 0.0

    def describe(self):
        return {"workload": "made-up chips", "faults": {"rate": self.rate, "kinds": ["stuck_hrs"]}}

    def prepare(self):
        return self.trials

    def trials(self, seed, numbers):
        for number in numbers:
            yield self.trial(seed, number)

    def trial(self, seed, trial):
        time.sleep(self.seconds)
        rng = stream(seed, "faults", trial)
        return Outcome(
            100, rng.binomial(100, 1 - self.rate), {"faults": rng.integers(9), "margin": rng.random()}
        )


@dataclass(frozen=True)
class Detections(Chips):
    """One shot a trial."""

    def describe(self):
        return {**super().describe(), "workload": "made-up tests of chips"}

    def trial(self, seed, trial):
        return Outcome(1, int(stream(seed, "faults", trial).random() < self.rate))


@dataclass(frozen=True)
class Measured(Chips):
    """As `Chips`, of a named metric."""

    metric: str = "accuracy"

    def describe(self):
        return {**super().describe(), "metric": self.metric}


class Mute(Exception):
    """An error that cannot say what is wrong."""

    def __str__(self):
        raise RuntimeError


def _raise_mute():
    raise Mute


def _raise_interrupt_in_disguise():
    """As compiled code does it with what its callbacks raise."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as error:
        raise SystemError("returned a result with an exception set") from error


@dataclass(frozen=True)
class Odd(Chips):
    """As `Chips`, but what `how` says goes wrong in every trial with an odd number."""

    how: str = "raise"
    folder: str = ""

    def describe(self):
        return {**super().describe(), "how": self.how}

    def prepare(self):
        if self.how == "unprepared":
            raise FileNotFoundError("no weights")
        return self.trials

    def trial(self, seed, trial):
        if trial % 2 and not self._mended(trial):
            {
                "raise": lambda: [][trial],
                "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
                "die once": lambda: os.kill(os.getpid(), signal.SIGKILL),
                "sleep": lambda: time.sleep(60),
                "eat": lambda: np.ones(1 << 33),
                "exit": lambda: sys.exit(3),
                "odd letters": lambda: int("\udcff"),
                "no words": _raise_mute,
                "interrupted": _raise_interrupt_in_disguise,
            }[self.how]()
        return super().trial(seed, trial)

    def _mended(self, trial):
        """For 'die once': whether it has been tried before."""
        mark = f"{self.folder}/{trial}"
        tried = os.path.exists(mark)
        if self.how == "die once":
            open(mark, "w").close()
        return self.how == "die once" and tried


@dataclass(frozen=True)
class Late(Chips):
    """As `Chips`, but trial 40 never ends."""

    def trial(self, seed, trial):
        if trial == 40:
            time.sleep(1000)
        return super().trial(seed, trial)


@dataclass(frozen=True)
class Together(Chips):
    """As `Chips`, three at a time, all or none of them."""

    batch = 3

    def trials(self, seed, numbers):
        return list(super().trials(seed, numbers))


@dataclass(frozen=True)
class OddTogether(Odd):
    """As `Odd`, four at a time, one after the other."""

    batch = 4


@dataclass(frozen=True)
class Wrong(Chips):
    """Answers what is no outcome."""

    answer: tuple = ()

    def trial(self, seed, trial):
        return self.answer


@dataclass(frozen=True)
class Threads(Chips):
    """How many threads libraries take in a worker."""

    def trial(self, seed, trial):
        import numba
        import torch
        from threadpoolctl import threadpool_info

        pools = max(pool["num_threads"] for pool in threadpool_info())
        return Outcome(
            1, 1, {"numba": numba.get_num_threads(), "torch": torch.get_num_threads(), "pools": pools}
        )


@dataclass(frozen=True)
class Big(Chips):
    """As `Chips`, but it takes 4 GB to be prepared (which nothing writes to)."""

    def describe(self):
        return {**super().describe(), "workload": "big chips"}

    def prepare(self):
        memory = np.empty(1 << 32, np.uint8)

        def trials(seed, numbers):
            assert len(memory)
            return self.trials(seed, numbers)

        return trials
