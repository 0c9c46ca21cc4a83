"""Files and folders of images: what is read, and one line for what is not."""

import gzip

import numpy as np
import pytest
from PIL import Image

from tests.helpers.image_files import cifar_bytes, idx_bytes, write_pictures
from xbarsim.data_files import CIFAR_RECORD, is_picture, pixels_of, read_cifar, read_folder, read_idx
from xbarsim.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 28, 28))
LABELS = np.array([0, 9, 3, 3, 1])
COLOURED = RNG.integers(0, 256, (3, 3, 32, 32))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_files_are_read_plain_and_packed(tmp_path, pack):
    (tmp_path / "images").write_bytes(pack(idx_bytes(IMAGES)))
    (tmp_path / "labels").write_bytes(pack(idx_bytes(LABELS)))
    assert (read_idx(tmp_path / "images", 3) == IMAGES).all()
    assert (read_idx(tmp_path / "labels", 1) == LABELS).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx_bytes(IMAGES)[:-1], "bytes of data"),
        (idx_bytes(IMAGES) + b"x", "bytes of data"),
        (idx_bytes(LABELS), "idx file of 3 dimensions"),
        (b"", "idx file of 3 dimensions"),
        (b"\0\0\x0d\x03" + bytes(12), "idx file of 3 dimensions"),  # floats
        (bytes((0, 0, 8, 3)) + b"\xff" * 12, "bytes of data"),
        (gzip.compress(idx_bytes(IMAGES))[:-20], "a complete file"),
        (b"\x1f\x8bnot gzip", "a complete file"),
    ],
)
def test_damaged_idx_files_get_one_line(tmp_path, content, message):
    (tmp_path / "images").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_idx(tmp_path / "images", 3)
    assert "\n" not in str(caught.value)


def test_cifar_batches_are_read(tmp_path):
    path = tmp_path / "test_batch.bin"
    path.write_bytes(cifar_bytes(COLOURED, [4, 0, 9]))
    images, labels = read_cifar(path)
    assert (images == COLOURED).all()
    assert labels.tolist() == [4, 0, 9]


@pytest.mark.parametrize(
    "content", [cifar_bytes(COLOURED, [1, 2, 3])[:-1], b"", bytes([10]) + bytes(CIFAR_RECORD - 1)]
)
def test_damaged_cifar_batches_get_one_line(tmp_path, content):
    (tmp_path / "test_batch.bin").write_bytes(content)
    with pytest.raises(InputError, match=r"records of|labels 0"):
        read_cifar(tmp_path / "test_batch.bin")


def test_a_file_that_is_not_there_gets_one_line(tmp_path):
    with pytest.raises(InputError, match="a file that can be read"):
        read_cifar(tmp_path / "nothing")


def test_a_folder_of_idx_files_has_both_parts(tmp_path):
    for start, count in (("train", 5), ("t10k", 2)):
        (tmp_path / f"{start}-images-idx3-ubyte").write_bytes(idx_bytes(IMAGES[:count]))
        (tmp_path / f"{start}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(LABELS[:count])))
    found = read_folder(tmp_path)
    assert list(found) == ["train", "test"]
    images, labels, where = found["train"]
    assert (images[:, 0] == IMAGES).all() and images.shape == (5, 1, 28, 28)
    assert labels.tolist() == LABELS.tolist() and where == tmp_path
    assert found["test"][1].tolist() == [0, 9]


def test_a_packed_file_beside_what_was_packed_does_not_matter(tmp_path):
    for what, content in (("images-idx3", IMAGES), ("labels-idx1", LABELS)):
        (tmp_path / f"t10k-{what}-ubyte").write_bytes(idx_bytes(content))
        (tmp_path / f"t10k-{what}-ubyte.gz").write_bytes(gzip.compress(idx_bytes(content)))
    assert (read_folder(tmp_path)["test"][1] == LABELS).all()


def test_idx_files_without_parts_are_a_test_part(tmp_path):
    (tmp_path / "images.idx3-ubyte").write_bytes(idx_bytes(IMAGES))
    (tmp_path / "labels.idx1-ubyte").write_bytes(idx_bytes(LABELS))
    assert list(read_folder(tmp_path)) == ["test"]


def test_idx_files_that_cannot_be_told_apart_or_are_alone_are_refused(tmp_path):
    (tmp_path / "images-idx3-a").write_bytes(idx_bytes(IMAGES))
    with pytest.raises(InputError, match="images and of labels, got images-idx3-a alone"):
        read_folder(tmp_path)
    (tmp_path / "images-idx3-b").write_bytes(idx_bytes(IMAGES))
    with pytest.raises(InputError, match=r"one file .*, got images-idx3-a, images-idx3-b"):
        read_folder(tmp_path)


def test_a_folder_of_cifar_batches_has_both_parts(tmp_path):
    for place in (1, 2):
        (tmp_path / f"data_batch_{place}.bin").write_bytes(cifar_bytes(COLOURED, [place] * 3))
    (tmp_path / "test_batch.bin").write_bytes(cifar_bytes(COLOURED[:1], [7]))
    found = read_folder(tmp_path)
    assert found["train"][0].shape == (6, 3, 32, 32)
    assert found["train"][1].tolist() == [1, 1, 1, 2, 2, 2]
    assert found["test"][1].tolist() == [7]


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_read_as_they_were_written(tmp_path, channels):
    pixels = RNG.integers(0, 256, (4, channels, 6, 8))
    write_pictures(tmp_path, {"dogs": pixels[:1], "cats": pixels[1:3], "eels": pixels[3:]})
    images, labels, _ = read_folder(tmp_path)["test"]
    assert (images == pixels[[1, 2, 0, 3]]).all()
    assert labels.tolist() == [0, 0, 1, 2]


def test_classes_have_the_same_number_in_both_parts(tmp_path):
    picture = np.zeros((1, 1, 4, 4))
    write_pictures(tmp_path / "train", {"ant": picture, "bee": picture, "cow": picture})
    write_pictures(tmp_path / "test", {"bee": picture, "dog": picture})
    found = read_folder(tmp_path)
    assert found["train"][1].tolist() == [0, 1, 2]
    assert found["test"][1].tolist() == [1, 3]


def test_what_is_no_class_and_no_picture_is_left_alone(tmp_path):
    write_pictures(tmp_path, {"ant": np.zeros((1, 1, 4, 4)), ".cache": np.zeros((1, 1, 2, 2))})
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "ant/notes.txt").write_text("not a picture")
    assert read_folder(tmp_path)["test"][1].tolist() == [0]


def test_an_empty_folder_has_no_parts(tmp_path):
    assert read_folder(tmp_path) == {}
    (tmp_path / "test").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "test/0.png")  # without a folder of its class
    assert read_folder(tmp_path) == {}


def test_pictures_of_two_sizes_get_one_line(tmp_path):
    write_pictures(tmp_path, {"ant": [np.zeros((1, 4, 4)), np.zeros((1, 4, 5))]})
    with pytest.raises(InputError, match=r"1\.png: expected \(1, 4, 4\) .* as the others, got \(1, 4, 5\)"):
        read_folder(tmp_path)


@pytest.mark.parametrize("content", [b"a text", b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_files_that_are_no_pictures_get_one_line(tmp_path, content):
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant/0.png").write_bytes(content)
    with pytest.raises(InputError, match=r"0\.png: expected a picture that can be read") as caught:
        read_folder(tmp_path)
    assert "\n" not in str(caught.value)


def test_truncated_pictures_get_one_line(tmp_path):
    write_pictures(tmp_path, {"ant": RNG.integers(0, 256, (1, 3, 32, 32))})
    path = tmp_path / "ant/0.png"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="a picture that can be read"):
        read_folder(tmp_path)


def test_pictures_of_16_bits_are_refused_and_not_cut_off(tmp_path):
    (tmp_path / "ant").mkdir()
    Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(tmp_path / "ant/0.png")
    with pytest.raises(InputError, match="more than 8 bits a channel"):
        read_folder(tmp_path)


def test_pictures_of_other_modes_become_grey_or_three_channels():
    red = Image.new("RGBA", (2, 3), (255, 0, 0, 255))
    assert pixels_of(red)[:, 0, 0].tolist() == [255, 0, 0]
    assert pixels_of(red.quantize()).shape == (3, 3, 2)
    assert pixels_of(Image.new("1", (2, 3), 1)).tolist() == [[[255, 255]] * 3]
    assert is_picture(red) and not is_picture(np.zeros(3))
