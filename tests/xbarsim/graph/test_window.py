"""Windows and patches against loops over positions, and against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xbarsim.errors import InputError
from xbarsim.graph.window import Window, patches

SIZES = (8, 7, 7)


@st.composite
def drawn(draw, axes=None, dilated=True):
    axes = draw(st.integers(1, 3)) if axes is None else axes
    numbers, pads = st.integers(1, 3), st.tuples(st.integers(0, 2), st.integers(0, 2))
    return Window(
        kernel=draw(st.tuples(*[numbers] * axes)),
        stride=draw(st.tuples(*[numbers] * axes)),
        padding=draw(st.tuples(*[pads] * axes)),
        dilation=draw(st.tuples(*[numbers if dilated else st.just(1)] * axes)),
    )


WINDOWS = drawn(2)


def images(channels=4, axes=2):
    return np.random.default_rng(0).integers(1, 100, (2, channels, *SIZES[:axes]))


def cell(image, window, position, offset):
    """The cell at an offset of the window at a position of one image (*sizes), 0 in the margin."""
    ends = [low for low, _ in window.padding]
    numbers = zip(position, window.stride, offset, window.dilation, ends, strict=True)
    at = tuple(p * step + o * gap - low for p, step, o, gap, low in numbers)
    inside = all(0 <= i < size for i, size in zip(at, image.shape, strict=True))
    return image[at] if inside else 0


@given(WINDOWS)
def test_windows_hold_the_cells_of_the_loop(window):
    x = images(1)
    view = window.windows(x, 0)
    assert view.shape == (2, 1, *window.positions(8, 7), *window.kernel)
    for (n, c, down, across, *offset), value in np.ndenumerate(view):
        assert value == cell(x[n, c], window, (down, across), offset)


@given(st.sampled_from([1, 3]).flatmap(drawn), st.integers(0, 2**32))
def test_windows_over_one_and_three_axes_hold_the_cells_of_the_loop(window, seed):
    axes = len(window.kernel)
    x = images(1, axes)
    view = window.windows(x, 0)
    assert view.shape == (2, 1, *window.positions(*SIZES[:axes]), *window.kernel)
    for flat in np.random.default_rng(seed).integers(view.size, size=200):
        n, c, *place = np.unravel_index(flat, view.shape)
        assert view[(n, c, *place)] == cell(x[n, c], window, place[:axes], place[axes:])


@given(drawn(dilated=False), st.integers(-5, 5))
def test_windows_are_those_of_unfold_in_torch(window, fill):
    axes = len(window.kernel)
    x = images(2, axes)
    sides = [end for pads in reversed(window.padding) for end in pads]
    found = torch.nn.functional.pad(torch.tensor(x), sides, value=fill)
    for axis, (size, step) in enumerate(zip(window.kernel, window.stride, strict=True), 2):
        found = found.unfold(axis, size, step)
    assert np.array_equal(window.windows(x, fill), found.numpy())


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


@given(st.sampled_from([1, 3]).flatmap(drawn), st.sampled_from([1, 2, 4]))
def test_patches_over_one_and_three_axes_are_the_windows_as_rows(window, groups):
    axes = len(window.kernel)
    view = window.windows(images(4, axes), -1)
    where = (*range(2, 2 + axes), 1, *range(2 + axes, 2 + 2 * axes))
    for group, rows in enumerate(patches(images(4, axes), window, groups, fill=-1)):
        part = view[:, group * (4 // groups) : (group + 1) * (4 // groups)].transpose(0, *where)
        assert np.array_equal(rows, part.reshape(len(rows), -1))


def test_the_last_window_may_hang_over_the_end_in_ceil_mode_alone():
    plain, over = (Window(kernel=(2, 2), stride=(2, 2), ceil_mode=c) for c in (False, True))
    assert plain.positions(5, 4) == (2, 2) and over.positions(5, 4) == (3, 2)
    assert over.pads(5, 4) == ((0, 1), (0, 0))
    assert (over.windows(np.ones((1, 1, 5, 4)), -9)[0, 0, 2, :, 1] == -9).all()


def test_window_larger_than_the_image_is_refused():
    with pytest.raises(InputError, match="at least 5"):
        Window(kernel=(5, 1)).positions(4, 9)
