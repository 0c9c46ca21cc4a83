import gzip

import numpy as np
import pooch
import pytest
from sklearn.datasets import load_digits

from networks import datasets
from networks.datasets import load_dataset
from tests.helpers.image_files import cifar_bytes, idx_bytes
from xbarsim.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28))
LABELS = np.array([0, 9, 3, 3, 1])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder with a tiny MNIST test set, and no way to the network."""
    monkeypatch.setenv("XBARSIM_DATA", str(tmp_path))
    monkeypatch.setattr(datasets, "_cache", lambda: tmp_path / "cache")

    def offline(*args, **options):
        raise ConnectionError("no network")

    monkeypatch.setattr(pooch, "retrieve", offline)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist/t10k-images-idx3-ubyte").write_bytes(idx_bytes(IMAGES))
    (tmp_path / "mnist/t10k-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS))
    return tmp_path


def test_digits_need_no_files_and_do_not_overlap():
    train, test = load_dataset("digits", "train"), load_dataset("digits", "test")
    assert train.images.shape == (1297, 1, 8, 8)
    assert test.images.shape == (500, 1, 8, 8)
    assert train.images.dtype == np.float32
    assert (train.images.min(), train.images.max()) == train.value_range
    assert len({i.tobytes() for i in test.images} & {i.tobytes() for i in train.images}) < 3


@pytest.mark.parametrize("place", [datasets.DIGITS, "nowhere"])
def test_digits_are_those_of_scikit_learn(monkeypatch, place):
    monkeypatch.setattr(datasets, "DIGITS", place)
    found, expected = datasets._table_of_digits.__wrapped__(), load_digits()
    np.testing.assert_array_equal(found, np.column_stack([expected.data, expected.target]), strict=True)


def test_idx_files_are_read_and_scaled(folder):
    data = load_dataset("mnist", "test")
    assert data.images.shape == (5, 1, 28, 28)
    assert (np.rint(data.images[:, 0] * 255) == IMAGES).all()
    assert (data.labels == LABELS).all()
    assert len(load_dataset("mnist", "test", limit=2).labels) == 2


def test_gzip_files_are_read_too(folder):
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        path = folder / "mnist" / name
        path.with_name(name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert (load_dataset("mnist", "test").labels == LABELS).all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("images-idx3", idx_bytes(IMAGES)[:-1], "bytes of data"),
        ("labels-idx1", idx_bytes([1, 2, 3, 4]), "5 labels"),
        ("labels-idx1", idx_bytes([1, 2, 3, 4, 10]), "labels in 0..9, got 10"),
        ("images-idx3", idx_bytes(np.zeros((0, 28, 28))), "labels"),
        ("images-idx3", idx_bytes(np.zeros((5, 14, 14))), "images of 28 x 28, got 14 x 14"),
    ],
)
def test_damaged_idx_files_get_one_line(folder, name, content, message):
    (folder / f"mnist/t10k-{name}-ubyte").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_dataset("mnist", "test")
    assert "\n" not in str(caught.value)


def test_empty_data_set_is_refused(folder):
    (folder / "mnist/t10k-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((0, 28, 28))))
    (folder / "mnist/t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(0)))
    with pytest.raises(InputError, match="at least one number"):
        load_dataset("mnist", "test")


def test_missing_files_without_a_network_get_a_remedy(folder):
    for name in ("mnist", "fashion-mnist", "cifar10"):
        with pytest.raises(InputError, match="set XBARSIM_DATA to a folder that holds it"):
            load_dataset(name, "train")


def test_misspelt_data_folder_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("XBARSIM_DATA", str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="XBARSIM_DATA: expected a folder"):
        load_dataset("mnist")


def test_unknown_names_and_limits_are_refused():
    with pytest.raises(InputError, match="data set: expected one of cifar10, digits"):
        load_dataset("imagenet")
    with pytest.raises(InputError, match="split"):
        load_dataset("digits", "validation")
    with pytest.raises(InputError, match="number of images"):
        load_dataset("digits", limit=0)


def test_cifar_batches_are_read_and_centred(folder):
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32))
    (folder / "cifar-10-batches-bin").mkdir()
    path = folder / "cifar-10-batches-bin/test_batch.bin"
    path.write_bytes(cifar_bytes(images, [4, 0, 9]))
    data = load_dataset("cifar10", "test")
    assert data.labels.tolist() == [4, 0, 9]
    assert (np.rint((data.images + 0.5) * 255) == images).all()
    path.write_bytes(b"")
    with pytest.raises(InputError, match="records of"):
        load_dataset("cifar10", "test")


def test_first_files_of_the_real_sets_are_right(data_folder):
    """Spot checks against what is published: sizes, class counts, first labels."""
    mnist, cifar = load_dataset("mnist", "test"), load_dataset("cifar10", "test")
    assert mnist.images.shape == (10000, 1, 28, 28)
    assert mnist.labels[:8].tolist() == [7, 2, 1, 0, 4, 1, 4, 9]
    assert load_dataset("fashion-mnist", "train").images.shape == (60000, 1, 28, 28)
    assert np.bincount(cifar.labels).tolist() == [1000] * 10
    assert load_dataset("mnist", "train").labels[:5].tolist() == [5, 0, 4, 1, 9]
