"""Sample sizes are Leveugle's, and give the margin that was asked for."""

import numpy as np
import pytest

from xbarsim.errors import InputError
from xbarsim.metrics.planning import sample_size


def test_sample_sizes_are_those_of_leveugle():
    """Its Eq. for p = 0.5; a large population needs what a survey needs, a small one nearly all of it."""
    assert sample_size(10**12, margin=0.01) == 9604
    assert sample_size(10**12, margin=0.001) == pytest.approx(960365, abs=5)
    assert sample_size(100, margin=0.01) == 99
    assert sample_size(1, margin=0.01) == 1
    assert sample_size(1000, margin=1e-300) == 1000 and sample_size(1000, margin=0.1, share=1e-320) == 1
    assert sample_size(1000, margin=1e-300, share=1e-320) == 1000
    assert sample_size(10**6, margin=0.01, share=0.1) < sample_size(10**6, margin=0.01)
    for bad in ({"margin": 0.0}, {"margin": 1.5}, {"margin": 0.1, "share": 1}):
        with pytest.raises(InputError, match="between 0 and 1"):
            sample_size(10, **bad)
    with pytest.raises(InputError, match="population"):
        sample_size(0, margin=0.1)


def test_a_sample_of_that_size_has_that_margin():
    rng, population, faulty = np.random.default_rng(3), 5000, 2500
    drawn = sample_size(population, margin=0.03)
    shares = rng.hypergeometric(faulty, population - faulty, drawn, 4000) / drawn
    assert 0.94 <= np.mean(np.abs(shares - 0.5) <= 0.03) <= 0.965
