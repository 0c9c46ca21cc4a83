import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from networks.checkpoints import check_place, load_checkpoint, read_metadata, save_checkpoint
from networks.mlp import Mlp
from xbarsim.errors import InputError
from xbarsim.training.loop import initialise


def module(seed=0):
    return initialise(lambda: Mlp((4, 3, 2)), seed)


def is_same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_saved_weights_load_as_they_were(tmp_path):
    saved, loaded = module(0), module(1)
    path = save_checkpoint(tmp_path / "weights.safetensors", saved, {"network": "tiny"})
    assert load_checkpoint(path, loaded) == {"network": "tiny"} == read_metadata(path)
    assert is_same(saved, loaded)


FORMS = {
    "state_dict": lambda state: state,
    "dict": dict,
    "parameters": lambda state: {name: nn.Parameter(tensor) for name, tensor in state.items()},
    "held as state_dict": lambda state: {"state_dict": state},
    "held as model_state_dict": lambda state: {"epoch": 3, "model_state_dict": state, "loss": 0.5},
    "held as model": lambda state: {"model": state, "optimizer": {"lr": 0.1, "state": {}}},
    "Lightning": lambda state: {"state_dict": state, "hyper_parameters": {"a": 1}, "version": "2"},
    "parallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "held and parallel": lambda state: {"state_dict": {f"module.{n}": t for n, t in state.items()}},
    "doubles": lambda state: {name: tensor.double() for name, tensor in state.items()},
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_pytorchs_files_is_read(tmp_path, suffix, form):
    saved, loaded = module(0), module(1)
    path = tmp_path / f"weights{suffix}"
    torch.save(form(saved.state_dict()), path)
    assert load_checkpoint(path, loaded) == {}
    assert is_same(saved, loaded)


def test_files_of_early_pytorch_are_read(tmp_path):
    saved, loaded = module(0), module(1)
    torch.save(saved.state_dict(), tmp_path / "weights.pt", _use_new_zipfile_serialization=False)
    load_checkpoint(tmp_path / "weights.pt", loaded)
    assert is_same(saved, loaded)


def test_a_prefix_that_the_module_has_stays(tmp_path):
    saved, loaded = nn.DataParallel(module(0)), nn.DataParallel(module(1))
    torch.save(saved.state_dict(), tmp_path / "weights.pt")
    load_checkpoint(tmp_path / "weights.pt", loaded)
    assert is_same(saved, loaded)
    load_checkpoint(tmp_path / "weights.pt", loaded.module)


def test_a_prefix_on_some_names_only_is_not_taken_off(tmp_path):
    state = module().state_dict()
    first = next(iter(state))
    torch.save({f"module.{n}" if n == first else n: t for n, t in state.items()}, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=f"'{first}': expected the weights of a Mlp, got no such tensor"):
        load_checkpoint(tmp_path / "weights.pt", module())


def test_a_refused_file_changes_nothing(tmp_path):
    before, after = module(3), module(3)
    state = module(0).state_dict()
    last = list(state)[-1]
    torch.save(state | {last: torch.full_like(state[last], np.nan)}, tmp_path / "weights.pt")
    with pytest.raises(InputError, match="finite weights"):
        load_checkpoint(tmp_path / "weights.pt", after)
    assert is_same(before, after)


class Bomb:
    """Runs code when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def bombs(mark):
    """Files with code, by name; None for what `torch.save` makes of it."""
    state = dict(module().state_dict())
    return {
        "plain pickle": pickle.dumps(Bomb(mark)),
        "old pickle": pickle.dumps(Bomb(mark), 0),
        "weight": state | {"layers.1.weight": Bomb(mark)},
        "held": {"state_dict": Bomb(mark)},
        "beside": {"state_dict": state, "epoch": Bomb(mark)},
        "name": {"state_dict": {Bomb(mark): torch.zeros(2)}},
        "nested": {"model": {"more": [({"deep": Bomb(mark)},)]}},
    }


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".safetensors", ""])
def test_pickled_code_is_never_run(tmp_path, suffix):
    mark = tmp_path / "ran"
    for name, content in bombs(mark).items():
        path = tmp_path / f"{name}{suffix}"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(InputError, match=r"tensors only|a safetensors file") as caught:
            load_checkpoint(path, module())
        assert "\n" not in str(caught.value)
        assert not mark.exists(), name
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists(), "the bomb works"


@pytest.mark.parametrize(
    "content",
    [
        [torch.zeros(2)], torch.zeros(2), 3, "weights", None, {}, {"state_dict": {}},
        {"state_dict": 3}, {"state_dict": [torch.zeros(2)]}, {"state_dict": {"layers.1.weight": 3}},
        {"state_dict": {"layers": {"1": {"weight": torch.zeros(3, 4)}}}}, {"layers.1.weight": [1.0, 2.0]},
        {"layers.1.weight": None}, {("layers", 1): torch.zeros(3, 4)}, {"model": {"state_dict": {}}},
    ],
    ids=repr,
)  # fmt: skip
def test_files_of_other_things_get_one_line(tmp_path, content):
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r"model file .*weights\.pt") as caught:
        load_checkpoint(tmp_path / "weights.pt", module())
    assert "\n" not in str(caught.value)


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


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".bin", ""])
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
    with pytest.raises(InputError, match="No such file"):
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
    with pytest.raises(InputError, match="a file that can be read"):
        load_checkpoint("a" * 300, module())
    with pytest.raises(InputError, match=r"ends in \.safetensors"):
        save_checkpoint(tmp_path / "weights.pt", module(), {})


def test_places_that_no_checkpoint_can_have_are_found_before_there_is_one(tmp_path):
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "file").write_text("not a folder")
    for name, message in (
        ("", "a name that ends in"),
        ("weights.pt", "a name that ends in"),
        (".safetensors", "a name that ends in"),
        ("folder.safetensors", "a place that can be written, got not a regular file"),
        ("file/weights.safetensors", "a place that can be written"),
        ("a" * 300 + ".safetensors", "a place that can be written"),
    ):
        with pytest.raises(InputError, match=message):
            check_place(tmp_path / name)
    check_place(tmp_path / "weights.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.safetensors"]
