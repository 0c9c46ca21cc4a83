"""RRAMedy's benchmarks: sizes of the networks and the shape of Table III."""

import pytest

from accel_models.reram.config import accelerator
from accel_models.reram.timing import inference_latency_ns
from tests.helpers.chips import untrained_chip
from xbarsim.detection.march.algorithms import march_test
from xbarsim.detection.march.latency import march_addresses, march_latency_ns
from xbarsim.papers.rramedy import detection_in_paper, speedup_in_paper


@pytest.fixture(scope="module")
def chips():
    return {name: untrained_chip(name, accelerator("isaac")) for name in ("mlp", "lenet", "convnet-quick")}


@pytest.mark.parametrize(
    ("name", "weights", "macs", "arrays"),
    [
        ("mlp", 519_500, 519_500, (224, 64, 2)),
        ("lenet", 430_500, 2_293_000, (2, 16, 224, 4)),
        ("convnet-quick", 145_376, 12_354_176, (2, 14, 28, 32, 1)),
    ],
)
def test_networks_have_the_sizes_of_caffes(chips, name, weights, macs, arrays):
    chip = chips[name]
    assert sum(layer.weights.size for layer in chip.graph.layers) == weights
    assert sum(load.macs for load in chip.loads) == macs
    assert tuple(load.arrays for load in chip.loads) == arrays


def speedup(chip):
    """Cell-serial March C- over the cells in use, over patterns by the MAC-proportional model."""
    place = chip.placement
    addresses = march_addresses(
        "cell-serial-used", used_cells=place.used_cells, arrays=place.arrays, rows=128, columns=128
    )
    march = march_latency_ns(march_test("March C-"), addresses=addresses, t_read_ns=10, t_write_ns=10)
    return march / inference_latency_ns(chip.loads, chip.config, 1, "mac-proportional")


def test_table_3_has_the_shape_weights_over_macs(chips):
    """1062 : 202 : 13 in the paper; 1062 : 199.4 : 12.5 once the MLP is scaled."""
    scale = 1062 / speedup(chips["mlp"])
    assert scale * speedup(chips["lenet"]) == pytest.approx(199.4, abs=0.05)
    assert scale * speedup(chips["convnet-quick"]) == pytest.approx(12.5, abs=0.05)
    assert speedup_in_paper("lenet") == pytest.approx(199.4, rel=0.02)


@pytest.mark.parametrize("name", ["lenet", "convnet-quick"])
def test_patterns_lose_against_march_that_is_row_and_array_parallel(chips, name):
    chip = chips[name]
    addresses = march_addresses(
        "row-and-array-parallel", used_cells=0, arrays=chip.placement.arrays, rows=128, columns=128
    )
    march = march_latency_ns(march_test("March C-"), addresses=addresses, t_read_ns=10, t_write_ns=10)
    assert march < inference_latency_ns(chip.loads, chip.config, 1, "pipelined")


def test_rates_that_the_paper_does_not_give_are_not_made_up():
    assert detection_in_paper("digits-mlp", 2) == {"adversarial": "-", "original": "-"}
    assert detection_in_paper("lenet", 4)["adversarial"] == "-"
    assert detection_in_paper("lenet", 2)["adversarial"] == "> 97%"
    assert speedup_in_paper("digits-mlp") is None
