"""Where a training stands, in a file after every epoch: parameters, optimizer, methods, history.

A safetensors file, written atomically: whatever happens in an epoch, the file of the last good one stays.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from xbarsim.checks import InputError, write_atomically
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe

REMEDY = "remove it to start anew, or name another file"


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch of a training: its number from 1 on, mean loss, last learning rate, seconds it took.

    `cpu_seconds` are those of all threads of the process (NaN in files of earlier versions).
    """

    epoch: int
    loss: float
    learning_rate: float
    seconds: float
    cpu_seconds: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """What a training consists of, and the file that it is kept in.

    Parameters
    ----------
    recipe, seed : with the methods' settings, what a file has to agree with
    """

    path: Path
    module: nn.Module
    optimizer: torch.optim.Optimizer
    methods: Sequence[TrainingMethod]
    recipe: Recipe
    seed: int

    def save(self, history: Sequence[Epoch]) -> None:
        """Write the state after the last epoch of `history`."""
        tensors = {f"module.{name}": tensor for name, tensor in self.module.state_dict().items()}
        for place, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{place}.{key}": v for key, v in state.items() if v is not None}
        for i, method in enumerate(self.methods):
            tensors |= {f"method.{i}.{name}": tensor for name, tensor in method.state().items()}
        words = {"about": self.about, "history": json.dumps([asdict(e) for e in history])}
        # cloned, since tensors may share memory, which the format does not know
        plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        write_atomically(self.path, lambda temporary: save_file(plain, temporary, metadata=words))

    def load(self) -> list[Epoch]:
        """Bring everything back to where the file was written; the epochs done, none if there is no file.

        Raises
        ------
        InputError : not such a file, another network's, another recipe's or seed's.
        """
        if not self.path.exists():
            return []
        where = f"training {self.path}"
        try:
            with safe_open(str(self.path), framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                words = file.metadata() or {}
            history = [Epoch(**epoch) for epoch in json.loads(words["history"])]
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(where, "a training's state", f"'{error}'", REMEDY) from error
        if words.get("about") != self.about:
            raise InputError(where, f"the training {self.about}", words.get("about"), REMEDY)
        _load_module(where, self.module, _part(tensors, "module."))
        _load_optimizer(where, self.optimizer, _part(tensors, "optimizer."))
        for i, method in enumerate(self.methods):
            method.load_state(_part(tensors, f"method.{i}."))
        return history

    @property
    def about(self) -> str:
        """The settings that are not the usual ones, seed and methods."""
        names = [method.describe() for method in self.methods]
        defaults = asdict(Recipe(epochs=0))
        settings = {k: v for k, v in asdict(self.recipe).items() if k == "epochs" or v != defaults[k]}
        return json.dumps(settings | {"seed": self.seed, "methods": names}, sort_keys=True)


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _load_module(where: str, module: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    wanted = module.state_dict()
    for name in sorted(set(wanted) | set(tensors)):
        ours, theirs = wanted.get(name), tensors.get(name)
        if ours is None or theirs is None or ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            expected = f"{name!r} as a {type(module).__name__} has it"
            raise InputError(where, expected, _shape(theirs), REMEDY)
    module.load_state_dict(tensors)


def _load_optimizer(where: str, optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    found = optimizer.state_dict()
    state: dict[int, dict[str, torch.Tensor]] = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, tensor in tensors.items():
        place, _, key = name.partition(".")
        if not place.isdigit() or int(place) >= len(parameters):
            raise InputError(where, f"an optimizer of {len(parameters)} parameters", repr(name), REMEDY)
        if tensor.ndim and tensor.shape != parameters[int(place)].shape:
            raise InputError(where, f"{name!r} {tuple(parameters[int(place)].shape)}", _shape(tensor), REMEDY)
        state.setdefault(int(place), {})[key] = tensor
    optimizer.load_state_dict(found | {"state": state})


def _shape(tensor: torch.Tensor | None) -> str:
    return "nothing of that name" if tensor is None else f"{tensor.dtype} {tuple(tensor.shape)}"
