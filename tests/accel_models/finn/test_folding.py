"""Folding files as FINN writes them, mistakes in them, and the search for a rate."""

import json

import numpy as np
import pytest

from accel_models.finn.cycles import design_cycles
from accel_models.finn.folding import MATRIX_UNITS, fold_for_rate, read_folding, write_folding
from tests.helpers.finn_networks import random_network, small_network
from xbarsim.errors import InputError


@pytest.fixture(scope="module")
def small():
    return small_network(np.random.default_rng(0))


@pytest.fixture(scope="module")
def board():
    return random_network("cnvW1A1", np.random.default_rng(0))


def pairs(network):
    return [(m.pe, m.simd) for m in network.layers]


def file_of(folder, content):
    path = folder / "folding.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("kind", MATRIX_UNITS)
def test_a_written_folding_reads_back(small, tmp_path, kind):
    path = write_folding(small, tmp_path / "folding.json", kind=kind)
    unfolded = small.folded([(1, 1)] * 4)
    assert pairs(read_folding(path, unfolded)) == pairs(small)


def test_a_file_of_finns_reads(small, tmp_path):
    nodes = {
        "Defaults": {"mem_mode": ["decoupled", ["all"]]},
        "Thresholding_Batch_0": {"PE": 1, "ram_style": "distributed"},
        "ConvolutionInputGenerator_rtl_0": {"SIMD": 3},
        "MVAU_hls_1": {"PE": 6, "SIMD": 2, "ram_style": "auto", "resType": "lut"},
        "MVAU_hls_0": {"SIMD": 9},
        "LabelSelect_hls_0": {"PE": 1},
    }
    folded = read_folding(file_of(tmp_path, nodes), small)
    assert pairs(folded) == [(4, 9), (6, 2), *pairs(small)[2:]]


def test_defaults_hold_where_a_node_has_no_attribute(small, tmp_path):
    nodes = {"Defaults": {"PE": [1, ["all"]], "SIMD": [2, ["MVAU_rtl"]]}, "MVAU_rtl_0": {"SIMD": 3}}
    nodes |= {"MVAU_rtl_1": {}}
    assert pairs(read_folding(file_of(tmp_path, nodes), small))[:2] == [(1, 3), (1, 2)]
    nodes["Defaults"]["SIMD"] = [2, ["MVAU_hls"]]
    assert pairs(read_folding(file_of(tmp_path, nodes), small))[:2] == [(1, 3), (1, 4)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "expected JSON"),
        ("[1]", "the whole file: expected a JSON object"),
        ("\xff", "expected JSON"),
        ("[" * 100_000, "expected JSON"),
        ('{"MVAU_hls_0": {"PE": 1}, "MVAU_hls_0": {"PE": 2}}', "MVAU_hls_0: expected every name once"),
        ('{"MVAU_hls_0": {"PE": 1, "PE": 2}}', "PE: expected every name once"),
        ({"MVAU_hls_4": {"PE": 1}}, "MVAU_hls_4: expected a number in 0..3, got 4"),
        ({"MVAU_hls_00": {"PE": 1}}, "MVAU_hls_00: expected a number in 0..3"),
        ({"MVAU_hls_" + "9" * 9000: {"PE": 1}}, "expected a number in 0..3"),
        ({"MVAU_hls": {"PE": 1}}, "MVAU_hls: expected a number in 0..3, got hls"),
        ({"Softmax_0": {"PE": 1}}, "Softmax_0: expected a node such as"),
        ({"MVAU_hls_0": {"PE": 1}, "MVAU_rtl_1": {"PE": 1}}, "expected one kind of matrix unit"),
        ({"MVAU_hls_0": {"PE": 1}, "MVAU_rtl_0": {"PE": 1}}, "expected one kind of matrix unit"),
        ({"MVAU_hls_0": 3}, "MVAU_hls_0: expected a JSON object, got 3"),
        ({"Defaults": 3}, "Defaults: expected a JSON object, got 3"),
        ({"MVAU_hls_0": {"PE": 3}}, "MVAU_hls_0: PE: expected a divisor of 8, got 3"),
        ({"MVAU_hls_1": {"SIMD": 5}}, "MVAU_hls_1: SIMD: expected a divisor of 32, got 5"),
        ({"MVAU_hls_0": {"PE": 0}}, "MVAU_hls_0: PE: expected an integer in 1..8, got 0"),
        ({"MVAU_hls_0": {"PE": "4"}}, "PE: expected an integer in 1..8, got '4'"),
        ({"MVAU_hls_0": {"PE": True}}, "PE: expected an integer in 1..8, got True"),
        ({"MVAU_hls_0": {"PE": 2.0}}, "PE: expected an integer in 1..8, got 2.0"),
        ({"Defaults": {"PE": [3, ["all"]]}, "MVAU_hls_0": {}}, "MVAU_hls_0: PE: expected a divisor of 8"),
    ],
)
def test_a_mistake_in_a_file_is_named_in_one_line(small, tmp_path, content, says):
    path = file_of(tmp_path, content)
    with pytest.raises(InputError) as error:
        read_folding(path, small)
    assert says in str(error.value) and "folding.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_or_cannot_be_written_is_named(small, tmp_path):
    with pytest.raises(InputError, match=r"none\.json: expected a file"):
        read_folding(tmp_path / "none.json", small)
    with pytest.raises(InputError, match="expected a place that can be written"):
        write_folding(small, tmp_path)
    with pytest.raises(InputError, match="kind of matrix unit"):
        write_folding(small, tmp_path / "folding.json", kind="Conv")


@pytest.mark.parametrize("rate", [1, 10, 100, 3000, 30_000, 97_000])
def test_a_found_folding_reaches_the_rate(board, rate):
    assert design_cycles(fold_for_rate(board, rate, 100)).images_per_s(100) >= rate


def test_a_low_rate_needs_no_unrolling(board):
    assert pairs(fold_for_rate(board, 0.1, 100)) == [(1, 1)] * 9


def test_one_step_less_of_any_layer_misses_the_rate(board):
    """No layer is unrolled further than the rule needs: a smaller SIMD, or a smaller PE, is too slow."""
    folded, rate = fold_for_rate(board, 3000, 100), 3000
    for place, layer in enumerate(folded.layers):
        smaller = pairs(folded)
        below = [d for d in range(1, layer.simd) if layer.columns % d == 0]
        less_pe = [d for d in range(1, layer.pe) if layer.rows % d == 0]
        if not below and not less_pe:
            continue
        smaller[place] = (less_pe[-1], layer.simd) if less_pe else (layer.pe, below[-1])
        assert design_cycles(board.folded(smaller)).images_per_s(100) < rate


def test_simd_grows_before_pe_and_stops_at_the_word(board):
    free, narrow = fold_for_rate(board, 3000, 100), fold_for_rate(board, 3000, 100, word_bits=36)
    assert all(m.pe == 1 or m.simd == m.columns for m in free.layers)
    assert max(m.simd * m.weight_bits for m in narrow.layers) <= 36
    assert design_cycles(narrow).images_per_s(100) >= 3000


def test_a_rate_out_of_reach_names_the_best(board):
    with pytest.raises(
        InputError, match=r"images_per_s: expected at most .*, layer 0 being unrolled"
    ) as error:
        fold_for_rate(board, 1e6, 100)
    best = float(str(error.value).split("at most ")[1].split(",")[0])
    assert design_cycles(fold_for_rate(board, best * 0.999, 100)).images_per_s(100) >= best * 0.999


def test_a_rate_that_a_folding_reaches_exactly_is_found(small):
    for rate in (100e6 / 1234, 100e6 / 577, 3051.7578125):
        assert design_cycles(fold_for_rate(small, rate, 100)).images_per_s(100) >= rate * (1 - 1e-9)


def test_the_first_layers_interval_is_counted(board):
    slow = fold_for_rate(board, 3000, 100, first_layer_interval=2)
    assert design_cycles(slow, first_layer_interval=2).images_per_s(100) >= 3000


@pytest.mark.parametrize(
    ("rate", "clock", "where"),
    [(0, 100, "images_per_s"), (1, 0, "clock_MHz"), (float("nan"), 1, "images_per_s")],
)
def test_rates_and_clocks_that_are_none_are_refused(small, rate, clock, where):
    with pytest.raises(InputError, match=f"{where}: expected a finite number above 0"):
        fold_for_rate(small, rate, clock)


def test_a_word_of_no_bits_is_refused(small):
    with pytest.raises(InputError, match="word_bits"):
        fold_for_rate(small, 1, 100, word_bits=0)
