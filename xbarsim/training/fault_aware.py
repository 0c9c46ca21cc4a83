"""FAT's two ways of enabling error-injection layers during training.

Source: FAT (Zahid et al.), section IV-C and Algorithm 2.
"""

from __future__ import annotations

import numpy as np
from torch import nn

from xbarsim.errors import InputError
from xbarsim.torch_bridge.injection import enable_only, injections
from xbarsim.training.methods import TrainingMethod


class AllLayers(TrainingMethod):
    """Method 1: every injection layer, in every epoch."""

    def before_epoch(self, module: nn.Module, epoch: int, rng: np.random.Generator) -> None:
        """Enable all."""
        enable_only(module, range(_count(module)))


class OneLayerAnEpoch(TrainingMethod):
    """Method 2: one injection layer an epoch, drawn at random; the better one in most of FAT's runs."""

    def before_epoch(self, module: nn.Module, epoch: int, rng: np.random.Generator) -> None:
        """Draw the layer."""
        enable_only(module, [int(rng.integers(_count(module)))])


def _count(module: nn.Module) -> int:
    found = len(injections(module))
    if not found:
        remedy = "train fault_aware(module, fault_model) instead of the module"
        raise InputError(f"module {type(module).__name__}", "error-injection layers", "none", remedy)
    return found
