"""Stochastic fault-tolerant training: every batch meets other stuck cells.

Before a batch each layer's weights become what a chip with freshly drawn stuck cells would act as: batch norm
folded in, rounded to the chip's fixed point, sliced into cells, forced, decoded, and the folding undone. The
gradient at those weights moves the true ones (straight through). Nothing of the module changes but its
weights.

Batch norms train as usual: their running statistics, which the chip folds in, become those of faulty
batches. But the statistics of a batch are those of its own stuck cells and hide how far these shift every
activation, which no chip can undo; so the norms may stay as they are in the last epochs (`norm_epochs`), and
weights learn what a chip does.

Assumed: the folding has the running statistics before the batch; which columns are stored inverted is decided
from the weights at the beginning of each epoch; ADCs do not clip.

Source: Wang et al. (see "Sources" in docs/architecture.md), Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from xbarsim.crossbar.config import ArrayConfig
from xbarsim.crossbar.matrix import program_matrix
from xbarsim.errors import InputError, check_choice, check_int
from xbarsim.faults.kinds import FaultKind
from xbarsim.faults.sampling import draw_kinds
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.graph.scales import finest_fraction
from xbarsim.hints import checked
from xbarsim.torch_bridge.layers import to_integers
from xbarsim.torch_bridge.norms import weighted_layers
from xbarsim.training.methods import TrainingMethod

GRADIENTS = ("straight", "masked")
LEAST_GAIN = 1e-12


class StuckCellTraining(TrainingMethod):
    """Training on weights whose cells are stuck at random, others in every batch.

    Parameters
    ----------
    stages : the fault models, one after the other; one of them is one-shot training, a list with rising
        rates progressive training
    array : the accelerator's arrays (`accelerator("isaac").array`): bits, slices, encoding, inversion
    epochs_each : how long a stage lasts; the last one stays
    gradient : 'straight' moves every weight, 'masked' leaves out those with a stuck cell in this batch
    norm_epochs : batch norms train in the first so many epochs, and then normalise as a chip does, by running
        statistics that stay; None trains them to the end, as the paper seems to
    level : 'cell' sticks cells; 'weight' is the paper's shortcut on whole weights, without slices: stuck_hrs
        is 0, stuck_lrs the layer's largest magnitude with a random sign (either cell of a pair; the paper
        does not say)

    Raises
    ------
    InputError : no stage, an unknown choice.
    """

    @checked
    def __init__(
        self,
        stages: Sequence[StuckCells] | StuckCells,
        array: ArrayConfig,
        *,
        epochs_each: int = 1,
        gradient: Literal["straight", "masked"] = "straight",
        norm_epochs: int | None = None,
        level: Literal["cell", "weight"] = "cell",
    ) -> None:
        self.stages = (stages,) if isinstance(stages, StuckCells) else tuple(stages)
        if not self.stages or not all(isinstance(stage, StuckCells) for stage in self.stages):
            raise InputError("stages", "StuckCells, at least one", repr(stages)[:60])
        self.array = array
        self.epochs_each = check_int("epochs_each", epochs_each, 1, 10**6)
        self.gradient = check_choice("gradient", gradient, GRADIENTS)
        self.norm_epochs = None if norm_epochs is None else check_int("norm_epochs", norm_epochs, 0, 10**6)
        self.level = check_choice("level", level, ("cell", "weight"))
        self.model = self.stages[0]
        self._module: nn.Module | None = None
        self._layers: list[_Layer] = []

    def describe(self) -> str:
        """Stages, arrays, gradient and level."""
        mixes = [stage.fault_mix.probabilities[:3].round(6).tolist() for stage in self.stages]
        stages = ", ".join(f"{s.rate:g} {mix}" for s, mix in zip(self.stages, mixes, strict=True))
        form = self.array.format
        cells = (
            f"{form.weight_bits} bits in {form.cell_bits}-bit cells, {form.encoding}, {self.array.rows} rows"
        )
        inverted = ", inverted storage" if self.array.inverted_storage else ""
        turns = f"{self.epochs_each} epochs each, {self.gradient}, by {self.level}"
        if self.norm_epochs is not None:
            turns += f", norms train for {self.norm_epochs} epochs"
        return f"StuckCellTraining({stages}; {cells}{inverted}; {turns})"

    def before_epoch(self, module: nn.Module, epoch: int, rng: np.random.Generator) -> None:
        """Choose the stage, decide which columns are stored inverted."""
        self.model = self.stages[min(epoch // self.epochs_each, len(self.stages) - 1)]
        if self._module is not module:
            self._module = module
            self._layers = [_Layer(layer, norm) for layer, norm in weighted_layers(module)]
        if self.norm_epochs is not None:
            for norm in module.modules():
                if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)):
                    norm.train(epoch < self.norm_epochs)
        if self.level == "cell":
            for layer in self._layers:
                layer.invert(self.array)

    def before_batch(self, module: nn.Module, rng: np.random.Generator) -> None:
        """Stick cells."""
        draw = self._stick_cells if self.level == "cell" else self._stick_weights
        draw(rng)

    def after_backward(self, module: nn.Module) -> None:
        """Put the true weights back under the gradients of the faulty ones."""
        for layer in self._layers:
            layer.restore(masked=self.gradient == "masked")

    def after_training(self, module: nn.Module) -> None:
        """The true weights, also after an error."""
        for layer in self._layers:
            layer.restore(masked=False)

    def _stick_cells(self, rng: np.random.Generator) -> None:
        form = self.array.format
        sizes = [layer.size for layer in self._layers]
        masks = self.model.draw_masks(sum(sizes), form, rng)
        ends = np.cumsum(sizes)[:-1]
        pairs = zip(np.split(masks.keep, ends), np.split(masks.force, ends), strict=True)
        for layer, (keep, force) in zip(self._layers, pairs, strict=True):
            layer.stick_cells(torch.from_numpy(keep), torch.from_numpy(force), self.array)

    def _stick_weights(self, rng: np.random.Generator) -> None:
        for layer in self._layers:
            count = int(rng.binomial(layer.size, self.model.rate))
            at = rng.choice(layer.size, count, replace=False, shuffle=False)
            kind, _ = draw_kinds(count, 2, self.model.fault_mix, rng)
            sign = np.where(kind == FaultKind.stuck_hrs, 0, rng.choice([-1, 1], count))
            layer.stick_weights(torch.from_numpy(at), torch.from_numpy(sign))


@dataclass(eq=False)
class _Layer:
    """A layer, the batch norm that the chip folds into it, and its true weights while they are away."""

    layer: Any
    norm: Any
    inversion: torch.Tensor | None = None
    true: torch.Tensor | None = None
    stuck: torch.Tensor | None = None

    @property
    def size(self) -> int:
        """Number of weights."""
        return int(self.layer.weight.numel())

    def gain(self) -> torch.Tensor:
        """(out, 1, ...): what folding multiplies each output's weights with."""
        weight = self.layer.weight
        shape = (-1, *[1] * (weight.ndim - 1))
        if self.norm is None:
            return weight.new_ones(len(weight)).reshape(shape)
        gain = torch.rsqrt(self.norm.running_var + self.norm.eps)
        if self.norm.weight is not None:
            gain = gain * self.norm.weight.detach()
        # an output that batch norm switches off stays off, whatever its weights
        return torch.where(gain.abs() < LEAST_GAIN, torch.ones_like(gain), gain).reshape(shape)

    @torch.no_grad()
    def integers(self, array: ArrayConfig) -> tuple[torch.Tensor, int]:
        """The folded weights on the chip's fixed point, and its binary places."""
        form, folded = array.format, self.layer.weight * self.gain()
        low, high = torch.aminmax(folded)
        if not (torch.isfinite(low) and torch.isfinite(high)):
            raise InputError(
                "training weights", "finite numbers", "NaN or infinity", "lower the learning rate"
            )
        fraction = finest_fraction(float(low), float(high), form.weight_bits, True)
        return to_integers(folded, 2.0**-fraction, form.low, form.high), fraction

    def invert(self, array: ArrayConfig) -> None:
        """Decide, for the weights as they are, which bits are stored inverted."""
        if not array.inverted_storage:
            return
        integers, _ = self.integers(array)
        matrix = integers.reshape(len(integers), -1).T.cpu().numpy()
        inversion = program_matrix(matrix, array).inversion
        spread = np.repeat(inversion, array.rows, axis=0)[: len(matrix)].T
        self.inversion = torch.from_numpy(np.ascontiguousarray(spread)).to(integers.device)

    @torch.no_grad()
    def stick_cells(self, keep: torch.Tensor, force: torch.Tensor, array: ArrayConfig) -> None:
        """Replace the weights by what they act as on these stuck cells: masks (size,) on stored words."""
        weight, form = self.layer.weight, array.format
        keep, force = (mask.to(weight.device).reshape(weight.shape) for mask in (keep, force))
        if self.inversion is not None:
            force = (force ^ self.inversion.reshape(weight.shape)) & ~keep
        integers, fraction = self.integers(array)
        acting = form.decode((form.pack(integers) & keep) | force).to(weight.dtype) * 2.0**-fraction
        self._swap(acting / self.gain(), keep != -1)

    @torch.no_grad()
    def stick_weights(self, at: torch.Tensor, sign: torch.Tensor) -> None:
        """Replace the weights at these places by sign times the layer's largest magnitude."""
        weight = self.layer.weight
        acting = weight.detach().clone().reshape(-1)
        at, sign = at.to(weight.device), sign.to(weight.device, weight.dtype)
        acting[at] = sign * weight.abs().max()
        stuck = torch.zeros_like(acting, dtype=torch.bool)
        stuck[at] = True
        self._swap(acting.reshape(weight.shape), stuck.reshape(weight.shape))

    def restore(self, *, masked: bool) -> None:
        """The true weights again; masked: no gradient where a cell was stuck."""
        if self.true is None:
            return
        weight = self.layer.weight
        weight.data, self.true = self.true, None
        if masked and weight.grad is not None and self.stuck is not None:
            weight.grad[self.stuck] = 0

    def _swap(self, acting: torch.Tensor, stuck: torch.Tensor) -> None:
        weight = self.layer.weight
        self.true, self.stuck = weight.data, stuck
        weight.data = acting
