"""Multiply-accumulates of a captured network's products, with constant weights or of activations."""

from __future__ import annotations

from math import prod
from typing import Any

from torch import fx

from xbarsim.torch_bridge.captured import Captured, aten

_FACTORS = {aten.linear.default: 0, aten.mm.default: 0, aten.bmm.default: 0, aten.addmm.default: 1}


def macs(captured: Captured, node: fx.Node) -> int:
    """The multiply-accumulates of a node, an input; 0 of one that is no product.

    Every output of a product takes as many as it adds up terms, those with padding among them; a transposed
    convolution takes as many as its gradient, a convolution from its outputs to its inputs.
    """
    args: Any = node.args
    if node.target in _FACTORS:
        found = prod(captured.sizes(node)) * captured.sizes(args[_FACTORS[node.target]])[-1]
    elif node.target is aten.convolution.default:
        transposed, kernel = args[6], captured.sizes(args[1])
        found = prod(captured.sizes(args[0] if transposed else node)) * prod(kernel[1:])
    else:
        return 0
    return found // captured.examples
