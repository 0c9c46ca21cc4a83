"""Recorded repetitions: the images of one long run, none twice."""

import numpy as np
import pytest

from accel_models.spiking import recorder
from accel_models.spiking.chip import run_many
from tests.helpers.spiking_chips import chip, images
from xbarsim.errors import InputError
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind


def test_calls_are_parts_of_one_long_run(monkeypatch):
    """Of any length, in parts of any size."""
    base, x = chip(), images()
    universe = FaultUniverse(geometry=base.geometry)
    chips = [base, *(base.inject(f) for f in universe.enumerate(NeuronFaultKind.nasf).each())][:3]
    monkeypatch.setattr(recorder, "IMAGES_A_RUN", 8)
    record = recorder.Recorder(base, chips, x, seed=4)
    first, second = record(np.array([3, 7, 2]), 5), record(np.array([0, 9]), 2)
    assert first.shape == (3, 5, 3, 4) and second.shape == (3, 2, 2, 4) and record.shown == 19
    shown = np.concatenate([x[[3, 7, 2]]] * 5 + [x[[0, 9]]] * 2)
    expected = run_many(base, chips, shown, seed=4)
    assert (np.concatenate([first.reshape(3, 15, 4), second.reshape(3, 4, 4)], axis=1) == expected).all()
    assert (first[:, 0] != first[:, 1]).any()


@pytest.mark.parametrize(("patterns", "repetitions"), [([12], 1), ([-1], 1), ([0.5], 1), ([0], 0)])
def test_what_cannot_be_shown_is_refused(patterns, repetitions):
    base = chip()
    words = r"^(patterns|repetitions): expected (an integer|integers|numbers)"
    with pytest.raises(InputError, match=words):
        recorder.Recorder(base, [base], images())(np.array(patterns), repetitions)


def test_no_patterns_give_no_counts():
    base = chip()
    assert recorder.Recorder(base, [base], images())(np.zeros(0, int), 3).shape == (1, 3, 0, 4)
