"""When a task is precise enough: an interval of its trials, looked at now and then.

Looks are at fixed numbers of trials, 50 and then a quarter more each time, and a look sees exactly the first
so many trials; so where a task ends does not depend on workers or their order. It ends when two looks in
succession are satisfied: who stops at the first often does so because the spread happens to look small.

A mean over chips also needs enough of them that two chips of accuracy 0 among them would move it by no more
than the half width: chips that fail rarely are not in the spread before they are met. Rates know that
themselves (Wilson).

What is left is measured by `tests/xbarsim/campaigns`: at 95 % the interval at the end covers in 94 % of
campaigns if accuracies spread evenly, in 92 % if every tenth or one in a hundred chips is harmed, and in
91 % if one in fifty fails altogether; but in 7 of 10 if one in a hundred does and ± 2 % are asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbarsim.campaigns.estimates import moments
from xbarsim.errors import InputError
from xbarsim.metrics.intervals import Estimate

FIRST_LOOK = 50
GROWTH = 1.25
UNSEEN = 2.0
WORDED = re.compile(
    r"(?P<metric>[a-z][a-z-]*)\s*(?:±|\+/?-)\s*(?P<width>[0-9.]+)\s*%\s*(?:at\s*(?P<confidence>[0-9.]+)\s*%)?"
)


@dataclass(frozen=True, kw_only=True)
class Precision:
    """Stop when the interval reaches no further than `half_width` from the estimate.

    Parameters
    ----------
    metric : what is estimated, as tasks name it
    half_width : in shares: 0.002 is 0.2 points
    confidence : of the interval
    """

    metric: str
    half_width: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name, value in (("half width", self.half_width), ("confidence", self.confidence)):
            if not 0 < value < 1:
                raise InputError(
                    f"stopping rule: {name}", "a percentage between 0 and 100", f"{100 * value:g} %"
                )

    def __str__(self) -> str:
        return f"{self.metric} ± {100 * self.half_width:g} % at {100 * self.confidence:g} %"

    def end(self, shots: NDArray[np.int64], hits: NDArray[np.int64], most: int) -> int | None:
        """The number of trials at which a task ends, from those of its first trials; None if later.

        Parameters
        ----------
        shots, hits : (done,) of trials 0, 1, ..., done - 1
        most : trials that the task may take
        """
        before = False
        for at in looks(most):
            if at > len(shots):
                return None
            found = moments(shots[:at], hits[:at])
            now = self._satisfied(found.estimate(confidence=self.confidence))
            now &= found.single or at * self.half_width >= UNSEEN * found.mean
            if at == most or (now and before):
                return at
            before = now
        return None

    def _satisfied(self, found: Estimate) -> bool:
        return max(found.high - found.value, found.value - found.low) <= self.half_width


def parse_precision(text: str) -> Precision:
    """Read a rule as people write it.

    >>> parse_precision("accuracy ± 0.2 % at 95 %")
    Precision(metric='accuracy', half_width=0.002, confidence=0.95)
    """
    match = WORDED.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError
        width, confidence = float(match["width"]), float(match["confidence"] or 95)
    except ValueError:
        expected = "something like 'accuracy ± 0.2 % at 95 %'"
        raise InputError("stopping rule", expected, repr(text), "'+-' does for ±") from None
    return Precision(metric=match["metric"], half_width=width / 100, confidence=confidence / 100)


def looks(most: int) -> Iterator[int]:
    """The numbers of trials after which a task is looked at, up to `most`.

    >>> list(looks(100))
    [50, 63, 79, 99, 100]
    """
    at = FIRST_LOOK
    while at < most:
        yield at
        at = math.ceil(at * GROWTH)
    yield most
