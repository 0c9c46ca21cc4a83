import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twins.crossbar import column_worth, digits_of
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.config import ArrayConfig
from xbarsim.errors import InputError


@st.composite
def formats(draw):
    encoding = draw(st.sampled_from(["offset", "twos_complement", "differential"]))
    cell_bits = 1 if encoding == "twos_complement" else draw(st.integers(1, 4))
    return WeightFormat(weight_bits=draw(st.integers(2, 16)), cell_bits=cell_bits, encoding=encoding)


@given(form=formats(), seed=st.integers(0, 2**32 - 1))
def test_words_hold_the_digits_of_the_reference_and_decode_to_the_weight(form, seed):
    q = np.random.default_rng(seed).integers(form.low, form.high, 20, endpoint=True)
    config = ArrayConfig(format=form)
    words = form.encode(q)
    for weight, word in zip(q, words, strict=True):
        levels = [int(form.level(word, d)) for d in range(form.digits)]
        assert levels == digits_of(int(weight), config)
        assert sum(a * b for a, b in zip(levels, column_worth(config), strict=True)) - form.zero == weight
    assert (form.decode(words) == q).all()


@pytest.mark.parametrize(
    "settings", [{"weight_bits": 1}, {"weight_bits": 17}, {"cell_bits": 5}, {"encoding": "gray"}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(InputError, match="WeightFormat"):
        WeightFormat(**settings)
