"""From command line values to subjects and tasks."""

import numpy as np
import pytest

from accel_models.reram.analog_config import AnalogConfig
from accel_models.reram.config import cell_presets, isaac
from tests.helpers.finn_networks import small_network
from tests.helpers.subjects import digits_subject
from xbarsim.cli.subjects import Hardware, count_of, default_model, models_of, subject_of
from xbarsim.errors import InputError
from xbarsim.faults.given import GivenFaults
from xbarsim.faults.models import SingleFaults
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.subject import Subject


@pytest.fixture(scope="module")
def board():
    network = small_network(np.random.default_rng(1), 2, 2)
    return Subject(network, "finn", test=(np.zeros((2, 1, 8, 8)), [0, 1]), name="board")


def test_options_become_hardware():
    assert Hardware().config() == Hardware(fidelity="bit-serial").config() == isaac()
    assert Hardware(cells="puma").config().cell == cell_presets()["puma"]
    analog = Hardware(fidelity="analog", device="pcm", age=60.0).config()
    assert isinstance(analog, AnalogConfig)
    assert (analog.base, analog.wire_ohm, analog.age_s) == (isaac(), 0.0, 60.0)
    assert Hardware(fidelity="parasitic").config().wire_ohm == 1.0
    assert Hardware(fidelity="parasitic", wire_ohm=2.5).config().wire_ohm == 2.5
    assert Hardware(accelerator="analog:device=pcm").config().name == AnalogConfig(device="pcm").name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fidelity": "exact"}, "fidelity: expected one of"),
        ({"cells": "dram"}, "cells: expected one of"),
        ({"age": 5.0}, "age: expected none with fidelity digital, got 5.0; say fidelity analog"),
        ({"wire_ohm": 1.0, "fidelity": "analog"}, "wire_ohm: expected none with fidelity analog"),
        ({"accelerator": "finn", "cells": "puma"}, "cells: expected a ReRAM accelerator beside it, got finn"),
        (
            {"accelerator": "finn", "fidelity": "bit-serial"},
            "fidelity: expected a ReRAM accelerator beside it",
        ),
    ],
)
def test_options_that_nothing_uses_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        Hardware(**options).config()


def test_a_subject_is_loaded_and_programmed():
    subject = subject_of("digits-mlp", Hardware(), images=30)
    assert len(subject.test) == 30 and "chip" in subject.__dict__ and subject.source is not None


def test_models_come_from_words_or_files(tmp_path):
    assert models_of(None, None, "stuck-cells:rate=0.5") == [StuckCells(rate=0.5)]
    assert models_of(["single", "stuck-cells:rate=0.1"], None, "none") == [
        SingleFaults(),
        StuckCells(rate=0.1),
    ]
    drawn = StuckCells(rate=0.01).draw(digits_subject(images=2).chip.geometry, np.random.default_rng(1))
    (given,) = models_of(None, [drawn.save(tmp_path / "a"), drawn.save(tmp_path / "b")], "none")
    assert isinstance(given, GivenFaults) and given.population(None) == 2
    with pytest.raises(InputError, match="faults: expected a model or files, got both"):
        models_of(["single"], [tmp_path / "a"], "none")


def test_every_kind_of_hardware_has_faults_of_its_own(board):
    assert default_model(board, "x") == "single:kinds=channel"
    assert default_model(digits_subject(images=2), "x") == "x"


def test_listed_faults_are_all_made_unless_fewer_are_wanted(board):
    model, cells = SingleFaults("pe"), StuckCells(rate=0.1)
    whole = model.population(board.chip.geometry)
    assert [count_of(model, board, chips) for chips in (None, 2, 10**6)] == [whole, 2, whole]
    assert [count_of(cells, board, chips) for chips in (None, 2)] == [10, 2]
