"""Fault models: what they draw, what they refuse, what they are called."""

import pickle

import numpy as np
import pytest

from tests.helpers.finn_places import DESIGN, INNER, LAST
from xbarsim.errors import InputError
from xbarsim.faults.activations import StuckActivations
from xbarsim.faults.cell_models import FaultyClusters, FaultyColumns, FaultyCount, FaultyRows, SoftCells
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.models import FaultyNeurons, SingleFaults
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind, SpikingGeometry
from xbarsim.faults.pe import FinnGeometry, PeFaultKind, PeFaults
from xbarsim.faults.places import NoFaults
from xbarsim.faults.sampling import FaultMix
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.registry import fault_models

CELLS = CellGeometry(arrays=2, rows=16, columns=16)
NEURONS = SpikingGeometry(sizes=(20, 15, 4))
MODELS = {
    "none": (NoFaults(), None, "no faults"),
    "stuck-cells": (StuckCells(rate=0.01, mix="even"), CELLS, "1 % stuck, even"),
    "soft-cells": (SoftCells(rate=0.005), CELLS, "0.5 % soft, flip"),
    "faulty-count": (FaultyCount(count=1, mix="hrs"), CELLS, "1 faulty cell, hrs"),
    "faulty-rows": (FaultyRows(rows=2), CELLS, "2 faulty rows, measured"),
    "faulty-columns": (
        FaultyColumns(columns=3, mix=FaultMix(stuck_hrs=1, flip=0.5)),
        CELLS,
        "3 faulty columns, stuck_hrs 1, flip 0.5",
    ),
    "faulty-clusters": (FaultyClusters(clusters=4), CELLS, "4 clusters of radius 2, measured"),
    "single": (SingleFaults("channel", "pe"), DESIGN, "single channel, pe"),
    "stuck-activations": (StuckActivations(rate=0.05, unit="pixel"), DESIGN, "5 % stuck pixels"),
    "faulty-neurons": (FaultyNeurons(), NEURONS, "10 % hsf neurons"),
}
every = pytest.mark.parametrize("name", MODELS)


def rng(seed=0):
    return np.random.default_rng(seed)


@every
def test_model_has_its_name_and_says_what_it_draws(name):
    model, _, words = MODELS[name]
    assert fault_models.name_of(model) == name
    assert fault_models.words(model) == words
    assert fault_models.describe(model)["name"] == name


@every
def test_model_can_be_compared_hashed_sent_and_made_again(name):
    model, _, _ = MODELS[name]
    assert pickle.loads(pickle.dumps(model)) == model
    assert len({model, pickle.loads(pickle.dumps(model))}) == 1
    described = {key: value for key, value in fault_models.describe(model).items() if key != "name"}
    if name != "faulty-columns":  # its mix has no name
        assert fault_models.make(name, described, strict=True) == model


@every
def test_draws_hang_on_the_generator_alone_and_fit_the_places(name):
    model, own, _ = MODELS[name]
    for geometry in (CELLS, DESIGN, NEURONS) if own is None else (own,):
        first, again = (model.draw(geometry, rng(7)) for _ in range(2))
        assert first == again
        first.check(geometry)


@every
@pytest.mark.parametrize("geometry", [CELLS, DESIGN, NEURONS, 3], ids=["cells", "units", "neurons", "number"])
def test_places_of_other_hardware_are_refused_in_the_same_words(name, geometry):
    model, own, _ = MODELS[name]
    if own is None or geometry == own:
        return
    with pytest.raises(InputError) as caught:
        model.draw(geometry, rng())
    error = caught.value
    words = {CELLS: "the cells of arrays", DESIGN: "the units of a FINN design"}
    assert (error.where, error.got) == (name, str(geometry))
    assert error.expected == words.get(own, "the neurons of a spiking network")
    assert "hardware" in error.remedy


def test_command_lines_can_name_models():
    parse = fault_models.parse
    assert parse("stuck-cells:rate=0.01,mix=even") == StuckCells(rate=0.01, mix="even")
    assert parse("single:kinds=channel+pe,layers=0+2") == SingleFaults("channel", "pe", layers=(0, 2))
    assert parse("single:kinds=pe,layers=none") == SingleFaults("pe")
    assert parse("single") == SingleFaults() == SingleFaults("channel")
    neurons = FaultyNeurons(kind="swf", scope=("synapses",))
    assert parse("faulty-neurons:kind=swf,scope=synapses") == neurons
    with pytest.raises(InputError, match=r"StuckCells\.rate: expected a number in 0\.\.1"):
        parse("stuck-cells:rate=2")


def test_single_faults_lists_what_the_design_lists():
    model = SingleFaults("pe", "weight", layers=(0, 2))
    assert model.all(DESIGN) == DESIGN.fault_list([PeFaultKind.pe, PeFaultKind.weight], (0, 2))
    assert model.words == "single pe, weight in layers 0, 2"
    assert model.scenario == "pe faults"


def test_single_faults_draws_each_of_them_and_the_one_that_a_sample_of_its_list_is():
    model = SingleFaults("channel", "pixel", "lane")
    listed, seen = list(model.all(DESIGN)), set()
    for seed in range(2000):
        drawn = model.draw(DESIGN, rng(seed))
        if seed < 50:
            assert drawn == model.all(DESIGN).sample(1, rng(seed))
        seen |= set(drawn)
    assert seen == set(listed)


def test_single_faults_of_a_shared_array_are_in_all_layers():
    shared, model = FinnGeometry((INNER, INNER), INNER), SingleFaults("pe")
    assert set(model.all(shared).column("layer")) == set(model.draw(shared, rng()).column("layer")) == {-1}


@pytest.mark.parametrize(
    ("names", "settings", "words"),
    [
        (("wire",), {}, r"SingleFaults\.kinds.*channel"),
        (("pe", "pe"), {}, "each once"),
        (("pe",), {"kinds": ("lane",)}, "kinds once"),
        ((), {"kinds": ()}, "at least one"),
        ((), {"layers": ()}, r"SingleFaults\.layers.*at least one"),
        ((), {"layers": (1, 1)}, "each once"),
        ((), {"layers": (-1,)}, r"SingleFaults\.layers"),
    ],
)
def test_single_faults_that_are_none_are_refused(names, settings, words):
    with pytest.raises(InputError, match=words):
        SingleFaults(*names, **settings)


def test_single_faults_of_a_design_without_them_are_refused():
    with pytest.raises(InputError, match="a design with channel faults, got one without"):
        SingleFaults("channel").draw(FinnGeometry((LAST,)), rng())
    with pytest.raises(InputError, match=r"layer: expected an integer in 0\.\.2"):
        SingleFaults("channel", layers=(3,)).draw(DESIGN, rng())


def test_faulty_neurons_are_a_sample_of_the_universe_in_a_stream_of_their_own():
    model = FaultyNeurons(kind="leak", ratio=0.25, scope=("hidden", "output"), value=0.5)
    universe = FaultUniverse(geometry=NEURONS, scope=model.scope)
    assert model.draw(NEURONS, rng(3)) == universe.sample(NeuronFaultKind.leak, 0.25, rng(3), value=0.5)
    assert model.scenario == "leak 0.25"
    assert model.words == "25 % leak neurons, value 0.5"
    assert FaultyNeurons(kind="sasf", scope=("synapses",)).words == "10 % sasf synapses"


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "none"},
        {"ratio": 1.1},
        {"scope": ()},
        {"scope": ("somewhere",)},
        {"kind": "leak", "value": 2},
    ],
)
def test_faulty_neurons_out_of_range_are_refused(wrong):
    with pytest.raises(InputError):
        FaultyNeurons(**wrong)


def test_a_scope_without_places_for_the_kind_is_refused():
    with pytest.raises(InputError, match="scope of swf"):
        FaultyNeurons(kind="swf").draw(NEURONS, rng())


def test_no_faults_are_none_of_any_chip():
    for geometry in (CELLS, DESIGN, NEURONS):
        assert len(NoFaults().draw(geometry, rng())) == 0
    assert isinstance(NoFaults().draw(DESIGN, rng()), PeFaults)
    with pytest.raises(InputError, match=r"the cells of arrays or .*got 'isaac'"):
        NoFaults().draw("isaac", rng())
