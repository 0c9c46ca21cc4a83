"""LSTM, GRU and RNN of ONNX files are onnxruntime's."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.helpers.onnx_models import check_quantized, check_same, exported, given, one_node, saved
from xbarsim.errors import InputError
from xbarsim.torch_bridge.onnx_import import read_onnx

RNG = np.random.default_rng(3)
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
HIDDEN = 5


def f(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


SERIES = f(6, 3, 4)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_a_cell_is_onnxruntimes(kind, direction, tmp_path):
    rows, ways = GATES[kind] * HIDDEN, 1 + (direction == "bidirectional")
    weights = f(ways, rows, 4), f(ways, rows, HIDDEN), f(ways, 2 * rows)
    attributes = {"hidden_size": HIDDEN, "direction": direction, "outputs": 2 + (kind == "LSTM")}
    check_same(one_node(kind, SERIES, *weights, **attributes), tmp_path, SERIES)


@pytest.mark.parametrize("kind", GATES)
def test_a_first_state_is_taken(kind, tmp_path):
    rows = GATES[kind] * HIDDEN
    weights = f(1, rows, 4), f(1, rows, HIDDEN), None, None, f(1, 3, HIDDEN)
    check_same(one_node(kind, SERIES, *weights, hidden_size=HIDDEN), tmp_path, SERIES)


def test_a_gru_may_reset_behind_its_product(tmp_path):
    weights = f(1, 15, 4), f(1, 15, HIDDEN), f(1, 30)
    check_same(one_node("GRU", SERIES, *weights, hidden_size=HIDDEN, linear_before_reset=1), tmp_path, SERIES)


def test_an_rnn_may_be_rectified(tmp_path):
    weights = f(1, 5, 4), f(1, 5, HIDDEN)
    check_same(one_node("RNN", SERIES, *weights, hidden_size=HIDDEN, activations=["Relu"]), tmp_path, SERIES)


REFUSED = {
    "full length": ((None, np.array([6, 5, 6], np.int32)), {}),
    "clip": ((), {"clip": 1.0}),
    "activations": ((), {"activations": ["Affine"]}),
}


@pytest.mark.parametrize("message", REFUSED)
def test_other_cells_are_refused(message, tmp_path):
    more, attributes = REFUSED[message]
    model = one_node("RNN", SERIES, f(1, 5, 4), f(1, 5, HIDDEN), *more, hidden_size=HIDDEN, **attributes)
    module = read_onnx(saved(model, tmp_path))
    with pytest.raises(InputError, match=f"node 'the RNN'.*{message}"):
        given(module, SERIES)


class Reader(nn.Module):
    """A bidirectional LSTM, a GRU and a linear layer."""

    def __init__(self):
        super().__init__()
        self.first = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
        self.second = nn.GRU(6, 3, batch_first=True)
        self.last = nn.Linear(3, 2)

    def forward(self, x):
        return self.last(self.second(self.first(x)[0])[0][:, -1])


def test_cells_are_quantized_for_any_batch(tmp_path):
    torch.manual_seed(0)
    x = f(20, 3, 4)
    module = check_same(exported(Reader(), torch.from_numpy(x[:2])), tmp_path, x)
    graph = check_quantized(module, x)
    assert not graph.one_by_one
    names = [layer.name for layer in graph.layers]
    assert len(names) == 8 and names[0].endswith("LSTM") and names[-1] == "/last/Gemm"
