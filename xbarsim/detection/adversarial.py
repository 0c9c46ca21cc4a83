"""Adversarial example testing: FGSM images as test patterns for faulty chips.

A pattern fires when the chip's answer differs from the one that the fault-free network gave in the cloud
(SDC-1 or SDC-x %); a chip is called faulty when any of its patterns fires. The paper gives no number of
patterns and no rule for a set of them: both are ours, and every report prints N.

Source: RRAMedy, section III-C, Eq. 2 (FGSM), Eq. 7 (detection accuracy).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from xbarsim.errors import InputError, check_positive

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class PatternSet:
    """Test inputs with the answers of the fault-free network.

    Attributes
    ----------
    name : 'original' or 'adversarial'
    images : (N, ...) float32
    logits : (N, classes) float64, of the float network
    """

    name: str
    images: Floats
    logits: Floats

    def take(self, chosen: NDArray[np.integer]) -> PatternSet:
        """Some of the patterns."""
        return PatternSet(self.name, self.images[chosen], self.logits[chosen])


def fgsm(
    module: nn.Module,
    images: Floats,
    labels: NDArray[np.integer],
    *,
    epsilon: float,
    value_range: tuple[float, float],
) -> Floats:
    """x' = x + epsilon sign(grad_x J(F(x), y)), clipped to the range of valid images.

    Parameters
    ----------
    module : the trained float network, eval mode
    images : (N, ...) float32
    labels : (N,) classes
    epsilon : in units of the images

    Raises
    ------
    InputError : epsilon of 0 or less, labels of another length.

    Source: Goodfellow et al., ICLR 2015; RRAMedy, Eq. 2.
    """
    check_positive("epsilon", epsilon)
    if len(images) != len(labels) or len(images) == 0:
        raise InputError("labels", f"one for each of {len(images)} images, at least one", len(labels))
    x = torch.tensor(images, requires_grad=True)
    loss = F.cross_entropy(module(x), torch.as_tensor(labels), reduction="sum")
    (gradient,) = torch.autograd.grad(loss, x)
    return (x.detach() + epsilon * gradient.sign()).clamp(*value_range).numpy()


def pattern_sets(
    module: nn.Module,
    images: Floats,
    labels: NDArray[np.integer],
    *,
    epsilon: float,
    value_range: tuple[float, float],
) -> tuple[PatternSet, PatternSet]:
    """The original images and the adversarial ones made of them, each with the float network's answers."""
    module.eval()
    attacked = fgsm(module, images, labels, epsilon=epsilon, value_range=value_range)
    return (
        PatternSet("original", images, _answers(module, images)),
        PatternSet("adversarial", attacked, _answers(module, attacked)),
    )


@torch.no_grad()
def _answers(module: nn.Module, images: Floats) -> Floats:
    return module(torch.as_tensor(images)).double().numpy()
