"""Rows are the same, bit for bit, over workers, threads and batches: every measure, repair and hardware."""

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import nn

from networks.snn import Snn
from tests.helpers.same_rows import batches, differences, rows, threads
from tests.helpers.subjects import digits_data, digits_subject
from xbarsim.experiments.every_fault import every_fault
from xbarsim.experiments.experiment import grid
from xbarsim.experiments.measures import Accuracy, Detection
from xbarsim.experiments.references import SubjectReference
from xbarsim.faults.activations import StuckActivations
from xbarsim.faults.models import FaultyNeurons, SingleFaults
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.registry import accelerators, detectors, repairs
from xbarsim.repair.refresh import Refresh
from xbarsim.repair.retrain import Retrain
from xbarsim.subject import Subject
from xbarsim.training.loop import initialise

WAYS = [
    {"workers": 1, "count": 2},
    {"workers": 1, "count": 1, "batch": "few"},
    {"workers": 1, "count": 2, "batch": "many"},
    {"workers": 2, "count": 2},
]
MORE_WAYS = [*WAYS, {"workers": 2, "count": 1}]
MEASURES = [Accuracy(), *(Detection(detector=detectors.make(name)) for name in detectors.names)]
PATTERNS = [Detection(detector=detectors.make(name)) for name in ("adversarial", "original")]
STUCK = StuckCells(rate=0.02)
IMAGES = 40


def every_repair(images):
    """As registered; a training of few images, towards labels and towards the fault-free answers."""
    others = [repairs.make(name) for name in repairs.names if name != "retrain"]
    trainings = [Retrain(epochs=1, images=images, targets=targets) for targets in ("labels", "fault-free")]
    return [*others, *trainings]


def on_cells():
    """Every measure after every repair, on ReRAM."""
    return grid(MEASURES, subjects=digits_subject(), faults=STUCK, repairs=every_repair(150), trials=2)


def convolved():
    """Convolutions, the gradients of which round otherwise on two threads; the network has not learned."""
    subject = digits_subject(network=initialise(convolutions, 0))
    measures, trainings = [Accuracy(), PATTERNS[0]], every_repair(300)[-2:]
    return grid(measures, subjects=subject, faults=STUCK, repairs=trainings, trials=1)


def convolutions():
    """For 8 x 8 digits."""
    first, second = nn.Conv2d(1, 16, 3), nn.Conv2d(16, 16, 3)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))


def converted():
    """Every conversion of ReRAM arrays."""
    return grid(Accuracy(fidelity="bit-serial"), subjects=digits_subject(images=20), faults=STUCK, trials=1)


def analog():
    """Conductances that are read with noise, and through wires."""
    subjects = [digits_subject(words) for words in ("analog:device=cmo-hfox", "analog:wire_ohm=2.5")]
    measures, writes = [Accuracy(), PATTERNS[1]], [repairs.make("as-it-is"), Refresh()]
    return grid(measures, subjects=subjects, faults=STUCK, repairs=writes, trials=1)


def on_finn():
    """Single faults, many at a time, and stuck activations."""
    subject = digits_subject("finn")
    return [
        *grid(Accuracy(), subjects=subject, faults=SingleFaults(kinds=["channel"]), trials=30),
        *grid([Accuracy(), *PATTERNS], subjects=subject, faults=StuckActivations(rate=0.05), trials=2),
    ]


def spiking_subject():
    """A network that has not learned, on digits."""
    module = initialise(lambda: Snn((64, 16, 10)), 0)
    with torch.no_grad():
        for layer in module.layers:
            layer.weight.mul_(2)
    return Subject(module, "spiking", test=digits_data("test").first(IMAGES))


def spiking():
    """Faulty neurons, shown as they spike."""
    return grid([Accuracy(), *PATTERNS], subjects=spiking_subject(), faults=FaultyNeurons(), trials=3)


CASES = [on_cells, convolved, converted, analog, on_finn, spiking]


def every_task():
    """Those of all cases: one start of workers for all."""
    return [task for case in CASES for task in case()]


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return rows(every_task, tmp_path_factory.mktemp("usual"))


@pytest.mark.parametrize(
    "way",
    MORE_WAYS if settings.get_current_profile_name() == "thorough" else WAYS,
    ids=lambda way: "-".join(map(str, way.values())),
)
def test_rows_do_not_depend_on_workers_threads_or_batches(usual, tmp_path, way):
    assert not differences(usual, rows(every_task, tmp_path, **way))


@pytest.mark.parametrize("accelerator, model", [("isaac", STUCK), ("finn", SingleFaults(kinds=["pe"]))])
def test_single_faults_do_not_depend_on_threads_or_batches(tmp_path, accelerator, model):
    def counts(count, batch):
        subject = digits_subject(accelerator, images=20)
        faults = model
        if accelerator == "isaac":
            faults = model.draw(subject.chip.geometry, np.random.default_rng(0)).take(np.arange(6))
        with threads(count), batches(batch, tmp_path):
            found = every_fault(subject.chip, faults, subject.test)
        return found.hits.tolist(), found.flips.tolist()

    expected = counts(1, "usual")
    for count, batch in ((2, "usual"), (1, "few"), (2, "many")):
        assert counts(count, batch) == expected


def lenet():
    """LeNet of the zoo on MNIST, from words: every worker loads it again."""
    isaac = accelerators.parse("isaac")
    subject = SubjectReference(network="lenet", accelerator=isaac, images=100).load()
    measures = [Accuracy(), PATTERNS[0]]
    return [
        *grid(MEASURES, subjects=subject, faults=STUCK, repairs=every_repair(200), trials=1),
        *grid(Accuracy(fidelity="bit-serial"), subjects=subject, faults=STUCK, trials=1),
        *grid(measures, subjects=subject.on("differential"), faults=STUCK, trials=3),
        *grid(measures, subjects=subject.on("analog:device=cmo-hfox"), faults=STUCK, trials=2),
        *grid(Accuracy(), subjects=subject.on("finn"), faults=SingleFaults(kinds=["channel"]), trials=100),
        *grid(PATTERNS, subjects=subject.on("finn"), faults=StuckActivations(rate=0.05), trials=2),
    ]


thorough = pytest.mark.skipif(
    settings.get_current_profile_name() != "thorough", reason="minutes: make thorough"
)


@pytest.fixture(scope="module")
def usual_lenet(data_folder, tmp_path_factory):
    return rows(lenet, tmp_path_factory.mktemp("usual"))


@thorough
@pytest.mark.parametrize("way", MORE_WAYS, ids=lambda way: "-".join(map(str, way.values())))
def test_rows_of_lenet_do_not_either(usual_lenet, tmp_path, way):
    assert not differences(usual_lenet, rows(lenet, tmp_path, **way))
