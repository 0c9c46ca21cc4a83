"""Faults of fixed seeds, as they were drawn when the published tables were made: digests of their columns."""

import hashlib

import numpy as np
import pytest

from tests.helpers.finn_places import DESIGN
from xbarsim.cells.encoding import WeightFormat
from xbarsim.faults.activations import StuckActivations
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.cell_models import FaultyClusters, FaultyColumns, FaultyCount, FaultyRows, SoftCells
from xbarsim.faults.diagnosis import imperfect
from xbarsim.faults.kinds import CellGeometry
from xbarsim.faults.models import FaultyNeurons, SingleFaults
from xbarsim.faults.neurons import FaultUniverse, NeuronFaultKind, NeuronFaults, SpikingGeometry
from xbarsim.faults.pe import PeFaultKind, PeFaults
from xbarsim.faults.sampling import (
    FaultMix,
    mix_presets,
    sample_by_count,
    sample_by_rate,
    sample_clusters,
    sample_columns,
    sample_rows,
    sample_trial,
)
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.rng import stream

CELLS = CellGeometry(arrays=3, rows=16, columns=20, levels=4)
ANY = FaultMix(stuck_hrs=1, stuck_lrs=2, stuck_at=1, flip=1, step=1)
MIXES = mix_presets()
NEURONS = SpikingGeometry(sizes=(20, 15, 4), steps=8)
UNIVERSE = FaultUniverse(geometry=NEURONS, scope=("input", "hidden", "output", "synapses"))
KINDS = list(PeFaultKind)

EXPECTED = {
    "rate even": "d1077b2a59e96176",
    "rate measured": "d8656594c07d1054",
    "rate hrs": "308d6bfd4c522962",
    "rate lrs": "7f68d98430350eaf",
    "rate level": "078531b748bf75ec",
    "rate flip": "b86bc638f078bdd1",
    "rate step": "bda603703a42fb29",
    "trial": "658f40e6aaba384d",
    "count": "32ffc4f0a703387f",
    "rows": "631216aa0d513f6f",
    "columns": "5cef594b196094e9",
    "clusters": "d3180c517ab17193",
    "stuck cells": "c6b445fce8edbe10",
    "masks": "924109426f85861c",
    "merge": "c956475499edda06",
    "permanent": "a0307f3fc678914d",
    "soft": "172e3f92e162919f",
    "stuck levels": "c85a95cb7b513246",
    "rewritten": "164ac7ad1420c99b",
    "imperfect": "c2432f4b800776c9",
    "units element": "ea677c6959e1fa78",
    "units channel": "861a10789cadf32f",
    "units pixel": "a6d7effb3e2f4c20",
    "neurons hsf": "6013a812ddbebd59",
    "all hsf": "d462946a060e666c",
    "neurons esf": "b189f9346e0ea63e",
    "all esf": "414658c026b2dcd9",
    "neurons nasf": "558c33963d02156f",
    "all nasf": "f094f861399bdaf1",
    "neurons dead": "2376a44f8abea665",
    "all dead": "86b44336f397ebab",
    "neurons threshold": "7d3edc0daaea5e2f",
    "all threshold": "f7893e3a1603c71d",
    "neurons leak": "273591020eec67c9",
    "all leak": "2a06eb75e9ccf139",
    "neurons stuck_output": "2c03c1a72b2e6036",
    "all stuck_output": "8ddb43034827aed5",
    "neurons swf": "b5e07e46e29a3c66",
    "all swf": "4d08fa109f66542d",
    "neurons sasf": "f964c2b72a94c4cb",
    "all sasf": "f64fe0b095cdbcaa",
    "faulty neurons": "6c3a25e8da9d113a",
    "pe channel": "8ed3e73e04e16f1d",
    "pe pe": "eb5fffa23b3fa8b5",
    "pe lane": "bc42e8acfd4b47ab",
    "pe weight": "3a980543a1d20592",
    "pe threshold": "b7b3e14d4b1a891b",
    "pe accumulator": "96883a6813119ebc",
    "pe pixel": "309729a3ac8c9421",
    "pe sample": "7e07223a59be01fe",
    "pe single": "0da9e9d16333a0de",
    "pe struck": "6b9747f324c14ce9",
    "pe file": "3f85abb30e3c85b2",
    "neuron file": "47212ea22073d3aa",
    "map file data": "9be06713a94a5bae",
}


def rng(seed=5):
    return np.random.default_rng(seed)


def digest(*columns):
    found = hashlib.blake2b(digest_size=8)
    for column in columns:
        found.update(np.ascontiguousarray(column).tobytes())
    return found.hexdigest()


def digest_of(faults):
    if isinstance(faults, FaultMap):
        return digest(faults.cell, faults.kind, faults.value)
    if isinstance(faults, PeFaults):
        return digest(faults.table)
    return digest(*(faults.table[name] for name in faults.table.dtype.names))


def two_maps():
    return (sample_by_count(CELLS, 300, mix=ANY, rng=rng(seed)) for seed in (5, 6))


def tables():
    """Every table that has a digest, by its name."""
    first, second = two_maps()
    found = {f"rate {name}": sample_by_rate(CELLS, 0.2, mix=mix, rng=rng()) for name, mix in MIXES.items()}
    found |= {
        "trial": sample_trial(CELLS, 0.1, mix=ANY, seed=3, trial=2),
        "count": sample_by_count(CELLS, 100, mix=ANY, rng=rng()),
        "rows": sample_rows(CELLS, 5, mix=ANY, rng=rng()),
        "columns": sample_columns(CELLS, 6, mix=ANY, rng=rng()),
        "clusters": sample_clusters(CELLS, 4, radius=3, mix=ANY, rng=rng()),
        "stuck cells": StuckCells(rate=0.1).draw(CELLS, rng()),
        "merge": first.merge(second),
        "permanent": first.permanent,
        "soft": first.soft,
        "stuck levels": first.as_stuck_levels(),
        "rewritten": first.rewritten(np.arange(0, 900, 2)),
        "imperfect": imperfect(first, misses=0.2, false_positives=0.01, rng=rng()),
        "faulty neurons": FaultUniverse(geometry=NEURONS).sample(
            NeuronFaultKind.hsf, 0.1, stream(4, "hsf 0.1", 2)
        ),
        "pe sample": DESIGN.fault_list(KINDS).sample(50, stream(4, "pe faults")),
        "pe single": DESIGN.fault_list(KINDS).sample(1, stream(4, "pe faults")),
        "pe struck": every_struck(),
    }
    for kind in NeuronFaultKind:
        found[f"neurons {kind.name}"] = UNIVERSE.sample(kind, 0.4, rng())
        found[f"all {kind.name}"] = UNIVERSE.enumerate(kind, first=1, last=5)
    return found | {f"pe {kind.name}": DESIGN.fault_list([kind]) for kind in KINDS}


def every_struck():
    every = DESIGN.fault_list(KINDS)
    return every.struck(np.arange(len(every)))


def of_models():
    """What models draw, by the name of the same table's digest."""
    found = {f"rate {name}": (StuckCells(rate=0.2, mix=name), CELLS) for name in ("even", "measured")}
    found |= {f"rate {name}": (StuckCells(rate=0.2, mix=name), CELLS) for name in ("hrs", "lrs", "level")}
    found |= {f"rate {name}": (SoftCells(rate=0.2, mix=name), CELLS) for name in ("flip", "step")}
    return found | {
        "count": (FaultyCount(count=100, mix=ANY), CELLS),
        "rows": (FaultyRows(rows=5, mix=ANY), CELLS),
        "columns": (FaultyColumns(columns=6, mix=ANY), CELLS),
        "clusters": (FaultyClusters(clusters=4, radius=3, mix=ANY), CELLS),
        "neurons swf": (FaultyNeurons(kind="swf", ratio=0.4, scope=UNIVERSE.scope), NEURONS),
        "neurons leak": (FaultyNeurons(kind="leak", ratio=0.4, scope=UNIVERSE.scope), NEURONS),
    }


def test_samplers_draw_what_they_always_drew():
    found = {name: digest_of(faults) for name, faults in tables().items()}
    assert found == {name: EXPECTED[name] for name in found}
    files = {"pe file", "neuron file", "map file data"}
    assert set(EXPECTED) - set(found) == files | {"masks", "units element", "units channel", "units pixel"}


@pytest.mark.parametrize("name", of_models())
def test_models_draw_what_samplers_drew(name):
    model, geometry = of_models()[name]
    assert digest_of(model.draw(geometry, rng())) == EXPECTED[name]


def test_models_with_a_stream_of_their_own_draw_what_published_tables_met():
    single = SingleFaults(*(kind.name for kind in KINDS))
    assert digest_of(single.draw(DESIGN, stream(4, single.scenario))) == EXPECTED["pe single"]
    neurons = FaultyNeurons(kind="hsf", ratio=0.1)
    assert digest_of(neurons.draw(NEURONS, stream(4, neurons.scenario, 2))) == EXPECTED["faulty neurons"]


@pytest.mark.parametrize("unit", ["element", "channel", "pixel"])
def test_stuck_units_are_what_they_were(unit):
    stuck = StuckActivations(rate=0.3, unit=unit).draw_units((4, 6, 3, 3), 3, rng())
    assert digest(stuck.at, stuck.value) == EXPECTED[f"units {unit}"]


def test_masks_of_training_are_what_they_were():
    model = StuckCells(rate=0.1, mix=FaultMix(stuck_hrs=1, stuck_lrs=1, stuck_at=1))
    masks = model.draw_masks(200, WeightFormat(), rng())
    assert digest(masks.keep, masks.force, masks.flip) == EXPECTED["masks"]


def test_files_are_what_they_were(tmp_path):
    lists = [UNIVERSE.sample(kind, 0.4, rng(), first=1, last=5).table for kind in NeuronFaultKind]
    first, _ = two_maps()
    content = first.save(tmp_path / "map.safetensors").read_bytes()
    found = {
        "pe file": DESIGN.fault_list(KINDS).save(tmp_path / "pe.csv").read_bytes(),
        "neuron file": NeuronFaults(np.concatenate(lists)).save(tmp_path / "n.csv").read_bytes(),
        "map file data": content[8 + int.from_bytes(content[:8], "little") :],  # headers come in any order
    }
    digests = {name: hashlib.blake2b(part, digest_size=8).hexdigest() for name, part in found.items()}
    assert digests == {name: EXPECTED[name] for name in found}
