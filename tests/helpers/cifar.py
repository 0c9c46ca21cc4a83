"""A folder for XBARSIM_DATA with a CIFAR-10 of random images."""

import numpy as np

BATCHES = (*(f"data_batch_{part}.bin" for part in range(1, 6)), "test_batch.bin")


def write_cifar(folder, images=8, seed=0):
    """Write the six batches, with so many images each; each class has its own colour. Returns the folder."""
    rng, place = np.random.default_rng(seed), folder / "cifar-10-batches-bin"
    place.mkdir(parents=True)
    for name in BATCHES:
        labels = rng.integers(0, 10, images, dtype=np.uint8)
        pixels = rng.integers(0, 60, (images, 3, 32, 32), dtype=np.uint8)
        pixels += (labels * 19)[:, None, None, None]
        (place / name).write_bytes(np.column_stack([labels, pixels.reshape(images, -1)]).tobytes())
    return folder
