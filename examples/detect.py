"""Is this chip faulty? Ten adversarial images against a March test on every cell."""

from accel_models.reram.config import accelerator
from xbarsim.detection.adversarial import fires, pattern_sets
from xbarsim.detection.march.algorithms import march_test
from xbarsim.detection.march.chip import march_chip
from xbarsim.faults.sampling import mix_presets
from xbarsim.rng import stream
from xbarsim.studies.workbench import build_workbench

PATTERNS = 10

bench = build_workbench("digits-mlp", accelerator("isaac"), seed=1)
(faults,) = bench.fault_maps(0.005, mix_presets()["even"], chips=1, seed=1)
chip = bench.chip.inject(faults)

some = bench.test.images[:PATTERNS], bench.test.labels[:PATTERNS]
for patterns in pattern_sets(bench.module, *some, epsilon=bench.entry.epsilon, value_range=(0.0, 1.0)):
    run = chip.run(patterns.images)
    fired = {criterion: int(which.sum()) for criterion, which in fires(patterns, run.scores).items()}
    latency_us = run.cost.latency_ns / 1000
    print(f"{patterns.name}: {fired} of {PATTERNS} patterns fire, {latency_us:.0f} us on the chip")

diagnosis = march_chip(faults, march_test("March C-"), rng=stream(1, "march"))
print(f"March C-: {len(diagnosis.fault_map)} stuck cells found, {diagnosis.operations} operations")
print("exactly the true ones" if faults.compare(diagnosis.fault_map).exact else "not the true ones")
