"""What campaigns repeat: trials are those of the commands, alone or together, and never change unnoticed."""

import json
from dataclasses import replace

import numpy as np
import pytest

from networks.catalogue import network
from networks.checkpoints import save_checkpoint
from networks.zoo import zoo_path
from xbarsim.crossbar.closest import project_graph
from xbarsim.detection.march.algorithms import march_test
from xbarsim.detection.march.chip import march_chip
from xbarsim.errors import InputError
from xbarsim.faults.sampling import mix_presets
from xbarsim.rng import stream
from xbarsim.studies.accuracy import accuracy_of_chips
from xbarsim.studies.detection import study_detection
from xbarsim.studies.workbench import hits
from xbarsim.studies.workloads import CellFaults, ChipAccuracy, ChipDetection, placed

FAULTS = CellFaults(rate=0.02, mix="even")


@pytest.fixture(scope="module")
def subject(digits_weights):
    return placed("digits-mlp", digits_weights, "isaac", 60)


def made(workload, numbers, seed=5):
    return list(workload.prepare()(seed, numbers))


def test_chips_are_those_that_simulate_draws(subject):
    bench = subject.bench()
    maps = list(bench.fault_maps(0.02, mix_presets()["even"], chips=6, seed=5))
    expected = accuracy_of_chips(bench, maps)
    found = made(ChipAccuracy(subject=subject, faults=FAULTS), range(6))
    assert [(o.hits, o.shots) for o in found] == [(row.hits, row.shots) for row in expected]
    assert [o.counts["used_faults"] for o in found] == [row.used_faults for row in expected]


@pytest.mark.parametrize("method", ["none", "closest", "retrain"])
def test_a_trial_is_the_same_alone_and_among_others(subject, method):
    workload = ChipAccuracy(subject=subject, faults=FAULTS, method=method, train_images=64)
    together = made(workload, (4, 2, 3))
    assert together == [made(workload, (number,))[0] for number in (4, 2, 3)]
    assert len({o.hits for o in together}) > 1 or method != "none"


@pytest.mark.parametrize("mix", ["even", "level", "step"])
def test_closest_values_are_written_for_what_march_finds(subject, mix):
    bench, faults = subject.bench(), CellFaults(rate=0.02, mix=mix)
    fault_map = faults.draw(bench.chip, 5, 0)
    known = march_chip(fault_map, march_test("March C-"), rng=stream(5, "march", 0)).fault_map
    masks = bench.chip.inject(known).training_masks()
    graph = project_graph(bench.chip.graph, bench.chip.config.array.format, masks)
    logits = bench.chip.inject(fault_map).update(graph).run(bench.test.images).scores
    (found,) = made(ChipAccuracy(subject=subject, faults=faults, method="closest"), (0,))
    assert found.hits == hits(logits, bench.test.labels)


def test_repairs_help(subject):
    found = {}
    for method in ("none", "closest", "retrain"):
        workload = ChipAccuracy(subject=subject, faults=FAULTS, method=method, train_images=1000)
        found[method] = np.mean([o.hits for o in made(workload, range(4))])
    assert found["none"] < found["closest"] and found["none"] < found["retrain"]


def test_detection_is_that_of_the_study(subject):
    bench = subject.bench()
    maps = list(bench.fault_maps(0.002, mix_presets()["even"], chips=8, seed=5))
    expected = {
        (count.patterns, count.criterion): count.detected
        for count in study_detection(bench, maps, patterns=3, seed=5).faulty
    }
    workload = ChipDetection(subject=subject, faults=CellFaults(rate=0.002), patterns=3)
    found = made(workload, range(8))
    assert sum(o.hits for o in found) == expected["adversarial", "SDC-3%"]
    assert sum(o.counts["original_sdc_1"] for o in found) == expected["original", "SDC-1"]
    assert all((o.counts["original_moved"] > 0.03) == o.counts["original_sdc_3"] for o in found)


def test_new_weights_in_the_same_place_are_read_again(digits_weights, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(digits_weights.read_bytes())
    before = ChipAccuracy(subject=placed("digits-mlp", path, "isaac", 40), faults=CellFaults(rate=0.0))
    (good,) = made(before, (0,))
    module = network("digits-mlp").build()
    save_checkpoint(path, module, {})  # untrained
    after = ChipAccuracy(subject=placed("digits-mlp", path, "isaac", 40), faults=CellFaults(rate=0.0))
    (bad,) = made(after, (0,))
    assert good.hits > 30 > bad.hits
    with pytest.raises(InputError, match="as planned"):
        before.prepare()


def test_changed_weights_are_noticed(subject, tmp_path):
    other = replace(subject, weights_digest="0" * 16)
    with pytest.raises(InputError, match="weights and images as planned"):
        ChipAccuracy(subject=other, faults=FAULTS).prepare()


def test_facts_are_plain_json_and_say_what_a_report_needs(subject):
    facts = ChipDetection(subject=subject, faults=FAULTS).facts()
    assert json.loads(json.dumps(facts)) == facts
    assert (
        facts["arrays"] == 7 and facts["shots"] == 60 and facts["patterns_latency_ns"] > facts["latency_ns"]
    )


def test_the_revision_is_raised_when_counts_change():
    """Counts of revision 1. If they have to change, raise `REVISION`, so that stores are not mixed."""
    subject = placed("digits-mlp", zoo_path("digits-mlp"), "isaac", 100)
    found = {}
    for method in ("none", "closest"):
        workload = ChipAccuracy(subject=subject, faults=FAULTS, method=method)
        assert workload.describe()["revision"] == 1
        found[method] = [(o.counts["faults"], o.hits) for o in made(workload, range(4), seed=1)]
    assert found == GOLDEN


GOLDEN = {
    "none": [(2282, 74), (2217, 92), (2311, 83), (2268, 73)],
    "closest": [(2282, 88), (2217, 98), (2311, 91), (2268, 84)],
}
