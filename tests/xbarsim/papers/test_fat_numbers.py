"""The numbers of the FAT paper agree with each other, and with the network that they are of."""

from networks.cnv import Cnv
from xbarsim.papers import fat_numbers as paper
from xbarsim.torch_bridge.quantized import QuantConv2d, QuantLinear


def test_layers_of_table_1_have_the_channels_of_the_network():
    layers = [m for m in Cnv().modules() if isinstance(m, QuantConv2d | QuantLinear)][:-1]
    outputs = [getattr(m, "out_channels", None) or m.out_features for m in layers]
    assert [channels for channels, *_ in paper.TABLE_I.values()] == outputs


def test_extremes_of_table_1_are_in_order():
    for _, low_minus, high_minus, low_plus, high_plus in paper.TABLE_I.values():
        assert 10 < low_minus <= high_minus < 100 and 10 < low_plus <= high_plus < 100


def test_tables_repeat_each_others_rows():
    error_free, worst, _ = paper.TABLE_II["cnvW1A1", 0]
    assert error_free == paper.ERROR_FREE
    assert worst == min(min(row[1], row[3]) for row in paper.TABLE_I.values())
    for network, (fat, _) in paper.TABLE_III.items():
        if (network, fat[0]) in paper.TABLE_II:
            assert paper.TABLE_II[network, fat[0]] == fat[1:]
    for network, (standard, *_) in paper.TABLE_IV.items():
        assert standard[1] == paper.TABLE_II[network, 0][0]


def test_a_worst_case_is_below_the_error_free_accuracy():
    for error_free, minimum, variance in paper.TABLE_II.values():
        assert minimum < error_free < 100 and variance > 0
