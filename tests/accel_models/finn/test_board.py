"""Board directories: the same bytes after a round trip, and one line for every wrong file."""

import filecmp
import shutil

import numpy as np
import pytest

from accel_models.finn.board import fold_weights, read_board, unfold_weights, write_board
from accel_models.finn.presets import preset, presets
from tests.helpers.finn_networks import random_network, small_network
from xbarsim.errors import InputError


@pytest.mark.parametrize("name", presets())
def test_written_networks_are_read_back(name, tmp_path):
    network = random_network(name, np.random.default_rng(1))
    write_board(network, tmp_path / name)
    found = read_board(tmp_path / name)
    for before, after in zip(network.layers, found.layers, strict=True):
        np.testing.assert_array_equal(before.weights, after.weights)
        if before.thresholds is not None:
            np.testing.assert_array_equal(before.thresholds, after.thresholds)


@pytest.mark.parametrize("name", ["cnvW1A1", "cnvW1A2", "lfcW1A1"])
def test_shipped_files_are_written_as_the_same_bytes(name, data_folder, tmp_path):
    shipped = data_folder / "bnn-pynq" / preset(name).dataset / name
    written = write_board(read_board(shipped), tmp_path / "again")
    names = sorted(f.name for f in shipped.iterdir())
    assert sorted(f.name for f in written) == names
    assert filecmp.cmpfiles(shipped, tmp_path / "again", names, shallow=False) == (names, [], [])


def test_folded_words_hold_the_lanes_of_the_rows_that_a_pe_serves():
    shape = preset("cnvW2A2").layers[1]
    layer = random_network("cnvW2A2", np.random.default_rng(2)).layers[1]
    words = fold_weights(layer)
    assert words.shape == (16, 4 * 36)
    pe, fold, step, lane = 5, 3, 7, 11
    code = (int(words[pe, fold * 36 + step]) >> (2 * lane)) & 3
    assert (code ^ 2) - 2 == layer.weights[fold * 16 + pe, step * 16 + lane]
    np.testing.assert_array_equal(unfold_weights(words, shape), layer.weights)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boards") / "cnvW2A2"
    write_board(random_network("cnvW2A2", np.random.default_rng(3)), folder)
    return folder


def damage(change):
    def apply(path):
        words = np.fromfile(path, "<u8")
        change(words)
        words.tofile(path)

    return apply


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("0-0-weights.bin", lambda p: p.unlink(), "0-0-weights.bin: expected 576 bytes"),
        ("1-3-weights.bin", lambda p: p.write_bytes(p.read_bytes()[:-8]), "1-3-weights.bin: expected 1152"),
        ("1-3-thres.bin", lambda p: p.write_bytes(p.read_bytes() + b"1"), "1-3-thres.bin: expected"),
        ("0-1-weights.bin", damage(lambda w: w.__setitem__(2, w[2] | np.uint64(1 << 6))), "no bit set above"),
        ("0-1-weights.bin", damage(lambda w: w.__setitem__(0, 2)), "weights of -1, 0 and"),
        ("2-0-thres.bin", damage(lambda w: w.__setitem__(slice(0, 2), [9, 3])), "ascending"),
        ("2-0-thres.bin", damage(lambda w: w.__setitem__(1, 1 << 40)), "thresholds of 16 bits"),
        ("9-0-weights.bin", lambda p: p.write_bytes(b""), "no others, got 9-0-weights.bin"),
        ("classes.txt", lambda p: p.write_text("cat\n"), "10 lines"),
        ("classes.txt", lambda p: p.write_bytes(b"\xff\xfe"), "names of the classes"),
    ],
)
def test_wrong_files_are_named_in_one_line(board, tmp_path, file, change, words):
    folder = tmp_path / "cnvW2A2"
    shutil.copytree(board, folder)
    change(folder / file)
    with pytest.raises(InputError, match=words) as caught:
        read_board(folder)
    assert "\n" not in str(caught.value)
    assert "cnvW2A2" in str(caught.value)


def test_folders_that_are_no_board_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        read_board(tmp_path / "nothing")
    with pytest.raises(InputError, match="say its name"):
        read_board(tmp_path)
    with pytest.raises(InputError, match=r"0-0-weights\.bin"):
        read_board(tmp_path, "cnvW1A1")


def test_what_files_have_no_place_for_is_not_written(tmp_path):
    rng = np.random.default_rng(4)
    with pytest.raises(InputError, match="inclusive"):
        write_board(small_network(rng, inclusive=True), tmp_path)
