"""Where accuracy goes: figures of every node that a slow look at the same values confirms."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import xbarsim as xb
from tests.helpers.program import refused, run_well
from xbarsim.errors import InputError
from xbarsim.experiments.explain import explain

EIGHT = xb.ReramConfig(array=xb.ArrayConfig(format=xb.WeightFormat(weight_bits=8), input_bits=8))


@pytest.fixture(scope="module")
def subject():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10)).eval()
    digits = {part: xb.load_dataset("digits", part, limit=60) for part in ("train", "test")}
    return xb.Subject(module, EIGHT, train=digits["train"], test=digits["test"], name="two layers")


def test_signal_to_noise_is_that_of_the_nodes_values(subject):
    frame = explain(subject, inputs=40).frame.set_index("node")
    x = subject.test.images[:40]
    with torch.no_grad():
        first = subject.module[:2](torch.tensor(x).double().float()).double().numpy()
    layer = subject.chip.graph.layers[0]
    values = {}
    graph = subject.chip.graph
    graph.execute(graph.quantize_input(x), subject.chip.multiply, lambda n, v, _: values.update({n.name: v}))
    numbers = graph.to_scores(values[layer.name], layer.name)
    wanted = 10 * np.log10(np.square(first).sum() / np.square(numbers - first).sum())
    assert frame.snr_dB[layer.name] == pytest.approx(wanted, abs=0.01)
    assert frame.kind.to_dict() == {node.name: node.kind for node in graph.nodes}


def test_a_healthy_chip_has_no_faulty_weights_and_moves_no_class(subject):
    layers = explain(subject).frame.query("kind == 'arrays'")
    assert len(layers) == 2
    assert (layers[["adc_changed", "faulty_weights", "moved_if_exact", "moved_alone"]] == 0).all(axis=None)


def test_the_layer_that_is_broken_is_named(subject):
    chip = subject.chip
    second = chip.placement.place_of(chip.graph.layers[1].name, 0)
    drawn = xb.StuckCells(rate=0.1).draw(chip.geometry, xb.stream(1, "faults"))
    here = drawn.take(drawn.coordinates[0] >= second.first)
    layers = explain(subject, chip.inject(here)).frame.query("kind == 'arrays'").set_index("node")
    names = [layer.name for layer in chip.graph.layers]
    assert layers.faulty_weights[names[0]] == 0 and layers.moved_alone[names[0]] == 0
    assert layers.moved_alone[names[1]] == layers.moved_if_exact[names[1]] > 0
    acting = chip.inject(here).effective_weights(names[1])
    assert layers.faulty_weights[names[1]] == np.mean(acting != chip.graph.layers[1].weights)


def test_noise_of_analog_cells_is_what_changes_sums(subject):
    found = explain(subject.on(xb.AnalogConfig(base=EIGHT)), inputs=10)
    layers = found.frame.query("kind == 'arrays'")
    assert (layers.adc_changed > 0.1).all() and (layers.faulty_weights == 0).all()
    assert found.inputs == 10 and "two layers" in str(found.table())


def test_what_cannot_be_compared_is_refused(subject):
    with pytest.raises(InputError, match="chip: expected a chip of crossbars"):
        explain(subject, "chip")
    flat = (subject.test.images.reshape(-1, 64), subject.test.labels)
    other = xb.Subject(nn.Linear(64, 10), EIGHT, test=flat)
    with pytest.raises(InputError, match="expected one with the network 'two layers' in it"):
        explain(subject, other.chip)


def test_the_command_says_the_same_and_draws_it(capsys, tmp_path):
    out = tmp_path / "out"
    command = ("inspect", "--explain", "--images", 30, "-f", "stuck-cells:rate=0.02", "--seed", 3)
    answer = json.loads(run_well(capsys, *command, "--json", "--out", out))
    reference = xb.SubjectReference(network="digits-mlp", accelerator=xb.ReramConfig(), images=30)
    assert (out / "explain.png").read_bytes()[:4] == b"\x89PNG"
    rows = {row["node"]: row for row in answer["results"]["explanation"]}
    assert rows.keys() == {node.name for node in reference.load().chip.graph.nodes}
    assert 0 < rows["layers.1"]["faulty_weights"] < 0.3
    assert "expected explain beside it" in refused(capsys, "inspect", "-f", "stuck-cells:rate=0.02")
    assert "expected faults and explain beside it" in refused(capsys, "inspect", "--explain", "--seed", 3)
