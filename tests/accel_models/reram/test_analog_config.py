"""Analog accelerators: a chip is what its parts give when they are put together by hand."""

from dataclasses import replace

import numpy as np
import pytest

from accel_models.reram.analog import write_analog
from accel_models.reram.analog_config import AnalogConfig
from accel_models.reram.config import differential, isaac
from tests.helpers.chips import untrained_chip
from xbarsim.cells.device import device
from xbarsim.errors import InputError
from xbarsim.registry import accelerators


@pytest.fixture(scope="module")
def graph():
    return untrained_chip("digits-mlp", isaac()).graph


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XBARSIM_CACHE", str(tmp_path))


def test_it_is_the_digital_chip_written_and_aged(graph):
    config = AnalogConfig(device="pcm", age_s=60.0, reference="column")
    chip = config.program(graph)
    by_hand = write_analog(isaac().program(graph), device("pcm"), 0, reference="column").age(60)
    images = np.random.default_rng(0).random((5, *chip.input_shape))
    np.testing.assert_array_equal(chip.run(images, seed=2).scores, by_hand.run(images, seed=2).scores)
    assert chip.accelerator == config and chip.seconds == 60 and not len(chip.faults)
    assert by_hand.accelerator == isaac()
    for other in (chip.refresh(1), chip.another(1), chip.write_verify(5.0, 1)[0], chip.update(graph)):
        assert other.accelerator == config


def test_wires_make_it_parasitic(graph):
    bare, wired = (AnalogConfig(device="ideal", wire_ohm=r).program(graph) for r in (0.0, 10.0))
    assert bare.wires.ideal and (wired.wires.word_ohm, wired.wires.bit_ohm) == (10, 10)
    key = next(iter(bare.matrices))
    assert wired.matrices[key].levels().sum() < bare.matrices[key].levels().sum()


def test_a_base_is_a_name_or_a_config():
    own = replace(isaac(), name="mine", arrays=4)
    assert AnalogConfig(base=own).name == "mine, hfo2-wan" and AnalogConfig(base=own).arrays is own
    assert AnalogConfig(base="differential").quantization == differential().quantization


def test_its_chips_are_those_of_the_base_unless_it_says_so(graph):
    small = replace(isaac(), arrays=3, chips=3)
    assert AnalogConfig(base=small).arrays.chips == 3
    assert AnalogConfig(base=small).program(graph).geometry.arrays == 7
    with pytest.raises(InputError, match="chips=3"):
        AnalogConfig(base=small, chips=2).program(graph)
    assert accelerators.parse("analog:chips=3").arrays == replace(isaac(), chips=3)
    with pytest.raises(InputError, match="chips"):
        AnalogConfig(chips=0)


def test_the_registry_makes_it_of_words():
    made = accelerators.parse("analog:base=isaac-slc,device=pcm,age_s=60,wire_ohm=1.5")
    assert made == AnalogConfig(base="isaac-slc", device="pcm", age_s=60.0, wire_ohm=1.5)
    assert accelerators.name_of(made) == "analog"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base": "isac"}, "accelerator: expected one of"),
        ({"base": 3}, r"AnalogConfig\.base: expected .*a ReramConfig"),
        ({"device": "hfo"}, "cmo-hfox, hfo2-milo"),
        ({"wire_ohm": -1.0}, r"AnalogConfig\.wire_ohm"),
        ({"age_s": 1e9}, "device 'hfo2-wan' is known until 172800 s"),
        ({"age_s": float("nan")}, r"AnalogConfig\.age_s"),
        ({"reference": "row"}, r"AnalogConfig\.reference"),
        ({"reference": "column", "wire_ohm": 1.0}, "'ideal' with resistive wires"),
    ],
)
def test_nonsense_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        AnalogConfig(**change)
