"""Windows over channels that lie side by side give what loops over their cells give."""

import numpy as np
import pytest

from xbarsim.kernels import pooling

SHAPES = [
    ((2, 2), (2, 2), (0, 0), (1, 1)),
    ((3, 2), (1, 2), (-1, 0), (1, 1)),
    ((2, 3), (2, 1), (-1, -2), (2, 2)),
]


def cells(x, n, i, j, kernel, stride, start, dilation):
    """The cells of a window that lie in the image, with their places in the window."""
    for a in range(kernel[0]):
        for b in range(kernel[1]):
            row = i * stride[0] + start[0] + a * dilation[0]
            column = j * stride[1] + start[1] + b * dilation[1]
            inside = 0 <= row < x.shape[1] and 0 <= column < x.shape[2]
            yield (a, b), x[n, row, column] if inside else None


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_every_window_by_itself(shape, kind):
    kernel, stride, start, dilation = shape
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, (2, 6, 7, 3)).astype(kind)
    weights = rng.integers(-9, 9, (*kernel, 3)).astype(float)
    options = {"kernel": kernel, "stride": stride, "start": start, "dilation": dilation}
    largest, total, filtered = np.empty((2, 2, 3, 3), kind), np.empty((2, 2, 3, 3)), np.empty((2, 2, 3, 3))
    pooling.largest(x, largest, **options)
    pooling.total(x, total, **options, zero=4)
    pooling.filtered(x, filtered, weights, **options, fill=5)
    for n, i, j in np.ndindex(2, 2, 3):
        window = list(cells(x, n, i, j, **options))
        there = [values for _, values in window if values is not None]
        assert (largest[n, i, j] == np.max(there, axis=0)).all()
        assert (total[n, i, j] == np.sum(there, axis=0) - 4 * len(there)).all()
        products = [weights[place] * (5 if values is None else values) for place, values in window]
        assert (filtered[n, i, j] == np.sum(products, axis=0)).all()


def test_single_weights_between_channels():
    rng = np.random.default_rng(1)
    x, out = rng.integers(0, 9, (2, 5, 5, 4)).astype(np.float32), np.zeros((2, 3, 3, 6))
    places = np.array([[-1, 0, 2, 5], [1, 1, 0, 0], [0, 1, 3, 5]])
    pooling.strayed(x, out, places, np.array([3.0, -2.0, 7.0]), (2, 2), 1)
    wanted = np.zeros_like(out)
    for n, i, j in np.ndindex(2, 3, 3):
        for (a, b, c, m), weight in zip(places, (3, -2, 7), strict=True):
            row, column = 2 * i + a, 2 * j + b
            inside = 0 <= row < 5 and 0 <= column < 5
            wanted[n, i, j, m] += weight * (x[n, row, column, c] if inside else 1)
    assert (out == wanted).all()
