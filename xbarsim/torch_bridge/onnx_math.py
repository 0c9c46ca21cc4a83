"""ONNX's elementwise operators, products and reductions as functions of torch tensors.

Source: the ONNX operator specification, opsets 13 to 24.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import torch
from torch.nn import functional as F

from xbarsim.torch_bridge.onnx_values import Call, Known

Operator = Callable[[Call], Any]
# TensorProto's numbers of types: floats are in single precision here, whole numbers in 64 bits
FLOATS, WHOLE, TRUTH = (1, 10, 11, 16), (2, 3, 4, 5, 6, 7, 12, 13), 9
SELU = 1.67326319217681884765625, 1.05070102214813232421875


def _on_tensors(function: Callable[..., torch.Tensor]) -> Operator:
    return lambda call: function(*call.tensors())


def _folded(function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Operator:
    return lambda call: reduce(function, call.tensors())


def _div(call: Call) -> torch.Tensor:
    a, b = call.tensors()
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _mod(call: Call) -> torch.Tensor:
    return (torch.fmod if call.integer("fmod", 0) else torch.remainder)(*call.tensors())


def _pow(call: Call) -> torch.Tensor:
    base, exponent = call.tensor(0), call.value(1)
    if isinstance(exponent, Known) and exponent.array.size == 1 and exponent.array.ndim <= base.ndim:
        return torch.pow(base, exponent.array.reshape(-1).tolist()[0]).to(base.dtype)
    return torch.pow(base, call.tensor(1)).to(base.dtype)


def _mean(call: Call) -> torch.Tensor:
    return reduce(torch.add, call.tensors()) / len(call.values)


def _cast(call: Call) -> torch.Tensor:
    return call.tensor(0).to(type_of(call, call.integer("to", 0)))


def type_of(call: Call, number: int) -> torch.dtype:
    """The type that stands for one of ONNX's."""
    if number in FLOATS:
        return torch.float32
    if number not in WHOLE and number != TRUTH:
        call.refuse("real or whole numbers or truth values", f"type {number}")
    return torch.int64 if number in WHOLE else torch.bool


def _clip(call: Call) -> torch.Tensor:
    x, ends = call.tensor(0), [call.values[i] if call.has(i) else None for i in (1, 2)]
    if all(end is None or isinstance(end, Known) for end in ends):
        low, high = call.number(1), call.number(2)
        return x if low is None and high is None else torch.clamp(x, low, high)
    low, high = call.optional(1), call.optional(2)
    x = x if low is None else torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


def _prelu(call: Call) -> torch.Tensor:
    x, slope = call.tensors()
    return torch.where(x < 0, slope * x, x)


def _hard_sigmoid(call: Call) -> torch.Tensor:
    alpha, beta = call.real("alpha", 0.2), call.real("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return F.hardsigmoid(call.tensor(0))
    return torch.clamp(alpha * call.tensor(0) + beta, 0.0, 1.0)


def _selu(call: Call) -> torch.Tensor:
    return call.real("gamma", SELU[1]) * F.elu(call.tensor(0), call.real("alpha", SELU[0]))


def _shrink(call: Call) -> torch.Tensor:
    x, bias, edge = call.tensor(0), call.real("bias", 0.0), call.real("lambd", 0.5)
    return torch.where(x < -edge, x + bias, torch.where(x > edge, x - bias, torch.zeros_like(x)))


def _gelu(call: Call) -> torch.Tensor:
    return F.gelu(call.tensor(0), approximate=call.text("approximate", "none"))


def _swish(call: Call) -> torch.Tensor:
    x, alpha = call.tensor(0), call.real("alpha", 1.0)
    return F.silu(x) if alpha == 1 else x * torch.sigmoid(alpha * x)


def _along(function: Callable[..., torch.Tensor]) -> Operator:
    def run(call: Call) -> torch.Tensor:
        x = call.tensor(0)
        return function(x, dim=call.axis(x.ndim, -1))

    return run


def _matmul(call: Call) -> torch.Tensor:
    return torch.matmul(call.tensor(0), call.tensor(1))


def _gemm(call: Call) -> torch.Tensor:
    a, b = call.tensor(0), call.tensor(1)
    alpha, beta, c = call.real("alpha", 1.0), call.real("beta", 1.0), call.optional(2)
    a = a.T if call.integer("transA", 0) else a
    b = b if call.integer("transB", 0) else b.T
    b = b if alpha == 1 else b * alpha
    if c is None:
        return F.linear(a, b)
    c = c if beta == 1 else c * beta
    if c.numel() == b.shape[0] and c.shape[-1:] == b.shape[:1]:
        return F.linear(a, b, c.reshape(-1))
    return F.linear(a, b) + c


def _einsum(call: Call) -> torch.Tensor:
    return torch.einsum(call.text("equation", ""), *call.tensors())


def _reduced(function: Callable[[torch.Tensor, list[int], bool], torch.Tensor]) -> Operator:
    def run(call: Call) -> torch.Tensor:
        x = call.tensor(0)
        axes = call.listed("axes", 1)
        if not axes and call.integer("noop_with_empty_axes", 0):
            return x
        dims = [call.place_of(a, x.ndim) for a in axes or range(x.ndim)]
        return function(x, dims, bool(call.integer("keepdims", 1)))

    return run


def _prod(x: torch.Tensor, dims: list[int], keep: bool) -> torch.Tensor:
    for dim in sorted(dims, reverse=True):
        x = x.prod(dim=dim, keepdim=keep)
    return x


def _arg(function: Callable[..., torch.Tensor], call: Call) -> torch.Tensor:
    x = call.tensor(0)
    axis, keep = call.axis(x.ndim, 0), bool(call.integer("keepdims", 1))
    if not call.integer("select_last_index", 0):
        return function(x, dim=axis, keepdim=keep)
    return x.shape[axis] - 1 - function(x.flip(axis), dim=axis, keepdim=keep)


def _top_k(call: Call) -> tuple[torch.Tensor, torch.Tensor]:
    x = call.tensor(0)
    count, axis = call.number(1), call.axis(x.ndim, -1)
    largest, ordered = bool(call.integer("largest", 1)), bool(call.integer("sorted", 1))
    found = torch.topk(x, count, dim=axis, largest=largest, sorted=ordered)
    return found[0], found[1]


def _cumsum(call: Call) -> torch.Tensor:
    x = call.tensor(0)
    axis = call.place_of(call.number(1), x.ndim)
    turned = bool(call.integer("reverse", 0))
    x = x.flip(axis) if turned else x
    found = torch.cumsum(x, axis)
    found = found - x if call.integer("exclusive", 0) else found
    return found.flip(axis) if turned else found


_PLAIN = """
    Erf Exp Log Sqrt Reciprocal Abs Neg Sign Floor Ceil Round Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh
    Atanh
"""
MATH: dict[str, Operator] = {
    **{name: _on_tensors(getattr(torch, name.lower())) for name in _PLAIN.split()},
    "Relu": _on_tensors(F.relu),
    "LeakyRelu": lambda call: F.leaky_relu(call.tensor(0), call.real("alpha", 0.01)),
    "PRelu": _prelu,
    "Elu": lambda call: F.elu(call.tensor(0), call.real("alpha", 1.0)),
    "Selu": _selu,
    "Celu": lambda call: F.celu(call.tensor(0), alpha=call.real("alpha", 1.0)),
    "ThresholdedRelu": lambda call: F.threshold(call.tensor(0), call.real("alpha", 1.0), 0.0),
    "Shrink": _shrink,
    "Sigmoid": _on_tensors(torch.sigmoid),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _on_tensors(F.hardswish),
    "Tanh": _on_tensors(torch.tanh),
    "Softplus": _on_tensors(F.softplus),
    "Softsign": _on_tensors(lambda x: x / (1 + torch.abs(x))),
    "Mish": _on_tensors(F.mish),
    "Gelu": _gelu,
    "Swish": _swish,
    "Softmax": _along(torch.softmax),
    "LogSoftmax": _along(torch.log_softmax),
    "Clip": _clip,
    "Cast": _cast,
    "CastLike": lambda call: call.tensor(0).to(call.tensor(1).dtype),
    "Add": _on_tensors(torch.add),
    "Sub": _on_tensors(torch.sub),
    "Mul": _on_tensors(torch.mul),
    "Div": _div,
    "Mod": _mod,
    "Pow": _pow,
    "Min": _folded(torch.minimum),
    "Max": _folded(torch.maximum),
    "Sum": _folded(torch.add),
    "Mean": _mean,
    "Equal": _on_tensors(torch.eq),
    "Greater": _on_tensors(torch.gt),
    "GreaterOrEqual": _on_tensors(torch.ge),
    "Less": _on_tensors(torch.lt),
    "LessOrEqual": _on_tensors(torch.le),
    "Not": _on_tensors(torch.logical_not),
    "And": _on_tensors(torch.logical_and),
    "Or": _on_tensors(torch.logical_or),
    "Xor": _on_tensors(torch.logical_xor),
    "Where": _on_tensors(torch.where),
    "IsNaN": _on_tensors(torch.isnan),
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Einsum": _einsum,
    "ReduceMean": _reduced(lambda x, dims, keep: x.mean(dim=dims, keepdim=keep)),
    "ReduceSum": _reduced(lambda x, dims, keep: x.sum(dim=dims, keepdim=keep)),
    "ReduceMax": _reduced(lambda x, dims, keep: x.amax(dim=dims, keepdim=keep)),
    "ReduceMin": _reduced(lambda x, dims, keep: x.amin(dim=dims, keepdim=keep)),
    "ReduceProd": _reduced(_prod),
    "ReduceL1": _reduced(lambda x, dims, keep: x.abs().sum(dim=dims, keepdim=keep)),
    "ReduceL2": _reduced(lambda x, dims, keep: (x * x).sum(dim=dims, keepdim=keep).sqrt()),
    "ReduceSumSquare": _reduced(lambda x, dims, keep: (x * x).sum(dim=dims, keepdim=keep)),
    "ReduceLogSum": _reduced(lambda x, dims, keep: x.sum(dim=dims, keepdim=keep).log()),
    "ReduceLogSumExp": _reduced(lambda x, dims, keep: torch.logsumexp(x, dims, keep)),
    "ArgMax": partial(_arg, torch.argmax),
    "ArgMin": partial(_arg, torch.argmin),
    "TopK": _top_k,
    "CumSum": _cumsum,
}
