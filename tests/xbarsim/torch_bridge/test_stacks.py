"""Products with a matrix of its own for every group are on the arrays, in groups, and mean the same."""

import numpy as np
import pytest
import torch
from torch import nn

import xbarsim as xb
from accel_models.reram.config import ReramConfig
from tests.twins.stacks import products
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar.config import ArrayConfig
from xbarsim.graph.nodes import MatMul
from xbarsim.torch_bridge.capture import export
from xbarsim.torch_bridge.observe import run_captured
from xbarsim.torch_bridge.products import find_products
from xbarsim.torch_bridge.quantize import quantize
from xbarsim.torch_bridge.stacks import group_stacks

EIGHT = ReramConfig(array=ArrayConfig(format=WeightFormat(weight_bits=8), input_bits=8))


class Experts(nn.Module):
    """Four matrices of 6 x 5, and how forward uses them."""

    def __init__(self, function):
        super().__init__()
        self.matrices, self.function = nn.Parameter(torch.randn(4, 6, 5)), function

    def forward(self, x):
        return self.function(x, self.matrices)


WAYS = {
    "one row a group": (lambda x, w: torch.einsum("ngi,gio->ngo", x, w), (4, 6)),
    "rows a group": (lambda x, w: torch.einsum("nrgi,gio->nrgo", x, w), (3, 4, 6)),
    "every input by all": (lambda x, w: torch.einsum("ni,gio->gno", x, w).transpose(0, 1), (6,)),
    "matmul": (lambda x, w: torch.matmul(x, w), (4, 3, 6)),
    "matmul at two places": (lambda x, w: torch.matmul(x, w), (2, 4, 3, 6)),
    "bmm": (lambda x, w: torch.bmm(x.transpose(0, 1), w).transpose(0, 1), (4, 6)),
    "with a bias": (lambda x, w: torch.matmul(x, w) + w[:, :1], (4, 3, 6)),
}


def experts(way):
    torch.manual_seed(0)
    function, shape = WAYS[way]
    return Experts(function).eval(), np.random.default_rng(0).normal(size=(7, *shape)).astype(np.float32)


@pytest.mark.parametrize("way", WAYS)
def test_a_captured_network_gives_the_same_at_every_batch(way):
    module, x = experts(way)
    captured = export(module, (torch.from_numpy(x[:3]),))
    group_stacks(captured)
    for count in (2, 7):
        found = {}
        given = torch.from_numpy(x[:count])
        run_captured(captured, [given], found.__setitem__)
        with torch.no_grad():
            torch.testing.assert_close(found[captured.outputs["output"]], module(given))
    assert len(find_products(captured)) == 1


@pytest.mark.parametrize("way", ["one row a group", "matmul", "matmul at two places", "with a bias"])
def test_groups_are_on_the_arrays_and_chips_compute_what_the_graph_does(way):
    module, x = experts(way)
    graph = quantize(module, x, weight_bits=8, activation_bits=8)
    (layer,) = graph.layers
    assert layer.weights.shape == (4, 6, 5) and layer.name == "matrices"
    with torch.no_grad():
        wanted = module(torch.from_numpy(x)).numpy()
    assert np.abs(graph.run(x) - wanted).max() <= 0.05 * np.abs(wanted).max()
    chip = EIGHT.program(graph)
    faults = xb.StuckCells(rate=0.05).draw(chip.geometry, xb.stream(1, "faults"))
    for found in (chip, chip.inject(faults)):
        exact = found.run(x, fidelity="bit-serial").scores
        assert (found.run(x).scores == exact).all()
    assert (chip.run(x).scores == graph.run(x)).all()


def test_the_sums_are_those_of_one_group_after_the_other():
    module, x = experts("one row a group")
    graph = quantize(module, x, weight_bits=8, activation_bits=8)
    seen = {}
    graph.execute(graph.quantize_input(x), products, lambda node, value, _: seen.update({node: value}))
    (layer,) = (node for node in seen if isinstance(node, MatMul))
    given = graph.quantize_input(x) - layer.input_zero
    sums = np.einsum("ngi,gio->ngo", given, layer.weights)
    bias = layer.bias + layer.input_zero * layer.weights.sum(1).ravel()  # without the zero point's share
    assert (seen[layer].reshape(7, 4, 5) == sums + bias.reshape(4, 5)).all()


def test_equal_matrices_stay_one_layer_and_products_of_activations_stay_in_floats():
    same = Experts(lambda x, w: torch.matmul(x, w[:1].expand(4, 6, 5)))
    captured = export(same.eval(), (torch.randn(3, 4, 3, 6),))
    group_stacks(captured)
    (weighted,) = find_products(captured).values()
    assert weighted.groups == 1 and weighted.stride is None
    captured = export(Experts(lambda x, w: x @ x.transpose(1, 2)).eval(), (torch.randn(3, 4, 6),))
    group_stacks(captured)
    assert not find_products(captured)
