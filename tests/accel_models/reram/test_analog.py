"""Analog and parasitic chips: limits, history of a cell, reproducible reads, verified writes, calibration."""

import numpy as np
import pytest

from accel_models.reram.analog import write_analog
from accel_models.reram.calibration import calibrate_adc
from accel_models.reram.chip import program
from accel_models.reram.config import accelerator
from tests.helpers.chips import untrained_chip
from tests.helpers.grouped import grouped_graph, small_arrays
from tests.twins.crossbar import nodal_matrix
from xbarsim.cells.device import Device, device, device_presets
from xbarsim.cells.effects import (
    Additive,
    FlickerRead,
    Lognormal,
    UniformRead,
)
from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.crossbar.parasitic import Wires
from xbarsim.errors import InputError
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.sampling import mix_presets, sample_by_rate
from xbarsim.kernels.analog import LANES, UNIFORM

IMAGES = np.random.default_rng(0).random((30, 1, 8, 8)).astype(np.float32)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def chip(bench):
    return bench.chip


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XBARSIM_CACHE", str(tmp_path))


def images_of(bench, n=60):
    return bench.test.images[:n]


@pytest.mark.parametrize("reference", ["ideal", "column"])
def test_an_ideal_device_is_the_digital_chip_faults_included(bench, reference):
    faulty = bench.chip.inject(
        sample_by_rate(bench.chip.geometry, 0.02, mix=mix_presets()["even"], rng=rng())
    )
    found = write_analog(faulty, device("ideal"), rng(), reference=reference).run(images_of(bench))
    expected = faulty.run(images_of(bench))
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.classes, expected.classes)
    assert found.cost == expected.cost


def test_wires_without_resistance_are_analog_and_small_ones_change_little(bench):
    ideal = device("ideal")
    bare = write_analog(bench.chip, ideal, rng())
    none = write_analog(bench.chip, ideal, rng(), wires=Wires(word_ohm=0, bit_ohm=0))
    np.testing.assert_array_equal(none.run(images_of(bench)).scores, bare.run(images_of(bench)).scores)
    small = write_analog(bench.chip, ideal, rng(), wires=Wires(word_ohm=1e-6, bit_ohm=1e-6))
    seen = []
    prepared = small.prepare(on_array=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (bench.chip.placement.arrays,) * 2
    for key, matrix in prepared.items():
        np.testing.assert_allclose(matrix.levels(), bare.matrices[key].levels(), atol=2e-3)
    large = write_analog(bench.chip, ideal, rng(), wires=Wires(word_ohm=10, bit_ohm=10))
    key = next(iter(prepared))
    assert large.matrices[key].levels().sum() < 0.9 * prepared[key].levels().sum()


def test_reads_depend_on_the_seed_and_not_on_batches(bench):
    noisy = write_analog(bench.chip, device("hfo2-wan"), rng())
    whole = noisy.run(images_of(bench), seed=rng(5)).scores
    parts = noisy.run(images_of(bench), seed=5, batch_size=7).scores
    np.testing.assert_array_equal(parts, whole)
    assert (noisy.run(images_of(bench), seed=6).scores != whole).any()
    again = write_analog(bench.chip, device("hfo2-wan"), rng())
    np.testing.assert_array_equal(again.run(images_of(bench), seed=5).scores, whole)


@pytest.mark.parametrize("name", ["hfo2-wan", "cmo-hfox", "pcm"])
def test_ageing_follows_the_model_and_leaves_the_chip(chip, name):
    young = write_analog(chip, device(name), rng())
    layer = chip.graph.layers[0].name
    before = young.conductances_uS(layer)
    old = young.age(3600).age(82800)
    assert old.seconds == 86400 and young.seconds == 0
    np.testing.assert_array_equal(young.conductances_uS(layer), before)
    np.testing.assert_array_equal(old.conductances_uS(layer), young.age(86400).conductances_uS(layer))
    change = old.conductances_uS(layer) - before
    target = write_analog(chip, Device(**{**vars(device(name)), "effects": ()}), rng()).conductances_uS(layer)
    top = target == target.max()
    if name == "cmo-hfox":
        spread = 0.0420 * np.log(86400) + 0.4118
        assert change[top].mean() == pytest.approx(-0.0890 * np.log(86400), abs=0.05)
        assert change[top].std() == pytest.approx(spread, rel=0.05)
    elif name == "pcm":
        np.testing.assert_allclose(old.conductances_uS(layer)[top], 25 * (86420 / 20) ** -0.049, rtol=1e-4)
    else:
        error = (old.conductances_uS(layer) - target)[top]
        assert error.std() == pytest.approx(0.701 + 22.086 - 50.773 + 47.095 - 16.458, rel=0.05)


def test_age_beyond_the_data_is_refused(chip):
    young = write_analog(chip, device("hfo2-wan"), rng())
    for seconds in (-1, 3 * 86400, float("nan"), float("inf"), None, "1"):
        with pytest.raises(InputError, match=r"seconds: expected a finite number in 0\.\.172800"):
            young.age(seconds)
    with pytest.raises(InputError, match=r"in 0\.\.72800"):
        young.age(100000).age(100000)
    for name in ("cmo-hfox", "pcm", "ideal"):
        with pytest.raises(InputError, match="seconds"):
            write_analog(chip, device(name), rng()).age(float("inf"))


def test_a_stuck_cell_sits_at_its_level_whatever_is_drawn(chip):
    place = chip.placement.matrices[0]
    fault = FaultMap.of(chip.geometry, array=[place.first], row=[3], column=[5], kind=["stuck_lrs"])
    faulty = write_analog(chip, device("hfo2-wan"), rng()).inject(fault)
    digit, slot = 5, 0
    g = faulty.conductances_uS(place.layer)
    assert g[digit, 3, slot] == 40
    assert faulty.refresh(rng(9)).conductances_uS(place.layer)[digit, 3, slot] == 40
    healthy = write_analog(chip, device("hfo2-wan"), rng()).conductances_uS(place.layer)
    assert (g != healthy).sum() == 1


def test_refresh_draws_anew_and_starts_the_clock(chip):
    old = write_analog(chip, device("hfo2-wan"), rng()).age(1000)
    fresh = old.refresh(rng(1))
    layer = chip.graph.layers[0].name
    assert fresh.seconds == 0
    assert fresh.write_cost.cell_writes == chip.placement.used_cells
    assert (fresh.conductances_uS(layer) != old.conductances_uS(layer)).mean() > 0.99


def test_verified_writes_end_within_tolerance_and_count_what_they_took(chip):
    place = chip.placement.matrices[0]
    columns = np.arange(8)
    stuck = FaultMap.of(chip.geometry, array=[place.first], row=[0], column=columns, kind=["stuck_lrs"])
    wanted = chip.array_levels()[place.first, 0, columns]
    hopeless = int((wanted != 3).sum())
    faulty = write_analog(chip, device("hfo2-wan"), rng()).inject(stuck)
    written, report = faulty.write_verify(3.0, rng(2), max_iterations=30)
    assert report.outside == hopeless
    assert hopeless
    assert report.iterations == 30
    used = chip.placement.used_cells
    assert used < report.writes < 2 * used
    assert report.writes == written.write_cost.cell_writes
    for layer in chip.graph.layers:
        healthy = written.conductances_uS(layer.name)
        aim = written.device.target_uS(np.round((healthy - 1) / 13), 4)
        assert np.quantile(np.abs(healthy - aim), 0.99) <= 3.0
    loose, cheap = faulty.write_verify(1000.0, rng(2))
    assert (cheap.iterations, cheap.writes, cheap.outside) == (1, used, 0)
    assert report.rms_uS < cheap.rms_uS
    assert loose.seconds == written.seconds == 0


def test_more_variation_costs_more(bench):
    def errors(sigma):
        noisy = Device(name="x", source="", g_off_uS=1, g_on_uS=40, effects=(Additive(sigma),))
        found = write_analog(bench.chip, noisy, rng()).run(images_of(bench)).scores
        return np.abs(found - bench.chip.run(images_of(bench)).scores).mean()

    assert 0 < errors(0.01) < errors(0.05) < errors(0.2)


@pytest.mark.parametrize("read", [UniformRead(0.02), FlickerRead()])
@pytest.mark.parametrize("on", [60, 88])
def test_a_reference_column_adds_its_own_errors(bench, read, on):
    cells = Device(name="x", source="", g_off_uS=50, g_on_uS=on, effects=(Additive(0.02),), read=read)
    ideal = write_analog(bench.chip, cells, rng())
    column = write_analog(bench.chip, cells, rng(), reference="column")
    key = next(iter(column.matrices))
    difference = column.matrices[key].levels() - ideal.matrices[key].levels()
    width = bench.chip.config.array.weights_per_row
    assert difference.std() == pytest.approx(0.02 * 3, rel=0.2)
    np.testing.assert_allclose(difference[0, :, 0], difference[-1, :, width - 1], atol=5e-5)
    alone, both = (variances(c, key) for c in (ideal, column))
    level0 = cells.read_sigma_uS(np.array([50], np.float32), 0)[0] / cells.step_uS(4)
    np.testing.assert_allclose(both - alone, level0**2, rtol=0.05)
    with pytest.raises(InputError, match="reference"):
        write_analog(bench.chip, cells, rng(), reference="column", wires=Wires())


def variances(chip, key):
    """Mean variance of a read of the cells as the kernel holds it, in levels squared."""
    matrix = chip.matrices[key]
    if matrix.noise == UNIFORM:
        return matrix.noise_scale / 4.0**matrix.fraction_bits
    held = matrix.cells[:2, :, :, :64, LANES // 2 :].astype(float)
    return held.mean() * matrix.noise_scale / 4.0**matrix.fraction_bits


def test_faults_in_unused_cells_load_the_wires(chip):
    """Stuck-on cells beside used ones draw current through the same word lines."""
    place, ideal, wires = chip.placement.matrices[-1], device("ideal"), Wires(word_ohm=10, bit_ohm=10)
    used = place.outputs * chip.config.array.format.digits
    row, column = np.indices((place.inputs, chip.config.array.columns - used))
    lrs = FaultMap.of(
        chip.geometry,
        array=[place.first],
        row=row.ravel(),
        column=used + column.ravel(),
        kind=["stuck_lrs"],
    )
    faulty = chip.inject(lrs)
    key = place.layer, place.group
    before = write_analog(chip, ideal, rng(), wires=wires).matrices[key].levels()
    after = write_analog(faulty, ideal, rng(), wires=wires).matrices[key].levels()
    assert (after <= before).all() and after.sum() < 0.999 * before.sum()
    same = [write_analog(c, ideal, rng()).matrices[key].levels() for c in (chip, faulty)]
    np.testing.assert_array_equal(*same)


def test_wrong_types_are_refused_in_one_line(chip):
    analog = write_analog(chip, device("ideal"), rng())
    for action in (
        lambda: write_analog(chip, "ideal", rng()),
        lambda: write_analog(chip, device("ideal"), -1),
        lambda: write_analog(chip, device("ideal"), "1"),
        lambda: analog.run(np.zeros((1, *chip.graph.input_shape)), seed=None),
        lambda: analog.update(chip.graph, None),
        lambda: analog.another(1.5),
        lambda: analog.write_verify(1.0, None),
        lambda: analog.write_verify(float("nan"), rng()),
        lambda: analog.inject(None),
        lambda: chip.run_each(FaultMap.of(chip.geometry), IMAGES),
        lambda: chip.run_each(None, IMAGES),
        lambda: calibrate_adc(chip, np.zeros((1, *chip.graph.input_shape)), percentile=None),
        lambda: ArrayConfig(format=None),
        lambda: ArrayConfig(adc=8),
        lambda: ArrayConfig(inverted_storage="no"),
        lambda: AdcConfig(full_range=np.array([1, 2])),
    ):
        with pytest.raises(InputError):
            action()


def test_wide_lognormal_cells_keep_their_tails(chip):
    cells = Device(name="x", source="", g_off_uS=1, g_on_uS=40, effects=(Lognormal(0.8),))
    written = write_analog(chip, cells, rng())
    key = next(iter(written.matrices))
    g = written.conductances_uS(*key)
    held = written.matrices[key].levels()
    np.testing.assert_allclose(held, (g - 1) / 13, atol=1e-3)
    assert held.max() > 12


@pytest.mark.parametrize("name", ["isaac", "isaac-slc", "twos-complement", "differential"])
def test_every_preset_of_accelerator_and_device_runs(name):
    chip = untrained_chip("digits-mlp", accelerator(name))
    images = rng().random((4, *chip.graph.input_shape))
    expected = chip.run(images).scores
    for cells in device_presets().values():
        found = write_analog(chip, cells, rng()).run(images).scores
        assert np.isfinite(found).all()
        if cells.name == "ideal":
            np.testing.assert_array_equal(found, expected)


def grouped_chip(**options):
    return program(grouped_graph(), small_arrays(**options))


def images_for(chip, n=4):
    return rng().random((n, *chip.input_shape))


@pytest.mark.parametrize("name", ["isaac", "isaac-slc", "twos-complement", "differential"])
@pytest.mark.parametrize("reference", ["ideal", "column"])
@pytest.mark.parametrize("adc_bits", [4, 9])
def test_an_ideal_device_is_the_digital_chip_where_groups_share_arrays(name, reference, adc_bits):
    healthy = grouped_chip(name=name, adc_bits=adc_bits)
    faulty = healthy.inject(sample_by_rate(healthy.geometry, 0.05, mix=mix_presets()["even"], rng=rng()))
    for chip in (healthy, faulty):
        found = write_analog(chip, device("ideal"), rng(), reference=reference).run(images_for(chip))
        np.testing.assert_array_equal(found.scores, chip.run(images_for(chip)).scores)


def test_groups_behind_wires_are_what_a_dense_solution_of_their_array_gives():
    """All cells of the array, those off the diagonal at G_off among them, in one nodal equation."""
    healthy, wires = grouped_chip(), Wires(word_ohm=5, bit_ohm=3, source_ohm=1, sense_ohm=2)
    chip = healthy.inject(sample_by_rate(healthy.geometry, 0.05, mix=mix_presets()["even"], rng=rng()))
    cells = device("ideal")
    wired, levels = write_analog(chip, cells, rng(), wires=wires), chip.array_levels()
    for place in chip.placement.of_layer("depthwise"):
        idle = chip.faults.levels_of_idle_array(place.first)
        used = np.zeros(idle.shape, bool)
        used[: place.inputs, : 8 * place.outputs] = True
        whole = np.where(used, levels[place.first], idle)
        g_uS = cells.target_uS(whole, 4).astype(np.float64)
        seen = (nodal_matrix(g_uS, wires) - cells.g_off_uS) / cells.step_uS(4)
        expected = seen[: place.inputs, : 8 * place.outputs].reshape(place.inputs, place.outputs, 8)
        np.testing.assert_allclose(wired.matrices[place.key].levels(), expected.transpose(2, 0, 1), atol=2e-3)
        found = wired.conductances_uS("depthwise", place.group)
        np.testing.assert_array_equal(found, cells.target_uS(whole[:4, :8].T[:, :, None], 4))


def test_cells_off_the_diagonal_are_written_age_and_are_read_as_any_at_level_0():
    chip = grouped_chip()
    written = write_analog(chip, device("hfo2-wan"), rng())
    place = chip.placement.matrices[0]
    off = np.ones((place.inputs, place.outputs), bool)
    off[:8, :4] = off[8:, 4:] = False
    levels = written.matrices[place.key].levels()[:, off]
    assert (levels != 0).mean() > 0.9 and np.abs(levels).mean() < 0.5
    assert (written.age(86400).matrices[place.key].levels()[:, off] != levels).mean() > 0.9
    assert (written.refresh(1).matrices[place.key].levels()[:, off] != levels).mean() > 0.9
    updated = written.update(grouped_graph(1), 3)
    np.testing.assert_array_equal(updated.matrices[place.key].levels()[:, off], levels)
    assert written.write_cost.cell_writes == chip.placement.written_cells
    assert written.conductances_uS("pairs", 1).shape == (8, 8, 4)
    whole = written.run(images_for(chip), seed=1).scores
    np.testing.assert_array_equal(written.run(images_for(chip), seed=1, batch_size=3).scores, whole)
