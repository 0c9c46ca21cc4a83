"""A user's own spiking network on the road of all networks."""

import pytest

from accel_models.spiking.config import SpikingConfig
from networks.datasets import load_dataset
from tests.helpers.program import document, run
from xbarsim.code import load_code
from xbarsim.faults.models import FaultyNeurons
from xbarsim.faults.trials import faults_of
from xbarsim.rng import Trial
from xbarsim.torch_bridge.spiking import spiking_network

CODE = """
from networks.datasets import load_dataset
from networks.snn import Snn
from xbarsim.training.loop import fit, initialise
from xbarsim.training.recipe import Recipe


def network():
    data = load_dataset("digits", "train")
    module = initialise(lambda: Snn((64, 32, 10)), 0)
    fit(module, data.images, data.labels, Recipe(epochs=3), seed=0)
    return module
"""
NASF = ("--faults", "faulty-neurons:kind=nasf,ratio=0.1")


@pytest.fixture
def subject(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(CODE)
    return "-n", f"{file}:network", "-a", "spiking", "--data", "digits"


def test_accuracy_is_that_of_the_chips(subject, capsys):
    (task,) = document(capsys, "simulate", *subject, *NASF, "--chips", "4")["results"]["tasks"]
    module = load_code(subject[1].rpartition(":")[0]).network()
    chip, test = SpikingConfig().program(spiking_network(module)), load_dataset("digits", "test")
    model = FaultyNeurons(kind="nasf", ratio=0.1)
    drawn = [faults_of(model, chip.geometry, Trial(1, t)) for t in range(4)]
    hits = [chip.inject(faults).run(test.images, seed=1).hits(test.labels) for faults in drawn]
    assert task["hits"] == hits
    assert task["facts"]["healthy_hits"] == chip.run(test.images, seed=0).hits(test.labels)
    assert task["facts"]["resources"] == {"neurons": 42, "synapses": 64 * 32 + 32 * 10}
    assert "latency_ns" not in task["facts"] and "energy_nJ" not in task["facts"]


def test_tables_say_what_is_unknown_and_a_run_is_repeated_exactly(subject, capsys, tmp_path):
    command = ("simulate", *subject, *NASF, "--chips", "2", "--out", tmp_path)
    first, second = (run(capsys, *command) for _ in range(2))
    assert first == second and first[0] == 0
    assert "An inference: latency unknown, energy unknown." in first[1]
    assert "10 % nasf neurons" in first[1]
    assert (tmp_path / "accuracy.png").exists() and (tmp_path / "trials.csv").exists()


def test_hard_to_spike_neurons_are_the_default(subject, capsys):
    (task,) = document(capsys, "simulate", *subject, "--chips", "1")["results"]["tasks"]
    assert task["is"]["faults"]["name"] == "faulty-neurons" and task["is"]["faults"]["kind"] == "hsf"


def test_detectors_of_unknown_latency_are_shown(subject, capsys):
    code, out, _ = run(capsys, "detect", *subject, *NASF, "--chips", "2", "--images", "100")
    assert code == 0 and "unknown" in out


def test_faults_of_other_hardware_are_refused_in_one_line(subject, capsys):
    code, out, err = run(capsys, "simulate", *subject, "--faults", "stuck-cells:rate=0.1", "--chips", "1")
    assert code != 0 and out == "" and len(err.strip().splitlines()) == 1
    assert "the cells of arrays" in err
