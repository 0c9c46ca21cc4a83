"""Trained weights in files: safetensors, or PyTorch's own format read as data only."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from xbarsim.errors import InputError
from xbarsim.files import check_file, check_readable, check_unpacked, write_atomically
from xbarsim.hints import checked
from xbarsim.limits import LARGE

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
HELD_AS = ("state_dict", "model_state_dict", "model")
PARALLEL = "module."
LARGER = 8  # a checkpoint may be so many times its weights: doubles, an optimizer's state beside them
REMEDY = "make one with 'xbarsim train' or save the module's state_dict"


def check_place(path: str | Path) -> None:
    """See that a checkpoint can be written there, before there is one.

    Raises
    ------
    InputError : a name that does not end in .safetensors, a folder, a place that cannot be written.
    """
    if Path(path).suffix != ".safetensors":
        raise InputError(f"model file {path}", "a name that ends in .safetensors", repr(Path(path).name))
    check_file(path)


@checked
def save_checkpoint(path: str | Path, module: nn.Module, metadata: dict[str, str]) -> Path:
    """Write a module's weights and a few words about them; an earlier file survives a failure."""
    check_place(path)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    return write_atomically(path, lambda temporary: _save(tensors, temporary, metadata))


def _save(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> None:
    try:
        save_file(tensors, path, metadata=metadata)
    except SafetensorError as error:
        raise OSError(str(error)) from error


@checked
def load_checkpoint(path: str | Path, module: nn.Module) -> dict[str, str]:
    """Load weights into a module and return the file's metadata.

    The file is safetensors, or PyTorch's own (.pt, .pth, .bin), read as data only: a state dict, or a
    dictionary that holds one as 'state_dict', 'model_state_dict' or 'model'. A prefix 'module.' of all names,
    as `DataParallel` gives them, is taken off.

    Raises
    ------
    InputError : no such file, not a model file, weights of another network, NaN or infinite weights.
    """
    where = f"model file {path}"
    wanted = module.state_dict()
    check_unpacked(path, where, most=max(LARGE, LARGER * _bytes(wanted)), remedy=REMEDY)
    tensors, metadata = (
        _read_torch(path, where) if Path(path).suffix in TORCH_SUFFIXES else _read(path, where)
    )
    tensors = _without_prefix(tensors, wanted)
    for name in sorted(set(wanted) ^ set(tensors)):
        got = "no such tensor" if name in wanted else "a tensor that it does not have"
        raise InputError(f"{where}, {name!r}", f"the weights of a {type(module).__name__}", got, REMEDY)
    for name, tensor in tensors.items():
        _check_numbers(tensor, wanted[name], f"{where}, {name!r}")
        if tensor.shape != wanted[name].shape:
            raise InputError(
                f"{where}, {name!r}", f"shape {tuple(wanted[name].shape)}", tuple(tensor.shape), REMEDY
            )
        if not torch.isfinite(tensor).all():
            raise InputError(f"{where}, {name!r}", "finite weights", "NaN or infinity", "train again")
    module.load_state_dict(tensors)
    return metadata


def read_metadata(path: str | Path) -> dict[str, str]:
    """What a checkpoint says about itself.

    Raises
    ------
    InputError : no such file, not a safetensors file.
    """
    where = f"model file {path}"
    check_readable(path, where, remedy=REMEDY)
    try:
        with safe_open(str(path), framework="pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(where, "a safetensors file", f"'{error}'", REMEDY) from error


def _bytes(tensors: Mapping[str, torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())


def _check_numbers(tensor: torch.Tensor, wanted: torch.Tensor, where: str) -> None:
    plain = tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"
    kinds = FLOATS if wanted.is_floating_point() else (wanted.dtype,)
    if not plain or tensor.dtype not in kinds:
        got = f"{tensor.dtype} ({tensor.layout}, {tensor.device.type})"
        raise InputError(where, "plain numbers, " + " or ".join(map(str, kinds)), got, REMEDY)


def _read(path: str | Path, where: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(where, "a safetensors file", f"'{error}'", REMEDY) from error


def _read_torch(path: str | Path, where: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds; none of them may reach the user as a traceback
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(where, "a state_dict that holds tensors only", f"'{reason}'", REMEDY) from error
    for held in HELD_AS:
        if isinstance(content, dict) and isinstance(content.get(held), dict):
            content = content[held]
    if not isinstance(content, dict) or not all(
        isinstance(n, str) and isinstance(t, torch.Tensor) for n, t in content.items()
    ):
        raise InputError(where, "a state_dict of named tensors", type(content).__name__, REMEDY)
    return dict(content), {}


def _without_prefix(
    tensors: dict[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Names without the prefix that all of them have, unless the module's have it too."""
    parallel = bool(tensors) and all(name.startswith(PARALLEL) for name in tensors)
    if not parallel or any(name.startswith(PARALLEL) for name in wanted):
        return tensors
    return {name.removeprefix(PARALLEL): tensor for name, tensor in tensors.items()}
