"""Spiking networks: fully connected leaky integrate-and-fire neurons on rate-coded images.

Source: the spiking paper (see "Sources" in docs/architecture.md): 784-128-10 on MNIST, no biases.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import nn

from xbarsim.errors import InputError, check_choice, check_int
from xbarsim.faults.neuron_effects import SpikingEffects, effects_of
from xbarsim.faults.neurons import NeuronFaults, SpikingGeometry
from xbarsim.hints import checked
from xbarsim.torch_bridge.spiking import BernoulliSpikes, kernel_can, lif_chain, lif_loop

ENGINES = ("auto", "kernel", "loop")


class Snn(nn.Module):
    """A spiking network of any depth; its scores are the spikes of each output.

    Parameters
    ----------
    sizes : inputs, neurons of every layer
    steps, leak, threshold : see `SpikingGeometry`
    engine : 'kernel', event-driven, on processors; 'loop', PyTorch step by step, on any device; 'auto' takes
        the kernel where it can: not for synapse faults with a window, nor on other devices

    Attributes
    ----------
    gain, offset : (m,) buffers of every layer, of the neurons without faults

    >>> torch.manual_seed(0).initial_seed()
    0
    >>> Snn((4, 8, 2))(torch.rand(3, 1, 2, 2)).shape
    torch.Size([3, 2])
    """

    @checked
    def __init__(
        self,
        sizes: Sequence[int] = (784, 128, 10),
        *,
        steps: int = 10,
        leak: float = 0.2,
        threshold: float = 0.5,
        engine: Literal["auto", "kernel", "loop"] = "auto",
    ) -> None:
        super().__init__()
        self.geometry = SpikingGeometry(sizes=tuple(sizes), steps=steps, leak=leak, threshold=threshold)
        self.engine = check_choice("engine", engine, ENGINES)
        self.layers = nn.ModuleList(nn.Linear(k, m, bias=False) for k, m in pairwise(self.geometry.sizes))
        for i, m in enumerate(self.geometry.sizes[1:]):
            self.register_buffer(f"gain{i}", torch.ones(m))
            self.register_buffer(f"offset{i}", torch.zeros(m))
        self._faults: NeuronFaults | None = None
        self._known: tuple[list[object], SpikingEffects] | None = None

    @property
    def weights(self) -> list[torch.Tensor]:
        """(m, n) of every layer."""
        return [layer.weight for layer in self.layers]  # type: ignore[misc]

    def weighted_layers(self) -> list[tuple[nn.Linear, None]]:
        """For training on stuck cells: every layer, none with a batch norm."""
        return [(layer, None) for layer in self.layers]  # type: ignore[misc]

    @property
    def faults(self) -> NeuronFaults | None:
        """The faults it has."""
        return self._faults

    def set_faults(self, faults: NeuronFaults | None) -> None:
        """Have these faults and no others from now on; None heals it.

        Raises
        ------
        InputError : a fault at a place that is not there.
        """
        if faults is not None:
            faults.check(self.geometry)
        self._faults, self._known = faults, None

    @property
    def effects(self) -> SpikingEffects:
        """What its neurons are like, with their faults."""
        own = [b for name, b in self.named_buffers() if name.startswith(("gain", "offset"))]
        state: list[object] = [(id(b), b._version) for b in own]  # the buffers live as long as the module
        if self._known is None or self._known[0] != state:
            gain, offset = ([b.cpu().numpy() for b in own[part::2]] for part in (0, 1))
            self._known = state, effects_of(self.geometry, self._faults, gain=gain, offset=offset)
        return self._known[1]

    def forward(self, images: torch.Tensor, *, seed: int | None = None) -> torch.Tensor:
        """(N, ...) images in [0, 1] to (N, classes) spike counts.

        Parameters
        ----------
        seed : of the inputs' spikes, with an image's place in the batch: the same for both engines; drawn
            from torch's generator if not given
        """
        if seed is not None:
            check_int("seed", seed, 0, 2**63 - 1)
        pixels, effects = self._pixels(images), self.effects
        can = kernel_can(self.weights, effects)
        if self.engine == "kernel" and not can:
            raise InputError("engine", "'loop' for this device or these faults", "'kernel'")
        if self.engine == "loop" or not can:
            spikes = BernoulliSpikes.apply(pixels, effects, self.geometry.steps, seed)
            return lif_loop(spikes, self.weights, effects)[-1].sum(0)
        drawn = int(torch.randint(2**62, ())) if seed is None else seed
        return lif_chain(pixels, self.weights, self.geometry, effects, drawn)

    def layer_spikes(self, spikes: torch.Tensor) -> list[torch.Tensor]:
        """(steps, N, m) spikes of every layer for (steps, N, K) spikes of the inputs, by the loop."""
        return lif_loop(spikes, self.weights, self.effects)

    def extra_repr(self) -> str:
        """What the tensors do not say of the neurons."""
        return f"steps={self.geometry.steps}, leak={self.geometry.leak}, threshold={self.geometry.threshold}"

    def _pixels(self, images: torch.Tensor) -> torch.Tensor:
        flat = images.flatten(1)
        if flat.shape[1] != self.geometry.sizes[0]:
            raise InputError("images", f"{self.geometry.sizes[0]} pixels", f"{flat.shape[1]}")
        if flat.numel():
            low, high = (float(end) for end in torch.aminmax(flat.detach()))
            if not (low >= 0 and high <= 1):
                raise InputError("images", "pixels in [0, 1]", f"{low:g}..{high:g}", "scale them")
        return flat
