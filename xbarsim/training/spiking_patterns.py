"""Algorithm 1 of the spiking paper: patterns that tell a faulty network from a fault-free one, to train on.

From a batch of images, in at most `rounds` rounds: fault-free and faulty class are compared `checks` times,
with new spikes each time. Where they differ at least `needed` times the pattern is kept; the others move by
`epsilon`, along a rule:

- 'code' sign(ff_grad - ft_grad), what the authors' program does
- 'paper' ft_grad - ff_grad, what the paper prints
- 'sum' sign(ff_grad + ft_grad), the direction in which the loss rises
- 'random' a random sign: the control

with the gradients of (faulty - fault-free)^2, summed over the outputs, through the fault-free and through the
faulty network. All but the last rule take a gradient; none looks at the label.

What the paper leaves open, and is an option here: a pattern is kept only if its fault-free class is its
label; images that differ before they are moved are dropped. Patterns stay in [0, 1].
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from torch import nn

from xbarsim.errors import InputError, check_choice, check_int, check_number
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind, NeuronFaults
from xbarsim.torch_bridge.spiking import SpikingModule
from xbarsim.training.spiking import NeuronFaultTraining

RULES = ("code", "paper", "sum", "random")


@dataclass(frozen=True, kw_only=True)
class PatternSettings:
    """How patterns are made; the defaults are the paper's Table 2.

    Parameters
    ----------
    rule : how images move, see the head of the module
    epsilon : how far in a round
    rounds, checks, needed, most : N, comparisons a round, K, M
    averaged : inferences whose mean a comparison looks at; the paper averages, but does not say over how many
    batch_size : images that are moved together
    right_only : keep only patterns whose fault-free class is the label
    drop_differing : leave images out that differ before any move
    """

    rule: Literal["code", "paper", "sum", "random"] = "code"
    epsilon: float = 0.1
    rounds: int = 20
    averaged: int = 1
    checks: int = 5
    needed: int = 4
    most: int = 100
    batch_size: int = 64
    right_only: bool = True
    drop_differing: bool = True

    def __post_init__(self) -> None:
        check_choice("rule", self.rule, RULES)
        check_number("epsilon", self.epsilon, 0, 1)
        check_int("rounds", self.rounds, 1, 10**4)
        check_int("averaged", self.averaged, 1, 10**4)
        check_int("checks", self.checks, 1, 10**4)
        check_int("needed", self.needed, 1, self.checks)
        check_int("most", self.most, 0, 10**7)
        check_int("batch_size", self.batch_size, 1, 10**6)


def make_patterns(
    module: nn.Module,
    faults: NeuronFaults,
    images: torch.Tensor,
    labels: torch.Tensor,
    settings: PatternSettings,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The inner loops of Algorithm 1, on one batch.

    Returns
    -------
    (kept, ...) patterns and their labels, in the order in which they were found.
    """
    x, y = images.clone(), labels
    kept, kept_labels = [], []
    for round_ in range(settings.rounds):
        differing, right = _compare(module, faults, x, y, settings)
        chosen = differing & right if settings.right_only else differing
        if round_ == 0 and settings.drop_differing:
            chosen = torch.zeros_like(chosen)
        kept.append(x[chosen])
        kept_labels.append(y[chosen])
        x, y = x[~differing], y[~differing]
        if not len(x) or round_ + 1 == settings.rounds:
            break
        move = _direction(module, faults, x, settings.rule)
        x = (x + settings.epsilon * move).clamp(0, 1)
    return torch.cat(kept), torch.cat(kept_labels)


@torch.no_grad()
def _compare(
    module: nn.Module, faults: NeuronFaults, x: torch.Tensor, y: torch.Tensor, settings: PatternSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    """(N,): which images differ often enough, and whose fault-free class, over all checks, is the label."""
    spiking, times = cast(SpikingModule, module), settings.checks * settings.averaged
    again = x.repeat((times, *[1] * (x.ndim - 1)))
    spiking.set_faults(None)
    healthy = module(again).reshape(settings.checks, settings.averaged, len(x), -1).sum(1)
    spiking.set_faults(faults)
    faulty = module(again).reshape(settings.checks, settings.averaged, len(x), -1).sum(1)
    differing = (healthy.argmax(2) != faulty.argmax(2)).sum(0) >= settings.needed
    return differing, healthy.sum(0).argmax(1) == y


def _direction(module: nn.Module, faults: NeuronFaults, x: torch.Tensor, rule: str) -> torch.Tensor:
    if rule == "random":
        return torch.randint(0, 2, x.shape, device=x.device).to(x) * 2 - 1
    healthy, faulty = x.clone().requires_grad_(), x.clone().requires_grad_()
    spiking = cast(SpikingModule, module)
    spiking.set_faults(None)
    fault_free = module(healthy)
    spiking.set_faults(faults)
    loss = (module(faulty) - fault_free).square().sum()
    ff_grad, ft_grad = torch.autograd.grad(loss, (healthy, faulty))
    if rule == "paper":
        return ft_grad - ff_grad
    return (ff_grad - ft_grad if rule == "code" else ff_grad + ft_grad).sign()


class PatternTraining(NeuronFaultTraining):
    """Fault-tolerant training on the data and on patterns, made anew before every epoch but the first.

    Parameters
    ----------
    images, labels : (N, ...) and (N,), what patterns are made from
    settings : of the patterns
    more : see `NeuronFaultTraining`

    Attributes
    ----------
    patterns, pattern_labels : all so far
    cpu_seconds : processor time that making them took
    """

    def __init__(
        self,
        universe: FaultUniverse,
        kind: NeuronFaultKind,
        ratio: float,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        settings: PatternSettings | None = None,
        value: float | None = None,
        loss: Literal["both", "faulty"] = "both",
    ) -> None:
        super().__init__(universe, kind, ratio, value=value, loss=loss)
        if not len(images) or len(images) != len(labels):
            raise InputError("images", "at least one, and a label each", f"{len(images)} and {len(labels)}")
        self.settings = settings or PatternSettings()
        self._images, self._labels = torch.as_tensor(images), torch.as_tensor(labels)
        self.patterns = self._images[:0].clone()
        self.pattern_labels = self._labels[:0].clone()
        self.cpu_seconds = 0.0

    def describe(self) -> str:
        """Faults, loss and settings of the patterns."""
        return f"{super().describe()}, {self.settings}"

    def before_epoch(self, module: nn.Module, epoch: int, rng: np.random.Generator) -> None:
        """Make patterns from batches in random order, until there are enough."""
        super().before_epoch(module, epoch, rng)
        if epoch == 0:
            return
        start, found = time.process_time(), 0
        place = next(module.parameters())
        for batch in torch.from_numpy(rng.permutation(len(self._images))).split(self.settings.batch_size):
            if found >= self.settings.most:
                break
            faults = self.universe.sample(self.kind, self.ratio, rng, value=self.value)
            images, labels = self._images[batch].to(place), self._labels[batch].to(place.device)
            patterns, kinds = make_patterns(module, faults, images, labels, self.settings)
            room = self.settings.most - found
            self.patterns = torch.cat([self.patterns, patterns[:room].cpu()])
            self.pattern_labels = torch.cat([self.pattern_labels, kinds[:room].cpu()])
            found += len(patterns[:room])
        cast(SpikingModule, module).set_faults(None)
        self.cpu_seconds += time.process_time() - start

    def extra_data(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """The patterns so far."""
        return self.patterns, self.pattern_labels

    def state(self) -> Mapping[str, torch.Tensor]:
        """The patterns, and the time that they took."""
        spent = torch.tensor(self.cpu_seconds, dtype=torch.float64)
        return {"patterns": self.patterns, "pattern_labels": self.pattern_labels, "cpu_seconds": spent}

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take them back."""
        self.patterns, self.pattern_labels = tensors["patterns"], tensors["pattern_labels"]
        self.cpu_seconds = float(tensors["cpu_seconds"])
