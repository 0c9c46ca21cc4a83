"""A random FINN board with images of its own, for the tests of campaigns and studies."""

import numpy as np
import pytest

from accel_models.finn.board import write_board
from accel_models.finn.config import FinnConfig
from tests.helpers.finn_networks import random_network

IMAGES = 20


@pytest.fixture(scope="session")
def finn_data(tmp_path_factory):
    """A folder for XBARSIM_DATA: a random `cnvW1A1`, 20 CIFAR-10 images (it gets 15 right), and MNIST."""
    folder, rng = tmp_path_factory.mktemp("finn"), np.random.default_rng(5)
    network = random_network("cnvW1A1", rng)
    write_board(network, folder / "cnvW1A1")
    pixels = rng.integers(0, 256, (IMAGES, 3, 32, 32), dtype=np.uint8)
    classes = FinnConfig().program(network).classify(pixels.transpose(0, 2, 3, 1))
    labels = np.where(np.arange(IMAGES) % 4 == 0, (classes + 1) % 10, classes).astype(np.uint8)
    cifar, mnist = folder / "cifar-10-batches-bin", folder / "mnist"
    cifar.mkdir()
    mnist.mkdir()
    records = np.concatenate([labels[:, None], pixels.reshape(IMAGES, -1)], axis=1)
    (cifar / "test_batch.bin").write_bytes(records.tobytes())
    for name, shape in (("images-idx3", (4, 28, 28)), ("labels-idx1", (4,))):
        head = bytes((0, 0, 8, len(shape))) + np.array(shape, ">u4").tobytes()
        (mnist / f"t10k-{name}-ubyte").write_bytes(head + bytes(int(np.prod(shape))))
    return folder
