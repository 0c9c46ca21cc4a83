"""Where a training stands, in a file after every epoch: parameters, optimizers, methods, history.

A safetensors file, written atomically: whatever happens in an epoch, the file of the last good one stays.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from xbarsim.digests import content_digest
from xbarsim.errors import InputError
from xbarsim.files import check_readable, write_atomically
from xbarsim.limits import LARGE
from xbarsim.training.methods import TrainingMethod
from xbarsim.training.recipe import Recipe

Part: TypeAlias = nn.Module | torch.optim.Optimizer | TrainingMethod
OneEpoch = TypeVar("OneEpoch", bound=Any)  # a dataclass
LARGER = 8  # before its first step an optimizer has no tensors yet
STATE = "a training's state"
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
class StateFile(Generic[OneEpoch]):
    """What a training consists of, and the file that it is kept in.

    Parameters
    ----------
    parts : by name, everything that changes while it trains
    about : what a file has to agree with, in words: settings and seed
    epoch : what an entry of the history is
    """

    path: Path
    parts: Mapping[str, Part]
    about: str
    epoch: type[OneEpoch]

    def save(self, history: Sequence[OneEpoch]) -> None:
        """Write the state after the last epoch of `history`."""
        # cloned, since tensors may share memory, which the format does not know
        plain = {
            f"{name}.{key}": tensor.detach().cpu().contiguous().clone()
            for name, part in self.parts.items()
            for key, tensor in _tensors(part).items()
        }
        entries = json.dumps([asdict(e) for e in history])
        words = {"about": self.about, "layers": self._layers, "history": entries}
        words["digest"] = _digest(words, plain)
        write_atomically(self.path, lambda temporary: save_file(plain, temporary, metadata=words))

    def load(self) -> list[OneEpoch]:
        """Bring everything back to where the file was written; the epochs done, none if there is no file.

        Raises
        ------
        InputError : not such a file, another network's, another training's by its settings or seed.
        """
        if not os.path.lexists(self.path):
            return []
        where = f"training {self.path}"
        own_bytes = sum(t.nbytes for part in self.parts.values() for t in _tensors(part).values())
        check_readable(self.path, where, most=max(LARGE, LARGER * own_bytes), expected=STATE, remedy=REMEDY)
        with _state_errors(where), safe_open(str(self.path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            words = file.metadata() or {}
            history = _history(words, self.epoch)
        told = words.pop("digest", None)
        if told != _digest(words, tensors):
            raise InputError(where, "a training's state as it was written", "a damaged or older one", REMEDY)
        if words.get("about") != self.about:
            raise InputError(where, f"the training {self.about}", words.get("about"), REMEDY)
        own = {name: _part(tensors, f"{name}.") for name in self.parts}
        for name, part in self.parts.items():
            _check(where, part, own[name])
        if words.get("layers") != self._layers:
            expected = "layers with the settings of this network's (rates, strides, thresholds, ...)"
            raise InputError(where, expected, "others", REMEDY)
        with _state_errors(where):
            for name, part in self.parts.items():
                _load(part, own[name])
        return history

    @property
    def _layers(self) -> str:
        """A digest of what the modules say of their layers, which their tensors' shapes do not tell."""
        shown = [repr(part) for part in self.parts.values() if isinstance(part, nn.Module)]
        return hashlib.sha256("\n".join(shown).encode()).hexdigest()[:16]


def read_history(path: Path, epoch: type[OneEpoch]) -> list[OneEpoch]:
    """Return the epochs that a training's file tells of, without its tensors.

    Raises
    ------
    InputError : not such a file.
    """
    check_readable(path, f"training {path}", expected=STATE, remedy=REMEDY)
    with _state_errors(f"training {path}"), safe_open(str(path), framework="pt") as file:
        return _history(file.metadata() or {}, epoch)


def _digest(words: Mapping[str, str], tensors: Mapping[str, torch.Tensor]) -> str:
    """A digest of all that a file holds; a flipped bit anywhere changes it."""
    held = {
        name: (str(tensor.dtype), tuple(tensor.shape), tensor.reshape(-1).view(torch.uint8).numpy())
        for name, tensor in tensors.items()
    }
    return content_digest({"words": dict(words), "tensors": held})


def _history(words: Mapping[str, str], epoch: type[OneEpoch]) -> list[OneEpoch]:
    return [epoch(**values) for values in json.loads(words["history"])]


@contextmanager
def _state_errors(where: str) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(where, STATE, f"'{error}'", REMEDY) from error


def about_training(
    recipe: Recipe, seed: int, methods: Sequence[TrainingMethod], loss: object = None
) -> str:
    """The settings that are not the usual ones, seed, methods, and the name of a loss of one's own."""
    names = [method.describe() for method in methods]
    defaults = asdict(Recipe(epochs=0))
    settings = {k: v for k, v in asdict(recipe).items() if k == "epochs" or v != defaults[k]}
    own = {} if loss is None else {"own loss": getattr(loss, "__qualname__", type(loss).__qualname__)}
    return json.dumps(settings | own | {"seed": seed, "methods": names}, sort_keys=True)


def _tensors(part: Part) -> Mapping[str, torch.Tensor]:
    if isinstance(part, nn.Module):
        return part.state_dict()
    if isinstance(part, torch.optim.Optimizer):
        states = part.state_dict()["state"].items()
        return {f"{i}.{key}": v for i, state in states for key, v in state.items() if v is not None}
    return part.state()


def _check(where: str, part: Part, tensors: dict[str, torch.Tensor]) -> None:
    """Whether the tensors fit; methods look themselves when they load."""
    if isinstance(part, nn.Module):
        _check_module(where, part, tensors)
    elif isinstance(part, torch.optim.Optimizer):
        _check_optimizer(where, part, tensors)


def _check_module(where: str, module: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    wanted = module.state_dict()
    for name in sorted(set(wanted) | set(tensors)):
        ours, theirs = wanted.get(name), tensors.get(name)
        if ours is None or theirs is None or ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            expected = f"{name!r} as a {type(module).__name__} has it"
            raise InputError(where, expected, _shape(theirs), REMEDY)


def _check_optimizer(where: str, optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    wanted = _names_of_state(optimizer)
    found: dict[int, set[str]] = {}
    for name, tensor in tensors.items():
        place, _, key = name.partition(".")
        if not place.isdecimal() or int(place) >= len(parameters) or key not in wanted:
            raise InputError(where, f"an optimizer of {len(parameters)} parameters", repr(name), REMEDY)
        if tensor.ndim and tensor.shape != parameters[int(place)].shape:
            raise InputError(where, f"{name!r} {tuple(parameters[int(place)].shape)}", _shape(tensor), REMEDY)
        found.setdefault(int(place), set()).add(key)
    for number, keys in found.items():
        if keys != wanted:
            got = ", ".join(sorted(keys))
            raise InputError(f"{where}, parameter {number}", ", ".join(sorted(wanted)), got, REMEDY)


def _names_of_state(optimizer: torch.optim.Optimizer) -> set[str]:
    """What an optimizer of this kind keeps of a parameter after a step."""
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    settings = {k: v for k, v in optimizer.param_groups[0].items() if k not in ("params", "initial_lr")}
    kind: Any = type(optimizer)
    other = kind([{"params": [parameter], **settings}])
    other.step()
    return {key for key, value in other.state[parameter].items() if value is not None}


def _load(part: Part, tensors: dict[str, torch.Tensor]) -> None:
    if isinstance(part, nn.Module):
        part.load_state_dict(tensors)
    elif isinstance(part, torch.optim.Optimizer):
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            place, _, key = name.partition(".")
            state.setdefault(int(place), {})[key] = tensor
        part.load_state_dict(part.state_dict() | {"state": state})
    else:
        part.load_state(tensors)


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _shape(tensor: torch.Tensor | None) -> str:
    return "nothing of that name" if tensor is None else f"{tensor.dtype} {tuple(tensor.shape)}"
