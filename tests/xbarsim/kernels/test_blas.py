"""torch as a BLAS: exact, or not used."""

import sys

import numpy as np
import torch

from xbarsim.kernels import blas


def test_small_work_does_not_import_torch(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch")
    assert not blas.convolves(10)
    assert "torch" not in sys.modules


def test_a_library_that_rounds_is_not_used(monkeypatch):
    def rounds(x, weights, **options):
        return convolve(x, weights, **options) * np.float32(1 + 1e-6)

    convolve = blas.convolve
    monkeypatch.setattr(blas, "convolve", rounds)
    assert not blas._is_exact.__wrapped__("other")


def test_sums_just_below_the_limit_are_exact():
    assert blas.convolves(10)
    x = np.full((1, 64, 3, 3), 255, np.float32)
    weights = np.full((1, 64, 3, 3), 114, np.float32)
    weights[0, 0, 0, 0] = 113
    wanted = 255 * int(weights.astype(int).sum())
    options = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    assert 2**23 < wanted <= blas.EXACT_BELOW
    assert blas.convolve(x, weights, **options).ravel().tolist() == [wanted]
    assert torch.get_num_threads() >= 1
