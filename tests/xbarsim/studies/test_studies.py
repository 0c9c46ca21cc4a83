"""Studies on the digits network: counts that add up, the same faults everywhere, tables that say so."""

import pytest

from accel_models.reram.config import accelerator
from xbarsim.detection.march.algorithms import march_test
from xbarsim.errors import InputError
from xbarsim.faults.sampling import mix_presets
from xbarsim.studies import summaries
from xbarsim.studies.accuracy import accuracy_of_chips, healthy_accuracy
from xbarsim.studies.detection import compare_latency, study_detection
from xbarsim.studies.repair import RetrainSettings, repair_chip
from xbarsim.studies.workbench import build_workbench

EVEN = mix_presets()["even"]
C_MINUS = march_test("March C-")


@pytest.fixture(scope="module")
def repair(bench):
    (fault_map,) = bench.fault_maps(0.03, EVEN, chips=1, seed=1)
    settings = RetrainSettings(epochs=10)
    return repair_chip(bench, fault_map, seed=1, trial=0, march=C_MINUS, settings=settings)


def test_healthy_chip_predicts_what_the_graph_predicts(bench):
    healthy = healthy_accuracy(bench)
    assert healthy.agreeing == healthy.shots == 500
    assert abs(healthy.chip_hits - healthy.float_hits) <= 1
    assert healthy.chip_hits > 480


def test_same_seed_gives_the_same_chips_however_many(bench):
    ten = list(bench.fault_maps(0.01, EVEN, chips=10, seed=4))
    three = list(bench.fault_maps(0.01, EVEN, chips=3, seed=4))
    assert ten[:3] == three
    assert ten[0] != ten[1]


def test_more_faults_cost_more_accuracy(bench):
    means = []
    for rate in (0.0, 0.01, 0.05):
        seen = []
        rows = accuracy_of_chips(bench, bench.fault_maps(rate, EVEN, chips=4, seed=1), on_chip=seen.append)
        assert [row.trial for row in rows] == [0, 1, 2, 3]
        assert seen == [1, 2, 3, 4]
        assert all(0 < row.used_faults < row.faults or rate == 0 for row in rows)
        means.append(sum(row.hits for row in rows))
    assert means[0] == 4 * healthy_accuracy(bench).chip_hits
    assert means[0] > means[1] > means[2]


def test_adversarial_patterns_detect_more_chips_than_original_ones(bench):
    study = study_detection(bench, bench.fault_maps(0.002, EVEN, chips=30, seed=1), patterns=5, seed=1)
    found = {(c.patterns, c.criterion): c.detected for c in study.faulty}
    assert found["adversarial", "SDC-3%"] > found["original", "SDC-3%"]
    assert {c.chips for c in (*study.faulty, *study.healthy)} == {30}
    assert all(c.detected == 0 for c in study.healthy)


def test_retraining_brings_the_chip_back_and_the_update_is_counted(bench, repair):
    counts, update = repair
    assert counts.diagnosed_exactly
    assert counts.hits_faulty < counts.hits_retrained
    assert counts.hits_retrained >= healthy_accuracy(bench).chip_hits - 10
    assert counts.hits_faulty < counts.hits_ternary <= counts.hits_retrained + 10
    assert counts.update_bytes == len(update.to_bytes())
    assert counts.ternary_bytes < counts.update_bytes / 3
    assert 0 < counts.changed_weights <= counts.weights == 6464


def test_update_alone_repairs_the_chip(bench, repair):
    """What the chip's side needs: its own diagnosis, the network before, and the bytes that were sent."""
    from xbarsim.detection.march.chip import march_chip
    from xbarsim.rng import stream
    from xbarsim.torch_bridge.module import ChipModule
    from xbarsim.training.weight_update import WeightUpdate

    counts, update = repair
    (fault_map,) = bench.fault_maps(0.03, EVEN, chips=1, seed=1)
    form = bench.chip.config.array.format
    known = bench.chip.inject(march_chip(fault_map, C_MINUS, rng=stream(1, "march")).fault_map)
    start = ChipModule(bench.chip.graph, form, known.training_masks())
    start.project()
    sent = WeightUpdate.from_bytes(update.to_bytes())
    network = sent.apply(start.to_graph(), low=form.low, high=form.high)
    repaired = bench.chip.inject(fault_map).update(network)
    assert repaired.run(bench.test.images).hits(bench.test.labels) == counts.hits_retrained


def test_latency_rows_cover_both_tests(bench):
    rows = compare_latency(bench, C_MINUS, patterns=10, restore=False)
    by_model = {row.model: row.latency_ns for row in rows}
    assert by_model["cell-serial-used"] == 6464 * 8 * (5 * 10 + 5 * 10)
    restored = {r.model: r.latency_ns for r in compare_latency(bench, C_MINUS, patterns=10, restore=True)}
    assert restored["row-parallel"] == by_model["row-parallel"] * 11 / 10
    assert restored["pipelined"] == by_model["pipelined"]


def test_tables_say_n_restore_and_who_loses(bench):
    for restore, words in ((False, "March does not restore"), (True, "March restores")):
        rows = compare_latency(bench, C_MINUS, patterns=10, restore=restore)
        table = summaries.latency_table(rows, patterns=10, restore=restore, network="lenet")
        assert "N = 10" in table.title
        assert words in table.note
        assert "LOSES against March: row-and-array-parallel." in table.note
        assert "Table III says 202" in table.note
        assert {row[0] for row in table.rows} >= {
            "March C-, cell-serial-used",
            "10 patterns, mac-proportional",
        }
    single = compare_latency(bench, C_MINUS, patterns=1, restore=False)
    note = summaries.latency_table(single, patterns=1, restore=False, network="digits-mlp").note
    assert "faster than March in every addressing mode" in note
    assert "Table III" not in note


def test_detection_table_puts_the_papers_rates_beside(bench):
    study = study_detection(bench, bench.fault_maps(0.01, EVEN, chips=2, seed=1), patterns=2, seed=1)
    table = summaries.detection_table(study, subject="x", patterns=2, network="mlp", cell_bits=1)
    paper = {row[0]: row[-1] for row in table.rows}
    assert paper == {
        "SDC-1, original": "-",
        "SDC-3%, original": "64%",
        "SDC-1, adversarial": "-",
        "SDC-3%, adversarial": "> 98%",
    }


def test_figures_and_tables_of_a_repair_can_be_drawn(bench, repair, tmp_path):
    from matplotlib.image import imread

    from xbarsim.report.plots import save_figure

    healthy = healthy_accuracy(bench)
    faulty = accuracy_of_chips(bench, bench.fault_maps(0.03, EVEN, chips=1, seed=1))
    table = summaries.accuracy_table(healthy, faulty, [repair[0]], subject="one chip")
    # faulty, closest values, retrained, ternary update
    assert [row[2] for row in table.rows[2:]] == ["one chip"] * 4
    assert summaries.repair_table([repair[0]]).rows[0][1] == "6464"
    for name, figure in (
        ("accuracy.png", summaries.accuracy_figure(healthy, faulty, [repair[0]])),
        ("repair.png", summaries.repair_figure([repair[0]])),
    ):
        picture = imread(save_figure(figure, tmp_path / name))
        assert picture.std() > 0.05


def test_large_network_without_weights_is_refused():
    with pytest.raises(InputError, match="run 'xbarsim train lenet' and pass --weights FILE"):
        build_workbench("lenet", accelerator("isaac"))


@pytest.mark.parametrize("settings", [{"rate": 1.2}, {"rate": -0.1}, {"chips": 0}])
def test_wrong_rates_and_counts_are_refused_at_once(bench, settings):
    with pytest.raises(InputError):
        bench.fault_maps(**({"rate": 0.1, "mix": EVEN, "chips": 1, "seed": 0} | settings))


@pytest.mark.parametrize("settings", [{"epochs": -1}, {"learning_rate": 0.0}, {"images": 0}])
def test_wrong_retraining_settings_are_refused(settings):
    with pytest.raises(InputError):
        RetrainSettings(**settings)
