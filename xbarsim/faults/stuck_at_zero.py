"""Multiple stuck-at-0 faults of weights, filters and nodes, layer by layer.

Every layer loses the same share of its units, rounded, each set of units as likely: a weight, a filter (all
weights of an output channel) or a node (the output of a hidden unit). The paper's listing draws each unit
by itself instead, with the same share in the mean.

Source: the adversarial-features paper (see "Sources" in docs/architecture.md), section III and Fig. 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import InputError, check_choice, check_rate
from xbarsim.hints import check_fields

UNITS = ("weight", "filter", "node")


@dataclass(frozen=True, kw_only=True)
class StuckAtZero:
    """Which units are stuck at 0, and how many.

    Parameters
    ----------
    unit : 'weight', 'filter' or 'node'
    share : of every layer's units, or by the name of the layer; others have none

    Raises
    ------
    InputError : an unknown unit, a share out of range.
    """

    unit: Literal["weight", "filter", "node"]
    share: float | Mapping[str, float]

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("unit", self.unit, UNITS)
        for share in self.share.values() if isinstance(self.share, Mapping) else (self.share,):
            check_rate("share", share)

    def share_of(self, layer: str) -> float:
        """The share of a layer's units."""
        return self.share.get(layer, 0.0) if isinstance(self.share, Mapping) else self.share

    def draw(
        self, shapes: Mapping[str, tuple[int, ...]], rng: np.random.Generator
    ) -> dict[str, NDArray[np.bool_]]:
        """Masks of layers, true where a unit works.

        Parameters
        ----------
        shapes : of every layer's weights for 'weight', else (units,)

        Raises
        ------
        InputError : a share for a layer that is not there.

        >>> faults = StuckAtZero(unit="node", share=0.5)
        >>> int(faults.draw({"fc1": (8,)}, np.random.default_rng(0))["fc1"].sum())
        4
        """
        if isinstance(self.share, Mapping) and (unknown := sorted(set(self.share) - set(shapes))):
            raise InputError("share", f"layers of {', '.join(shapes)}", ", ".join(unknown))
        found = {}
        for layer, shape in shapes.items():
            size = int(np.prod(shape))
            mask = np.ones(size, bool)
            count = int(np.floor(size * self.share_of(layer) + 0.5))
            mask[rng.choice(size, count, replace=False, shuffle=False)] = False
            found[layer] = mask.reshape(shape)
        return found
