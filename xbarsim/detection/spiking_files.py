"""Files of test sets for spiking chips: the images, and all that the decision needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from xbarsim.checks import InputError, check_int, check_number, write_atomically
from xbarsim.columns import read_columns
from xbarsim.detection.spiking import SpikingTest
from xbarsim.metrics.intervals import check_confidence

FORMAT = "xbarsim-spiking-test-1"
_COLUMNS = {
    "images": (np.float32, 2), "patterns": (np.int64, 1), "mean": (np.float64, 2), "variance": (np.float64, 2)
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingTestSet:
    """A test with its images: what the field needs.

    Attributes
    ----------
    images : (chosen, pixels) float32, to be shown `test.repetitions` times each
    """

    test: SpikingTest
    images: NDArray[np.float32]

    def save(self, path: str | Path) -> Path:
        """Write a safetensors file; an earlier file survives a failure. See `load`."""
        t = self.test
        decision = {
            "repetitions": t.repetitions, "threshold": t.threshold, "false_alarm_rate": t.false_alarm_rate,
            "confidence": t.confidence,
        }  # fmt: skip
        columns = {"images": self.images, "patterns": t.patterns, "mean": t.mean, "variance": t.variance}
        words = {"format": FORMAT, "decision": json.dumps(decision)}
        content = save({name: np.ascontiguousarray(c) for name, c in columns.items()}, metadata=words)
        return write_atomically(path, lambda temporary: temporary.write_bytes(content))

    @classmethod
    def load(cls, path: str | Path) -> SpikingTestSet:
        """Read a test set that `save` wrote.

        Raises
        ------
        InputError : no such file, not a test set, truncated, or columns and decision that cannot be one's.
        """
        where = f"test set {path}"
        remedy = "make one with SpikingTestSet.save or 'xbarsim study spiking-tests --out DIR'"
        columns, words = read_columns(Path(path), where, FORMAT, _COLUMNS, remedy)
        images, patterns, mean, variance = columns.values()
        if not len(patterns) == len(images) == len(mean) or mean.shape != variance.shape or not mean.size:
            shapes = ", ".join(f"{name} {column.shape}" for name, column in columns.items())
            raise InputError(where, "as many images as patterns, means and variances", shapes, remedy)
        if not all(np.isfinite(c).all() for c in columns.values()) or (variance < 0).any():
            raise InputError(where, "finite numbers, and no negative variances", "others", remedy)
        try:
            decision = json.loads(words["decision"])
            test = SpikingTest(
                patterns=patterns,
                repetitions=check_int("repetitions", decision["repetitions"], 1, 10**6),
                mean=mean,
                variance=variance,
                threshold=check_number("threshold", decision["threshold"], 0, 1e300),
                false_alarm_rate=check_number("false_alarm_rate", decision["false_alarm_rate"], 1e-3, 0.5),
                confidence=check_confidence(decision["confidence"]),
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(where, "the decision of a test", f"'{error}'", remedy) from error
        return cls(test=test, images=images)
