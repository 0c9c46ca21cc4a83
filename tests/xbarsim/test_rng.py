import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.rng import generator_of, stream


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


def test_generators_are_drawn_from_and_numbers_are_seeds():
    rng = np.random.default_rng(5)
    assert generator_of(rng) is rng
    assert generator_of(5).random() == rng.random()


@pytest.mark.parametrize("wrong", [-1, 1.5, "1", None, True])
def test_what_is_neither_number_nor_generator_is_no_seed(wrong):
    with pytest.raises(InputError, match="seed: expected an integer"):
        generator_of(wrong)
