"""The spiking paper's studies: what their tables say is what their counts are."""

from dataclasses import replace

import numba
import numpy as np
import pytest

from accel_models.spiking.chip import classes_of, run_many
from accel_models.spiking.config import SpikingConfig
from tests.xbarsim.cli.test_cli import document
from xbarsim.detection.spiking_files import SpikingTestSet
from xbarsim.errors import InputError
from xbarsim.faults.neurons import NeuronFaultKind
from xbarsim.papers import spiking as spiking_study
from xbarsim.papers import spiking_rules as rules
from xbarsim.papers.spiking import (
    METHODS,
    Convergence,
    SpikingStudy,
    SpikingVariant,
    run_spiking,
    spiking_budget,
    variants,
)
from xbarsim.papers.spiking_paper import RATIOS, TABLE_4, TABLES_5_TO_8, TIME_TABLES
from xbarsim.papers.spiking_rules import TrainedOften, differences_table, rules_table, run_rules
from xbarsim.papers.spiking_tables import (
    comparison,
    figure_3,
    mean_and_error,
    record,
    table_3,
    table_4,
    time_table,
    verdict,
)
from xbarsim.papers.spiking_tests import SessionBudget, run_tests, sets_table
from xbarsim.rng import stream
from xbarsim.torch_bridge.spiking import spiking_network
from xbarsim.training.resume import Epoch


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """The kernels have little to do here."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


@pytest.fixture(scope="module")
def study(data_folder, tmp_path_factory):
    smoke = spiking_budget("smoke")
    budget = replace(smoke, images=400, test_images=100, chips=3, recipe=replace(smoke.recipe, epochs=2))
    return SpikingStudy(budget, tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="module")
def found(study):
    return run_spiking(study)


def test_every_training_meets_the_same_chips_and_spikes(study, found):
    assert [one.variant for one in found] == variants(study.budget)
    assert [one.variant.method for one in found] == [METHODS[0], *METHODS[1:], *METHODS[1:]]
    images, labels = study.test_images(100)
    for one in found[:3]:
        chip = SpikingConfig().program(spiking_network(study.train(one.variant)[0]))
        for kind, ratios in RATIOS.items():
            for ratio in ratios[::3]:
                draws = [stream(1, f"{kind} {ratio:g}", t) for t in range(3)]
                lists = [study.universe.sample(NeuronFaultKind[kind], ratio, rng) for rng in draws]
                counts = run_many(chip, [chip.inject(faults) for faults in lists], images, seed=1)
                assert (classes_of(counts) == labels).sum(1).tolist() == one.hits[kind, ratio]
        assert chip.run(images, seed=1).hits(labels) == one.healthy_hits


def test_tables_say_what_was_counted(study, found):
    scope = str(study.universe)
    for kind in RATIOS:
        rows = table_4(found, kind, scope).rows
        assert len(rows) == 5
        for row, one in zip(rows, (o for o in found if o.variant.kind in ("", kind)), strict=True):
            assert row[0] == one.variant.words
            for cell, ratio in zip(row[1:], RATIOS[kind], strict=True):
                mean, error = mean_and_error(one.accuracies(kind, ratio))
                assert cell.startswith(f"{mean:.4f} +-{error:.4f}")
        baseline = [cell.partition("(")[2][:-1] for cell in rows[0][1:]]
        assert baseline == [f"{value:.4f}" for value in TABLE_4["baseline", kind, 0]]
        differences = comparison(found, kind).rows
        assert [row[0] for row in differences] == [
            f"proposed - {rival}, FIR 0.03" for rival in ("previous", "random", "both")
        ]
        by = {o.variant.method: o for o in found if o.variant.kind in ("", kind)}
        both = (
            by["proposed"].accuracies(kind, RATIOS[kind][1]),
            by["both"].accuracies(kind, RATIOS[kind][1]),
        )
        assert differences[2][2].startswith(f"{np.subtract(*both).mean():+.4f}")
        assert verdict(found, kind).count("ratios") == 2
    assert [row[0] for row in table_3(found, scope).rows] == [one.variant.words for one in found]
    assert scope in table_3(found, scope).note
    assert record(found)[0]["hits"][0]["hits"] == found[0].hits["hsf", 0.2]


def test_figure_3_has_a_panel_a_ratio(found, tmp_path):
    from matplotlib.image import imread

    from xbarsim.report.plots import save_figure

    assert imread(save_figure(figure_3(found, "nasf"), tmp_path / "a.png")).std() > 0.05


def epochs(*seconds):
    return tuple(
        Epoch(epoch=i, loss=0.0, learning_rate=0.0, seconds=s, cpu_seconds=s)
        for i, s in enumerate(seconds, 1)
    )


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


def test_convergence_is_measured_epoch_by_epoch(study):
    one = study.convergence("nasf", 0.03)
    assert len(one.reached) == len(one.stored) == 2 and len(one.reached[0]) == 4
    module, _, _ = study.train(SpikingVariant(method="previous", kind="nasf", fir=0.03))
    previous = SpikingConfig().program(spiking_network(module))
    hits = study.hits(previous, "nasf", 0.05, one.images)
    assert one.target[1] == pytest.approx(np.mean(hits) / one.images)
    assert 0 < one.pattern_count <= 10


def test_the_papers_time_reductions_follow_from_its_seconds():
    printed = {5: (11.95, 22.34, 72.49, 89.18), 8: (27.76, 52.80, 57.67, 22.60)}
    for table, shares in printed.items():
        for (previous, _, without, _), share in zip(TABLES_5_TO_8[TIME_TABLES[table]], shares, strict=True):
            assert 100 * (1 - without / previous) == pytest.approx(share, abs=0.01)


def test_test_sets_for_every_class(study, tmp_path):
    budget = SessionBudget(faults=2, candidates=3, repetitions=(1,))
    made = run_tests(study, budget)
    assert len(made) == 8 and all(len(one.generated.power) == 2 for one in made)
    table = sets_table(made, study.universe)
    assert [row[0] for row in table.rows][:3] == ["hsf", "esf", "nasf"]
    assert table.rows[-1][1] == "101,632"
    results = made[2].results()
    assert results["kind"] == "nasf" and results["found"] == made[2].generated.found

    # a set from its file, shown to the fault-free chip as whoever has the file would
    found = SpikingTestSet.load(made[2].test_set.save(tmp_path / "set"))
    chip = SpikingConfig().program(spiking_network(study.train(SpikingVariant(method="baseline"))[0]))
    shown = np.tile(found.images, (1000 * found.test.repetitions, 1))
    counts = chip.run(shown, seed=77).scores.reshape(1000, found.test.repetitions, *found.test.mean.shape)
    assert found.test.alarms(counts).low < 0.01


def test_rules_are_compared_over_several_trainings(study):
    budget = replace(study.budget, recipe=replace(study.budget.recipe, epochs=2), images=200)
    found = run_rules([SpikingStudy(budget, study.folder, seed=seed) for seed in (0, 1)])
    assert [one.method for one in found] == ["previous", "both", "random", "proposed", "paper", "sum"]
    by_name = {one.method: one for one in found}
    for one in found:
        assert [net.variant.method for net in one.networks] == [one.method] * 2
        expected = [sum(net.hits["nasf", 0.1]) / (3 * net.shots) for net in one.networks]
        assert one.accuracies(0.1) == pytest.approx(expected)
    table, differences = rules_table(found, "scope"), differences_table(found)
    assert len(table.rows) == 6 and len(differences.rows) == 5
    gained = np.subtract(by_name["sum"].accuracies(0.15), by_name["random"].accuracies(0.15)).mean()
    assert differences.rows[-1][-1].startswith(f"{100 * gained:+.2f} +-")
    assert differences.note.startswith("Clearly, at 95 % for all 20 differences together: previous above at ")


def test_a_clear_difference_of_rules_is_said_and_an_unclear_one_is_not():
    def trained(method, *accuracies):
        hits = [{("nasf", r): [round(1000 * a)] * 2 for r in RATIOS["nasf"]} for a in accuracies]
        networks = [
            spiking_study.TestedSpiking(
                variant=SpikingVariant(method=method), healthy_hits=1, shots=1000, hits=one, history=(),
                pattern_count=0, pattern_cpu_seconds=0.0,
            )
            for one in hits
        ]  # fmt: skip
        return TrainedOften(method=method, seeds=(0, 1, 2, 3), networks=tuple(networks))

    found = [
        trained("random", 0.70, 0.71, 0.72, 0.73),
        trained("sum", 0.601, 0.610, 0.620, 0.630),  # 10 points lower each time
        trained("paper", 0.60, 0.80, 0.70, 0.70),
    ]
    assert rules.verdict(found).endswith(
        ": sum above at 0 of 4 ratios, below at 4; paper above at 0 of 4 ratios, below at 0."
    )


def test_commands_give_counts(data_folder, tmp_path, capsys):
    command = ("study", "spiking-table4", "--budget", "smoke", "--networks", tmp_path)
    networks = document(capsys, *command, "--out", tmp_path)["results"]["networks"]
    assert len(networks) == 9 and networks[0]["shots"] == 300
    assert (tmp_path / "spiking-fig3-nasf.png").exists()


def test_unknown_budgets_are_refused():
    with pytest.raises(InputError, match="--budget"):
        spiking_budget("huge")
