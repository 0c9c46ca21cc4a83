"""From a trained quantized module to the `IntegerGraph` of the same classes: weights and thresholds.

Batch norm and the quantizer behind it become thresholds on the integer accumulator, found exactly from the
parameters as they are stored. In float64 the module itself decides every activation as the graph does; in
float32 a batch norm may round an accumulator across a decision point. So may, in any type, Brevitas's scales
that are no powers of two (0.1, or 1/7 of four bits), where an accumulator lies right at such a point.

Source: FINN (Umuroglu et al., FPGA 2017), section 4.2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from xbarsim.errors import InputError
from xbarsim.graph.integer_graph import IntegerGraph
from xbarsim.graph.nodes import Flatten, Input, IntArray, MatMul, MaxPool, Node, integer_range
from xbarsim.graph.thresholds import Threshold, batch_norm_thresholds
from xbarsim.graph.window import Window
from xbarsim.hints import checked
from xbarsim.torch_bridge.brevitas_import import is_activation, is_product, levels_of, weights_of
from xbarsim.torch_bridge.injection import ChannelDropout, ErrorInjection
from xbarsim.torch_bridge.levels import Levels
from xbarsim.torch_bridge.quantized import (
    PixelSign,
    QuantActivation,
    QuantConv2d,
    QuantInput,
    QuantLinear,
    ScoreNorm,
    integer_weights,
    largest,
)
from xbarsim.torch_bridge.tracing import trace
from xbarsim.torch_bridge.windows import conv_window, pool_window

QUANTIZED = (PixelSign, QuantActivation, QuantConv2d, QuantInput, QuantLinear)
SILENT = (ErrorInjection, ChannelDropout, nn.Dropout, nn.Dropout2d, nn.Identity)
KNOWN = (
    "QuantInput or PixelSign, then QuantConv2d or QuantLinear, batch norm, QuantActivation, max-pool, flatten"
)


def is_quantized(module: nn.Module) -> bool:
    """Whether a module has quantized layers, ours or Brevitas's, so that it keeps its own integers."""
    return any(
        isinstance(layer, QUANTIZED) or is_product(layer) or is_activation(layer)
        for layer in module.modules()
    )


@checked
def finn_graph(module: nn.Module, input_shape: Sequence[int]) -> IntegerGraph:
    """Turn a quantized module into integers and thresholds; `accel_models.finn.from_graph` takes the result.

    Parameters
    ----------
    module : a chain of the layers of `xbarsim.torch_bridge.quantized` or of Brevitas (QuantIdentity first,
        then QuantConv2d, QuantLinear, QuantIdentity, QuantHardTanh, QuantReLU), with batch norm, max-pool,
        flatten; error injection and dropout vanish, and a norm of all scores together; left as it is
    input_shape : of one image

    Raises
    ------
    InputError : another layer, by its name; a layer in an order that thresholds cannot express; parameters
        that are not finite.
    """
    traced = trace(module)
    chain = _Chain(tuple(input_shape))
    for node in traced.graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        _check_line(node)
        _translate(chain, node, traced)
    if not chain.nodes or not isinstance(chain.nodes[-1], (MatMul, Threshold)):
        raise InputError(f"module {type(module).__name__}", KNOWN, "nothing that gives scores")
    _check_scores(chain)
    return IntegerGraph(tuple(chain.nodes), tuple(input_shape))


class _Chain:
    """The nodes so far, what the last one's integers are, and a batch norm that waits for its quantizer.

    In the module they are integers * scale + bias, with one scale and bias for all or one a channel.
    """

    def __init__(self, input_shape: tuple[int, ...]) -> None:
        self.input_shape = input_shape
        self.nodes: list[Node] = []
        self.bits, self.signed = 0, False
        self.scale: Any = Fraction(1)
        self.bias: Any = None
        self.norm: Any = None
        self.scored = False  # a norm of all scores came: nothing may follow

    def add(self, kind: type[Node], name: str, **settings: Any) -> None:
        """Append a node that reads the last one."""
        sources = (self.nodes[-1].name,) if self.nodes else ()
        self.nodes.append(kind(name=name, sources=sources, **settings))

    def carries(self, bits: int, signed: bool, scale: Fraction = Fraction(1)) -> None:
        """What the last node's integers are."""
        self.bits, self.signed, self.scale = bits, signed, scale
        self.bias = self.norm = None


def _check_line(node: fx.Node) -> None:
    if len(node.users) > 1:
        raise InputError(f"node {node.name!r}", "one reader", f"{len(node.users)}", "take branches out")


def _translate(chain: _Chain, node: fx.Node, traced: fx.GraphModule) -> None:
    if node.op == "call_module":
        _layer(chain, str(node.target), traced.get_submodule(str(node.target)), node, traced)
    elif getattr(node.target, "__name__", node.target) in ("flatten", "reshape", "view"):
        chain.add(Flatten, node.name)
    else:
        raise _refused(node.name, getattr(node.target, "__name__", str(node.target)))


def _layer(chain: _Chain, name: str, layer: Any, node: fx.Node, traced: fx.GraphModule) -> None:
    if not chain.nodes and not isinstance(layer, (QuantInput, PixelSign)) and not is_activation(layer):
        first = "a QuantInput or PixelSign first (or Brevitas's QuantIdentity)"
        raise InputError(f"layer {name!r}", first, type(layer).__name__)
    if chain.scored and not isinstance(layer, SILENT):
        raise InputError(f"layer {name!r}", "nothing behind a ScoreNorm", type(layer).__name__)
    match layer:
        case QuantInput() if not chain.nodes:
            chain.add(Input, "input", bits=layer.bits, signed=layer.signed, fraction=layer.fraction)
            chain.carries(layer.bits, layer.signed)
        case PixelSign() if not chain.nodes:
            # a pixel c / 255 becomes the integer c below one half and c + 1 from there on
            chain.add(Input, "input", bits=8, signed=False, fraction=8)
            rows = chain.input_shape[0]
            chain.add(Threshold, name, thresholds=np.full((rows, 1), 127), low=-1, step=2)
            chain.carries(2, True)
        case QuantConv2d() | QuantLinear():
            _product(chain, name, layer, integer_weights(layer).numpy())
        case QuantActivation():
            _activation(chain, name, layer, _levels(layer))
        case _ if is_product(layer):
            weights = weights_of(layer, name)
            _product(chain, name, layer, weights.integers, weights.scale, weights.bias)
        case _ if is_activation(layer) and chain.nodes:
            _activation(chain, name, layer, levels_of(layer, name))
        case _ if is_activation(layer):
            _input(chain, name, layer, levels_of(layer, name))
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            _norm(chain, name, layer)
        case _ if type(layer).__name__ == "TensorNorm":  # Brevitas's examples': one norm for all scores
            _norm(chain, name, layer)
        case nn.MaxPool2d():
            window, _ = pool_window(node, traced)
            _check_activations(chain, name)
            chain.add(MaxPool, name, window=window)
        case nn.Flatten():
            chain.add(Flatten, name)
        case ScoreNorm():
            chain.scored = True
        case _ if isinstance(layer, SILENT):
            pass
        case _:
            raise _refused(name, type(layer).__name__)


def _input(chain: _Chain, name: str, layer: Any, levels: Levels) -> None:
    fraction = levels.scale.denominator.bit_length() - levels.scale.numerator.bit_length()
    low, high = integer_range(levels.bits, levels.signed)
    nearest = tuple((k - Fraction(1, 2)) * levels.scale for k in range(low + 1, high + 1))
    if levels.scale != Fraction(2) ** -fraction or levels.low != low or levels.cuts != nearest:
        raise InputError(
            f"layer {name!r} ({type(layer).__name__})",
            "an input rounded to a whole range of integers times a power of two",
            f"{len(levels.cuts) + 1} values in steps of {float(levels.scale):g}",
            "use narrow_range=False and restrict_scaling_type=POWER_OF_TWO, or a QuantInput or PixelSign",
        )
    chain.add(Input, "input", bits=levels.bits, signed=levels.signed, fraction=fraction)
    chain.carries(levels.bits, levels.signed, levels.scale)


def _product(
    chain: _Chain, name: str, layer: Any, weights: IntArray, scale: Any = 1, bias: Any = None
) -> None:
    _check_activations(chain, name)
    window: Window | None = conv_window(layer, name) if isinstance(layer, nn.Conv2d) else None
    matrix = weights.reshape(len(weights), -1).T[None].copy()
    chain.add(
        MatMul,
        name,
        weights=matrix,
        bias=np.zeros(len(weights), np.int64),
        weight_fraction=0,
        input_bits=chain.bits,
        input_signed=chain.signed,
        window=window,
    )
    chain.scale, chain.bias = chain.scale * scale, bias


def _norm(chain: _Chain, name: str, norm: Any) -> None:
    if not isinstance(chain.nodes[-1], MatMul) or chain.norm is not None or norm.running_var is None:
        expected = "running statistics, directly behind a product"
        raise InputError(f"layer {name!r} ({type(norm).__name__})", expected, "another place or none")
    chain.norm = norm


def _levels(layer: QuantActivation) -> Levels:
    top, binary = largest(layer.bits, layer.signed), layer.bits == 1 and layer.signed
    low = -top if layer.signed else 0
    halves = [0] if binary else [2 * k - 1 for k in range(low + 1, top + 1)]
    return Levels(
        low=low,
        step=2 if binary else 1,
        cuts=tuple(Fraction(half, 2 * top) for half in halves),
        inclusive=(True,) * len(halves),
        bits=2 if binary else layer.bits,
        signed=layer.signed,
    )


def _activation(chain: _Chain, name: str, layer: Any, levels: Levels) -> None:
    product = chain.nodes[-1]
    if not isinstance(product, MatMul):
        where = f"layer {name!r} ({type(layer).__name__})"
        raise InputError(where, "a product or its batch norm before it", "none")
    gamma, beta, mean, var, eps = _norm_parameters(chain.norm)
    if chain.bias is not None:
        if not np.isfinite(mean).all():
            raise InputError("batch norm: mean", "finite numbers", "NaN or infinity", "train again")
        mean = np.array([Fraction(m) for m in np.broadcast_to(mean, chain.bias.shape).tolist()]) - chain.bias
    cuts = np.array(levels.cuts, object)
    thresholds, sign = batch_norm_thresholds(
        gamma, beta, mean, var, eps, cuts, chain.scale, inclusive=levels.inclusive
    )
    outputs = product.weights.shape[2]
    sign = np.broadcast_to(sign, outputs)
    chain.nodes[-1] = replace(product, weights=product.weights * sign)
    thresholds = np.broadcast_to(thresholds, (outputs, thresholds.shape[1])).copy()
    chain.add(Threshold, name, thresholds=thresholds, low=levels.low, step=levels.step)
    chain.carries(levels.bits, levels.signed, levels.scale)


def _norm_parameters(norm: Any) -> tuple[Any, Any, Any, Any, float]:
    if norm is None:
        return 1, 0, 0, 1, 0.0
    gamma = norm.weight if norm.weight is not None else torch.ones_like(norm.running_mean)
    beta = norm.bias if norm.bias is not None else torch.zeros_like(norm.running_mean)
    parameters = (gamma, beta, norm.running_mean, norm.running_var)
    return *(t.detach().cpu().double().numpy() for t in parameters), norm.eps


def _check_activations(chain: _Chain, name: str) -> None:
    if isinstance(_last(chain), MatMul):
        raise InputError(f"layer {name!r}", "a QuantActivation between two products", "none before it")


def _last(chain: _Chain) -> Node:
    return next(node for node in reversed(chain.nodes) if not isinstance(node, Flatten))


def _check_scores(chain: _Chain) -> None:
    """Refuse what would change the order of the scores."""
    gamma, *_ = _norm_parameters(chain.norm)
    one = chain.norm is None or (gamma.size == 1 and gamma.min() > 0)
    if not one or chain.bias is not None or np.unique(chain.scale).size > 1:
        raise InputError(
            f"scores (of {_last(chain).name!r})",
            "one scale above 0, and one shift, for all of them",
            "others",
            "end with a product without bias, with one scale of its weights and no BatchNorm behind it",
        )


def _refused(name: str, what: str) -> InputError:
    remedy = "build the network from xbarsim.torch_bridge.quantized or brevitas.nn"
    return InputError(f"layer {name!r} ({what})", KNOWN, "another layer", remedy)
