"""Products of activations with constant weights in a captured network, whatever operator they are written as.

What stands behind a product alone and is linear per output channel (batch norm, a bias, a scale) is folded
into its weights.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from xbarsim.errors import InputError
from xbarsim.torch_bridge.captured import Captured, aten

VIEWS = (aten.view.default, aten._unsafe_view.default, aten.clone.default, aten.alias.default)
_REPEATS = (aten.expand.default, aten.view.default)


@dataclass(eq=False)
class Weighted:
    """One product.

    Attributes
    ----------
    node, source : where it stands, and the node that it reads
    weight : (outputs, inputs a group, *kernel) float64
    bias : (outputs,) float64
    name : of the layer, from the name of its weights
    key : what other uses of the same weights share; None where something was folded in
    ranged : the node whose values are the sums, all that was folded in
    stride, padding, dilation, groups : of a convolution; `stride` is None for a linear layer
    spread : (steps, padding) of a transposed convolution's inputs
    """

    node: fx.Node
    source: fx.Node
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    name: str
    key: str | None
    ranged: fx.Node
    stride: tuple[int, ...] | None = None
    padding: tuple[tuple[int, int], ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    spread: tuple[tuple[int, ...], tuple[tuple[int, int], ...]] | None = None
    folded: list[fx.Node] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Affine:
    """y = gain x + shift, both (channels,) along an axis, or (1,)."""

    source: fx.Node
    gain: NDArray[np.float64]
    shift: NDArray[np.float64]
    axis: int


def find_products(captured: Captured) -> dict[fx.Node, Weighted]:
    """Every product with constant weights, by its node, with what is folded into it."""
    found = {}
    for node in captured.order():
        weighted = _product(captured, node)
        if weighted is not None:
            _fold(captured, weighted)
            found[node] = weighted
    return found


def readers(captured: Captured, node: fx.Node) -> list[fx.Node]:
    """The nodes that read a value, and None for every time that the network gives it."""
    return list(node.users) + [node for out in captured.outputs.values() if out is node]


def _fold(captured: Captured, weighted: Weighted) -> None:
    node, linear = weighted.node, weighted.stride is None
    while len(reading := readers(captured, node)) == 1 and reading[0] is not node:
        (following,) = reading
        if following.target is aten._native_batch_norm_legit_no_training.default:
            taken = [n for n in following.users if n.target is operator.getitem and n.args[1] == 0]
            if len(taken) != 1:
                return
            (following,) = taken
        if following.target in VIEWS and linear:
            if captured.sizes(following)[-1] != captured.sizes(node)[-1]:
                return
            node = following
            continue
        if "shape" not in following.meta:
            return
        affine = affine_of(captured, following)
        dimensions = len(captured.sizes(following))
        axis = dimensions - 1 if linear else 1
        if affine is None or affine.source is not node or (len(affine.gain) > 1 and affine.axis != axis):
            return
        if captured.sizes(following) != captured.sizes(node):
            return
        gain = np.broadcast_to(affine.gain, weighted.bias.shape)
        if (gain != 1).any():
            weighted.weight = weighted.weight * gain.reshape(-1, *[1] * (weighted.weight.ndim - 1))
            weighted.key = None
        weighted.bias = weighted.bias * gain + affine.shift
        weighted.folded.append(following)
        weighted.ranged = node = following


def affine_of(captured: Captured, node: fx.Node) -> Affine | None:
    """A batch norm, or a sum, difference, product or quotient with constants that lie along one axis."""
    if node.target is operator.getitem and isinstance(node.args[0], fx.Node) and node.args[1] == 0:
        return _norm(captured, node.args[0])
    forms: dict[Any, Callable[[Any, float], tuple[Any, Any]]] = {
        aten.add.Tensor: lambda c, alpha: (np.ones_like(c), c * alpha),
        aten.sub.Tensor: lambda c, alpha: (np.ones_like(c), -c * alpha),
        aten.mul.Tensor: lambda c, alpha: (c, np.zeros_like(c)),
        aten.div.Tensor: lambda c, alpha: (1 / c, np.zeros_like(c)),
    }
    if node.target not in forms:
        return None
    first, second = node.args[:2]
    alpha = float(node.kwargs.get("alpha", 1))  # type: ignore[arg-type]
    if not captured.is_data(first) and node.target in (aten.add.Tensor, aten.mul.Tensor) and alpha == 1:
        first, second = second, first
    if not captured.is_data(first) or captured.is_data(second) or second in captured.inputs:
        return None
    value = captured.constants.get(second, second) if isinstance(second, fx.Node) else second  # type: ignore
    if not isinstance(value, (int, float, torch.Tensor)) or isinstance(value, bool):
        return None
    numbers = torch.as_tensor(value).detach().double().numpy()
    assert isinstance(first, fx.Node)
    sizes = captured.sizes(node)
    if captured.sizes(first) != sizes or numbers.ndim > len(sizes):
        return None
    shape = (1,) * (len(sizes) - numbers.ndim) + numbers.shape
    axes = [axis for axis, size in enumerate(shape) if size > 1]
    if len(axes) > 1 or (axes and axes[0] == 0):
        return None
    with np.errstate(divide="ignore"):
        gain, shift = forms[node.target](numbers.reshape(-1), alpha)
    if not (np.isfinite(gain).all() and np.isfinite(shift).all()):
        return None
    return Affine(first, gain, shift, axes[0] if axes else 1)


def _norm(captured: Captured, norm: fx.Node) -> Affine | None:
    if norm.target is not aten._native_batch_norm_legit_no_training.default:
        return None
    source, weight, bias, mean, variance = norm.args[:5]
    given: Any = (weight, bias, mean, variance)
    constants = [captured.constants.get(n) for n in given]
    if constants[2] is None or constants[3] is None or not captured.is_data(source):
        return None
    gain = torch.rsqrt(constants[3].double() + float(norm.args[6]))  # type: ignore[arg-type]
    if constants[0] is not None:
        gain = gain * constants[0].double()
    shift = -constants[2].double() * gain
    if constants[1] is not None:
        shift = shift + constants[1].double()
    return Affine(source, gain.numpy(), shift.numpy(), 1)  # type: ignore[arg-type]


def _product(captured: Captured, node: fx.Node) -> Weighted | None:
    """A node as a product, if its second factor is constant."""
    args: Any = node.args

    def constant(value: Any) -> torch.Tensor | None:
        return captured.constants.get(value) if isinstance(value, fx.Node) else None

    bias: Any = None
    if node.target is aten.linear.default:
        source, matrix = args[0], constant(args[1])
        bias = args[2] if len(args) > 2 else None
    elif node.target is aten.addmm.default and not node.kwargs:
        bias, source = args[:2]
        matrix = None if constant(args[2]) is None else constant(args[2]).T  # type: ignore[union-attr]
        if captured.is_data(bias) or not isinstance(bias, fx.Node):
            return None
    elif node.target is aten.mm.default:
        source, matrix = args[0], constant(args[1])
        matrix = None if matrix is None else matrix.T
    elif node.target is aten.bmm.default:
        source, matrix = args[0], _repeated(captured, args[1])
        matrix = None if matrix is None else matrix.T
    elif node.target is aten.convolution.default:
        return _convolution(captured, node, constant)
    else:
        return None
    if matrix is None or not captured.is_data(source) or matrix.ndim != 2:
        return None
    key = _key(captured, node)
    offset = constant(bias)
    if bias is not None and (offset is None or offset.numel() != len(matrix)):
        return None
    return Weighted(
        node,
        source,
        matrix.double().numpy(),
        np.zeros(len(matrix)) if offset is None else offset.double().numpy().reshape(-1),
        _name(node, key),
        key,
        node,
    )


def _repeated(captured: Captured, node: fx.Node) -> torch.Tensor | None:
    """The constant matrix that a stack of matrices repeats, perhaps as often as the batch says."""
    shape = captured.sizes(node)[-2:]
    while node not in captured.constants:
        inner = [n for n in node.all_input_nodes if "size" not in n.meta]
        if node.target not in (*VIEWS, aten.expand.default, aten.unsqueeze.default) or len(inner) != 1:
            return None
        (node,) = inner
    found = captured.constants[node]
    if found.ndim < 2 or tuple(found.shape[-2:]) != shape:
        return None
    matrices = found.reshape(-1, *shape)
    return matrices[0] if bool((matrices == matrices[:1]).all()) else None


def _convolution(
    captured: Captured, node: fx.Node, constant: Callable[[Any], torch.Tensor | None]
) -> Weighted | None:
    source, kernel, bias, stride, padding, dilation, transposed, extra, groups = node.args
    weight = constant(kernel)
    if weight is None or not captured.is_data(source) or (bias is not None and constant(bias) is None):
        return None
    assert isinstance(source, fx.Node) and isinstance(groups, int)
    axes = weight.ndim - 2
    steps, pads, gaps = (_tuple(v, axes) for v in (stride, padding, dilation))
    sides = tuple((p, p) for p in pads)
    spread = None
    matrix = weight.double().numpy()
    if transposed:
        cells = matrix.shape[2:]
        matrix = np.flip(matrix, tuple(range(2, 2 + axes)))
        grouped = matrix.reshape(groups, matrix.shape[0] // groups, *matrix.shape[1:]).swapaxes(1, 2)
        matrix = np.ascontiguousarray(grouped.reshape(-1, *grouped.shape[2:]))
        more = _tuple(extra, axes)
        reach = [d * (k - 1) for d, k in zip(gaps, cells, strict=True)]
        around = tuple((r - p, r - p + m) for r, p, m in zip(reach, pads, more, strict=True))
        spread = (steps, around)
        steps, sides = (1,) * axes, ((0, 0),) * axes
    else:
        source, sides = _padded(captured, source, sides)
    offset = constant(bias)
    key = _key(captured, node)
    return Weighted(
        node,
        source,
        matrix,
        np.zeros(len(matrix)) if offset is None else offset.double().numpy(),
        _name(node, key),
        key,
        node,
        stride=steps,
        padding=sides,
        dilation=gaps,
        groups=groups,
        spread=spread,
    )


def _padded(
    captured: Captured, source: fx.Node, sides: tuple[tuple[int, int], ...]
) -> tuple[fx.Node, tuple[tuple[int, int], ...]]:
    """A convolution's source and padding, with the zeros that are put around the source before it."""
    if source.target is not aten.constant_pad_nd.default or len(readers(captured, source)) > 1:
        return source, sides
    ends: Any = source.args[1]
    value = source.args[2] if len(source.args) > 2 else 0
    if value or len(ends) != 2 * len(sides) or min(ends) < 0:
        return source, sides
    more = [(ends[i], ends[i + 1]) for i in range(0, len(ends), 2)][::-1]
    found = tuple((a + c, b + d) for (a, b), (c, d) in zip(sides, more, strict=True))
    assert isinstance(source.args[0], fx.Node)
    return source.args[0], found


def _tuple(value: Any, axes: int) -> tuple[int, ...]:
    found = (value,) if isinstance(value, int) else tuple(value)
    return found * axes if len(found) == 1 else found


def _key(captured: Captured, node: fx.Node) -> str | None:
    """The name of the only weights of more than one dimension that a product reads."""
    names = set()
    for found in node.all_input_nodes:
        while found not in captured.weights and found not in captured.inputs and found.target in _REPEATS:
            found = found.all_input_nodes[0]
        if found in captured.weights and captured.constants[found].ndim > 1:
            names.add(captured.weights[found])
    return next(iter(names)) if len(names) == 1 else None


def _name(node: fx.Node, key: str | None) -> str:
    if "layer" in node.meta:
        return node.meta["layer"]
    if key is None:
        return node.name
    layer, _, last = key.rpartition(".")
    return layer if last == "weight" and layer else key


def check_random(captured: Captured) -> None:
    """Refuse operators that draw numbers: dropout that is always on.

    Raises
    ------
    InputError : one of them.
    """
    for node in captured.order():
        tags = getattr(node.target, "tags", ())
        if torch.Tag.nondeterministic_seeded in tags:
            raise InputError(
                captured.where(node),
                "operators that draw no numbers in eval mode",
                str(node.target),
                "training=self.training where it is dropout",
            )
