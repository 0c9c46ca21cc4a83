"""Adversarial example testing: FGSM images as test patterns for faulty chips.

A pattern fires when the chip's answer differs from the one that the fault-free network gave in the cloud
(SDC-1 or SDC-x %); a chip is called faulty when any of its patterns fires. The paper gives no number of
patterns and no rule for a set of them: both are ours, and every report prints N.

What the float network says is data: an `Attack` is made once, and other processes are sent it, since
processors round otherwise.

Source: RRAMedy, section III-C, Eq. 2 (FGSM), Eq. 7 (detection accuracy).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from xbarsim.digests import content_digest
from xbarsim.errors import InputError, check_positive
from xbarsim.torch_bridge.answers import in_parts

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
    signs = gradient_signs(module, images, labels)
    return stepped(images, signs, epsilon=epsilon, value_range=value_range)


def gradient_signs(module: nn.Module, images: Floats, labels: NDArray[np.integer]) -> NDArray[np.int8]:
    """Return the signs -1, 0, 1 (N, ...) of the loss's gradient at every pixel of (N, ...) images.

    Raises
    ------
    InputError : labels of another length, no images.
    """
    if len(images) != len(labels) or len(images) == 0:
        raise InputError("labels", f"one for each of {len(images)} images, at least one", len(labels))

    def signs(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(module(x), y, reduction="sum"), x)
        return gradient.sign().to(torch.int8)

    return in_parts(signs, torch.as_tensor(images), torch.as_tensor(labels)).numpy()


def stepped(
    images: Floats, signs: NDArray[np.int8], *, epsilon: float, value_range: tuple[float, float]
) -> Floats:
    """Return images (N, ...) moved by epsilon along signs (N, ...), clipped to the range of valid images."""
    check_positive("epsilon", epsilon)
    kind = images.dtype.type
    low, high = map(kind, value_range)
    return np.clip(images + kind(epsilon) * signs.astype(kind), low, high)


@dataclass(frozen=True, eq=False)
class Attack:
    """What a float network says of test images, and of adversarial ones that are made of them.

    Attributes
    ----------
    signs : (N, ...) int8, of the gradients; see `gradient_signs`
    logits, attacked_logits : (N, classes) float64, of the images and of the adversarial ones
    """

    signs: NDArray[np.int8]
    logits: Floats
    attacked_logits: Floats

    @cached_property
    def digests(self) -> tuple[str, str]:
        """Of what it says of the original images, and of the adversarial ones."""
        return content_digest(self.logits), content_digest((self.signs, self.attacked_logits))

    def pattern_sets(
        self, images: Floats, *, epsilon: float, value_range: tuple[float, float]
    ) -> tuple[PatternSet, PatternSet]:
        """Return the original images and the adversarial ones, each with the float network's answers."""
        attacked = stepped(images, self.signs, epsilon=epsilon, value_range=value_range)
        return (
            PatternSet("original", images, self.logits),
            PatternSet("adversarial", attacked, self.attacked_logits),
        )


def attack(
    module: nn.Module,
    images: Floats,
    labels: NDArray[np.integer],
    *,
    epsilon: float,
    value_range: tuple[float, float],
) -> Attack:
    """Return the float network's gradients and answers on (N, ...) images; parameters as those of `fgsm`.

    Raises
    ------
    InputError : epsilon of 0 or less, labels of another length.
    """
    check_positive("epsilon", epsilon)
    module.eval()
    signs = gradient_signs(module, images, labels)
    attacked = stepped(images, signs, epsilon=epsilon, value_range=value_range)
    return Attack(signs, _answers(module, images), _answers(module, attacked))


@torch.no_grad()
def _answers(module: nn.Module, images: Floats) -> Floats:
    return in_parts(module, torch.as_tensor(images)).double().numpy()
