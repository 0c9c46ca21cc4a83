"""Single stuck channels of the shipped cnvW1A1 on all 10,000 test images, to the image.

The channels are those that give a layer's least and most right answers at each value;
`xbarsim study fat-table1` tries all 3,840.
"""

import numpy as np
import pytest

from accel_models.finn.board import read_board
from accel_models.finn.concurrent import simulate_faults
from accel_models.finn.config import FinnConfig
from networks.datasets import load_dataset, pixels_of
from xbarsim.faults.pe import PeFault, PeFaultKind, PeFaults

# layer: (channel, right) for -1 min, -1 max, +1 min, +1 max
RIGHT = {
    0: ((30, 7545), (41, 7976), (8, 7739), (22, 7969)),
    1: ((11, 7757), (50, 7925), (23, 7301), (31, 7926)),
    2: ((25, 7530), (117, 7958), (120, 7408), (77, 7961)),
    3: ((98, 7808), (3, 7936), (14, 7623), (49, 7923)),
    4: ((125, 7804), (180, 7946), (98, 7804), (134, 7948)),
    5: ((66, 7885), (181, 7943), (190, 7884), (67, 7940)),
    6: ((173, 7906), (216, 7939), (354, 7908), (316, 7939)),
    7: ((183, 7916), (229, 7929), (211, 7917), (119, 7929)),
}


@pytest.fixture(scope="module")
def board(data_folder):
    data = load_dataset("cifar10", "test")
    network = read_board(data_folder / "bnn-pynq" / "cifar10" / "cnvW1A1")
    return FinnConfig().program(network), pixels_of(data), data.labels


def test_extreme_channels_of_every_layer_have_their_exact_counts(board):
    design, images, labels = board
    faults, right = [], []
    for layer, places in RIGHT.items():
        for (channel, hits), value in zip(places, (-1, -1, 1, 1), strict=True):
            faults.append(PeFault(kind=PeFaultKind.channel, layer=layer, unit=channel, value=value))
            right.append(hits)
    results = simulate_faults(design, PeFaults.of(faults), images, labels)
    assert results.baseline_hits == 7922
    assert results.hits.tolist() == right


def test_a_whole_pe_is_far_worse_than_a_channel(board):
    """In layers 5 to 7 one PE serves all channels, and accuracy falls to chance."""
    design, images, labels = board
    results = simulate_faults(design, design.fault_list([PeFaultKind.pe], [5, 6, 7]), images, labels)
    assert len(results.hits) == 6
    assert (results.hits == 1000).all()
    early = simulate_faults(design, design.fault_list([PeFaultKind.pe], [1]), images[:500], labels[:500])
    assert early.hits.min() < np.floor(0.9 * early.baseline_hits)
