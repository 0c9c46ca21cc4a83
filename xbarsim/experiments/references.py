"""Words to things: what a command line or a campaign file calls a network, data, weights, an accelerator.

| word | network | data | accelerator |
|---|---|---|---|
| a name | of the catalogue, or of a checkpoint of the zoo | digits, mnist, ... | isaac, perhaps with fields |
| a path | a checkpoint that says its network; a board's folder; (Q)ONNX | see `xbarsim.data` | TOML |
| `file.py:function` | gives a torch module | gives what `xbarsim.data.as_data` takes | gives one |
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import nn

from accel_models.finn.board import read_board
from accel_models.finn.network import FinnNetwork
from accel_models.finn.presets import presets
from accel_models.finn.qonnx.reader import read_qonnx
from networks.catalogue import NetworkEntry, networks
from networks.checkpoints import load_checkpoint, read_metadata
from networks.datasets import DATASETS, load_dataset
from networks.zoo import zoo
from xbarsim.chip import Accelerator
from xbarsim.code import call_code, is_code
from xbarsim.data import Data, as_data
from xbarsim.errors import InputError
from xbarsim.files import read_text
from xbarsim.registry import accelerators
from xbarsim.subject import Subject
from xbarsim.torch_bridge.onnx_file import is_qonnx
from xbarsim.torch_bridge.onnx_import import read_onnx
from xbarsim.training.loop import initialise
from xbarsim.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class SubjectReference:
    """A subject in words; small, and another process can load it again. See the table above.

    Parameters
    ----------
    weights : a checkpoint for the network; by default that of the zoo
    data : by default what the network was trained on
    images : test images to keep; all by default
    name : for tables; by default the network's
    """

    network: str
    accelerator: Accelerator
    weights: Path | None = None
    data: str | None = None
    images: int | None = None
    name: str | None = None

    def __str__(self) -> str:
        return f"network {self.network}"

    def load(self) -> Subject:
        """Read everything.

        Raises
        ------
        InputError : an unknown name, no weights, no data, files that are not what they claim.
        """
        found = network_of(self.network, self.weights)
        words = self.data or found.data
        if words is None:
            raise InputError(f"network {self.network}", "its data", "none", "say which data it takes")
        trainable = isinstance(found.network, nn.Module)
        data = data_of(words, limit=self.images, training=trainable)
        return Subject(
            found.network,
            self.accelerator,
            test=data.test.first(self.images),
            train=data.train,
            name=self.name or found.name,
            epsilon=found.epsilon,
            passes=found.passes,
            source=self,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundNetwork:
    """A network with what is known of it: its name, the name of its data, settings of tests and repairs."""

    network: Any
    name: str
    data: str | None = None
    epsilon: float = 0.1
    passes: int = 1


def network_of(words: str, weights: Path | None = None) -> FoundNetwork:
    """Return the network that words stand for, with its weights.

    Raises
    ------
    InputError : an unknown name, no weights for it, weights of another network, a file that is none.
    """
    if is_code(words):
        module = _module(words)
        if weights is not None:
            load_checkpoint(weights, module)
        return FoundNetwork(network=module, name=words.rpartition(":")[2])
    if words in networks() or words in zoo():
        path = zoo().get(words) if weights is None else weights
        if path is None:
            remedy = f"train it with 'xbarsim train {words}', and name the file as its weights"
            raise InputError(f"network {words!r}", "trained weights", "none", remedy)
        return _trained(path, words if words in networks() else _said(zoo()[words]))
    path = Path(words)
    if not os.path.exists(words):
        known = dict.fromkeys((*networks(), *zoo()))
        raise InputError("network", f"a file, file.py:function, or one of {', '.join(known)}", repr(words))
    if weights is not None:
        raise InputError(f"network {words}", "no weights beside a file", str(weights), "leave them out")
    return _file(path)


def _module(reference: str) -> nn.Module:
    found = call_code(reference, "a torch module")
    if not isinstance(found, nn.Module):
        raise InputError(reference, "a torch module", type(found).__qualname__)
    return found


def _file(path: Path) -> FoundNetwork:
    if os.path.isdir(path):
        return _board(read_board(path))
    if path.suffix == ".pt2":
        expected, remedy = "a network whose file is data", "name a function that loads it: file.py:function"
        got = "a torch.export archive, which runs code when it is loaded"
        raise InputError(f"file {path}", expected, got, remedy)
    if path.suffix != ".onnx":
        return _trained(path, None)
    if is_qonnx(path):
        return _board(read_qonnx(path))
    return FoundNetwork(network=read_onnx(path), name=path.stem)


def _board(network: FinnNetwork) -> FoundNetwork:
    known = presets().get(network.name)
    return FoundNetwork(network=network, name=network.name, data=None if known is None else known.dataset)


def _trained(path: Path, name: str | None) -> FoundNetwork:
    """A named network from a checkpoint, which says its name unless `name` does."""
    entry = _entry(path, name)
    module = initialise(entry.build, 0)
    load_checkpoint(path, module)
    return FoundNetwork(
        network=module,
        name=entry.name,
        data=entry.dataset,
        epsilon=entry.epsilon,
        passes=entry.retrain_epochs,
    )


def _said(path: Path) -> str | None:
    """The network that a checkpoint is of, if it says so."""
    return read_metadata(path).get("network") if path.suffix == ".safetensors" else None


def _entry(path: Path, name: str | None) -> NetworkEntry:
    said = _said(path)
    if name is not None and said is not None and said in networks() and said != name:
        raise InputError(str(path), f"weights of {name}", f"weights of {said}")
    chosen = name or said
    if chosen is None or chosen not in networks():
        expected = "a checkpoint that names one of " + ", ".join(networks())
        remedy = "name the network, and the file as its weights"
        raise InputError(f"model file {path}", expected, repr(chosen), remedy)
    return networks()[chosen]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trainee:
    """A network to train.

    Attributes
    ----------
    name : the word that it was named by, for the record
    module : with new weights
    data, recipe : what it is trained on and how, if it does not say otherwise; None if it is not known
    """

    name: str
    module: nn.Module
    data: str | None = None
    recipe: Recipe | None = None


def trainee_of(words: str, seed: int) -> Trainee:
    """Return the network that words stand for, with initial weights that only `seed` decides.

    Raises
    ------
    InputError : a name that is not of the catalogue, a function that gives no torch module.
    """
    if is_code(words):
        return Trainee(name=words, module=initialise(lambda: _module(words), seed))
    if words not in networks():
        expected = f"file.py:function, or one of {', '.join(networks())}"
        raise InputError("network", expected, repr(words))
    entry = networks()[words]
    module = initialise(entry.build, seed)
    return Trainee(name=words, module=module, data=entry.dataset, recipe=entry.recipe)


def data_of(
    words: str, *, limit: int | None = None, train_limit: int | None = None, training: bool = True
) -> Data:
    """Return the data that words stand for.

    Parameters
    ----------
    limit, train_limit : bound what is read of a named test and training set
    training : whether the training part of named data is wanted
    """
    if is_code(words):
        return as_data(call_code(words, "data"), name=words.rpartition(":")[2])
    if words in DATASETS:
        train = load_dataset(words, "train", limit=train_limit) if training else None
        return Data(train=train, test=load_dataset(words, "test", limit=limit))
    if not os.path.exists(words):
        raise InputError("data", f"a file, a folder, or one of {', '.join(DATASETS)}", repr(words))
    return as_data(Path(words))


def accelerator_from(words: str) -> Accelerator:
    """Return the configuration that words stand for.

    Raises
    ------
    InputError : an unknown name or field, a file that is no configuration.
    """
    if is_code(words):
        found = call_code(words, "an accelerator")
        if not hasattr(found, "program") or isinstance(found, type):
            raise InputError(words, "an accelerator, which has program(network)", type(found).__qualname__)
        return found
    return _from_toml(Path(words)) if words.endswith(".toml") else accelerators.parse(words)


def _from_toml(path: Path) -> Accelerator:
    """A preset named by `base`, with other fields; tables are the fields of its parts."""
    text = read_text(path, f"accelerator {path}", expected="a TOML file")
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"accelerator {path}", "a TOML file", str(error)) from error
    base = content.pop("base", None)
    if not isinstance(base, str):
        raise InputError(f"accelerator {path}", "base = one of " + ", ".join(accelerators.names), repr(base))
    try:
        named = {"name": path.stem} if _has_name(accelerators.entry(base)) else {}
        return accelerators.make(base, {**named, **_dotted(content)}, strict=True)
    except InputError as error:
        raise error.at(str(path)) from error


def _has_name(entry: Any) -> bool:
    """Whether the name of what a registry's entry makes can be set."""
    made = entry if isinstance(entry, type) else entry()
    return any(field.name == "name" and field.init for field in fields(made))


def _dotted(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in content.items():
        found |= _dotted(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found
