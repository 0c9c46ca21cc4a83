"""ONNX files become modules that compute what onnxruntime does, and integer graphs close to them."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import xbarsim as xb
from tests.helpers.onnx_models import (
    check_quantized,
    check_same,
    exported,
    given,
    helper,
    model_of,
    onnx,
    saved,
)
from xbarsim.errors import InputError
from xbarsim.torch_bridge.onnx_import import OPERATORS, read_onnx
from xbarsim.torch_bridge.quantize import quantize

RNG = np.random.default_rng(0)
N = helper.make_node


def f(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


class Residual(nn.Module):
    """Convolutions with batch norm, a residual branch, pools, a view by the batch's size."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.second, self.last = nn.Conv2d(8, 8, 3, 1, 1, groups=2), nn.Linear(8, 5)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        x = nn.functional.max_pool2d(x + nn.functional.silu(self.second(x)), 2)
        x = nn.functional.adaptive_avg_pool2d(x, 1)
        return self.last(x.view(x.size(0), -1))


class Patches(nn.Module):
    """A vision transformer: patches, a class token that is expanded to the batch, attention."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.token, self.places = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 5, 16))
        self.block = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.last = nn.Linear(16, 3)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.last(self.block(x)[:, 0])


class Tokens(nn.Module):
    """A transformer on tokens with a causal mask."""

    def __init__(self):
        super().__init__()
        self.embed, self.query, self.last = nn.Embedding(11, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, tokens):
        x = self.embed(tokens)
        scores = self.query(x) @ x.transpose(1, 2) / 8**0.5
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        return self.last(torch.softmax(scores.masked_fill(~mask, float("-inf")), -1) @ x)


IMAGES = f(12, 3, 16, 16)
EXPORTED = {
    "residual": (Residual, IMAGES),
    "patches": (Patches, IMAGES),
    "tokens": (Tokens, RNG.integers(0, 11, (12, 5))),
}


@pytest.mark.parametrize("dynamo", [False, True], ids=["script", "dynamo"])
@pytest.mark.parametrize("name", EXPORTED)
def test_what_torch_exports_comes_back_for_any_batch(name, dynamo, tmp_path):
    if dynamo:
        pytest.importorskip("onnxscript")
    build, inputs = EXPORTED[name]
    torch.manual_seed(0)
    model = exported(build(), torch.from_numpy(inputs[:2]), dynamo=dynamo)
    module = check_same(model, tmp_path, inputs)
    check_same(model, tmp_path, inputs[:1])
    assert not check_quantized(module, inputs, tolerance=0.03).one_by_one


def test_layers_are_called_like_nodes_and_weights_like_initializers(tmp_path):
    nodes = [
        N("MatMul", ["x", "body.first.weight"], ["m"], name="/body/first/MatMul"),
        N("Add", ["m", "body.first.bias"], ["a"], name="/body/first/Add"),
        N("Relu", ["a"], ["r"]),
        N("Gemm", ["r", "onnx::Gemm_7", "training"], ["y"], name="/last/Gemm"),
    ]
    weights = {"body.first.weight": f(6, 4), "body.first.bias": f(4), "onnx::Gemm_7": f(4, 2)}
    x = f(20, 6)
    module = check_same(model_of(nodes, {"x": x}, ("y",), {**weights, "training": f(2)}), tmp_path, x)
    assert set(module.state_dict()) == {*weights, "training_"}
    graph = check_quantized(module, x)
    assert [layer.name for layer in graph.layers] == ["/body/first/MatMul", "/last/Gemm"]


def test_weights_can_be_trained_and_what_norms_hold_cannot(tmp_path):
    model = exported(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.BatchNorm1d(3)), torch.randn(2, 4))
    module = read_onnx(saved(model, tmp_path))
    trained = dict(module.named_parameters())
    assert "0.weight" in trained and "2.weight" in trained and "2.running_mean" not in trained
    module(torch.randn(5, 4)).sum().backward()
    assert trained["0.weight"].grad is not None


@pytest.mark.parametrize("names", [("left", "right"), ("in.1", "class"), ("a b", "\x1b[31m")])
def test_several_inputs_and_outputs(names, tmp_path):
    a, b = f(9, 4), f(9, 4)
    nodes = [N("Add", list(names), ["s"]), N("MatMul", ["s", "w"], ["t"]), N("Relu", ["t"], ["u"])]
    model = model_of(nodes, dict(zip(names, (a, b), strict=True)), ("t", "u"), {"w": f(4, 3)})
    module = check_same(model, tmp_path, a, b)
    graph = quantize(module, (a, b))
    again = quantize(module, dict(zip(module.names, (a, b), strict=True)))
    for found in (graph, again):
        assert [node.name for node in found.inputs] == list(module.names)
    assert {*module(torch.from_numpy(a), torch.from_numpy(b))} == {"t", "u"}


def fixed(module, batch, x):
    """A file with this batch alone."""
    model = exported(module, x[:batch])
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].ClearField("dim_param")
        value.type.tensor_type.shape.dim[0].dim_value = batch
    return model


class Flat(nn.Module):
    """A reshape to a batch that is a number."""

    def __init__(self, batch):
        super().__init__()
        self.batch, self.last = batch, nn.Linear(6, 2)

    def forward(self, x):
        return self.last(x.reshape(self.batch, 6))


def test_a_fixed_batch_is_freed_where_nothing_depends_on_it(tmp_path):
    x = torch.randn(8, 6)
    module = read_onnx(saved(fixed(nn.Linear(6, 2), 4, x), tmp_path))
    assert module.fixed_batch is None and module(x).shape == (8, 2)


def test_a_fixed_batch_of_one_stays_one_where_something_does(tmp_path):
    x = torch.randn(8, 6)
    module = read_onnx(saved(fixed(Flat(1), 1, x), tmp_path))
    with pytest.raises(InputError, match=r"input 'x0': expected shape \(1, 6\), got \(8, 6\)"):
        module(x)
    graph = quantize(module, x.numpy())
    alone = np.concatenate([given(module, x[i : i + 1].numpy())[0] for i in range(8)])
    assert graph.one_by_one and np.abs(graph.run(x.numpy()) - alone).max() < 0.01


def test_a_fixed_batch_of_several_is_refused(tmp_path):
    with pytest.raises(InputError, match="a network for any batch, got batch 4; export it with a dynamic"):
        read_onnx(saved(fixed(Flat(4), 4, torch.randn(8, 6)), tmp_path))


def test_constants_are_worked_out_once(tmp_path):
    nodes = [
        N("Constant", [], ["half"], value_float=0.5),
        N("Transpose", ["w"], ["t"], perm=[1, 0]),
        N("Mul", ["t", "half"], ["h"]),
        N("MatMul", ["x", "h"], ["y"]),
        N("NonZero", ["x"], ["unread"]),
    ]
    x = f(4, 6)
    module = check_same(model_of(nodes, {"x": x}, ("y",), {"w": f(3, 6)}), tmp_path, x)
    assert [step.title for step in module.steps] == ["MatMul_3"]


def test_standardized_weights_are_constants(tmp_path):
    norm = N("BatchNormalization", ["w", "g", "b", "m", "v"], ["s", "", ""], training_mode=1)
    model = model_of([norm, N("MatMul", ["x", "s"], ["y"])], {"x": f(4, 6)}, ("y",), {
        "w": f(6, 3), "g": f(3), "b": f(3), "m": np.zeros(3, np.float32), "v": np.ones(3, np.float32)
    })  # fmt: skip
    module = read_onnx(saved(model, tmp_path))
    weight = next(t for name, t in module.state_dict().items() if name == "s").numpy()
    held = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    plain = (held["w"] - held["w"].mean(0)) / np.sqrt(held["w"].var(0) + 1e-5)
    np.testing.assert_allclose(weight, plain * held["g"] + held["b"], rtol=1e-4, atol=1e-5)


def infinite(kind):
    nodes = [N("MatMul", ["x", "w"], ["m"]), N(kind, ["m", "c"], ["y"])]
    weight, other = f(4, 3), np.array([[-np.inf, 0, 0]], np.float32)
    if kind == "MatMul":
        other = np.full((3, 2), np.inf, np.float32)
    return model_of(nodes, {"x": f(4, 4)}, ("y",), {"w": weight, "c": other})


def test_masks_may_be_infinite_and_weights_not(tmp_path):
    x = f(9, 4)
    assert quantize(read_onnx(saved(infinite("Max"), tmp_path)), x).layers
    with pytest.raises(InputError, match="weights 'c'"):
        quantize(read_onnx(saved(infinite("MatMul"), tmp_path)), x)


REFUSED = {
    "(NonZero): expected an operator that is known": [N("NonZero", ["x"], ["y"], name="odd")],
    "(com.microsoft::Gelu): expected": [N("Gelu", ["x"], ["y"], name="odd", domain="com.microsoft")],
    "(If): expected": [
        N("Equal", ["x", "x"], ["c"]),
        N(
            "If",
            ["c"],
            ["y"],
            name="odd",
            then_branch=helper.make_graph([], "a", [], []),
            else_branch=helper.make_graph([], "b", [], []),
        ),
    ],
    "(MatMul): expected at most 2 GB": [
        N("Constant", [], ["s"], value_ints=[10**5, 1]),
        N("ConstantOfShape", ["s"], ["a"]),
        N("Transpose", ["a"], ["b"]),
        N("MatMul", ["a", "b"], ["c"], name="odd"),
        N("Mul", ["x", "c"], ["y"]),
    ],
    "(Add): expected at most 2 GB": [
        N("Constant", [], ["s"], value_ints=[10**5, 1]),
        N("ConstantOfShape", ["s"], ["a"]),
        N("Transpose", ["a"], ["b"]),
        N("Add", ["a", "b"], ["c"], name="odd"),
        N("Mul", ["x", "c"], ["y"]),
    ],
    "(ConstantOfShape): expected at most 2 GB": [
        N("Constant", [], ["s"], value_ints=[10**6, 10**6]),
        N("ConstantOfShape", ["s"], ["c"], name="odd"),
        N("Mul", ["x", "c"], ["y"]),
    ],
    "(Constant): expected numbers as value": [
        N("Constant", [], ["c"], value_string="word", name="odd"),
        N("Mul", ["x", "c"], ["y"]),
    ],
    "(Reshape): expected inputs that it takes": [
        N("Constant", [], ["s"], value_ints=[7, 7]),
        N("Constant", [], ["v"], value_floats=[1.0, 2.0]),
        N("Reshape", ["v", "s"], ["c"], name="odd"),
        N("Mul", ["x", "c"], ["y"]),
    ],
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_not_known_is_refused_with_file_node_and_operator(message, tmp_path):
    with pytest.raises(InputError) as caught:
        read_onnx(saved(model_of(REFUSED[message], {"x": f(3, 2)}), tmp_path))
    assert f"net.onnx, node 'odd' {message}" in str(caught.value)
    assert caught.value.remedy


def test_names_steer_no_terminal(tmp_path):
    node = N("NonZero", ["x"], ["y"], name="\x1b[31mred")
    with pytest.raises(InputError, match=r"\\x1b\[31mred"):
        read_onnx(saved(model_of([node], {"x": f(2, 2)}), tmp_path))


@pytest.mark.parametrize("name", [".".join("a" * 5000), "..", "a..b", "forward", "steps.0", "_parameters"])
def test_any_name_of_a_weight_is_taken(name, tmp_path):
    x = f(4, 3)
    model = model_of([N("MatMul", ["x", name], ["y"])], {"x": x}, ("y",), {name: f(3, 2)})
    module = check_same(model, tmp_path, x)
    assert len(list(module.parameters())) == 1
    copy.deepcopy(module)


def test_inputs_of_another_shape_are_refused(tmp_path):
    module = read_onnx(saved(model_of([N("Relu", ["x"], ["y"])], {"x": f(4, 3)}), tmp_path))
    with pytest.raises(InputError, match=r"input 'x': expected shape \(any, 3\), got \(4, 5\)"):
        module(torch.zeros(4, 5))
    with pytest.raises(InputError, match="a tensor"):
        module(np.zeros((4, 3)))


def test_a_file_is_a_subject(tmp_path):
    digits = xb.load_dataset("digits", "train")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
    module = xb.read_onnx(saved(exported(net, torch.randn(2, 1, 8, 8)), tmp_path))
    own, theirs = (xb.Subject(m, "isaac", train=digits, test=digits.first(50)) for m in (module, net))
    images = digits.images[:20]
    np.testing.assert_array_equal(own.chip.run(images).classes, theirs.chip.run(images).classes)
    assert own.describe()["weights"] != theirs.describe()["weights"]


def test_every_operator_that_zoos_write_is_known():
    expected = """
        Conv ConvTranspose Gemm MatMul BatchNormalization InstanceNormalization GroupNormalization
        LayerNormalization LRN Relu LeakyRelu PRelu Elu Selu Celu Sigmoid HardSigmoid HardSwish Tanh Softplus
        Softsign Mish Gelu Erf Exp Log Sqrt Reciprocal Pow Abs Neg Sign Floor Ceil Round Sin Cos Clip Add Sub
        Mul Div Mod Min Max Mean Sum Equal Greater GreaterOrEqual Less LessOrEqual Not And Or Where Cast
        MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool LpNormalization GlobalLpPool ReduceMean
        ReduceSum ReduceMax ReduceMin ReduceProd ReduceL2 Softmax LogSoftmax ArgMax TopK Concat Split Slice
        Gather GatherElements GatherND ScatterND Reshape Flatten Transpose Squeeze Unsqueeze Expand Tile Pad
        Resize DepthToSpace SpaceToDepth ConstantOfShape Range Identity Dropout Einsum CumSum Trilu LSTM GRU
        RNN
    """
    assert set(expected.split()) <= set(OPERATORS)


def test_every_operator_is_one_of_onnx():
    kinds = {schema.name for schema in onnx.defs.get_all_schemas_with_history()}
    assert set(OPERATORS) - kinds <= {"Swish", "RMSNormalization"}


class Small(nn.Module):
    """A layer and a function."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(6, 2)

    def forward(self, x):
        return torch.sigmoid(self.last(x))


def test_the_module_of_an_export_program_is_a_network():
    x = torch.randn(20, 6)
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(Small().eval(), (x[:3],), dynamic_shapes=shapes)
    graph = quantize(program.module(), x.numpy())
    assert [layer.name for layer in graph.layers] == ["last"] and not graph.one_by_one
    assert np.abs(graph.run(x.numpy()) - program.module()(x).detach().numpy()).max() < 0.01
