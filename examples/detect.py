"""Is this chip faulty? Adversarial images against plain ones, and a March test on every cell."""

import xbarsim as xb

subject = xb.SubjectReference(network="digits-mlp", accelerator=xb.accelerators.parse("isaac")).load()
detectors = [xb.AdversarialPatterns(patterns=10), xb.OriginalImages(patterns=10), xb.MarchDetector()]
tasks = xb.grid(
    [xb.Detection(detector=detector) for detector in detectors],
    subjects=subject,
    faults=[xb.StuckCells(rate=0.0002), xb.NoFaults()],
    trials=20,
    seed=1,
)
results = xb.collect(tasks)
print(results.table(by=["measure", "faults"]))

# one chip by hand: its score, and what a March test says of its cells
faults = xb.StuckCells(rate=0.0002).draw(subject.chip.geometry, xb.stream(1, "faults"))
chip, test = subject.chip.inject(faults), detectors[0].prepare(subject)
score = test.score(chip, xb.Trial(1, 0))
print(
    f"score {score:.3f}, threshold {test.threshold}, {test.cost(chip).latency_ns / 1000:.0f} us on the chip"
)
diagnosis = xb.march_chip(faults, xb.march_test("March C-"), rng=xb.stream(1, "march"))
exact = "exactly" if faults.compare(diagnosis.fault_map).exact else "not exactly"
print(f"March C- finds {len(diagnosis.fault_map)} stuck cells, {exact} the true ones")
