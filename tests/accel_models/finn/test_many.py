"""Copies that start at the first layer that changes: the numbers of whole runs, whatever is kept."""

import numpy as np
import pytest

from accel_models.finn import chip as chips
from accel_models.finn.chip import FinnChip
from accel_models.finn.config import FinnConfig
from accel_models.finn.many import run_each
from tests.helpers.finn_networks import small_network
from xbarsim.errors import InputError
from xbarsim.faults.pe import PeFault, PeFaultKind


def tables_of(chip, rng, count, images):
    """Faults of all kinds and layers, a third of them transient, one to four at once."""
    every = chip.fault_list(list(PeFaultKind))
    kinds = every.column("kind")
    for _ in range(count):
        chosen = [rng.choice(np.flatnonzero(kinds == rng.choice(np.unique(kinds)))) for _ in range(4)]
        found = every.take(np.array(chosen[: rng.integers(1, 5)]))
        yield found.struck(np.where(rng.random(len(found)) < 0.7, -1, rng.integers(0, images, len(found))))


@pytest.mark.parametrize("kept_bytes", [0, 5000, 2**20])
@pytest.mark.parametrize("loopback", [None, (9, 3)])
@pytest.mark.parametrize("healthy", [True, False])
def test_copies_are_whole_runs(kept_bytes, loopback, healthy, monkeypatch):
    """In batches of a few images, all, some and none of which are kept."""
    rng = np.random.default_rng(0)
    chip = FinnConfig(loopback=loopback).program(small_network(rng, 2, 2))
    images = rng.random((17, 3, 8, 8))
    if not healthy:
        chip = chip.inject([f for table in tables_of(chip, rng, 3, 17) for f in table])
    tables = list(tables_of(chip, rng, 12, 17))
    expected = [chip.inject(table).run(images) for table in tables]
    monkeypatch.setattr(chips, "BATCH_BYTES", 4 * chips.BATCH_BYTES // chip.batch_size)
    assert chip.batch_size == 4
    found = list(run_each(chip, iter(tables), images, kept_bytes=kept_bytes))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores, strict=True)
        np.testing.assert_array_equal(one.classes, other.classes, strict=True)
        assert one.cost.latency_ns == other.cost.latency_ns or loopback


def test_copies_start_at_the_first_layer_that_changes(monkeypatch):
    rng = np.random.default_rng(1)
    chip, images = FinnConfig().program(small_network(rng)), rng.random((5, 3, 8, 8))
    faults = [chip.fault_list([PeFaultKind.channel], [layer]).take(np.arange(1)) for layer in (2, 0)]
    faults.append(chip.fault_list([PeFaultKind.lane], [3]).take(np.arange(1)).struck(np.array([3])))
    faults.append(faults[0].take(np.arange(0)))
    starts, whole = [], FinnChip.scores_under

    def watched(self, found, x, *, first=0):
        starts.append((first, len(x)))
        return whole(self, found, x, first=first)

    runs = chip.run_each(faults, images)
    monkeypatch.setattr(FinnChip, "scores_under", watched)
    assert len(list(runs)) == 4
    assert starts == [(2, 5), (0, 5), (3, 1)]


def test_inputs_are_refused_before_any_run_and_faults_in_their_turn():
    rng = np.random.default_rng(2)
    chip, images = FinnConfig().program(small_network(rng)), rng.random((2, 3, 8, 8))
    with pytest.raises(InputError, match="inputs: expected shape"):
        chip.run_each([], images[0])
    with pytest.raises(InputError, match=r"inputs: expected numbers in 0..1"):
        chip.run_each([], 255 * images)
    good = PeFault(kind=PeFaultKind.channel, layer=0, unit=0, value=1)
    runs = chip.run_each([[good], [PeFault(kind=PeFaultKind.channel, layer=9, unit=0, value=1)]], images)
    assert len(next(runs).scores) == 2
    with pytest.raises(InputError, match=r"a layer in 0\.\.3, got 9"):
        next(runs)
