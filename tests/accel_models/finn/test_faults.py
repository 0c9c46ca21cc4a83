"""Faulty accelerators give what a slow array of PEs gives; fault simulation counts what plain runs give."""

from dataclasses import dataclass, replace
from math import prod

import numba
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from accel_models.finn.concurrent import simulate_faults
from accel_models.finn.config import FinnConfig
from accel_models.finn.layer import BIPOLAR, TERNARY, Mvtu, Stream, signed, unsigned, weight_range
from accel_models.finn.network import FinnNetwork, Head, PixelInput
from tests.helpers.finn_networks import random_weights, small_network
from tests.twins.finn import run_faulty, run_network
from xbarsim.errors import InputError
from xbarsim.faults.pe import PeFault, PeFaultKind, PeFaults, join

# a seed says nothing more when it is smaller
FEW = settings(
    max_examples=max(1, settings.default.max_examples // 60), phases=[Phase.explicit, Phase.generate]
)
SEEDS = st.integers(0, 2**32 - 1)
FIXED, BITS, IMAGES = PixelInput(kind="fixed-point"), PixelInput(kind="bipolar"), (5, 6, 2)


@dataclass(frozen=True)
class Case:
    """A precision and a shape; `random_network_of` draws the rest.

    Parameters
    ----------
    chain : (rows, kernel, stride, pool) of every layer
    weight_bits : of every layer
    streams : after every layer; None for accumulators
    """

    weight_bits: tuple[int, ...]
    streams: tuple[Stream | None, ...]
    chain: tuple[tuple[int, tuple[int, int], tuple[int, int], int], ...]
    pixels: PixelInput = FIXED
    image: tuple[int, int, int] = IMAGES
    padding: int = 0
    product: bool = False
    inclusive: bool = False
    bias: bool = False
    shift: int = 0
    floor: int | None = None


def convolutions(bits, stream, last=None, **options):
    """5 x 6 x 2 images; a convolution and a pool, another convolution, two fully connected layers."""
    bits = (bits,) * 4 if isinstance(bits, int) else bits
    chain = (
        (4, (2, 3), (1, 1), 2),
        (6, (2, 1), (1, 1), 1),
        (8, (1, 2), (1, 1), 1),
        (6, (1, 1), (1, 1), 1),
    )
    return Case(bits, (stream, stream, stream, last), chain, **options)


def strides(bits, stream, last=None, **options):
    """6 x 7 x 3 images; strides, a pool behind a convolution with a stride, a fully connected layer."""
    chain = (
        (5, (2, 1), (2, 2), 1),
        (6, (2, 2), (1, 2), 2),
        (9, (1, 1), (1, 1), 1),
    )
    return Case((bits,) * 3, (stream, stream, last), chain, image=(6, 7, 3), **options)


def lines(bits, streams, rows, **options):
    """9 x 7 x 1 images of one bit a pixel; fully connected layers, wider than a word of 64."""
    chain = tuple((count, (1, 1), (1, 1), 1) for count in rows)
    return Case((bits,) * len(rows), streams, chain, BITS, (9, 7, 1), 5, **options)


U2, U3, U4, ODD = unsigned(2), unsigned(3), unsigned(4), Stream(low=-3, step=2, top=3)
CASES = {
    "w1a1": convolutions(1, BIPOLAR, shift=1),
    "w1a1 product": convolutions(1, BIPOLAR, product=True, inclusive=True, shift=1),
    "w1a1 agreement in layer 0": convolutions(1, BIPOLAR, pixels=BITS, bias=True),
    "w1a1 inclusive": convolutions(1, BIPOLAR, inclusive=True, floor=5),
    "w1a1 lines": lines(1, (BIPOLAR, BIPOLAR, None), (66, 70, 12)),
    "w1a1 highest bit": lines(1, (BIPOLAR, BIPOLAR, BIPOLAR), (66, 10, 8)),
    "w1a2 ternary": convolutions(1, TERNARY, shift=1),
    "w1a2 unsigned": convolutions(1, U2, inclusive=True),
    "w1a2 lines": lines(1, (TERNARY, TERNARY, TERNARY), (68, 10, 8)),
    "w1a3": convolutions(1, U3, pixels=PixelInput(kind="unsigned", bits=3)),
    "w1a2 odd": convolutions(1, ODD, bias=True),
    "w2a1": convolutions(2, BIPOLAR, shift=1, bias=True),
    "w2a2": convolutions(2, TERNARY, inclusive=True, pixels=PixelInput(kind="fixed-point", bits=4)),
    "w2a2 highest bit": convolutions(2, TERNARY, TERNARY, pixels=BITS),
    "w2a3 lines": lines(2, (U3, U3, None), (66, 9, 7), inclusive=True),
    "w3a2": convolutions(3, U2, floor=0, pixels=PixelInput(kind="unsigned", bits=8)),
    "w3a3": convolutions(3, U3, BIPOLAR, inclusive=True),
    "w3a2 odd": convolutions(3, ODD, U2, shift=2),
    "w4a4": convolutions(4, U4, bias=True),
    "w4a4 signed": convolutions(4, signed(4), inclusive=True, shift=1),
    "w8a1": convolutions(8, BIPOLAR),
    "w8a4": convolutions(8, U4, U4, bias=True, inclusive=True),
    "w1a1 strides": strides(1, BIPOLAR),
    "w2a2 strides": strides(2, TERNARY, U2, pixels=BITS),
    "w8a3 strides": strides(8, U3, inclusive=True),
    "w1a1 two layers": lines(1, (BIPOLAR, None), (20, 130)),
    "w2a1 wide": lines(2, (BIPOLAR, BIPOLAR, None), (140, 70, 6)),
    "mixed": convolutions((8, 1, 3, 2), BIPOLAR, shift=1),
}


def random_network_of(case, rng):
    """Random weights, foldings and widths; thresholds that random inputs reach exactly."""
    height, width, channels = case.image
    shape = (1, 1, prod(case.image) + case.padding) if case.padding else (height, width, channels)
    stream, layers = case.pixels.stream, []
    for place, (bits, out, plan) in enumerate(zip(case.weight_bits, case.streams, case.chain, strict=True)):
        layers.append(_layer(rng, case, place, shape, bits, stream, out, plan))
        shape, stream = layers[-1].output_shape, out
    kind = "first-maximum" if stream is None else "highest-bit"
    head = Head(kind=kind, classes=shape[2] - int(rng.integers(3)), floor=case.floor)
    return FinnNetwork(name="random", layers=tuple(layers), image=case.image, pixels=case.pixels, head=head)


def _layer(rng, case, place, shape, bits, stream, out, plan):
    rows, kernel, stride, pool = plan
    columns = prod(kernel) * shape[2]
    weights = random_weights(rng, (rows, columns), bits)
    agreement = bits == 1 and stream == BIPOLAR and not case.product
    last = place == len(case.chain) - 1
    windows = stream.values[rng.integers(0, stream.top + 1, (50, columns))]
    sums = (windows @ weights.T.astype(np.int64)) << case.shift  # (50, rows)
    if agreement:
        sums = (columns + windows @ weights.T.astype(np.int64)) // 2
    thresholds = None
    if out is not None:
        picked = rng.integers(0, 50, (rows, out.top))
        thresholds = np.sort(
            sums[picked, np.arange(rows)[:, None]] + rng.integers(-1, 2, picked.shape), axis=1
        )
    most = max(abs(v) for v in weight_range(bits)) * int(np.abs(stream.values).max()) * columns
    wide = ((most << case.shift) + 10).bit_length() + 1
    return Mvtu(
        name=str(place),
        weights=weights,
        weight_bits=bits,
        thresholds=thresholds,
        input=stream,
        output=out,
        shape=shape,
        kernel=kernel,
        stride=stride,
        pool=pool,
        accumulates="agreement" if agreement else "product",
        accumulator_shift=0 if agreement else case.shift,
        accumulator_bits=wide + int(rng.integers(3)),
        threshold_bits=wide + int(rng.integers(3)),
        bias=rng.integers(-9, 10, rows) if case.bias and last and out is None else None,
        inclusive=case.inclusive,
        pe=_divisor(rng, rows),
        simd=_divisor(rng, columns),
    )


def _divisor(rng, number):
    return int(rng.choice([d for d in range(1, number + 1) if number % d == 0]))


def random_design(case, rng, loopback):
    """A dataflow accelerator, or the shared array of a loopback one, of any size."""
    network = random_network_of(case, rng)
    shared = (int(rng.integers(1, 10)), int(rng.integers(1, 14))) if loopback else None
    return FinnConfig(loopback=shared).program(network)


def random_images(network, count, rng):
    return rng.integers(0, 256, (count, *network.image), np.uint8)


def some_faults(design, kind, count, images, rng):
    """Faults of one kind, half of them transient; half of those of a shared array sit in one layer."""
    every = design.fault_list([kind])
    if not len(every):
        return every
    found = every.sample(min(count, len(every)), rng)
    usable = [i for i, own in enumerate(design.geometry.layers) if own.values or kind != PeFaultKind.pe]
    layers = np.where(rng.random(len(found)) < 0.5, -1, rng.choice(usable, len(found)))
    images = np.where(rng.random(len(found)) < 0.5, -1, rng.integers(0, images, len(found)))
    return found.struck(images, layers)


def without_contradictions(design, faults):
    """Faults of which no two say different things of one place."""
    kept, taken = [], set()
    for f in faults:
        layers = range(len(design.plans)) if f.layer == -1 else [f.layer]
        places = {(f.kind, layer, f.unit, f.word, f.bit) for layer in layers}
        if f.kind in (PeFaultKind.channel, PeFaultKind.pe):
            places = stuck_rows(design, f)
        if taken.isdisjoint(places):
            kept.append(f)
            taken |= places
    return kept


def stuck_rows(design, fault):
    """(layer, row) of the outputs that a channel or a PE is stuck in."""
    found = set()
    for place, layer in enumerate(design.network.layers):
        if fault.layer in (place, -1):
            pe = (design.shared or layer).pe
            own = [fault.unit] if fault.kind == PeFaultKind.channel else range(fault.unit, layer.rows, pe)
            found |= {(place, row) for row in own}
    return found


def check_against_twin(design, faults, images):
    faulty = design.inject(faults)
    scores, classes = run_faulty(design.network, images, faults, design.shared)
    assert faulty.scores(images).tolist() == scores, [str(f) for f in faults]
    assert faulty.classify(images).tolist() == classes, [str(f) for f in faults]


parametrize_cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
parametrize_designs = pytest.mark.parametrize("loopback", [False, True], ids=["dataflow", "loopback"])


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Of so few images a launch of several threads costs more than the work."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


@parametrize_cases
@FEW
@given(seed=SEEDS)
def test_twin_without_faults_is_the_healthy_network(case, seed):
    rng = np.random.default_rng(seed)
    network = random_network_of(case, rng)
    images = random_images(network, 2, rng)
    sums, classes = run_network(network, images)
    scores, found = run_faulty(network, images, [])
    assert found == classes
    if network.layers[-1].thresholds is None:
        assert scores == sums[-1].reshape(2, -1).tolist()


@parametrize_designs
@parametrize_cases
@FEW
@given(seed=SEEDS)
def test_every_single_fault_is_the_twins(case, loopback, seed):
    rng = np.random.default_rng(seed)
    design = random_design(case, rng, loopback)
    images = random_images(design.network, 2, rng)
    for kind in PeFaultKind:
        for fault in some_faults(design, kind, 2, len(images), rng):
            check_against_twin(design, [fault], images)


@parametrize_designs
@parametrize_cases
@FEW
@given(seed=SEEDS)
def test_faults_together_are_the_twins(case, loopback, seed):
    rng = np.random.default_rng(seed)
    design = random_design(case, rng, loopback)
    images = random_images(design.network, 3, rng)
    several = [f for kind in PeFaultKind for f in some_faults(design, kind, 5, len(images), rng)]
    for count in (2, 5, 20):
        chosen = rng.permutation(len(several))[:count]
        check_against_twin(design, without_contradictions(design, [several[i] for i in chosen]), images)


def rerun(design, faults, images, labels):
    """Hits, flips and masked images of every fault, by a plain run of the design that has it."""
    shown = design.network.head.classes
    healthy, classes = design.scores(images)[:, :shown], design.classify(images)
    found = []
    for fault in faults:
        faulty = design.inject([fault])
        own = faulty.classify(images)
        same = (faulty.scores(images)[:, :shown] == healthy).all(axis=1)
        found.append([int((own == labels).sum()), int((own != classes).sum()), int(same.sum())])
    return found


def check_simulation(design, faults, images, labels, **options):
    results = simulate_faults(design, faults, images, labels, **options)
    counts = np.stack([results.hits, results.flips, results.masked], axis=1)
    assert counts.tolist() == rerun(design, faults, images, labels)
    assert results.shots == len(images)
    assert results.baseline_hits == int((design.classify(images) == labels).sum())


def faults_of_all_kinds(design, count, images, rng):
    """In a shuffled order, some of them twice."""
    found = join([some_faults(design, kind, count, images, rng) for kind in PeFaultKind])
    return found.take(rng.integers(0, len(found), len(found) + 5))


@parametrize_designs
@parametrize_cases
@FEW
@given(seed=SEEDS)
def test_simulation_counts_what_plain_runs_count(case, loopback, seed):
    rng = np.random.default_rng(seed)
    design = random_design(case, rng, loopback)
    images = random_images(design.network, 4, rng)
    labels = rng.integers(0, design.network.head.classes, len(images))
    check_simulation(design, faults_of_all_kinds(design, 10, len(images), rng), images, labels)


@pytest.mark.parametrize("memory_MB", [16, 1024])
@pytest.mark.parametrize("name", ["w1a1", "w2a3 lines", "w1a1 highest bit", "w8a3 strides"])
def test_simulation_is_the_same_in_batches(name, memory_MB):
    """More images than a batch has at most, and transient faults in every batch; on all threads."""
    rng = np.random.default_rng(3)
    design = random_design(CASES[name], rng, False)
    images = random_images(design.network, 300, rng)
    labels = rng.integers(0, design.network.head.classes, len(images))
    faults = faults_of_all_kinds(design, 8, len(images), rng)
    ends = faults.take(np.arange(4)).struck(np.array([0, 255, 256, 299]))
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    try:
        check_simulation(design, join([faults, ends]), images, labels, memory_MB=memory_MB)
    finally:
        numba.set_num_threads(1)


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_simulation_of_wide_layers_counts_what_plain_runs_count(bits):
    """Blocks of 64, 128 and 256 rows; so many changed bits that a window is counted anew."""
    rng = np.random.default_rng(bits)
    chain = (
        (70, (2, 2), (1, 1), 2),
        (450, (1, 1), (1, 1), 1),
        (200, (2, 2), (1, 1), 1),
        (330, (1, 1), (1, 1), 1),
    )
    case = Case((bits,) * 4, (BIPOLAR, TERNARY, BIPOLAR, None), chain, image=(5, 5, 3))
    design = random_design(case, rng, False)
    images = random_images(design.network, 3, rng)
    labels = rng.integers(0, design.network.head.classes, len(images))
    check_simulation(design, faults_of_all_kinds(design, 20, len(images), rng), images, labels)


def test_simulation_of_small_networks_of_the_boards():
    rng = np.random.default_rng(8)
    for bits, activations in ((1, 1), (1, 2), (2, 2)):
        design = FinnConfig().program(small_network(rng, bits, activations))
        images = random_images(design.network, 5, rng)
        check_simulation(design, faults_of_all_kinds(design, 15, 5, rng), images, np.arange(5))


def test_network_of_one_layer_is_simulated():
    rng = np.random.default_rng(1)
    design = random_design(lines(1, (None,), (6,)), rng, False)
    images = random_images(design.network, 3, rng)
    every = faults_of_all_kinds(design, 10, 3, rng)
    for fault in every:
        check_against_twin(design, [fault], images)
    check_simulation(design, every, images, np.zeros(3, np.int64))


def test_simulation_of_no_faults_gives_the_baseline():
    rng = np.random.default_rng(2)
    design = random_design(CASES["w1a1"], rng, False)
    images = random_images(design.network, 3, rng)
    check_simulation(design, PeFaults.of([]), images, np.zeros(3, np.int64))


def test_shared_pe_that_no_layer_uses_changes_nothing():
    """Row n is on PE n mod pe: PE 8 has no work in layers of up to 8 rows."""
    rng = np.random.default_rng(4)
    network = random_network_of(CASES["w1a1"], rng)
    design = FinnConfig(loopback=(9, 2)).program(network)
    idle = PeFault(kind=PeFaultKind.pe, layer=-1, unit=8, value=1)
    images = random_images(network, 3, rng)
    check_against_twin(design, [idle], images)
    check_simulation(design, PeFaults.of([idle]), images, np.zeros(3, np.int64))


def test_fault_in_a_row_with_a_bias_keeps_the_bias():
    """Agreement is counted from the bias on: a weight bit that is stuck at what it holds changes no score."""
    rng = np.random.default_rng(5)
    network = random_network_of(CASES["w1a1 agreement in layer 0"], rng)
    images, last = random_images(network, 2, rng), network.layers[-1]
    network = replace(network, layers=(*network.layers[:-1], replace(last, bias=np.full(last.rows, 7))))
    held = PeFault(
        kind=PeFaultKind.weight,
        layer=3,
        unit=0,
        word=0,
        bit=0,
        value=int(network.layers[-1].weights[0, 0] > 0),
    )
    check_against_twin(FinnConfig().program(network), [held], images)


def test_accumulator_bit_beyond_the_width_of_the_sum_is_its_sign():
    """All lower bits at 0, the highest at 1: the smallest number of that width."""
    network = small_network(np.random.default_rng(6))
    bits = network.layers[-1].accumulator_bits
    faults = [
        PeFault(kind=PeFaultKind.accumulator, layer=3, unit=1, bit=i, value=int(i == bits - 1))
        for i in range(bits)
    ]
    images = random_images(network, 2, np.random.default_rng(7))
    design = FinnConfig().program(network).inject(faults)
    assert (design.scores(images)[:, 1::4] == -(1 << (bits - 1))).all()
    check_against_twin(FinnConfig().program(network), faults, images)


def test_transient_faults_find_their_image_in_any_batch_and_come_one_after_the_other():
    rng = np.random.default_rng(9)
    design = random_design(CASES["w1a2 ternary"], rng, False)
    images = random_images(design.network, 5, rng)
    faults = without_contradictions(design, list(some_faults(design, PeFaultKind.lane, 30, 5, rng)))
    expected, _ = run_faulty(design.network, images, faults)
    split = design.inject(faults[:9]).inject(faults[9:])
    for batch_size in (1, 2, 5):
        assert split.scores(images, batch_size=batch_size).tolist() == expected


def test_simulation_reports_every_inference():
    rng = np.random.default_rng(10)
    design = random_design(CASES["w1a1"], rng, False)
    images, steps = random_images(design.network, 4, rng), []
    faults = faults_of_all_kinds(design, 5, 4, rng)
    simulate_faults(design, faults, images, np.zeros(4, np.int64), on_step=lambda *step: steps.append(step))
    assert steps == sorted(steps)
    assert steps[-1] == (4 * len(faults), 4 * len(faults))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"image": 3}, "transient fault: expected an image in 0..2, got 3"),
        ({"unit": 99}, "unit in 0.."),
        ({"layer": 4}, "expected a layer in 0..3, got 4"),
        ({"layer": -1}, "expected a layer in 0..3, got -1"),
        ({"value": 5}, "expected value -1 or 1, got 5"),
    ],
)
def test_simulation_refuses_faults_outside_the_design(change, text):
    rng = np.random.default_rng(11)
    design = random_design(CASES["w1a1"], rng, False)
    fault = PeFault(**{"kind": PeFaultKind.pe, "layer": 0, "unit": 0, "value": 1} | change)
    images = random_images(design.network, 3, rng)
    with pytest.raises(InputError) as caught:
        simulate_faults(design, PeFaults.of([fault]), images, np.zeros(3, np.int64))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_simulation_refuses_faulty_designs_and_labels_of_other_images():
    rng = np.random.default_rng(12)
    design = random_design(CASES["w1a1"], rng, False)
    images, faults = random_images(design.network, 3, rng), some_faults(design, PeFaultKind.pe, 2, 3, rng)
    with pytest.raises(InputError, match="no faults of its own"):
        simulate_faults(design.inject(faults), faults, images, np.zeros(3, np.int64))
    with pytest.raises(InputError, match=r"labels: expected \(3,\), got \(2,\)"):
        simulate_faults(design, faults, images, np.zeros(2, np.int64))
