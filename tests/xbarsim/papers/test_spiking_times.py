"""Tables 5 to 8: accuracies epoch by epoch, and the time to one of them."""

import numpy as np
import pytest

from accel_models.spiking.config import SpikingConfig
from tests.helpers.spiking import TINY, settings_in, tiny_trainings
from xbarsim.experiments.collecting import collect
from xbarsim.faults.models import FaultyNeurons
from xbarsim.faults.trials import faults_of
from xbarsim.papers.spiking_networks import SpikingVariant
from xbarsim.papers.spiking_times import Convergence, TimedEpoch, convergence, time_table, time_tasks
from xbarsim.rng import Trial


def epochs(*seconds):
    return tuple(TimedEpoch(epoch=i, loss=0.0, cpu_seconds=s) for i, s in enumerate(seconds, 1))


def test_the_time_to_an_accuracy_is_that_of_the_first_epoch_that_reaches_it():
    one = Convergence(
        kind="nasf", fir=0.03, target=(0.9, 0.8, 0.7, 0.6),
        reached=((0.5, 0.8, 0.6, 0.1), (0.9, 0.1, 0.69, 0.2), (0.1, 0.9, 0.7, 0.3)),
        previous=epochs(10, 10, 10), with_making=epochs(10, 20, 20), stored=epochs(12, 12, 12),
        pattern_count=7, images=100, chips=3,
    )  # fmt: skip
    assert [one.epochs_to(place) for place in range(4)] == [2, 1, 3, None]
    rows = time_table(one, 5).rows
    assert [row[4] for row in rows] == ["24.0", "12.0", "36.0", "36.0"]
    assert rows[1][6].startswith("60.0") and rows[3][5].startswith("not in 3")
    assert "7 stored patterns" in time_table(one, 5).note


def test_convergence_is_measured_epoch_by_epoch(data_folder, tmp_path):
    results = collect(time_tasks("nasf", 0.03, TINY, settings_in(tmp_path)))
    one = convergence(results)
    assert len(one.reached) == len(one.stored) == 2 and len(one.reached[0]) == 4
    assert len(one.previous) == len(one.with_making) == 2 and 0 < one.pattern_count <= 10
    assert (one.chips, one.images) == (3, 100)

    training = tiny_trainings(tmp_path, [SpikingVariant(method="previous", kind="nasf", fir=0.03)])[0]
    chip, test = SpikingConfig().program(training.trained.network), training.data.test
    model = FaultyNeurons(kind="nasf", ratio=0.05)
    drawn = [faults_of(model, chip.geometry, Trial(1, t)) for t in range(3)]
    hits = [run.hits(test.labels) for run in chip.run_each(drawn, test.images, seed=1)]
    assert one.target[1] == float(np.mean(hits)) / 100
    assert [epoch.cpu_seconds for epoch in one.previous] == pytest.approx(
        [epoch.cpu_seconds for epoch in training.trained.history]
    )
    last = results.trials["hits"].iloc[0] / results.trials["shots"].iloc[0]
    assert last == pytest.approx(np.mean(one.target))
