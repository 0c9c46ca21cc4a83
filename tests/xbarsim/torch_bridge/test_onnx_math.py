"""Elementwise operators, products and reductions of ONNX are onnxruntime's."""

import numpy as np
import pytest

from tests.helpers.onnx_models import check_quantized, check_same, helper, model_of, one_node

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 6)).astype(np.float32)
ABOVE = np.abs(X) + np.float32(0.1)
WITHIN = np.tanh(X)
CUBE = (np.abs(RNG.standard_normal((3, 4, 5, 5))) + 0.5).astype(np.float32)
ROW = (np.abs(RNG.standard_normal(6)) + 0.2).astype(np.float32)
WHOLE = np.arange(-6, 6).reshape(3, 4)
ANYWHERE = """
    Relu LeakyRelu Elu Selu Celu ThresholdedRelu Shrink Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign
    Mish Softmax LogSoftmax Erf Exp Abs Neg Sign Floor Ceil Round Sin Cos Tan Sinh Cosh Atan Asinh Reciprocal
    IsNaN
"""
RANGED = {"Log": ABOVE, "Sqrt": ABOVE, "Acosh": ABOVE + 1, "Asin": WITHIN, "Acos": WITHIN, "Atanh": WITHIN}
COMPARED = ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]
BINARY = ["Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum", "Mean"]
REDUCED = ["Mean", "Sum", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"]


def f(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


CASES = {
    **{kind: (one_node(kind, X, opset=18), X) for kind in ANYWHERE.split()},
    **{kind: (one_node(kind, x), x) for kind, x in RANGED.items()},
    **{f"{kind} constant": (one_node(kind, ABOVE, ROW), ABOVE) for kind in BINARY},
    **{
        kind: (one_node(kind, ABOVE, more={"z": ABOVE[::-1].copy()}), ABOVE, ABOVE[::-1].copy())
        for kind in BINARY
    },
    "Gelu": (one_node("Gelu", X, opset=20), X),
    "Gelu tanh": (one_node("Gelu", X, opset=20, approximate="tanh"), X),
    "Swish": (one_node("Swish", X, opset=24), X),
    "PRelu": (one_node("PRelu", CUBE - 1, f(4, 1, 1)), CUBE - 1),
    "HardSigmoid sixth": (one_node("HardSigmoid", X, alpha=1 / 6, beta=0.5), X),
    "Pow 2": (one_node("Pow", X, np.float32(2)), X),
    "Mod floats": (one_node("Mod", X, ROW, fmod=1), X),
    "Mod": (one_node("Mod", WHOLE, np.array([4])), WHOLE),
    "Div whole": (one_node("Div", WHOLE, np.array([4])), WHOLE),
    "Clip": (one_node("Clip", X, np.float32(-0.5), np.float32(0.5)), X),
    "Clip above": (one_node("Clip", X, None, np.float32(0.5)), X),
    **{kind: (one_node(kind, X, ROW), X) for kind in COMPARED},
    "Not": (one_node("Not", X > 0), X > 0),
    **{kind: (one_node(kind, X > 0, ROW > 0.5), X > 0) for kind in ["And", "Or", "Xor"]},
    "Where": (one_node("Where", X > 0, f(6), f(4, 1)), X > 0),
    "Cast": (one_node("Cast", X, to=7), X),
    "Cast to truth": (one_node("Cast", X, to=9), X),
    "Cast to floats": (one_node("Cast", WHOLE, to=1), WHOLE),
    "CastLike": (one_node("CastLike", X, np.array([2])), X),
    "MatMul": (one_node("MatMul", X, f(6, 3)), X),
    "MatMul stacks": (one_node("MatMul", CUBE, f(4, 5, 3)), CUBE),
    "Gemm": (one_node("Gemm", X, f(6, 3), f(3), alpha=0.5, beta=2.0), X),
    "Gemm transposed": (one_node("Gemm", X, f(3, 6), f(1, 3), transB=1), X),
    "Gemm first transposed": (one_node("Gemm", X, f(4, 3), f(1), transA=1), X),
    "Gemm without bias": (one_node("Gemm", X, f(3, 6), transB=1), X),
    "Einsum": (one_node("Einsum", X, f(6, 3), equation="ij,jk->ik"), X),
    **{
        f"Reduce{kind} attribute {keep}": (
            one_node(f"Reduce{kind}", CUBE, opset=13, keepdims=keep, axes=[2, -1]),
            CUBE,
        )
        for kind in REDUCED
        if kind != "Sum"
        for keep in (0, 1)
    },
    **{
        f"Reduce{kind} input {keep}": (
            one_node(f"Reduce{kind}", CUBE, np.array([2, -1]), opset=18, keepdims=keep),
            CUBE,
        )
        for kind in REDUCED
        for keep in (0, 1)
    },
    "ReduceSum all": (one_node("ReduceSum", X), X),
    "ReduceSum none": (one_node("ReduceSum", X, noop_with_empty_axes=1), X),
    "ArgMax": (one_node("ArgMax", X, axis=1), X),
    "ArgMin last": (one_node("ArgMin", np.round(X), axis=-1, keepdims=0, select_last_index=1), np.round(X)),
    "TopK": (one_node("TopK", X, np.array([3]), outputs=2), X),
    "TopK smallest": (one_node("TopK", X, np.array([2]), outputs=2, largest=0, axis=1), X),
    **{
        f"CumSum {e} {r}": (one_node("CumSum", X, np.array(1), exclusive=e, reverse=r), X)
        for e in (0, 1)
        for r in (0, 1)
    },
}


@pytest.mark.parametrize("name", CASES)
def test_an_operator_is_onnxruntimes(name, tmp_path):
    model, *inputs = CASES[name]
    check_same(model, tmp_path, *inputs)


SMOOTH = """
    Relu LeakyRelu Elu Selu Celu Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign Mish Softmax LogSoftmax
    Erf Exp Abs Neg Sin Cos
"""


def test_functions_behind_a_product_are_quantized(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"])]
    kinds = SMOOTH.split()
    nodes += [helper.make_node(kind, ["m"], [kind.lower()]) for kind in kinds]
    x = f(40, 6)
    model = model_of(nodes, {"x": x}, [k.lower() for k in kinds], {"w": f(6, 4)}, opset=18)
    module = check_same(model, tmp_path, x)
    graph = check_quantized(module, x)
    assert [layer.name for layer in graph.layers] == ["MatMul_0"]
