"""What every kind of chip keeps of the contracts of `xbarsim.chip`."""

from functools import cache
from math import isfinite, isnan

import numpy as np
import pytest

from tests.contracts.chips import CHIPS
from xbarsim.chip import Cost, Quantization, Run
from xbarsim.errors import InputError

SEED = 3


@cache
def built(name):
    return CHIPS[name]()


@pytest.fixture(params=CHIPS)
def case(request):
    return built(request.param)


def assert_same(run, other):
    """Bit for bit; an unknown cost is equal to an unknown cost."""
    np.testing.assert_array_equal(run.scores, other.scores, strict=True)
    np.testing.assert_array_equal(run.classes, other.classes, strict=True)
    np.testing.assert_equal(vars(run.cost), vars(other.cost))


def run(chip, case):
    return chip.run(case.inputs, seed=SEED)


def none_of(faults):
    return faults.take(np.arange(0))


def test_run_gives_scores_classes_and_cost(case):
    found, count = run(case.chip, case), len(case.inputs)
    assert isinstance(found, Run) and isinstance(found.cost, Cost)
    assert len(found.scores) == count and np.isfinite(found.scores).all()
    assert found.classes.shape == (count,) and found.classes.dtype == np.int64
    np.testing.assert_equal(vars(found.cost), vars(case.chip.cost(count)))


def test_run_counts_hits(case):
    found = run(case.chip, case)
    labels = found.classes.copy()
    assert found.hits(labels) == len(labels) and found.accuracy(labels) == 1.0
    labels[0] = 1 - min(labels[0], 1)
    assert found.hits(labels) == len(labels) - 1
    assert found.accuracy(labels) == (len(labels) - 1) / len(labels)
    with pytest.raises(InputError, match="labels"):
        found.hits(labels[1:])
    with pytest.raises(InputError, match="labels"):
        found.hits(labels + 0.5)


def test_same_seed_gives_same_answers(case):
    assert_same(run(case.chip, case), run(case.chip, case))
    faulty = case.chip.inject(case.second)
    assert_same(run(faulty, case), run(faulty, case))


def test_chip_without_faults_is_healthy(case):
    assert len(case.chip.faults) == 0 and case.chip.faults.counts() == {}
    assert_same(run(case.chip.inject(none_of(case.first)), case), run(case.chip, case))


def test_faults_of_the_case_matter(case):
    healthy = run(case.chip, case).scores
    for faults in (case.first, case.second):
        assert (run(case.chip.inject(faults), case).scores != healthy).any()


def test_inject_adds(case):
    both = case.first.merge(case.second)
    twice, once = case.chip.inject(case.first).inject(case.second), case.chip.inject(both)
    assert_same(run(twice, case), run(once, case))
    for chip in (twice, once):
        assert len(chip.faults) == len(both) > len(case.first)
        assert chip.faults.counts() == both.counts()


def test_inject_changes_no_other_chip(case):
    before = run(case.chip, case)
    faulty = case.chip.inject(case.first)
    between = run(faulty, case)
    faulty.inject(case.second)
    assert len(case.chip.faults) == 0 and len(faulty.faults) == len(case.first)
    assert_same(run(case.chip, case), before)
    assert_same(run(faulty, case), between)


def test_inject_keeps_what_the_chip_is(case):
    faulty = case.chip.inject(case.first)
    assert type(faulty) is type(case.chip)
    assert faulty.accelerator == case.chip.accelerator and faulty.geometry == case.chip.geometry
    assert faulty.input_shape == case.chip.input_shape == case.inputs.shape[1:]
    assert dict(faulty.resources).keys() == dict(case.chip.resources).keys()


def fault_tables(case):
    """None, single ones, several."""
    one = case.first.take(np.arange(1))
    last = case.second.take(np.arange(len(case.second)) == len(case.second) - 1)
    return [none_of(case.first), one, last, case.first, case.second, case.first.merge(case.second)]


@pytest.mark.parametrize("injected", ["nothing", "first", "second"])
def test_run_each_is_inject_and_run(case, injected):
    chip = case.chip if injected == "nothing" else case.chip.inject(getattr(case, injected))
    tables = fault_tables(case)
    found = list(chip.run_each(tables, case.inputs, seed=SEED))
    assert len(found) == len(tables)
    for faults, one in zip(tables, found, strict=True):
        assert_same(one, run(chip.inject(faults), case))


def test_run_each_takes_a_generator_and_gives_one(case):
    tables = fault_tables(case)
    found = case.chip.run_each((faults for faults in tables), case.inputs, seed=SEED)
    assert iter(found) is found
    expected = case.chip.run_each(tables, case.inputs, seed=SEED)
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
    assert list(case.chip.run_each((), case.inputs, seed=SEED)) == []


def test_runs_of_run_each_share_no_memory(case):
    first, second = case.chip.run_each([none_of(case.first)] * 2, case.inputs, seed=SEED)
    kept = second.scores.copy()
    first.scores[...] = 0
    np.testing.assert_array_equal(second.scores, kept)
    assert_same(next(iter(case.chip.run_each([none_of(case.first)], case.inputs, seed=SEED))), second)


def number(value):
    return isinstance(value, int | float | np.number) and (isnan(value) or isfinite(value))


def test_cost_and_resources_are_numbers(case):
    chip = case.chip
    assert chip.resources and all(number(v) for v in chip.resources.values())
    assert all(isinstance(name, str) for name in chip.resources)
    for count in (1, 7):
        cost = chip.cost(count)
        assert isinstance(cost, Cost) and number(cost.latency_ns) and number(cost.energy_pJ)
        assert not (cost.latency_ns <= 0 or cost.energy_pJ <= 0)
    assert not chip.cost(7).latency_ns < chip.cost(1).latency_ns
    with pytest.raises(InputError, match="inputs"):
        chip.cost(0)


def test_accelerator_programs_healthy_chips_and_says_what_it_wants(case):
    accelerator = case.chip.accelerator
    assert isinstance(accelerator.name, str) and accelerator.name
    assert isinstance(accelerator.quantization, Quantization)
    with pytest.raises(InputError):
        accelerator.program("a network")


def wrong_inputs(case):
    shape = f"(N, {', '.join(map(str, case.chip.input_shape))})"
    nan, infinite = case.inputs.copy(), case.inputs.copy()
    nan[-1] = np.nan
    infinite.reshape(-1)[0] = -np.inf
    return [
        (case.inputs[0], f"inputs: expected shape {shape}, got {case.inputs[0].shape}"),
        (case.inputs[:, :-1], f"inputs: expected shape {shape}"),
        (np.concatenate([case.inputs, case.inputs], axis=1), f"inputs: expected shape {shape}"),
        (np.float64(1.0), f"inputs: expected shape {shape}, got ()"),
        (None, "inputs: expected"),
        (case.inputs[:0], "inputs: expected at least one input"),
        (nan, "inputs: expected finite numbers"),
        (infinite, "inputs: expected finite numbers"),
        (case.inputs.astype(str), "inputs: expected real numbers"),
        (case.inputs.astype(object), "inputs: expected real numbers"),
        (case.inputs.astype(complex), "inputs: expected real numbers, got complex128"),
    ]


def test_wrong_inputs_are_refused_in_the_same_words(case):
    for inputs, words in wrong_inputs(case):
        for attempt in (
            lambda x=inputs: case.chip.run(x, seed=SEED),
            lambda x=inputs: list(case.chip.run_each([case.first], x, seed=SEED)),
        ):
            with pytest.raises(InputError) as caught:
                attempt()
            assert str(caught.value).startswith(words)
            assert "\n" not in str(caught.value)


def test_faults_of_another_geometry_are_refused(case):
    with pytest.raises(InputError):
        case.chip.inject(case.elsewhere)
    with pytest.raises(InputError):
        list(case.chip.run_each([case.first, case.elsewhere], case.inputs, seed=SEED))


def test_what_is_no_fault_is_refused(case):
    for wrong in ("faults", 5, None, [1, 2], object()):
        with pytest.raises(InputError):
            case.chip.inject(wrong)
