"""Files of test sets for spiking chips: the images, and all that the decision needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from xbarsim.arrays import check_array
from xbarsim.detection.spiking import SpikingTest
from xbarsim.errors import InputError, check_int, check_number
from xbarsim.files import read_tensors, write_atomically
from xbarsim.hints import check_fields

FORMAT = "xbarsim-spiking-test-1"
MOST_SPIKES = 1e9  # of an output, and their square
_COLUMNS = {
    "images": (np.float32, 2), "patterns": (np.int64, 1), "mean": (np.float64, 2), "variance": (np.float64, 2)
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingTestSet:
    """A test with its images: what the field needs.

    Attributes
    ----------
    images : (chosen, pixels) float32 in [0, 1], to be shown `test.repetitions` times each

    Raises
    ------
    InputError : arrays that do not belong together, or are not of images, places and spike counts.
    """

    test: SpikingTest
    images: NDArray[np.float32]

    def __post_init__(self) -> None:
        check_fields(self)
        test, images = self.test, check_array("images", self.images, ("patterns", "pixels"), low=0, high=1)
        object.__setattr__(self, "images", np.ascontiguousarray(images, np.float32))
        chosen = len(images)
        if test.patterns.shape != (chosen,) or test.mean.shape != test.variance.shape or test.mean.ndim != 2:
            shapes = f"{test.patterns.shape}, {test.mean.shape} and {test.variance.shape}"
            raise InputError("patterns, means and variances", f"of {chosen} images", shapes)
        if len(test.mean) != chosen or not test.mean.size:
            raise InputError("means", f"({chosen}, classes)", str(test.mean.shape))
        if (test.patterns < 0).any() or len(set(test.patterns.tolist())) != chosen:
            raise InputError("patterns", "different places from 0 on", "others")
        for name, counts in (("means", test.mean), ("variances", test.variance)):
            if not (0 <= counts.min() <= counts.max() <= MOST_SPIKES):
                raise InputError(name, f"numbers in 0..{MOST_SPIKES:g}", "others")

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
        remedy = "make one with SpikingTestSet.save, or with the study spiking-tests"
        columns, words = read_tensors(Path(path), where, FORMAT, _COLUMNS, remedy)
        try:
            decision = json.loads(words["decision"])
            test = SpikingTest(
                patterns=columns["patterns"],
                repetitions=check_int("repetitions", decision["repetitions"], 1, 10**6),
                mean=columns["mean"],
                variance=columns["variance"],
                threshold=check_number("threshold", decision["threshold"], 0, 1e300),
                false_alarm_rate=check_number("false_alarm_rate", decision["false_alarm_rate"], 1e-3, 0.5),
                confidence=check_number("confidence", decision["confidence"], 0.5, 1),
            )
            return cls(test=test, images=columns["images"])
        except InputError as error:
            raise InputError(where, "columns and a decision of one test", f"'{error}'", remedy) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            expected = "a decision: repetitions, threshold, false_alarm_rate, confidence"
            raise InputError(where, expected, repr(words.get("decision"))[:60], remedy) from error
