"""What people call data becomes images and labels; what is none gets one line."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from tests.helpers.image_files import cifar_bytes, idx_bytes, write_pictures
from xbarsim.data import Data, Dataset, as_data, as_dataset, read_data
from xbarsim.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = RNG.random((6, 1, 4, 5)).astype(np.float32)
LABELS = np.array([0, 1, 2, 2, 1, 0])
TENSORS = torch.from_numpy(IMAGES), torch.from_numpy(LABELS)


class Pairs(torch.utils.data.Dataset):
    """A data set of somebody's own, which does not know where to stop."""

    def __len__(self):
        return 6

    def __getitem__(self, place):
        return TENSORS[0][place % 6], int(LABELS[place % 6])


class Stream(IterableDataset):
    """One that can only be walked through."""

    def __iter__(self):
        return iter(zip(*TENSORS, strict=True))


SOURCES = {
    "arrays": (IMAGES, LABELS),
    "lists": (IMAGES.tolist(), LABELS.tolist()),
    "list of both": [IMAGES, LABELS],
    "tensors": TENSORS,
    "float64": (IMAGES.astype(np.float64), LABELS.astype(np.uint8)),
    "tensors that need gradients": (TENSORS[0].clone().requires_grad_(), TENSORS[1]),
    "torch data set": TensorDataset(*TENSORS),
    "own data set": Pairs(),
    "stream": Stream(),
    "loader": DataLoader(Pairs(), batch_size=4),
    "list of pairs": list(zip(IMAGES, LABELS, strict=True)),
    "mapping": {"images": IMAGES, "labels": LABELS},
    "mapping with a test part": {"test": (IMAGES, LABELS)},
    "data set": Dataset.of(IMAGES, LABELS),
    "data": Data(test=Dataset.of(IMAGES, LABELS)),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_every_source_gives_the_same_images_and_labels(source):
    found = as_data(source)
    assert found.train is None
    assert found.test.images.dtype == np.float32 and found.test.labels.dtype == np.int64
    assert np.array_equal(found.test.images, IMAGES)
    assert np.array_equal(found.test.labels, LABELS)
    assert found.test.value_range == (IMAGES.min(), IMAGES.max())
    assert found.test.digest == Dataset.of(IMAGES, LABELS).digest


PARTED = {
    "pair of data sets": (Dataset.of(IMAGES[:2], LABELS[:2]), Dataset.of(IMAGES, LABELS)),
    "pair of arrays' pairs": ((IMAGES[:2], LABELS[:2]), (IMAGES, LABELS)),
    "pair of lists": [[IMAGES[:2].tolist(), [0, 1]], [IMAGES.tolist(), LABELS.tolist()]],
    "pair of loaders": (DataLoader(list(zip(IMAGES[:2], LABELS[:2], strict=True))), DataLoader(Pairs())),
    "mixed pair": ((IMAGES[:2], LABELS[:2]), Pairs()),
    "mapping of parts": {"train": (IMAGES[:2], LABELS[:2]), "test": Pairs()},
    "mapping of arrays": {
        "x_train": IMAGES[:2], "y_train": LABELS[:2], "x_test": IMAGES, "y_test": LABELS,
    },
}  # fmt: skip


@pytest.mark.parametrize("source", PARTED.values(), ids=PARTED)
def test_sources_of_two_parts_give_both(source):
    found = as_data(source)
    assert found.train is not None
    assert np.array_equal(found.train.images, IMAGES[:2]) and found.train.labels.tolist() == [0, 1]
    assert np.array_equal(found.test.images, IMAGES) and np.array_equal(found.test.labels, LABELS)
    assert as_dataset(source).digest == found.test.digest


def test_two_labelled_images_are_two_images():
    found = as_dataset([(IMAGES[0], 0), (IMAGES[1], 1)])
    assert np.array_equal(found.images, IMAGES[:2]) and found.labels.tolist() == [0, 1]
    assert as_dataset((IMAGES[:2], [0, 1])).labels.tolist() == [0, 1]
    assert as_dataset([([1.0, 2.0], 0), ([3.0, 4.0], 1)]).images.tolist() == [[1, 2], [3, 4]]


def test_bytes_become_floats_and_other_numbers_stay():
    found = as_dataset((np.array([[0, 51, 255]], np.uint8), [0]))
    assert found.images.tolist() == [[0, np.float32(0.2), 1]] and found.value_range == (0, 1)
    assert as_dataset((np.array([[0, 51, 255]]), [0])).value_range == (0, 255)


def test_pictures_of_a_data_set_become_channels_rows_and_columns():
    grey, red = Image.new("L", (5, 4), 51), Image.new("RGB", (5, 4), (255, 0, 0))
    assert as_dataset([(grey, 0), (grey, 1)]).images.shape == (2, 1, 4, 5)
    found = as_dataset([(red, 0), (red, 1), (red, 1)])
    assert found.images.shape == (3, 3, 4, 5) and found.images[0, :, 0, 0].tolist() == [1, 0, 0]


def test_digests_tell_contents_and_not_names():
    one = Dataset.of(IMAGES, LABELS)
    assert one.digest == Dataset.of(IMAGES, LABELS, name="other", source="elsewhere").digest
    assert one.digest != Dataset.of(IMAGES, LABELS[[1, 0, 2, 3, 4, 5]]).digest
    assert one.digest != Dataset.of(IMAGES.reshape(6, 4, 5), LABELS).digest


def test_the_first_images_are_kept():
    one = Dataset.of(IMAGES, LABELS)
    assert len(one.first(2)) == 2 and one.first(2).labels.tolist() == [0, 1]
    assert one.first(None) is one and one.first(6) is one
    for count in (0, -1):
        with pytest.raises(InputError, match="number of images"):
            one.first(count)


def nan():
    found = IMAGES.copy()
    found[0] = np.nan
    return found


class Broken(Pairs):
    def __getitem__(self, place):
        raise FileNotFoundError("moved\naway")


WRONG = {
    "object arrays": (np.array([None, "a"], object), [0, 1]),
    "ragged images": ([[[1.0, 2.0]], [[1.0]]], [0, 1]),
    "ragged pairs": [(IMAGES[0], 0), (IMAGES[1, :, :2], 1), (IMAGES[2], 1)],
    "no images": (np.zeros((0, 1, 4, 4)), np.zeros(0, int)),
    "images without pixels": (np.zeros((2, 0)), [0, 1]),
    "flat images": (np.zeros(3), [0, 1, 2]),
    "NaN": (nan(), LABELS),
    "too large for a float32": (np.full((1, 2), 1e300), [0]),
    "complex images": (IMAGES.astype(complex), LABELS),
    "words": (np.array([["a", "b"]]), [0]),
    "labels as floats": (IMAGES, LABELS.astype(float)),
    "labels as strings": (IMAGES, ["cat"] * 6),
    "labels as truth values": (IMAGES, LABELS > 0),
    "negative labels": (IMAGES, LABELS - 1),
    "huge labels": (IMAGES, LABELS.astype(np.uint64) + 2**63),
    "labels of two dimensions": (IMAGES, np.eye(6, dtype=int)),
    "too few labels": (IMAGES, LABELS[:5]),
    "half floats of torch": (TENSORS[0].bfloat16(), TENSORS[1]),
    "sparse tensors": (TENSORS[0].reshape(6, 20).to_sparse(), TENSORS[1]),
    "no pairs": [1, 2, 3],
    "triples": [(IMAGES[0], 0, 1)] * 3,
    "an empty list": [],
    "an empty mapping": {},
    "other names": {"x": IMAGES, "y": LABELS},
    "a number": 3,
    "nothing": None,
    "two nothings": (None, None),
    "a data set that fails": Broken(),
}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("source", WRONG.values(), ids=WRONG)
def test_what_is_no_data_gets_one_line(source):
    with pytest.raises(InputError) as caught:
        as_data(source, name="mine")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS - 1, r"mine: labels: expected numbers in 0..999999, got -1"),
        (LABELS.astype(float), "labels: expected integers, got float64"),
        (LABELS[:, None], r"labels: expected shape \(6,\), got \(6, 1\)"),
    ],
)
def test_messages_say_what_labels_are(labels, message):
    with pytest.raises(InputError, match=message):
        as_data((IMAGES, labels), name="mine")


def test_archives_in_both_forms(tmp_path):
    np.savez(tmp_path / "one.npz", images=IMAGES, labels=LABELS)
    found = read_data(tmp_path / "one.npz")
    assert np.array_equal(found.test.images, IMAGES) and found.train is None
    assert found.test.name == "one" and found.test.source == str(tmp_path / "one.npz")
    np.savez_compressed(
        tmp_path / "two.npz", x_train=IMAGES[:2], y_train=LABELS[:2], x_test=IMAGES, y_test=LABELS
    )
    found = as_data(str(tmp_path / "two.npz"))
    assert found.train is not None and found.train.split == "train" and len(found.train) == 2
    assert np.array_equal(found.test.labels, LABELS)
    with np.load(tmp_path / "one.npz") as archive:
        assert np.array_equal(as_dataset(archive).images, IMAGES)


def test_archives_that_are_none_get_one_line(tmp_path):
    good, path = tmp_path / "good.npz", tmp_path / "bad.npz"
    np.savez(good, images=IMAGES, labels=LABELS)
    np.savez(path, images=np.array([{"a": 1}], object), labels=LABELS)
    with pytest.raises(InputError, match=r"an \.npz archive of arrays"):  # pickled objects are not opened
        read_data(path)
    np.save(tmp_path / "array.npy", IMAGES)
    for content in (
        b"", b"a text", good.read_bytes()[:100], (tmp_path / "array.npy").read_bytes(), b"\x80\x04N.",
    ):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.npz: expected an .npz archive") as caught:
            read_data(path)
        assert "\n" not in str(caught.value)
    np.savez(path, x=IMAGES)
    with pytest.raises(InputError, match=r"bad\.npz: .*expected images and labels, or x_train"):
        read_data(path)
    np.savez(path, images=IMAGES, labels=LABELS[:3])
    with pytest.raises(InputError, match=r"bad\.npz: .*labels: expected shape \(6,\)"):
        read_data(path)


def test_folders_of_pictures_are_data(tmp_path):
    pixels = RNG.integers(0, 256, (3, 3, 4, 5))
    write_pictures(tmp_path / "birds", {"owl": pixels[:2], "hen": pixels[2:]})
    found = read_data(tmp_path / "birds")
    assert np.array_equal(np.rint(found.test.images * 255), pixels[[2, 0, 1]])
    assert found.test.labels.tolist() == [0, 1, 1] and found.test.value_range == (0, 1)
    assert found.test.name == "birds" and found.test.split == "test" and found.train is None


def test_folders_with_parts_are_both(tmp_path):
    write_pictures(tmp_path / "train", {"hen": np.zeros((2, 1, 4, 4)), "owl": np.zeros((1, 1, 4, 4))})
    write_pictures(tmp_path / "test", {"owl": np.ones((1, 1, 4, 4))})
    found = as_data(tmp_path)
    assert found.train is not None and found.train.labels.tolist() == [0, 0, 1]
    assert found.test.labels.tolist() == [1] and found.test.name == tmp_path.name
    assert read_data(tmp_path / "test").test.labels.tolist() == [0]


def test_folders_of_published_files_are_data(tmp_path):
    images, labels = RNG.integers(0, 256, (4, 28, 28)), [3, 1, 4, 1]
    (tmp_path / "idx").mkdir()
    (tmp_path / "idx/t10k-images-idx3-ubyte").write_bytes(idx_bytes(images))
    (tmp_path / "idx/t10k-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    found = read_data(tmp_path / "idx").test
    assert np.array_equal(np.rint(found.images[:, 0] * 255), images) and found.labels.tolist() == labels
    (tmp_path / "cifar").mkdir()
    coloured = RNG.integers(0, 256, (2, 3, 32, 32))
    (tmp_path / "cifar/test_batch.bin").write_bytes(cifar_bytes(coloured, [9, 0]))
    found = read_data(tmp_path / "cifar").test
    assert np.array_equal(np.rint(found.images * 255), coloured) and found.labels.tolist() == [9, 0]


def test_folders_that_hold_none_get_one_line(tmp_path):
    with pytest.raises(InputError, match="got none of them"):
        read_data(tmp_path)
    with pytest.raises(InputError, match="got nothing there"):
        read_data(tmp_path / "missing")
    with pytest.raises(InputError, match="got nothing there"):
        read_data("a" * 5000)
    with pytest.raises(InputError, match="got nothing there"):
        read_data("")
    (tmp_path / "data.csv").write_text("1,2")
    with pytest.raises(InputError, match="got another file"):
        read_data(tmp_path / "data.csv")
    (tmp_path / "data_batch_1.bin").write_bytes(cifar_bytes(np.zeros((1, 3, 32, 32)), [0]))
    with pytest.raises(InputError, match="got a training part alone"):
        read_data(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((3, 2, 2))))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes([1, 2]))
    with pytest.raises(InputError, match=r"labels: expected shape \(3,\)"):
        read_data(tmp_path)
