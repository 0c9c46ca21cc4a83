"""What is computed in integers and what in floats, in small networks."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from xbarsim.graph.digital import Table
from xbarsim.torch_bridge.capture import export
from xbarsim.torch_bridge.classes import Classes, in_float64, is_elementwise
from xbarsim.torch_bridge.products import find_products
from xbarsim.torch_bridge.quantize import quantize


class Between(nn.Module):
    """A function between two layers."""

    def __init__(self, function, inputs=6):
        super().__init__()
        self.a, self.b, self.function = nn.Linear(6, 6), nn.Linear(inputs, 4), function

    def forward(self, x):
        return self.b(self.function(self.a(x)))


X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)


def kinds(module, **options):
    torch.manual_seed(0)
    graph = quantize(module.eval(), X, **options)
    return [type(node).__name__ for node in graph.nodes]


@pytest.mark.parametrize(
    ("function", "between"),
    [
        (torch.relu, ["Rescale"]),
        (lambda x: x.clamp(-0.5, 0.5), ["Rescale"]),
        (lambda x: torch.tanh(x) * 2 + x, ["Rescale", "Table"]),
        (lambda x: x.sigmoid().log() - 1, ["Rescale", "Table"]),
        (lambda x: x.flip(1).roll(2, 1), ["Rescale", "Move", "Move"]),
        (lambda x: x + x.relu().flip(1), ["Rescale", "Rescale", "Move", "WeightedSum"]),
        (lambda x: x * x.flip(1), ["Rescale", "Move", "Product", "Rescale"]),
        (lambda x: x.mean(1, keepdim=True).expand(-1, 6), ["Rescale", "Sum", "Rescale", "Move"]),
        (lambda x: torch.softmax(x, -1), ["Dequantize", "Float", "Quantize"]),
        (lambda x: F.layer_norm(x, (6,)), ["Dequantize", "Float", "Quantize"]),
        (lambda x: torch.softmax(x, -1).relu(), ["Dequantize", "Float", "Float", "Quantize"]),
    ],
    ids=[
        "relu",
        "clamp",
        "one value's function",
        "chain",
        "moves",
        "sum",
        "product",
        "mean",
        "softmax",
        "norm",
        "function of floats",
    ],
)
def test_what_stands_between_two_layers(function, between):
    found = kinds(Between(function), scales="channel")
    assert found[:2] == ["Input", "MatMul"] and found[-1] == "MatMul"
    assert sorted(found[2:-1]) == sorted(between)


def test_sums_and_products_of_one_value_are_no_tables_with_powers_of_two():
    module = Between(lambda x: torch.tanh(x) + x)
    assert "Table" in kinds(module, scales="channel") and "Add" not in kinds(module, scales="channel")
    assert {"Table", "Add"} <= set(kinds(module, scales="power-of-two"))


def test_what_only_floats_read_stays_in_floats():
    found = kinds(Between(lambda x: torch.softmax(x.sigmoid().flip(1), -1).flip(1)))
    assert not {"Table", "Rescale", "Requantize"} & set(found)
    behind = nn.Sequential(nn.Linear(6, 4), nn.Softmax(-1), nn.Sigmoid())
    assert "Table" not in kinds(behind)


def test_what_the_network_gives_is_in_integers_where_it_can_be():
    assert "Table" in kinds(nn.Sequential(nn.Linear(6, 4), nn.Sigmoid()), scales="channel")
    moved = Between(torch.relu)
    moved.function, moved.b = nn.Identity(), nn.Identity()
    assert kinds(moved, scales="channel") == ["Input", "MatMul"]  # sums are given without rounding


def classes_of(function, *shape):
    captured = export(Between(function).eval(), (torch.randn(3, *shape),))
    return Classes(captured, find_products(captured))


def test_roots_are_the_one_value_that_others_are_functions_of():
    classes = classes_of(lambda x: (x.exp() + x.sigmoid() * x) / (1 + x.abs()), 6)
    first, second = classes.products
    inner = [n for n in classes.order if is_elementwise(n.target)]
    assert len(inner) >= 6
    for node in inner:
        assert classes.root(node) in (first, None if node in classes.folded else first)
    last = classes.products[second].source
    values = torch.linspace(-3, 3, 50)
    wanted = (values.double().exp() + values.double().sigmoid() * values.double()) / (
        1 + values.double().abs()
    )
    while classes.root(last) is None:
        (last,) = classes.sources(last)
    found = in_float64(classes.captured, last, first, values.double())
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, wanted)


def test_functions_of_constants_of_many_numbers_or_of_sizes_have_no_root():
    for function in (lambda x: x.maximum(torch.arange(6.0)), lambda x: x.pow(2) * x.shape[0]):
        classes = classes_of(function, 6)
        second = list(classes.products)[-1]
        node = classes.products[second].source
        while not is_elementwise(node.target):
            (node,) = classes.sources(node)
        assert classes.root(node) is None


def test_tables_are_the_function_in_float64_on_every_integer():
    module = Between(F.gelu).eval()
    graph = quantize(module, X, weight_bits=8, activation_bits=8)
    (table,) = (n for n in graph.nodes if isinstance(n, Table))
    source, own = graph.grids[table.source], graph.grids[table.name]
    values = torch.from_numpy(source.to_numbers(np.arange(256)))
    assert (table.table == own.to_integers(F.gelu(values).numpy(), 0, 255)).all()


def test_readers_of_a_value_are_those_that_an_output_needs():
    classes = classes_of(lambda x: torch.cat([a + b for a, b in [x.chunk(2, -1)] * 2], -1), 6)
    first = next(iter(classes.products))
    reached = set()
    waiting = [first]
    while waiting:
        for node in classes.readers(waiting.pop()):
            if node not in reached:
                reached.add(node)
                waiting.append(node)
    assert classes.captured.outputs["output"] in reached


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (torch.ops.aten.gelu.default, True),
        (torch.ops.aten.add.Tensor, True),
        (torch.ops.aten.where.self, True),
        (torch.ops.aten.relu_.default, True),
        (torch.ops.aten._softmax.default, False),
        (torch.ops.aten.cumsum.default, False),
        (torch.relu, False),
    ],
)
def test_elementwise_operators_take_tensors_value_by_value(target, wanted):
    assert is_elementwise(target) == wanted
