"""Single faults as trials: each once, the same alone and among others, as results of a list again."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from accel_models.finn.concurrent import simulate_faults
from accel_models.finn.config import FinnConfig
from accel_models.finn.many import run_each
from xbarsim.errors import InputError
from xbarsim.experiments.collecting import collect
from xbarsim.experiments.experiment import Experiment, grid
from xbarsim.experiments.measures import Accuracy
from xbarsim.experiments.references import SubjectReference
from xbarsim.experiments.single_faults import FAULTS_AT_ONCE, can_share, fault_results
from xbarsim.faults.models import FaultyNeurons, SingleFaults
from xbarsim.faults.pe import NONE, FinnGeometry
from xbarsim.rng import Trial, stream

SEED = 5


def subject_of(folder, images, accelerator=None):
    return SubjectReference(
        network=str(folder), accelerator=accelerator or FinnConfig(), data="cifar10", images=images
    ).load()


@pytest.fixture(scope="module")
def subject(finn_data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XBARSIM_DATA", str(finn_data))
        yield subject_of(finn_data / "cnvW1A1", 8)


def made(subject, model, numbers):
    experiment = Experiment(measure=Accuracy(), subject=subject, faults=model)
    return list(experiment.prepare()(SEED, numbers))


def expected_of(subject, faults):
    chip, test = subject.chip, subject.test
    return simulate_faults(chip, faults, chip.network.to_pixels(test.images), test.labels)


def test_trials_are_the_list_in_a_drawn_order(subject):
    model = SingleFaults("channel")
    every = model.all(subject.chip.geometry)
    numbers = np.random.default_rng(0).choice(len(every), 40, replace=False).tolist()
    found = made(subject, model, numbers)
    order = stream(SEED, "pe faults").permutation(len(every))
    expected = expected_of(subject, every.take(order[numbers]))
    assert [o.hits for o in found] == expected.hits.tolist()
    assert [o.counts["flips"] for o in found] == expected.flips.tolist()
    assert [o.counts["masked"] for o in found] == expected.masked.tolist()
    assert found == [made(subject, model, (number,))[0] for number in numbers]
    with pytest.raises(InputError, match="one of 3840 faults"):
        made(subject, model, (3840,))


@pytest.mark.parametrize("strikes", [None, 8])
def test_faults_alike_are_counted_as_if_each_had_been_simulated(subject, strikes):
    model = SingleFaults("weight", "threshold", "accumulator", "lane", strikes=strikes)
    numbers = list(range(120))
    faults = model.of_trials(subject.chip.geometry, [Trial(SEED, number) for number in numbers])
    expected, found = expected_of(subject, faults), made(subject, model, numbers)
    assert [o.hits for o in found] == expected.hits.tolist()
    assert [o.counts["flips"] for o in found] == expected.flips.tolist()
    assert [o.counts["masked"] for o in found] == expected.masked.tolist()


def test_counts_say_which_fault_it_was(subject):
    model = SingleFaults("weight", "channel", strikes=8)
    (outcome,) = made(subject, model, (3,))
    (fault,) = model.numbered(subject.chip.geometry, Trial(SEED, 3))
    fields = {name: int(getattr(fault, name)) for name in ("kind", "layer", "unit", "word", "bit", "value")}
    assert {name: outcome.counts.get(name, NONE) for name in fields} == fields
    assert outcome.counts["image"] == fault.image


def test_results_of_trials_are_those_of_the_list(subject):
    model = SingleFaults("pe", "lane", layers=(3, 6))
    count = model.population(subject.chip.geometry)
    tasks = grid(Accuracy(), subjects=subject, faults=model, trials=count, seed=SEED)
    results = collect(tasks)
    found = fault_results(results.trials, results.tasks[0].facts["healthy_hits"])
    expected = expected_of(subject, model.all(subject.chip.geometry))
    assert found.faults == expected.faults
    for name in ("hits", "flips", "masked"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
    assert (found.baseline_hits, found.shots) == (expected.baseline_hits, 8)


def test_batches_are_large_where_trials_share_the_fault_free_run(subject):
    assert Experiment(measure=Accuracy(), subject=subject, faults=SingleFaults()).batch == FAULTS_AT_ONCE
    assert not can_share(subject.chip, FaultyNeurons())
    broken = subject.chip.inject(SingleFaults().numbered(subject.chip.geometry, Trial(SEED, 0)))
    assert not can_share(broken, SingleFaults())


def test_struck_inputs_are_drawn_once_for_all_places(subject):
    geometry = subject.chip.geometry
    model, permanent = SingleFaults("pe", "lane", strikes=8), SingleFaults("pe", "lane")
    trials = [Trial(SEED, number) for number in range(permanent.population(geometry))]
    struck, order = model.of_trials(geometry, trials), stream(SEED, "pe faults").permutation(len(trials))
    images = stream(SEED, "struck images").integers(0, 8, len(trials))
    assert struck.column("image").tolist() == images[order].tolist()
    assert (struck.table[:, :-1] == permanent.of_trials(geometry, trials).table[:, :-1]).all()
    assert model.of_trials(geometry, trials[7:9]) == struck.take(np.array([7, 8]))
    assert len(set(images)) == 8


def test_a_struck_input_is_the_only_one_that_changes(subject):
    found = made(subject, SingleFaults("channel", "pixel", strikes=8), range(60))
    assert all(o.counts["flips"] <= 1 and o.counts["masked"] >= 7 for o in found)
    assert any(o.counts["flips"] for o in found)


def test_a_struck_input_alone_is_that_of_the_chip(subject):
    model, trials = SingleFaults("channel", strikes=8), [Trial(SEED, number) for number in range(6)]
    faults = model.of_trials(subject.chip.geometry, trials)
    runs = run_each(subject.chip, faults.each(), subject.test.images)
    found = made(subject, model, range(6))
    assert [o.hits for o in found] == [run.hits(subject.test.labels) for run in runs]


def test_a_call_of_a_shared_array_is_struck_in_one_layer(finn_data, monkeypatch):
    monkeypatch.setenv("XBARSIM_DATA", str(finn_data))
    shared = subject_of(finn_data / "cnvW1A1", 4, FinnConfig(loopback=(4, 8)))
    trials = [Trial(SEED, number) for number in range(8)]
    permanent = SingleFaults("pe").of_trials(shared.chip.geometry, trials)
    struck = SingleFaults("pe", strikes=4).of_trials(shared.chip.geometry, trials)
    assert set(permanent.column("layer")) == {-1}
    assert struck.column("layer").min() >= 0
    assert all(shared.chip.geometry.layers[layer].values for layer in struck.column("layer"))
    assert [o.counts["layer"] for o in made(shared, SingleFaults("pe", strikes=4), range(8))] == (
        struck.column("layer").tolist()
    )


def test_struck_inputs_that_are_none_are_refused(subject):
    with pytest.raises(InputError, match=r"SingleFaults\.strikes"):
        SingleFaults("channel", strikes=0)
    with pytest.raises(InputError, match="permanent ones"):
        SingleFaults("channel", strikes=8).all(FinnGeometry(()))
    with pytest.raises(InputError, match=r"an image in 0\.\.7"):
        made(subject, SingleFaults("channel", strikes=10**6), range(3))


def test_words_and_draws_of_struck_inputs(subject):
    model = SingleFaults("channel", strikes=8)
    assert model.words == "single channel, each during one of 8 inputs"
    drawn = [model.draw(subject.chip.geometry, np.random.default_rng(n))[0] for n in range(30)]
    assert {fault.image for fault in drawn} == set(range(8))


def test_a_changed_board_is_another_subject(finn_data, monkeypatch, tmp_path):
    monkeypatch.setenv("XBARSIM_DATA", str(finn_data))
    folder = tmp_path / "cnvW1A1"
    shutil.copytree(finn_data / "cnvW1A1", folder)
    before = subject_of(folder, 4)
    assert before.describe() == subject_of(finn_data / "cnvW1A1", 4).describe()
    assert before.train is None
    shutil.copy(folder / "0-1-weights.bin", folder / "0-0-weights.bin")
    after = subject_of(folder, 4)
    assert after.describe()["weights"] != before.describe()["weights"]
    assert replace(before.source, images=3) != after.source
