"""Windows and patches against loops over positions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbarsim.errors import InputError
from xbarsim.graph.window import Window, patches

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
PADS = st.tuples(st.integers(0, 2), st.integers(0, 2))
WINDOWS = st.builds(Window, kernel=PAIRS, stride=PAIRS, padding=st.tuples(PADS, PADS), dilation=PAIRS)


def images(channels=4):
    return np.random.default_rng(0).integers(1, 100, (2, channels, 8, 7))


def cell(image, window, y, x, i, j):
    """The cell (i, j) of the window at (y, x) of one (H, W) image, 0 in the margin."""
    row = y * window.stride[0] + i * window.dilation[0] - window.padding[0][0]
    column = x * window.stride[1] + j * window.dilation[1] - window.padding[1][0]
    inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
    return image[row, column] if inside else 0


@given(WINDOWS)
def test_windows_hold_the_cells_of_the_loop(window):
    x = images(1)
    view = window.windows(x, 0)
    assert view.shape == (2, 1, *window.positions(8, 7), *window.kernel)
    for (n, c, down, across, i, j), value in np.ndenumerate(view):
        assert value == cell(x[n, c], window, down, across, i, j)


@given(WINDOWS, st.sampled_from([1, 2]))
def test_patches_are_the_windows_as_rows_channels_first(window, groups):
    x = images()
    down, across = window.positions(8, 7)
    found = patches(x, window, groups)
    split = found.reshape(groups, 2, down, across, 4 // groups, *window.kernel)
    view = window.windows(x, 0)
    for group in range(groups):
        for channel in range(4 // groups):
            held = split[group, :, :, :, channel]
            np.testing.assert_array_equal(held, view[:, group * (4 // groups) + channel])


def test_the_last_window_may_hang_over_the_end_in_ceil_mode_alone():
    plain, over = (Window(kernel=(2, 2), stride=(2, 2), ceil_mode=c) for c in (False, True))
    assert plain.positions(5, 4) == (2, 2) and over.positions(5, 4) == (3, 2)
    assert over.pads(5, 4) == ((0, 1), (0, 0))
    assert (over.windows(np.ones((1, 1, 5, 4)), -9)[0, 0, 2, :, 1] == -9).all()


def test_window_larger_than_the_image_is_refused():
    with pytest.raises(InputError, match="at least 5"):
        Window(kernel=(5, 1)).positions(4, 9)
