"""Retraining around the stuck cells of one chip."""

from xbarsim.faults.sampling import mix_presets, sample_trial
from xbarsim.torch_bridge.module import ChipModule
from xbarsim.training.masking import retrain


def test_retraining_wins_accuracy_back_on_the_chip_with_its_true_faults(bench):
    fault_map = sample_trial(bench.chip.geometry, 0.03, mix=mix_presets()["even"], seed=1, trial=0)
    chip = bench.chip.inject(fault_map)
    form = bench.chip.config.array.format
    data = bench.train.images, bench.train.labels
    result = retrain(bench.chip.graph, form, chip.training_masks(), *data, epochs=10)
    repaired = chip.update(result.graph)
    healthy, faulty, after = (
        c.run(bench.test.images).hits(bench.test.labels) for c in (bench.chip, chip, repaired)
    )
    assert faulty < healthy - 50
    assert after > healthy - 15


def test_retrained_weights_keep_the_stuck_bits(bench):
    """Eq. 6 of RRAMedy: the bits of stuck cells stay at their stuck values."""
    fault_map = sample_trial(bench.chip.geometry, 0.05, mix=mix_presets()["measured"], seed=2, trial=0)
    masks = bench.chip.inject(fault_map).training_masks()
    form = bench.chip.config.array.format
    data = bench.train.images[:64], bench.train.labels[:64]
    result = retrain(bench.chip.graph, form, masks, *data, epochs=1)
    for layer in result.graph.layers:
        words = form.encode(layer.weights[0])
        assert ((words & masks[layer.name, 0].keep) | masks[layer.name, 0].force == words).all()
    assert any(
        (a.weights != b.weights).any() for a, b in zip(result.start.layers, result.graph.layers, strict=True)
    )


def test_no_epochs_give_the_start(bench):
    fault_map = sample_trial(bench.chip.geometry, 0.05, mix=mix_presets()["even"], seed=2, trial=0)
    masks = bench.chip.inject(fault_map).training_masks()
    form = bench.chip.config.array.format
    result = retrain(bench.chip.graph, form, masks, bench.train.images, bench.train.labels, epochs=0)
    module = ChipModule(bench.chip.graph, form, masks)
    module.project()
    for a, b, c in zip(result.start.layers, result.graph.layers, module.to_graph().layers, strict=True):
        assert (a.weights == b.weights).all()
        assert (a.weights == c.weights).all()


def test_retraining_is_reproducible(bench):
    fault_map = sample_trial(bench.chip.geometry, 0.02, mix=mix_presets()["even"], seed=3, trial=0)
    masks = bench.chip.inject(fault_map).training_masks()
    form = bench.chip.config.array.format
    data = bench.train.images[:300], bench.train.labels[:300]
    first, second = (retrain(bench.chip.graph, form, masks, *data, seed=4) for _ in range(2))
    assert first.losses == second.losses
    for a, b in zip(first.graph.layers, second.graph.layers, strict=True):
        assert (a.weights == b.weights).all()
