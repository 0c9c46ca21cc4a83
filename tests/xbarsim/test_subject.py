"""A subject is its contents; names and places are for people."""

import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from accel_models.reram.config import isaac, isaac_slc
from networks.checkpoints import save_checkpoint
from networks.zoo import zoo_path
from tests.helpers.finn_networks import small_network
from tests.helpers.subjects import IMAGES, digits_data, digits_module, digits_subject
from xbarsim.data import Dataset
from xbarsim.errors import InputError
from xbarsim.experiments.references import SubjectReference
from xbarsim.subject import Subject

DIGESTS = ("weights", "data", "training", "hardware")


def reference(path=None, **changes):
    return SubjectReference(network="digits-mlp", accelerator=isaac(), weights=path, images=IMAGES, **changes)


def digests(subject):
    described = subject.describe()
    return [described[name] for name in DIGESTS]


def differing(one, other):
    return {name for name, a, b in zip(DIGESTS, digests(one), digests(other), strict=True) if a != b}


def test_the_same_contents_under_other_names_are_the_same(tmp_path):
    copy = tmp_path / "copy of the weights.safetensors"
    copy.write_bytes(zoo_path("digits-mlp").read_bytes())
    one, other = reference(zoo_path("digits-mlp")).load(), reference(copy).load()
    assert one.describe() == other.describe()
    assert one.describe() == reference().load().describe()
    named = reference(name="mine").load()
    assert digests(named) == digests(one) and named.describe()["network"] == "mine"


def test_weights_data_and_hardware_each_have_their_digest():
    subject = digits_subject()
    module = digits_module()
    with torch.no_grad():
        next(module.parameters())[0, 0] += 1e-4
    assert differing(subject, digits_subject(network=module)) == {"weights"}
    fewer = digits_data("test").first(IMAGES - 1)
    assert differing(subject, digits_subject(test=fewer)) == {"data"}
    test = digits_data("test").first(IMAGES)
    assert differing(subject, digits_subject(test=replace(test, labels=test.labels[::-1].copy()))) == {"data"}
    train = digits_data("train").first(600)
    changed = replace(train, labels=train.labels[::-1].copy())
    assert differing(subject, digits_subject(train=changed)) == {"training"}
    slower = replace(isaac(), cell=replace(isaac().cell, t_read_ns=99.0))
    assert differing(subject, digits_subject(slower)) == {"hardware"}
    assert digits_subject(slower).describe()["accelerator"] == "isaac"


def test_other_scales_are_other_weights():
    """What typical inputs do to the integers is part of what a subject is."""
    train = digits_data("train").first(600)
    assert differing(digits_subject(), digits_subject(calibrate=3 * train.images)) == {"weights"}


@dataclass(frozen=True, kw_only=True)
class One:
    name: str = "own"
    fast: bool = True

    def program(self, network):
        raise AssertionError


@dataclass(frozen=True, kw_only=True)
class Two:
    name: str = "own"
    fast: bool = True

    def program(self, network):
        raise AssertionError


def test_accelerators_of_other_classes_are_other_hardware():
    network = small_network(np.random.default_rng(1), 2, 2)
    data = (
        np.zeros((2, *network.input_shape)) if hasattr(network, "input_shape") else np.zeros((2, 3, 8, 8)),
        [0, 1],
    )
    one, two = (Subject(network, accelerator, test=data) for accelerator in (One(), Two()))
    assert differing(one, two) == {"hardware"}


def test_an_accelerator_whose_contents_are_not_known_is_refused():
    class Opaque:
        name = "opaque"

        def program(self, network):
            raise AssertionError

    subject = Subject(small_network(np.random.default_rng(1), 2, 2), Opaque(), test=([[0.0]], [0]))
    with pytest.raises(InputError, match="accelerator 'opaque': contents: expected arrays, dataclasses"):
        subject.describe()


def test_a_subject_without_a_source_travels_whole():
    subject = digits_subject()
    subject.chip  # noqa: B018
    again = pickle.loads(pickle.dumps(subject))
    assert again.describe() == subject.describe()
    assert again.name == subject.name and (again.test.images == subject.test.images).all()
    assert "chip" not in again.__dict__  # made again where it is needed
    inputs = subject.test.images
    assert (again.chip.run(inputs).scores == subject.chip.run(inputs).scores).all()


def test_a_subject_with_a_source_travels_light_and_loads_when_it_is_asked():
    subject = reference().load()
    text = pickle.dumps(subject)
    assert len(text) < 5000 < len(pickle.dumps(digits_subject()))
    again = pickle.loads(text)
    assert again.describe() == subject.describe() and "test" not in again.__dict__
    assert (again.chip.run(again.test.images).scores == subject.chip.run(subject.test.images).scores).all()
    assert again.passes == subject.passes and again.epsilon == subject.epsilon
    assert pickle.loads(pickle.dumps(again)).describe() == subject.describe()


def test_a_source_that_gives_something_else_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(zoo_path("digits-mlp").read_bytes())
    text = pickle.dumps(reference(path).load())
    module = digits_module()
    with torch.no_grad():
        next(module.parameters())[0, 0] += 1
    save_checkpoint(path, module, {})
    with pytest.raises(InputError, match="network, data and hardware as planned, got others; plan again"):
        pickle.loads(text).chip  # noqa: B018


def test_a_module_in_training_mode_is_asked_as_in_use():
    module = digits_module().train()
    subject = digits_subject(network=module)
    assert not module.training and not any(part.training for part in subject.module.modules())


def test_scales_come_from_test_data_where_there_is_no_training_data():
    data = digits_data("test").first(IMAGES)
    subject = Subject(digits_module(), "isaac", test=data)
    assert subject.train is None and (subject.calibration == data.images).all()
    assert subject.chip.run(data.images).accuracy(data.labels) > 0.9
    assert subject.describe()["training"] is None
    with pytest.raises(InputError, match=r"training data, got none; give it with train="):
        subject.training_data()


def test_data_with_two_parts_brings_its_training_part():
    parts = {part: digits_data(part).first(30) for part in ("train", "test")}
    subject = Subject(digits_module(), test=parts)
    assert len(subject.train) == 30 and (subject.calibration == parts["train"].images).all()
    own = Subject(digits_module(), test=parts, train=digits_data("train").first(10))
    assert len(own.train) == 10


def test_bad_parts_are_refused():
    with pytest.raises(InputError, match="test: expected arrays"):
        Subject(digits_module(), test=5)
    with pytest.raises(InputError, match="accelerator: expected one of"):
        Subject(digits_module(), "tpu", test=digits_data("test"))
    subject = Subject(
        small_network(np.random.default_rng(1), 2, 2), "finn", test=digits_data("test"), name="board"
    )
    with pytest.raises(InputError, match="network 'board': expected a torch module, got FinnNetwork"):
        subject.module  # noqa: B018


def test_names_come_from_the_network_unless_they_are_given():
    board = small_network(np.random.default_rng(1), 2, 2)
    data = digits_data("test").first(3)
    assert Subject(board, "finn", test=data).name == board.name
    assert Subject(digits_module(), test=data).name == type(digits_module()).__name__
    assert Subject(digits_module(), test=data, name="").name == ""
    assert "digits-mlp" in repr(digits_subject()) and "isaac" in repr(digits_subject())


def test_what_is_costly_is_made_once():
    calls = []
    subject = digits_subject()
    for _ in range(3):
        assert subject.once("answer", lambda: calls.append(1) or 42) == 42
    assert calls == [1]
    assert "_kept" not in pickle.loads(pickle.dumps(subject)).__dict__


def test_what_comes_of_floats_is_made_once_for_all_accelerators_and_travels():
    """Workers on other processors would round otherwise."""
    subject, made = reference().load(), []

    def make():
        made.append(np.arange(3) / 7)
        return made[-1]

    elsewhere = subject.on("isaac-slc")
    assert elsewhere.in_float("thirds", make) is subject.in_float("thirds", make) is made[0]
    first, second = pickle.loads(pickle.dumps((subject, elsewhere)))
    kept = first.in_float("thirds", make)
    assert len(made) == 1 and (kept == made[0]).all() and second.in_float("thirds", make) is kept


def test_a_missing_attribute_is_no_load():
    subject = pickle.loads(pickle.dumps(reference().load()))
    assert not hasattr(subject, "colour") and "test" not in subject.__dict__
    assert isinstance(subject.test, Dataset)


@pytest.mark.parametrize(
    ("field", "value"), [("epsilon", 0), ("epsilon", np.nan), ("passes", 0), ("passes", 1.5)]
)
def test_steps_and_passes_that_are_none_are_refused(field, value):
    with pytest.raises(InputError, match=f"^{field}: expected"):
        digits_subject(**{field: value})


@pytest.mark.parametrize("change", [{"epsilon": 0.2}, {"passes": 3}])
def test_what_detectors_and_repairs_take_from_a_subject_is_part_of_its_identity(change):
    assert digits_subject().describe() != digits_subject(**change).describe()


def test_another_accelerator_shares_network_and_data_and_is_what_would_be_loaded_for_it():
    first = reference().load()
    other = first.on("isaac-slc")
    assert other.test is first.test and other.train is first.train and other.network is first.network
    assert other.describe() == replace(reference(), accelerator=isaac_slc()).load().describe()
    assert digits_subject().on("isaac-slc").source is None


def test_subjects_that_travel_together_load_their_contents_once(monkeypatch):
    first = reference().load()
    others = [first.on(name) for name in ("isaac-slc", "differential")]
    expected = [subject.chip.run(subject.test.images).hits(subject.test.labels) for subject in others]
    content = pickle.dumps(others)
    assert len(content) < 20_000, "words, not arrays"
    loaded, load = [], SubjectReference.load
    monkeypatch.setattr(SubjectReference, "load", lambda self: loaded.append(self) or load(self))
    found = pickle.loads(content)
    hits = [subject.chip.run(subject.test.images).hits(subject.test.labels) for subject in found]
    assert hits == expected and len(loaded) == 1
    assert found[0].test is found[1].test


def test_contents_that_changed_are_refused_on_another_accelerator_too(tmp_path):
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(zoo_path("digits-mlp").read_bytes())
    content = pickle.dumps(reference(weights).load().on("isaac-slc"))
    module = digits_module()
    with torch.no_grad():
        next(module.parameters())[0, 0] += 1e-4
    save_checkpoint(weights, module, {"network": "digits-mlp"})
    with pytest.raises(
        InputError, match="network digits-mlp: expected network, data and hardware as planned"
    ):
        pickle.loads(content).chip  # noqa: B018
