"""Small ONNX files, and what onnxruntime makes of them."""

import io
import warnings

import numpy as np
import pytest
import torch

from xbarsim.torch_bridge.onnx_import import read_onnx
from xbarsim.torch_bridge.quantize import quantize

onnx = pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

TYPES = {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "b": TensorProto.BOOL}


def model_of(nodes, inputs, outputs=("y",), constants=None, *, opset=17):
    """A model of nodes.

    Parameters
    ----------
    inputs : arrays by name, whose first size is left open
    constants : arrays by name
    """
    made = [
        helper.make_tensor_value_info(name, TYPES[array.dtype.kind], ["N", *array.shape[1:]])
        for name, array in inputs.items()
    ]
    ends = [helper.make_value_info(name, onnx.TypeProto()) for name in outputs]
    held = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(nodes, "small", made, ends, held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def one_node(kind, x, *constants, outputs=1, opset=17, more=None, **attributes):
    """A model of one operator on x, constants (None is left out), and further inputs."""
    held = {f"c{i}": c for i, c in enumerate(constants) if c is not None}
    names = ["x", *(more or {}), *(f"c{i}" if c is not None else "" for i, c in enumerate(constants))]
    made = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(kind, names, made, name=f"the {kind}", **attributes)
    return model_of([node], {"x": x, **(more or {})}, made, held, opset=opset)


def saved(model, folder, name="net.onnx"):
    """Write a model."""
    path = folder / name
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def exported(module, *inputs, dynamo=False, names=None, opset=18):
    """What torch.onnx writes for a module, with the batch left open."""
    file = io.BytesIO()
    given = names or [f"x{i}" for i in range(len(inputs))]
    module = module.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs)
            program = torch.onnx.export(
                module, inputs, dynamo=True, dynamic_shapes=shapes, opset_version=opset, verbose=False
            )
            return program.model_proto
        axes = {name: {0: "N"} for name in given}
        torch.onnx.export(
            module, inputs, file, input_names=given, dynamic_axes=axes, dynamo=False, opset_version=opset
        )
    return onnx.load_model_from_string(file.getvalue())


def wanted(model, *inputs):
    """onnxruntime's outputs."""
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, map(np.asarray, inputs), strict=True)))


def given(module, *inputs):
    """A module's outputs."""
    with torch.no_grad():
        found = module(*(torch.from_numpy(np.asarray(x)) for x in inputs))
    return [t.numpy() for t in (found.values() if isinstance(found, dict) else [found])]


def check_same(model, folder, *inputs, tolerance=1e-4):
    """Read a model and compare its outputs with onnxruntime's; the module."""
    module = read_onnx(saved(model, folder))
    for own, theirs in zip(given(module, *inputs), wanted(model, *inputs), strict=True):
        assert own.shape == theirs.shape
        np.testing.assert_allclose(own, theirs, rtol=tolerance, atol=tolerance)
    return module


def check_quantized(module, *inputs, tolerance=0.02):
    """Quantize a module and compare what its integers give, on another batch than that of calibration."""
    sample = inputs[0] if len(inputs) == 1 else inputs
    graph = quantize(module, sample)
    some = [x[:2] for x in inputs]
    found = graph.run(some[0] if len(some) == 1 else tuple(some))
    found = found if isinstance(found, np.ndarray) else next(iter(found.values()))
    (own, *_) = given(module, *some)
    assert found.shape == own.shape
    assert np.abs(found - own).max() <= tolerance * max(np.abs(own).max(), 1e-6)
    return graph
