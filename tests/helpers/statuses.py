"""Tasks as a store tells of them, made up."""

import math

from xbarsim.campaigns.estimates import Moments
from xbarsim.campaigns.store import TaskStatus

PLAIN = {
    "network": "net", "accelerator": "chip", "faults": {"name": "stuck-cells", "rate": 0.01},
    "repair": {"name": "as-it-is"}, "metric": "accuracy", "weights": "aa", "hardware": "bb",
}  # fmt: skip


def status(number=1, *, mean=0.5, done=4, facts=None, seed=1, **changes):
    """A task with these entries, those of `PLAIN` otherwise; None leaves one out."""
    description = {name: value for name, value in (PLAIN | changes).items() if value is not None}
    moments = Moments(done, mean, 0.01, False) if done else Moments(0, math.nan, 0.0, False)
    return TaskStatus(
        id=number, key=f"{number:032x}", seed=seed, planned=max(done, 1), stop="", description=description,
        facts=facts or {}, failed=0, seconds=0.0, moments=moments,
    )  # fmt: skip
