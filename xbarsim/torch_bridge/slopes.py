"""PReLU with a slope a channel in a captured network: what is below zero has a factor of its own.

torch.export writes it as a choice between a value and its product with constants. PReLU with one slope is a
function of one value, and a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import fx

from xbarsim.torch_bridge.captured import Captured, aten
from xbarsim.torch_bridge.products import affine_of


@dataclass(frozen=True, eq=False)
class PRelu:
    """y = x where x > 0, else below x; `below` is (channels,) along an axis."""

    source: fx.Node
    below: NDArray[np.float64]
    axis: int


def prelu_of(captured: Captured, node: fx.Node) -> PRelu | None:
    """A node as a PReLU, if it is one."""
    if node.target is not aten.where.self:
        return None
    test, above, product = node.args
    if not isinstance(above, fx.Node) or not isinstance(product, fx.Node) or not _is_above(test, above):
        return None
    affine = affine_of(captured, product)
    if affine is None or affine.source is not above or affine.shift.any():
        return None
    return PRelu(above, affine.gain, affine.axis)


def _is_above(test: Any, source: fx.Node) -> bool:
    """Whether a node is true where another is above zero, or not below."""
    known = isinstance(test, fx.Node) and test.target in (aten.gt.Scalar, aten.ge.Scalar)
    return known and test.args[0] is source and test.args[1] == 0
