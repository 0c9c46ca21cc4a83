"""Leaky integrate-and-fire layers in torch: the equations step by step, and the kernels for processors.

Both compute the same: the loop with PyTorch's own gradient on any device, the kernels with events. On the
same spikes of the inputs they agree spike for spike, but where a sum of floats rounds across a threshold
(never in float64 with weights of few bits).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from accel_models.spiking.network import SpikingNetwork
from xbarsim.errors import InputError
from xbarsim.faults.neuron_effects import SpikingEffects, SynapseChanges
from xbarsim.faults.neurons import NeuronFaults, SpikingGeometry
from xbarsim.kernels.lif import GAIN, HALF_WIDTH, LEAK, OFFSET, THRESHOLD
from xbarsim.kernels.lif_training import backward, event_space, forward, spikes_of


class SpikingModule(Protocol):
    """What methods of training need of a spiking network (`networks.snn.Snn` is one)."""

    geometry: SpikingGeometry

    def set_faults(self, faults: NeuronFaults | None) -> None:
        """Have these faults and no others from now on."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(N, classes) spike counts."""


def is_spiking(module: nn.Module) -> bool:
    """Whether a module is a spiking network, which `spiking_network` reads."""
    return isinstance(getattr(module, "geometry", None), SpikingGeometry)


def spiking_network(module: nn.Module) -> SpikingNetwork:
    """Return a trained network's numbers, for spiking chips.

    Parameters
    ----------
    module : with `geometry`, `weights` (m, n) of every layer, and buffers `gain0`, `offset0`, ... (m,), as
        `networks.snn.Snn` has them

    Raises
    ------
    InputError : a module without them, weights of another shape or not finite.
    """
    geometry = getattr(module, "geometry", None)
    if not isinstance(geometry, SpikingGeometry):
        raise InputError("module", "a spiking network, with a `geometry`", type(module).__name__)
    layers = range(len(geometry.sizes) - 1)
    try:
        gain, offset = (
            [module.get_buffer(f"{name}{i}").cpu().numpy() for i in layers] for name in ("gain", "offset")
        )
        weights = [w.detach().cpu().numpy().T for w in module.weights]  # type: ignore[union-attr]
    except AttributeError as error:
        raise InputError("module", "weights, and gains and offsets of every layer", f"'{error}'") from error
    return SpikingNetwork(geometry=geometry, weights=weights, gain=gain, offset=offset)


class Spike(torch.autograd.Function):
    """1 where a potential is above its threshold; the derivative is 1 where they differ by less than 1/2."""

    @staticmethod
    def forward(ctx: Any, above: torch.Tensor) -> torch.Tensor:
        """Of potential minus threshold."""
        ctx.save_for_backward(above.abs() < HALF_WIDTH)
        return (above > 0).to(above.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        """See the class."""
        (near,) = ctx.saved_tensors
        return gradients[0] * near


class BernoulliSpikes(torch.autograd.Function):
    """Spikes of the inputs; backward the sum over the steps at which a probability is not clipped.

    Drawn from torch's generator on the device of the images, or those of the kernels for a seed.
    """

    @staticmethod
    def forward(
        ctx: Any, images: torch.Tensor, effects: SpikingEffects, steps: int, seed: int | None
    ) -> torch.Tensor:
        """(N, K) to (steps, N, K)."""
        first, last = torch.from_numpy(effects.input_windows).to(images.device)
        step = torch.arange(steps, device=images.device)[:, None]
        inside = (first <= step) & (step < last)  # (steps, K)
        outer, inner = torch.from_numpy(effects.inputs).to(images)
        gain, offset = (torch.where(inside, inner[r], outer[r])[:, None] for r in (GAIN, OFFSET))
        share = gain * images + offset
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(gain * ((share >= 0) & (share <= 1)))
        if seed is None:
            return (torch.rand_like(share) < share).to(images.dtype)
        pixels = np.ascontiguousarray(images.detach().cpu().numpy())
        drawn = spikes_of(pixels, effects.inputs, effects.input_windows, seed, steps)
        return torch.from_numpy(drawn).to(images)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """See the class."""
        (slope,) = ctx.saved_tensors
        return (gradients[0] * slope).sum(0), None, None, None


def lif_loop(
    spikes: torch.Tensor, weights: Sequence[torch.Tensor], effects: SpikingEffects
) -> list[torch.Tensor]:
    """Spikes of every layer, step by step.

    Parameters
    ----------
    spikes : (steps, N, K) of the inputs
    weights : (m, n) of every layer, as PyTorch keeps them

    Returns
    -------
    (steps, N, m) of every layer
    """
    layers: list[torch.Tensor] = []
    for layer, weight in enumerate(weights):
        neurons = torch.from_numpy(effects.neurons[layer]).to(weight)
        windows = torch.from_numpy(effects.windows[layer]).to(weight.device)
        membrane: torch.Tensor | None = None
        found: list[torch.Tensor] = []
        for t, arriving in enumerate(spikes):
            inside = (windows[0] <= t) & (t < windows[1])
            now = torch.where(inside, neurons[1], neurons[0])
            current = _current(arriving, weight, effects.synapses[layer], t)
            u = now[GAIN] * current
            if membrane is not None:
                u = now[LEAK] * membrane * (1 - found[-1]) + u
            membrane = u + now[OFFSET]
            found.append(Spike.apply(membrane - now[THRESHOLD]))
        spikes = torch.stack(found)
        layers.append(spikes)
    return layers


def _current(arriving: torch.Tensor, weight: torch.Tensor, changes: SynapseChanges, t: int) -> torch.Tensor:
    chosen = (changes.first <= t) & (t < changes.last)
    if not chosen.any():
        return arriving @ weight.T
    acting, constant = _acting(weight, changes, chosen)
    return arriving @ acting.T + constant


def _acting(
    weight: torch.Tensor, changes: SynapseChanges, chosen: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights that spikes meet, and the current (m,) of synapses that always spike."""
    target, source = (torch.from_numpy(a[chosen]).to(weight.device) for a in (changes.target, changes.source))
    always = torch.from_numpy(changes.always[chosen]).to(weight.device)
    stuck = torch.from_numpy(np.where(changes.always, 0.0, changes.weight)[chosen]).to(weight)
    acting = weight.index_put((target, source), stuck)
    delivered = weight[target, source] * always
    constant = torch.zeros_like(weight[:, 0]).index_add(0, target, delivered)
    return acting, constant


class LifChain(torch.autograd.Function):
    """Spike counts of a batch by the event-driven kernels, encoding included."""

    @staticmethod
    def forward(
        ctx: Any,
        images: torch.Tensor,
        weights: torch.Tensor,
        currents: torch.Tensor,
        geometry: SpikingGeometry,
        effects: SpikingEffects,
        seed: int,
    ) -> torch.Tensor:
        """(N, K) images, flat (n, m) weights of all layers, (M,) currents; (N, classes)."""
        sizes = np.array(geometry.sizes)
        flat = weights.detach().numpy()
        neurons, windows = effects.flat
        neurons = neurons.astype(flat.dtype)
        pixels = np.ascontiguousarray(images.detach().numpy())
        events = event_space(len(pixels), geometry.sizes[0], geometry.steps)
        membrane, counts = forward(
            pixels, sizes, flat, currents.detach().numpy(), neurons, windows, effects.inputs,
            effects.input_windows, seed, geometry.steps, events,
        )  # fmt: skip
        if any(ctx.needs_input_grad):
            ctx.kept = (
                pixels, sizes, flat, neurons, windows, effects.inputs, effects.input_windows, events,
                membrane,
            )  # fmt: skip
        return torch.from_numpy(counts)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """See `xbarsim.kernels.lif_training`."""
        upstream = np.ascontiguousarray(gradients[0].numpy())
        of_weights, of_currents, of_images = backward(upstream, *ctx.kept, to_images=ctx.needs_input_grad[0])
        shown = torch.from_numpy(of_images) if ctx.needs_input_grad[0] else None
        return shown, torch.from_numpy(of_weights), torch.from_numpy(of_currents), None, None, None


def lif_chain(
    images: torch.Tensor,
    weights: Sequence[torch.Tensor],
    geometry: SpikingGeometry,
    effects: SpikingEffects,
    seed: int,
) -> torch.Tensor:
    """(N, classes) spike counts of (N, K) images by the kernels.

    Parameters
    ----------
    weights : (m, n) of every layer, on the processor
    effects : faults of synapses must be permanent
    seed : of the inputs' spikes, with the place of the image in the batch
    """
    acting, currents = [], []
    for weight, changes in zip(weights, effects.synapses, strict=True):
        constant = weight.new_zeros(len(weight))
        if len(changes.source):
            weight, constant = _acting(weight, changes, np.ones(len(changes.source), bool))
        acting.append(weight.T.reshape(-1))
        currents.append(constant)
    return LifChain.apply(images, torch.cat(acting), torch.cat(currents), geometry, effects, seed)


def kernel_can(weights: Sequence[torch.Tensor], effects: SpikingEffects) -> bool:
    """Whether `lif_chain` takes these weights and faults."""
    floats = all(w.device.type == "cpu" and w.dtype in (torch.float32, torch.float64) for w in weights)
    return floats and all(changes.permanent.all() for changes in effects.synapses)
