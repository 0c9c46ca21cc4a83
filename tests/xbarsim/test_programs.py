"""From a network to a chip, whatever the network is."""

import numpy as np
import pytest

from accel_models.finn.config import FinnConfig
from accel_models.reram.analog_config import AnalogConfig
from accel_models.reram.config import isaac, isaac_slc
from accel_models.spiking.config import SpikingConfig
from networks.snn import Snn
from tests.contracts.finn_chips import flat_graph
from tests.helpers.finn_networks import small_network
from tests.helpers.subjects import digits_data, digits_module
from xbarsim.errors import InputError
from xbarsim.programs import CALIBRATION_INPUTS, accelerator_of, as_integers, fits, program


@pytest.fixture(scope="module")
def images():
    return digits_data("train").images


def test_names_and_configurations_are_accelerators():
    assert accelerator_of("isaac") == isaac()
    assert accelerator_of("analog:device=pcm").device == AnalogConfig(device="pcm").device
    assert accelerator_of(isaac_slc()) == isaac_slc()
    with pytest.raises(InputError, match="accelerator: expected one of"):
        accelerator_of("tpu")
    for thing in (5, None, FinnConfig, object()):
        with pytest.raises(InputError, match="accelerator: expected a name or a configuration"):
            accelerator_of(thing)


def test_a_module_is_quantized_as_its_accelerator_wants(images):
    chip = program(digits_module(), "isaac", calibrate=images)
    graph = as_integers(digits_module(), isaac(), calibrate=images)
    test = digits_data("test").first(30)
    assert (chip.run(test.images).scores == graph.run(test.images)).mean() > 0.9
    assert (chip.run(test.images).classes == graph.run(test.images).argmax(axis=1)).all()


def test_only_the_first_inputs_fix_the_scales(images):
    more = np.concatenate([images[:CALIBRATION_INPUTS], 100 * images[:5]])
    test = digits_data("test").images[:20]
    runs = [program(digits_module(), calibrate=inputs).run(test).scores for inputs in (images, more)]
    assert (runs[0] == runs[1]).all()


def test_a_module_needs_typical_inputs():
    with pytest.raises(InputError, match="calibrate: expected some hundred typical inputs"):
        program(digits_module(), "isaac")


def test_graphs_and_networks_of_the_hardware_are_taken_as_they_are():
    graph = flat_graph(np.random.default_rng(1))
    assert as_integers(graph, isaac()) is graph
    network = small_network(np.random.default_rng(1), 2, 2)
    assert program(network, "finn").network == network


def test_spiking_modules_become_spiking_networks():
    chip = program(Snn((64, 12, 10), steps=5), "spiking")
    assert chip.geometry.sizes == (64, 12, 10) and chip.geometry.steps == 5


def test_what_fits_where():
    spiking = Snn((64, 12, 10), steps=5)
    board = small_network(np.random.default_rng(1), 2, 2)
    float_module = digits_module()
    for network, expected in (
        (float_module, (True, True, False, False)),
        (board, (False, False, True, False)),
        (spiking, (False, False, False, True)),
    ):
        found = tuple(fits(network, a) for a in (isaac(), AnalogConfig(), FinnConfig(), SpikingConfig()))
        assert found == expected


def test_an_accelerator_of_ones_own_is_for_any_network():
    class Own:
        name = "own"

        def program(self, network):
            raise AssertionError

    assert fits(digits_module(), Own()) and fits(small_network(np.random.default_rng(1), 2, 2), Own())
