import pytest

from xbarsim.errors import InputError
from xbarsim.rng import stream


def test_streams_are_the_same_on_every_machine():
    assert stream(7, "faults", 3).integers(0, 1000, 4).tolist() == [250, 869, 217, 220]


def test_streams_differ_by_seed_scenario_and_trial():
    draws = {
        tuple(stream(*key).integers(0, 2**32, 4))
        for key in ((1, "a", 0), (2, "a", 0), (1, "b", 0), (1, "a", 1))
    }
    assert len(draws) == 4


def test_negative_seed_is_refused():
    with pytest.raises(InputError, match="seed"):
        stream(-1, "faults")
