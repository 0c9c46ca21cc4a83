"""Training spiking networks with faulty neurons: other faults in every batch.

Source: the spiking paper (see "Sources" in docs/architecture.md), section 3-B. Its text adds the losses of
the fault-free and the faulty output; its authors ran the faulty one alone. Both are here.
"""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import torch
from torch import nn

from xbarsim.errors import InputError, check_choice, check_rate
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind
from xbarsim.hints import checked
from xbarsim.torch_bridge.spiking import SpikingModule
from xbarsim.training.methods import LossFunction, TrainingMethod

LOSSES = ("both", "faulty")


class NeuronFaultTraining(TrainingMethod):
    """Fault-tolerant training of a spiking network.

    Parameters
    ----------
    universe : where faults may be
    kind, value : what is wrong
    ratio : the fault injection ratio (FIR): a share of the universe, rounded down, drawn anew for every batch
    loss : 'faulty', that of the faulty output; 'both', plus that of the fault-free one, which keeps the
        fault-free accuracy

    Raises
    ------
    InputError : an unknown loss, a kind that the universe has no place for.
    """

    @checked
    def __init__(
        self,
        universe: FaultUniverse,
        kind: NeuronFaultKind,
        ratio: float,
        *,
        value: float | None = None,
        loss: Literal["both", "faulty"] = "both",
    ) -> None:
        self.universe, self.kind, self.value = universe, kind, value
        self.ratio = check_rate("fault injection ratio", ratio)
        self.loss = check_choice("loss", loss, LOSSES)
        self._faults = universe.sample(kind, ratio, np.random.default_rng(0), value=value)

    def describe(self) -> str:
        """Faults and loss."""
        value = "" if self.value is None else f" {self.value:g}"
        g = self.universe.geometry
        faults = f"{self.kind.name}{value} at {self.ratio:g} of {self.universe}, leak {g.leak:g}"
        faults += f", threshold {g.threshold:g}"
        return f"{type(self).__name__}({faults}; {self.loss})"

    def before_epoch(self, module: nn.Module, epoch: int, rng: np.random.Generator) -> None:
        """Look whether the module is a spiking one of this size."""
        geometry = getattr(module, "geometry", None)
        if geometry != self.universe.geometry:
            raise InputError(
                f"module {type(module).__name__}",
                f"the universe's {self.universe.geometry!r}",
                repr(geometry),
            )

    def before_batch(self, module: nn.Module, rng: np.random.Generator) -> None:
        """Draw the faults."""
        self._faults = self.universe.sample(self.kind, self.ratio, rng, value=self.value)
        if self.loss == "faulty":
            cast(SpikingModule, module).set_faults(self._faults)

    def extra_loss(
        self, module: nn.Module, x: torch.Tensor, y: torch.Tensor, loss: LossFunction
    ) -> torch.Tensor | None:
        """With 'both', the loss of the faulty output."""
        if self.loss == "faulty":
            return None
        cast(SpikingModule, module).set_faults(self._faults)
        return loss(module(x), y)

    def after_backward(self, module: nn.Module) -> None:
        """Heal the network."""
        cast(SpikingModule, module).set_faults(None)

    def after_training(self, module: nn.Module) -> None:
        """Heal it, also after an error."""
        cast(SpikingModule, module).set_faults(None)
