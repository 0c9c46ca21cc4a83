"""Win the accuracy of a faulty chip back, and send only what it needs."""

from accel_models.reram.config import accelerator
from xbarsim.detection.march.algorithms import march_test
from xbarsim.detection.march.chip import march_chip
from xbarsim.faults.sampling import mix_presets
from xbarsim.rng import stream
from xbarsim.studies.workbench import build_workbench
from xbarsim.training.masking import retrain
from xbarsim.training.weight_update import WeightUpdate

bench = build_workbench("digits-mlp", accelerator("isaac"), seed=1)
(faults,) = bench.fault_maps(0.03, mix_presets()["even"], chips=1, seed=1)
chip, form = bench.chip.inject(faults), bench.chip.config.array.format

diagnosis = march_chip(faults, march_test("March C-"), rng=stream(1, "march"))
masks = bench.chip.inject(diagnosis.fault_map).training_masks()
result = retrain(bench.chip.graph, form, masks, bench.train.images, bench.train.labels, epochs=10)


def accuracy(some_chip):
    """Share of the test images that a chip gets right."""
    return some_chip.run(bench.test.images).accuracy(bench.test.labels)


print(f"healthy {accuracy(bench.chip):.1%}, faulty {accuracy(chip):.1%}")
for name, ternary in (("exact", False), ("ternary", True)):
    update = WeightUpdate.between(result.start, result.graph, ternary=ternary)
    repaired = chip.update(update.apply(result.start, low=form.low, high=form.high))
    size, writes = len(update.to_bytes()), repaired.write_cost.cell_writes
    print(f"{name} update: {accuracy(repaired):.1%}, {size} bytes sent, {writes} cells written")
