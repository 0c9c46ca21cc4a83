"""Captured operators on arrays give what they give in torch, at any batch, and travel between processes."""

import operator
import pickle

import numpy as np
import pytest
import torch
from torch import fx, nn
from torch.nn import functional as F

from xbarsim.errors import InputError
from xbarsim.torch_bridge.capture import export
from xbarsim.torch_bridge.captured import Captured, Ref, Times, TorchOperator, aten, torch_operator

MASK = torch.tensor([[0.0, -1e9, 0.5, 2.0]] * 4)


class Function(nn.Module):
    """A function of one tensor."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def captured_from(function, x):
    return export(Function(function).eval(), (x,))


def run_operators(captured, x):
    """What a network gives, operator by operator on arrays."""
    values = {captured.inputs[0]: x}
    for node in captured.order():
        if node in values or "shape" not in node.meta:
            continue
        function, sources, sized = torch_operator(captured, node)
        function = pickle.loads(pickle.dumps(function))
        values[node] = function(*(values[s] for s in sources), *([x] if sized else []))
    return values[captured.outputs["output"]]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.softmax(x + MASK, -1) @ x.transpose(1, 2),
        lambda x: F.gelu(F.layer_norm(x, (4,))),
        lambda x: torch.cat(x.chunk(2, -1)[::-1], 1),
        lambda x: x.max(-1).values - x.unbind(1)[2],
        lambda x: x.reshape(x.shape[0] * 2, 8).flip(1),
        lambda x: x.reshape(x.shape[0] * 4, 4)[1:] * x.shape[0],
        lambda x: torch.ones(x.shape[0], 4, 1) * x + x[:, :1],
        lambda x: F.max_pool1d(x, 2, return_indices=True)[0],
        lambda x: (x > 0).to(torch.float64).float() + x.long().clamp(0, 3),
        lambda x: F.batch_norm(x, torch.zeros(4), torch.ones(4)).std(1),
    ],
    ids=["attention", "norm", "split", "items", "sizes", "more", "made", "indices", "types", "batch norm"],
)
def test_operators_on_arrays_give_what_torch_gives_at_any_batch(function):
    captured = captured_from(function, torch.randn(3, 4, 4))
    for batch in (2, 3, 5):
        x = torch.randn(batch, 4, 4)
        with torch.no_grad():
            wanted = function(x).numpy()
        found = run_operators(captured, x.numpy())
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


def test_templates_hold_sources_sizes_constants_and_types():
    half = TorchOperator("aten.mul.Tensor", (Ref(0), np.array([0.5, 2.0])), {})
    assert half(np.array([[2.0, 2.0]])).tolist() == [[1.0, 4.0]]
    sized = TorchOperator("aten.view.default", (Ref(0), (Times(2), 3)), {})
    x = np.arange(12.0)
    assert sized(x, np.zeros((2, 5))).shape == (4, 3)
    more = TorchOperator("aten.new_zeros.default", (Ref(0), (Times(2, 1),)), {"dtype": "torch.int64"})
    assert more(x, np.zeros((3, 1))).shape == (7,) and more(x, np.zeros((3, 1))).dtype == np.int64
    largest = TorchOperator("aten.max.dim", (Ref(0), 1), {}, item=1)
    assert largest(np.array([[1.0, 3.0, 2.0]])).tolist() == [1]


def test_integers_go_through_floats_where_an_operator_knows_none_and_come_back():
    pool = TorchOperator("aten.max_pool2d.default", (Ref(0), (2, 2)), {}, through="float64")
    x = np.random.default_rng(0).integers(-(2**50), 2**50, (2, 3, 4, 4))
    found = pool(x)
    assert found.dtype == np.int64
    assert (found == x.reshape(2, 3, 2, 2, 2, 2).max((3, 5))).all()


def test_arrays_in_any_memory_order_are_taken_and_gradients_pass_on_tensors():
    sigmoid = TorchOperator("aten.sigmoid.default", (Ref(0),), {})
    x = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_allclose(sigmoid(x.T[:, ::-1]), sigmoid(x)[::-1].T, rtol=1e-14)
    y = torch.tensor(x, requires_grad=True)
    sigmoid.on_tensors([y]).sum().backward()
    assert torch.isfinite(y.grad).all() and (y.grad > 0).all()


def test_what_is_no_operator_of_torch_is_refused_by_its_place():
    graph = fx.Graph()
    x = graph.placeholder("x")
    node = graph.call_function(operator.add, (x, 1))
    captured = Captured(graph, [x], {"output": node}, {}, None)
    with pytest.raises(InputError, match=r"node 'add': expected an operator of PyTorch, got .*add"):
        torch_operator(captured, node)
    assert captured.where(node) == "node 'add'"


def test_order_leaves_out_what_no_output_needs_and_data_is_what_depends_on_the_inputs():
    captured = captured_from(lambda x: [x.exp(), x + torch.zeros(x.shape[0], 4)][1], torch.randn(3, 4))
    targets = [n.target for n in captured.order()]
    assert aten.exp.default not in targets and aten.add.Tensor in targets
    data = captured.behind(captured.inputs)
    made = [n for n in captured.order() if n.target is aten.full.default or "zeros" in str(n.target)]
    assert made and not any(n in data for n in made)
    assert captured.outputs["output"] in data and captured.inputs[0] in data
    assert captured.sizes(captured.outputs["output"]) == (3, 4)
