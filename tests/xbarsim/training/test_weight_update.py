from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save
from torch import nn

from xbarsim.errors import InputError
from xbarsim.torch_bridge.quantize import quantize
from xbarsim.training.weight_update import WeightUpdate

IMAGES = np.random.default_rng(0).random((8, 40), np.float32)
GRAPH = quantize(nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 5)), IMAGES)
LIMITS = {"low": -(2**15), "high": 2**15 - 1}


def changed(share, seed=0, size=50, bias=True):
    rng = np.random.default_rng(seed)
    layers = []
    for layer in GRAPH.layers:
        step = rng.integers(-size, size + 1, layer.weights.shape) * (rng.random(layer.weights.shape) < share)
        weights = np.clip(layer.weights + step, LIMITS["low"], LIMITS["high"])
        layers.append(replace(layer, weights=weights, bias=layer.bias + bias))
    return GRAPH.with_layers(layers)


def same(a, b):
    return all(
        (x.weights == y.weights).all() and (x.bias == y.bias).all()
        for x, y in zip(a.layers, b.layers, strict=True)
    )


@given(share=st.floats(0, 1), seed=st.integers(0, 1000), bias=st.booleans())
def test_exact_update_sent_as_bytes_gives_the_new_network(share, seed, bias):
    new = changed(share, seed, bias=bias)
    update = WeightUpdate.from_bytes(WeightUpdate.between(GRAPH, new).to_bytes())
    assert same(update.apply(GRAPH, **LIMITS), new)


def test_fewer_changes_take_fewer_bytes_and_never_many_more_than_all_weights():
    sizes = [len(WeightUpdate.between(GRAPH, changed(s)).to_bytes()) for s in (0.01, 0.1, 1.0)]
    assert sizes == sorted(sizes)
    whole = 2 * sum(layer.weights.size for layer in GRAPH.layers)
    assert sizes[-1] < whole + 1000


def test_no_change_takes_no_columns():
    assert not WeightUpdate.between(GRAPH, GRAPH).columns


def test_ternary_update_moves_large_changes_by_one_step_a_layer():
    new = changed(1.0, seed=3)
    update = WeightUpdate.from_bytes(WeightUpdate.between(GRAPH, new, ternary=True).to_bytes())
    found = update.apply(GRAPH, **LIMITS)
    for old, true, coarse in zip(GRAPH.layers, new.layers, found.layers, strict=True):
        moved, wanted = coarse.weights - old.weights, true.weights - old.weights
        large = np.abs(wanted) >= 0.7 * np.abs(wanted[wanted != 0]).mean()
        inside = (coarse.weights > LIMITS["low"]) & (coarse.weights < LIMITS["high"])
        assert (moved[~large] == 0).all()
        assert (np.sign(moved[large & inside]) == np.sign(wanted[large & inside])).all()
        assert set(np.unique(np.abs(moved[large & inside]))) == {round(float(np.abs(wanted[large]).mean()))}
        assert (coarse.bias == true.bias).all()
    assert len(update.to_bytes()) < len(WeightUpdate.between(GRAPH, new).to_bytes()) / 3


def test_update_of_another_network_is_refused():
    other = quantize(nn.Sequential(nn.Linear(40, 6)), IMAGES)
    with pytest.raises(InputError, match="update"):
        WeightUpdate.between(GRAPH, other)
    with pytest.raises(InputError, match="weight update"):
        WeightUpdate.between(GRAPH, changed(0.1)).apply(other, **LIMITS)


@pytest.mark.parametrize(
    "columns",
    [
        {"0.at": np.array([1200], np.uint32), "0.value": np.zeros(1, np.int16)},
        {"0.at": np.array([0], np.int64), "0.value": np.zeros(1, np.int16)},
        {"0.at": np.array([0, 1], np.uint32), "0.value": np.zeros(1, np.int16)},
        {"0.at": np.array([0], np.uint32)},
        {"0.at": np.array([0], np.uint32), "0.value": np.zeros(1, np.float32)},
        {"0.at": np.array([0], np.uint32), "0.sign": np.zeros(1, np.uint8)},
        {
            "0.at": np.array([0], np.uint32),
            "0.sign": np.zeros(1, np.uint8),
            "0.scale": np.array([np.nan], np.float32),
        },
        {"0.map": np.zeros(3, np.uint8), "0.value": np.zeros(0, np.int16)},
        {"0.map": np.full(150, 255, np.uint8), "0.value": np.zeros(3, np.int16)},
        {"0.value": np.zeros(5, np.int16)},
        {"0.sign": np.zeros(1, np.uint8), "0.scale": np.ones(1, np.float32)},
        {"0.bias": np.zeros(4, np.int64)},
        {"0.at": np.array([5, 5], np.uint32), "0.value": np.zeros(2, np.int16)},
        {
            "0.at": np.array([5], np.uint32),
            "0.map": np.zeros(150, np.uint8),
            "0.value": np.zeros(1, np.int16),
        },
        {"0.scale": np.ones(1, np.float32)},
        {
            "0.at": np.array([0], np.uint32),
            "0.sign": np.zeros(1, np.uint8),
            "0.scale": np.array([-1.0], np.float32),
        },
        {"0.nonsense": np.zeros(4, np.int64)},
        {"9.bias": np.zeros(30, np.int64)},
    ],
)
def test_hostile_updates_are_refused(columns):
    update = WeightUpdate.from_bytes(save(columns))
    with pytest.raises(InputError, match="weight update"):
        update.apply(GRAPH, **LIMITS)


@pytest.mark.parametrize("content", [b"", b"\x00" * 20, b"hello world, this is no update"])
def test_other_files_are_refused(content):
    with pytest.raises(InputError, match="a safetensors file"):
        WeightUpdate.from_bytes(content)
