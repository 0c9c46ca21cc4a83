"""The layers behind the first, laid out flat: read back field by field, they are the layers."""

import numpy as np
import pytest

from accel_models.finn.chain import build_chain, sums_type
from accel_models.finn.config import FinnConfig
from accel_models.finn.plan import pack
from tests.helpers.finn_cases import CASES, random_network_of
from tests.twins.finn import run_layer
from xbarsim.kernels.layout import FIELDS

NAMES = ["w1a1", "w1a2 unsigned", "w2a2 strides", "w8a4", "w1a1 highest bit"]


@pytest.fixture(params=NAMES)
def design(request):
    return FinnConfig().program(random_network_of(CASES[request.param], np.random.default_rng(1)))


def fields_of(chain, layer):
    return dict(zip(FIELDS, chain.layers[layer].tolist(), strict=True))


def test_windows_times_rows_are_the_layers_sums(design):
    """From code 0 on, every bit that is set adds the row of a rising bit; falling bits take it away."""
    chain, rng = build_chain(design), np.random.default_rng(2)
    for place, plan in list(enumerate(design.plans))[1:]:
        layer, f = plan.layer, fields_of(chain, place)
        (kh, kw), channels = layer.kernel, layer.shape[2]
        shape = (f["planes"], 2, kh * kw, f["blocks"] * 64, f["lanes"])
        rows = chain.rows[f["rows_at"] : f["rows_at"] + np.prod(shape)].astype(np.int64).reshape(shape)
        assert f["variant"] == rows[0, 0].size and (rows[:, 0] == -rows[:, 1]).all()
        codes = rng.integers(0, layer.input.top + 1, (1, *layer.shape))
        flat, raw = codes.reshape(-1, channels), []
        windows = f["outputs"] * f["pool"]
        for corner in chain.corners[f["windows_at"] : f["windows_at"] + windows]:
            pixels = [corner + y * f["width"] + x for y in range(kh) for x in range(kw)]
            bits = [(flat[pixels] >> p) & 1 for p in range(f["planes"])]
            raw.append(sum(np.einsum("kc,kcl->l", b, rows[p, 0, :, :channels]) for p, b in enumerate(bits)))
        sums, _ = run_layer(layer, codes)
        np.testing.assert_array_equal(plan.accumulators(np.array(raw)[None]), sums)
        words = pack(flat[None].astype(np.uint8), layer.input.bits)
        in_use = np.array(raw)[:, : layer.rows]
        np.testing.assert_array_equal(plan.run(words, sums=True)[1][0, :, : layer.rows], in_use)


def test_layers_lie_one_behind_the_other(design):
    chain, words, sums = build_chain(design), 0, 0
    for place, plan in list(enumerate(design.plans))[1:]:
        f = fields_of(chain, place)
        assert (f["input_at"], f["sums_at"]) == (words, sums)
        words, sums = words + plan.input_words, sums + len(plan.corners[0]) * plan.lanes
        limits = chain.thresholds[f["thresholds_at"] :][: f["thresholds"] * f["lanes"]]
        assert (limits.reshape(-1, f["lanes"]) == plan.arrays.thresholds).all()
    assert (chain.layers[0] == 0).all()
    assert chain.thresholds.dtype == chain.initial.dtype == sums_type(design)


def test_rows_add_up_within_their_type(design):
    """`limit` rows of the largest worth."""
    chain = build_chain(design)
    for place, plan in list(enumerate(design.plans))[1:]:
        f = fields_of(chain, place)
        rows = chain.rows[f["rows_at"] :][: 2 * f["planes"] * f["variant"]].astype(np.int64)
        assert np.abs(rows).max() == np.abs(plan.layer.weights.astype(int)).max() << (f["planes"] - 1)
        assert 0 < f["limit"] * np.abs(rows).max() <= np.iinfo(chain.rows.dtype).max


def test_the_head_has_a_floor_a_gain_and_an_offset_a_class(design):
    chain, network = build_chain(design), design.network
    assert chain.classes == network.head.classes
    if network.head.kind == "highest-bit":
        assert len(chain.head) == 0
    else:
        floor, gain, *offsets = chain.head.tolist()
        assert floor < -(2**60) and gain == design.plans[-1].gain
        assert offsets == design.plans[-1].offset[: chain.classes].tolist()
