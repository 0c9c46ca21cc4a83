import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from networks.checkpoints import load_checkpoint, save_checkpoint
from networks.mlp import Mlp
from xbarsim.errors import InputError
from xbarsim.training.loop import initialise


def module(seed=0):
    return initialise(lambda: Mlp((4, 3, 2)), seed)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_saved_weights_load_as_they_were(tmp_path, suffix):
    saved, loaded = module(0), module(1)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_checkpoint(path, saved, {"network": "tiny"})
        assert load_checkpoint(path, loaded) == {"network": "tiny"}
    else:
        torch.save(saved.state_dict(), path)
        load_checkpoint(path, loaded)
    for a, b in zip(saved.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(a, b)


class Bomb:
    """Runs code when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_pickled_code_is_never_run(tmp_path):
    mark = tmp_path / "ran"
    for name, content in (("a.pt", pickle.dumps(Bomb(mark))), ("b.pt", None)):
        path = tmp_path / name
        if content is None:
            torch.save({"layers.1.weight": Bomb(mark)}, path)
        else:
            path.write_bytes(content)
        with pytest.raises(InputError, match="tensors only"):
            load_checkpoint(path, module())
    assert not mark.exists()


def broken(change):
    state = dict(module().state_dict())
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("layers.1.bias"), "no such tensor"),
        (lambda s: s.update(extra=torch.zeros(2)), "a tensor that it does not have"),
        (lambda s: s.update({"layers.1.weight": torch.zeros(3, 5)}), r"shape \(3, 4\), got \(3, 5\)"),
        (lambda s: s.update({"layers.1.weight": torch.full((3, 4), np.nan)}), "finite weights"),
        (lambda s: s.update({"layers.1.weight": torch.full((3, 4), np.inf)}), "finite weights"),
    ],
)
def test_weights_of_another_network_and_nan_are_refused(tmp_path, change, message):
    path = tmp_path / "weights.safetensors"
    save_file(broken(change), path)
    with pytest.raises(InputError, match=message):
        load_checkpoint(path, module())


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("content", [b"", b"junk", b"\x80" * 100])
def test_other_files_get_one_line(tmp_path, suffix, content):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="model file") as caught:
        load_checkpoint(path, module())
    assert "\n" not in str(caught.value)


def test_truncated_and_missing_files_get_one_line(tmp_path):
    path = save_checkpoint(tmp_path / "weights.safetensors", module(), {})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="a safetensors file"):
        load_checkpoint(path, module())
    with pytest.raises(InputError, match="nothing there"):
        load_checkpoint(tmp_path / "none", module())


def test_whole_module_in_a_file_is_refused(tmp_path):
    torch.save(module(), tmp_path / "module.pt")
    with pytest.raises(InputError, match="tensors only"):
        load_checkpoint(tmp_path / "module.pt", module())
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(InputError, match="a state_dict"):
        load_checkpoint(tmp_path / "list.pt", module())


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(3, 4, dtype=torch.int64),
        torch.zeros(3, 4, dtype=torch.cfloat),
        torch.zeros(3, 4).to_sparse(),
        torch.zeros(3, 4, device="meta"),
    ],
)
def test_tensors_of_other_kinds_are_refused(tmp_path, tensor):
    torch.save(broken(lambda s: s.update({"layers.1.weight": tensor})), tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r"model file .*weights\.pt"):
        load_checkpoint(tmp_path / "weights.pt", module())


def test_names_that_are_no_words_and_names_too_long_are_refused(tmp_path):
    torch.save({3: torch.zeros(2)}, tmp_path / "weights.pt")
    with pytest.raises(InputError, match="named tensors"):
        load_checkpoint(tmp_path / "weights.pt", module())
    with pytest.raises(InputError, match="nothing there"):
        load_checkpoint("a" * 300, module())
    with pytest.raises(InputError, match=r"ends in \.safetensors"):
        save_checkpoint(tmp_path / "weights.pt", module(), {})
