"""Times of products and of LeNet at every fidelity beside plain torch, and of a March test on an array.

`make bench` runs them and prints docs/performance.md's tables. Compare ratios within one run, never times of
different machines.
"""

import numpy as np
import pytest
import torch

from accel_models.reram.analog import NO_WIRES, write_analog
from accel_models.reram.config import accelerator
from networks.lenet import LeNet
from xbarsim.cells.device import Device
from xbarsim.cells.effects import Additive, UniformRead
from xbarsim.cells.encoding import WeightFormat
from xbarsim.crossbar import serial
from xbarsim.crossbar.analog import analog_matrix
from xbarsim.crossbar.config import AdcConfig, ArrayConfig
from xbarsim.crossbar.matrix import program_matrix
from xbarsim.crossbar.parasitic import Wires
from xbarsim.crossbar.solved import solve_arrays
from xbarsim.detection.march.algorithms import march_test
from xbarsim.detection.march.chip import march_chip
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.sampling import mix_presets, sample_by_rate
from xbarsim.programs import program
from xbarsim.training.loop import initialise

K, M, N = 512, 512, 256
EVEN = mix_presets()["even"]
NOISY = Device(
    name="noisy", source="", g_off_uS=1, g_on_uS=40, effects=(Additive(0.01),), read=UniformRead(0.01)
)
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def operands(bits):
    rng = np.random.default_rng(0)
    half = 2 ** (bits - 1)
    return rng.integers(-half, half, (K, M)), rng.integers(0, 2 * half, (N, K))


def programmed(bits, adc):
    weights, x = operands(bits)
    config = ArrayConfig(format=WeightFormat(weight_bits=bits), input_bits=bits, adc=adc)
    return program_matrix(weights, config), weights, x


def noisy_matrix(bits, noise):
    """The product's cells as conductances, with read noise alike or by cell."""
    digital, _, x = programmed(bits, AdcConfig())
    form = digital.config.format
    blocks = []
    for start in range(0, K, 128):
        words = digital.held[start : start + 128]
        values = np.stack([form.level(words, d) for d in range(form.digits)]).astype(np.float32)
        blocks.append((values, 0.001 if noise == "uniform" else 0.0005 * values))
    largest = 0.0 if noise == "uniform" else 0.002
    return analog_matrix(digital.config, digital.inversion, (K, M), blocks, largest_variance=largest), x


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_product(benchmark, dtype, threads):
    weights, x = (torch.from_numpy(a).to(DTYPES[dtype]) for a in operands(8))
    assert benchmark(lambda: x @ weights).shape == (N, M)


@pytest.mark.parametrize("bits", [8, 16])
def test_proven_product(benchmark, bits, threads):
    matrix, weights, x = programmed(bits, AdcConfig())
    assert matrix.proof.proven.all()
    assert (benchmark(lambda: matrix.product(x, signed=False)) == x @ weights).all()


@pytest.mark.parametrize("adc", ["clips", "rounds"])
@pytest.mark.parametrize("bits", [8, 16])
def test_bit_serial_product(benchmark, bits, adc, threads):
    matrix, _, x = programmed(bits, AdcConfig(bits=6, full_range=None if adc == "clips" else 160))
    assert not matrix.proof.proven.any()
    matrix.product(x, signed=False)
    assert benchmark(lambda: matrix.product(x, signed=False)).shape == (N, M)


@pytest.mark.parametrize("bits", [8, 16])
def test_bit_serial_product_by_tables(benchmark, bits, threads, monkeypatch):
    monkeypatch.setattr(serial, "counts_vectors", lambda: False)
    matrix, _, x = programmed(bits, AdcConfig(bits=6))
    matrix.product(x, signed=False)
    assert benchmark(lambda: matrix.product(x, signed=False)).shape == (N, M)


@pytest.mark.parametrize("noise", ["uniform", "by-cell"])
@pytest.mark.parametrize("bits", [8, 16])
def test_analog_product(benchmark, bits, noise, threads):
    matrix, x = noisy_matrix(bits, noise)
    matrix.multiply(x, False, seed=1)
    assert benchmark(lambda: matrix.multiply(x, False, seed=1)).shape == (N, M)


def test_wires_of_one_array(benchmark, threads, tmp_path):
    rng = np.random.default_rng(0)
    many = iter(rng.choice([1, 14, 27, 40], (200, 8, 128, 128)).astype(np.float32))
    list(solve_arrays(next(many), Wires(), folder=tmp_path))
    found = benchmark.pedantic(lambda: list(solve_arrays(next(many), Wires(), folder=tmp_path)), rounds=5)
    assert len(found) == 8


@pytest.fixture(scope="module")
def lenet():
    images = np.random.default_rng(0).random((100, 1, 28, 28), np.float32)
    module = initialise(LeNet, 0).eval()
    return module, images, program(module, accelerator("isaac"), calibrate=images)


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_lenet(benchmark, lenet, dtype, threads):
    module, images, _ = lenet
    module, x = module.to(DTYPES[dtype]), torch.from_numpy(images).to(DTYPES[dtype])
    with torch.no_grad():
        assert benchmark(lambda: module(x)).shape == (100, 10)


@pytest.mark.parametrize("rate", [0.0, 0.01])
def test_lenet_on_a_chip(benchmark, lenet, rate, threads):
    _, images, healthy = lenet
    chip = healthy.inject(sample_by_rate(healthy.geometry, rate, mix=EVEN, rng=np.random.default_rng(0)))
    chip.run(images)
    assert benchmark(lambda: chip.run(images).scores).shape == (100, 10)


def test_lenet_bit_serial(benchmark, lenet, threads):
    _, images, chip = lenet
    chip.run(images, fidelity="bit-serial")
    run = benchmark.pedantic(lambda: chip.run(images, fidelity="bit-serial").scores, rounds=3)
    np.testing.assert_array_equal(run, chip.run(images).scores)


@pytest.mark.parametrize("wires", [NO_WIRES, Wires()], ids=["analog", "parasitic"])
def test_lenet_in_conductances(benchmark, lenet, wires, threads, tmp_path_factory, monkeypatch):
    _, images, healthy = lenet
    monkeypatch.setenv("XBARSIM_CACHE", str(tmp_path_factory.getbasetemp() / "wires"))
    chip = write_analog(healthy, NOISY, np.random.default_rng(0), wires=wires)
    chip.run(images, seed=1)
    run = benchmark.pedantic(lambda: chip.run(images, seed=1).scores, rounds=3)
    assert run.shape == (100, 10)


def test_lenet_on_eight_faulty_chips(benchmark, lenet, threads):
    _, images, chip = lenet
    rng = np.random.default_rng(0)
    maps = [sample_by_rate(chip.geometry, 0.01, mix=EVEN, rng=rng) for _ in range(8)]
    many = np.concatenate([images] * 10)
    runs = benchmark.pedantic(lambda: list(chip.run_each(maps, many)), rounds=3)
    assert [run.scores.shape for run in runs] == [(1000, 10)] * 8


def test_march_c_minus_on_one_array(benchmark):
    faults = sample_by_rate(CellGeometry(arrays=1), 0.005, mix=EVEN, rng=np.random.default_rng(0))
    test = march_test("March C-")
    found = benchmark(lambda: march_chip(faults, test, rng=np.random.default_rng(1)))
    assert found.fault_map == faults
