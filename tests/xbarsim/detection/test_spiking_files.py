"""Files of test sets: what comes back, and damaged or hostile ones."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from xbarsim.detection.spiking import SpikingTest
from xbarsim.detection.spiking_files import FORMAT, SpikingTestSet
from xbarsim.errors import InputError

TEST = SpikingTest(
    patterns=np.array([7, 2]), repetitions=3, mean=np.array([[1.0, 2.0, 0.5]] * 2),
    variance=np.array([[0.5, 1.0, 0.25]] * 2), threshold=12.5, false_alarm_rate=0.01, confidence=0.95,
)  # fmt: skip
IMAGES = np.linspace(0, 1, 10, dtype=np.float32).reshape(2, 5)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = SpikingTestSet(test=TEST, images=IMAGES).save(tmp_path_factory.mktemp("sets") / "set")
    return path.read_bytes()


def test_what_is_saved_comes_back_and_decides_alike(good, tmp_path):
    (tmp_path / "set").write_bytes(good)
    found = SpikingTestSet.load(tmp_path / "set")
    assert (found.images == IMAGES).all() and (found.test.patterns == TEST.patterns).all()
    sessions = np.random.default_rng(0).integers(0, 4, (50, 3, 2, 3))
    assert (found.test.statistic(sessions) == TEST.statistic(sessions)).all()
    assert 0 < found.test.is_faulty(sessions).sum() < 50
    numbers = ("repetitions", "threshold", "false_alarm_rate", "confidence")
    assert [getattr(found.test, name) for name in numbers] == [getattr(TEST, name) for name in numbers]


def changed(good, columns=None, **decision):
    words = json.loads(good[8 : 8 + int.from_bytes(good[:8], "little")])["__metadata__"]
    told = json.dumps(json.loads(words["decision"]) | decision)
    return save(load(good) | (columns or {}), metadata={"format": FORMAT, "decision": told})


@pytest.mark.parametrize(
    ("columns", "decision", "words"),
    [
        ({"images": IMAGES[:1]}, {}, "of 1 images"),
        ({"images": IMAGES + 0.1}, {}, "in 0..1"),
        ({"images": IMAGES[:, :0]}, {}, "images"),
        ({"images": IMAGES.astype(np.float64)}, {}, "column images"),
        ({"mean": np.ones((2, 4))}, {}, "means and variances"),
        ({"mean": np.ones((1, 3)), "variance": np.ones((1, 3))}, {}, "means"),
        ({"mean": np.full((2, 3), -1.0)}, {}, "means: expected numbers"),
        ({"mean": np.full((2, 3), np.nan)}, {}, "means: expected numbers"),
        ({"mean": np.full((2, 3), 1e300)}, {}, "means: expected numbers"),
        ({"variance": np.full((2, 3), -0.1)}, {}, "variances: expected numbers"),
        ({"patterns": np.zeros(0, np.int64)}, {}, "patterns"),
        ({"patterns": np.array([3, 3])}, {}, "different places"),
        ({"patterns": np.array([-1, 3])}, {}, "different places"),
        ({}, {"repetitions": 0}, "decision"),
        ({}, {"repetitions": "3"}, "decision"),
        ({}, {"threshold": float("nan")}, "decision"),
        ({}, {"false_alarm_rate": 2}, "decision"),
        ({}, {"confidence": "high"}, "decision"),
        ({}, {"threshold": 10**400}, "decision"),
        ({}, {"repetitions": 10**400}, "decision"),
        ({}, {"false_alarm_rate": None}, "decision"),
    ],
)
def test_what_cannot_be_a_test_set_gets_one_line(good, tmp_path, columns, decision, words):
    path = tmp_path / "set"
    path.write_bytes(changed(good, columns, **decision))
    with pytest.raises(InputError, match=rf"test set .*set: expected .*{words}.*; make one") as caught:
        SpikingTestSet.load(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("decision", ["null", "[1, 2]", "{}", "x" * 10**6, "[" * 10**5])
def test_a_decision_of_another_form_gets_one_line(good, tmp_path, decision):
    path = tmp_path / "set"
    path.write_bytes(save(load(good), metadata={"format": FORMAT, "decision": decision}))
    with pytest.raises(InputError, match="a decision: repetitions, threshold") as caught:
        SpikingTestSet.load(path)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "images", [IMAGES[None], IMAGES[:1], np.full((2, 5), np.nan), np.full((2, 5), 7.0), np.zeros((2, 0))]
)
def test_what_could_not_be_loaded_is_not_made(images):
    with pytest.raises(InputError):
        SpikingTestSet(test=TEST, images=images)


def test_images_of_another_type_are_converted(tmp_path):
    path = SpikingTestSet(test=TEST, images=IMAGES.astype(np.float64)).save(tmp_path / "set")
    assert (SpikingTestSet.load(path).images == IMAGES).all()


@pytest.mark.parametrize("cut", [0, 5, 60, -3])
def test_truncated_files_get_one_line(good, tmp_path, cut):
    (tmp_path / "set").write_bytes(good[:cut])
    with pytest.raises(InputError, match="a safetensors file"):
        SpikingTestSet.load(tmp_path / "set")


def test_fault_maps_are_no_test_sets(tmp_path):
    (tmp_path / "set").write_bytes(save({"cell": np.zeros(1)}, metadata={"format": "xbarsim-fault-map-1"}))
    with pytest.raises(InputError, match=f"format {FORMAT}"):
        SpikingTestSet.load(tmp_path / "set")


@given(share=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_any_changed_byte_either_loads_or_is_refused(good, share, byte, tmp_path_factory):
    path, position = tmp_path_factory.mktemp("sets") / "set", int(share * len(good))
    path.write_bytes(good[:position] + bytes([byte]) + good[position + 1 :])
    try:
        found = SpikingTestSet.load(path)
    except InputError:
        return
    assert np.isfinite(found.test.statistic(np.zeros((found.test.repetitions, 2, 3))))
