"""Unstructured pruning: which weights become zero, keeping them there, and ADMM, which drives them there.

Pruned are the weights of linear and convolution layers, every layer to the same sparsity; biases and batch
norms stay. Masks are named as the weights are in the module's state dict, and true where a weight is kept.
The way to a sparse network is `fit` with `AdmmPruning`, or none; then `apply_masks` or `AdmmPruning.prune`;
then `fit` with `KeepZeros`, alone or beside fault-tolerant training.

Sources: Han et al., NeurIPS 2015 (magnitude pruning); Zhang et al., ECCV 2018 (ADMM).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from xbarsim.errors import InputError, check_number, check_positive
from xbarsim.torch_bridge.reach import warn_of_left_out
from xbarsim.training.methods import TrainingMethod

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
Masks = Mapping[str, torch.Tensor]


def sparsity_of(module: nn.Module) -> float:
    """The share of zeros among the weights of all linear and convolution layers.

    >>> layer = nn.Linear(4, 5)
    >>> apply_masks(layer, magnitude_masks(layer, 0.3))
    >>> sparsity_of(layer)
    0.3
    """
    weights = _weights(module).values()
    return sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)


def magnitude_masks(module: nn.Module, sparsity: float) -> dict[str, torch.Tensor]:
    """One-shot magnitude pruning: the masks that leave out each layer's smallest weights.

    Parameters
    ----------
    module : stays as it is; see `apply_masks`
    sparsity : in [0, 1); a layer of so many weights loses round(sparsity * weights), the smallest first and
        of equal ones those that come first

    Raises
    ------
    InputError : a sparsity out of range, no layers, weights that are not finite or that have one bit, which
        cannot be zero.
    """
    share = _check_sparsity(sparsity)
    return {name: _largest(name, weight, share) for name, weight in _prunable(module).items()}


@torch.no_grad()
def apply_masks(module: nn.Module, masks: Masks) -> None:
    """Set the weights to zero that masks leave out.

    Raises
    ------
    InputError : a mask that fits no parameter of the module.
    """
    for name, mask in masks.items():
        weight = _masked(module, name, mask)
        weight.masked_fill_(~mask.to(weight.device), 0)


class KeepZeros(TrainingMethod):
    """Zeros stay zero, whatever gradients, momentum and the methods before it in the list do.

    `StuckCellTraining` may stand behind it as well: its batches see faulty zeros, and the true ones return.

    Parameters
    ----------
    masks : the weights that they leave out are set to zero at the first epoch; None finds those that are
        zero there in linear and convolution layers. A resumed training takes those that it began with

    Raises
    ------
    InputError : masks that are not boolean tensors, fit no parameter, or are not those of the `resume` file.
    """

    def __init__(self, masks: Masks | None = None) -> None:
        for name, mask in (masks or {}).items():
            _check_mask(name, mask)
        self._given = masks is not None
        self._masks = {name: mask.detach().clone() for name, mask in (masks or {}).items()}

    def before_epoch(self, module: nn.Module, epoch: int, rng: np.random.Generator) -> None:
        """Find the zeros, before the first epoch alone, and set them."""
        if epoch == 0 and not self._given:
            self._masks = {name: weight.detach() != 0 for name, weight in _weights(module).items()}
        for name, mask in self._masks.items():
            self._masks[name] = mask.to(_masked(module, name, mask).device)
        apply_masks(module, self._masks)

    def after_backward(self, module: nn.Module) -> None:
        """No gradient, so that the optimizer gathers none."""
        for name, mask in self._masks.items():
            gradient = module.get_parameter(name).grad
            if gradient is not None:
                gradient.masked_fill_(~mask, 0)

    def after_step(self, module: nn.Module) -> None:
        """Zero, whatever else moved the weights."""
        apply_masks(module, self._masks)

    def state(self) -> Mapping[str, torch.Tensor]:
        """The masks."""
        return self._masks

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Masks of the training that goes on; those given have to be the same."""
        if self._given:
            _check_same("masks", self._masks, tensors)
        self._masks = dict(tensors)


class AdmmPruning(TrainingMethod):
    """Drives each layer's weights W towards a sparse Z.

    Z is W + U with all but the largest set to zero, and U adds up W - Z, both once an epoch, from Z of the
    first weights and U = 0 on. The gradient gets rho * (W - Z + U), where W are the weights as the last step
    left them: a method that has put faulty ones in their place does not change it.

    The final projection is `prune`, called by hand, never the end of a training: `fit` does not tell a method
    whether the training failed, and pruning what a failed one left would hide it. So the module always keeps
    the dense weights of its last step.

    Parameters
    ----------
    sparsity : in [0, 1), of every layer, as `magnitude_masks` counts
    rho : how hard W is pulled. Within an epoch W follows Z where rho * learning rate * steps /
        (1 - momentum) is about 1 or more, for SGD; with far less, U grows and Z wanders away

    Raises
    ------
    InputError : a sparsity or rho out of range, other ones than the `resume` file's; weights as
        `magnitude_masks` refuses them.
    """

    def __init__(self, sparsity: float, *, rho: float = 0.1) -> None:
        self.sparsity = _check_sparsity(sparsity)
        self.rho = check_positive("rho", rho)
        self._z: dict[str, torch.Tensor] = {}
        self._u: dict[str, torch.Tensor] = {}
        self._pull: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def before_epoch(self, module: nn.Module, epoch: int, rng: np.random.Generator) -> None:
        """Project; from the second epoch on, add what is left to U."""
        if epoch == 0:
            self._z, self._u, self._pull = {}, {}, {}
        for name, weight in _prunable(module).items():
            u = torch.zeros_like(weight) if epoch == 0 else self._u[name].to(weight.device)
            target = weight + u
            self._z[name] = target * _largest(name, target, self.sparsity)
            self._u[name] = u if epoch == 0 else target - self._z[name]
        self._note(module)

    def after_backward(self, module: nn.Module) -> None:
        """Add the pull to the gradient."""
        for name, pull in self._pull.items():
            gradient = module.get_parameter(name).grad
            if gradient is not None:
                gradient.add_(pull)

    def after_step(self, module: nn.Module) -> None:
        """Note the pull of the weights as they are now."""
        self._note(module)

    def state(self) -> Mapping[str, torch.Tensor]:
        """Z, U, and the settings, so that a training does not go on with others."""
        pairs = {"z": self._z, "u": self._u}
        return self._settings() | {f"{k}.{name}": t for k, part in pairs.items() for name, t in part.items()}

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Z and U of the training that goes on."""
        settings = self._settings()
        _check_same("sparsity and rho", settings, {n: t for n, t in tensors.items() if n in settings})
        self._z, self._u = (
            {n.removeprefix(k): t for n, t in tensors.items() if n.startswith(k)} for k in ("z.", "u.")
        )

    def distance(self, module: nn.Module) -> float:
        """|W - Z| / |W| over all layers: how far the weights are from being sparse.

        Raises
        ------
        InputError : no training has begun.
        """
        if not self._z:
            raise InputError("AdmmPruning.distance", "a training that has begun", "none")
        away = size = 0.0
        for name, z in self._z.items():
            weight = module.get_parameter(name).detach()
            away += float((weight - z.to(weight.device)).square().sum())
            size += float(weight.square().sum())
        return (away / size) ** 0.5 if size else 0.0

    def prune(self, module: nn.Module) -> dict[str, torch.Tensor]:
        """The final hard projection: keep each layer's largest weights W as they are, without U.

        Returns
        -------
        The masks, for `KeepZeros`.

        Raises
        ------
        InputError : weights as `magnitude_masks` refuses them.
        """
        masks = magnitude_masks(module, self.sparsity)
        apply_masks(module, masks)
        return masks

    @torch.no_grad()
    def _note(self, module: nn.Module) -> None:
        for name, z in self._z.items():
            self._pull[name] = self.rho * (module.get_parameter(name) - z + self._u[name])

    def _settings(self) -> dict[str, torch.Tensor]:
        pairs = {"sparsity": self.sparsity, "rho": self.rho}
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in pairs.items()}


def _largest(name: str, values: torch.Tensor, sparsity: float) -> torch.Tensor:
    """True but for the round(sparsity * size) smallest magnitudes, of equal ones the first."""
    if not torch.isfinite(values).all():
        raise InputError(f"weights {name!r}", "finite values", "NaN or infinity", "train the network again")
    kept = torch.ones(values.numel(), dtype=torch.bool, device=values.device)
    order = values.detach().reshape(-1).abs().argsort(stable=True)
    kept[order[: round(sparsity * values.numel())]] = False
    return kept.reshape(values.shape)


def _prunable(module: nn.Module) -> dict[str, nn.Parameter]:
    """The weights, all of which can be zero."""
    for name, layer in module.named_modules():
        if isinstance(layer, LAYERS) and getattr(layer, "weight_bits", None) == 1:
            raise InputError(f"layer {name!r}", "weights of at least two bits", "one", "one bit has no zero")
    found = _weights(module)
    warn_of_left_out("pruning", module, found.values())
    return found


def _weights(module: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of linear and convolution layers by name; those that layers share once."""
    found: dict[str, nn.Parameter] = {}
    for name, layer in module.named_modules():
        if not isinstance(layer, LAYERS):
            continue
        weight: object = layer._parameters.get("weight")
        if not isinstance(weight, nn.Parameter) or nn.parameter.is_lazy(weight):
            expected = "a weight that is an initialised parameter"
            raise InputError(f"layer {name!r}", expected, "none", "remove parametrizations, or run it once")
        if all(weight is not other for other in found.values()):
            found[f"{name}.weight" if name else "weight"] = weight
    if not found:
        raise InputError("module", "at least one linear or convolution layer", "none")
    return found


def _masked(module: nn.Module, name: str, mask: torch.Tensor) -> nn.Parameter:
    """The parameter that a mask is for."""
    _check_mask(name, mask)
    try:
        weight = module.get_parameter(name)
    except AttributeError as error:
        expected = f"the name of a parameter of the {type(module).__name__}"
        raise InputError("masks", expected, repr(name)) from error
    if weight.shape != mask.shape:
        raise InputError(f"mask {name!r}", f"shape {tuple(weight.shape)}", f"{tuple(mask.shape)}")
    return weight


def _check_mask(name: str, mask: object) -> None:
    if not isinstance(mask, torch.Tensor) or mask.dtype != torch.bool:
        got = f"{getattr(mask, 'dtype', type(mask).__name__)}"
        raise InputError(f"mask {name!r}", "a boolean tensor, true where a weight is kept", got)


def _check_sparsity(sparsity: float) -> float:
    if check_number("sparsity", sparsity, 0, 1, "70 % is written 0.7") == 1:
        raise InputError("sparsity", "a number in [0, 1)", sparsity, "leave some weights")
    return float(sparsity)


def _check_same(what: str, ours: Masks, theirs: Masks) -> None:
    """Refuse to go on with other settings than a training began with."""
    same = set(ours) == set(theirs) and all(torch.equal(t.cpu(), theirs[n].cpu()) for n, t in ours.items())
    if not same:
        remedy = "use those, or remove the file to start anew"
        raise InputError(f"training that goes on: {what}", "those of its file", "others", remedy)
