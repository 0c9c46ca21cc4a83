"""Is this chip faulty? Ten adversarial images against a March test on every cell."""

import xbarsim as xb

subject = xb.SubjectReference(network="digits-mlp", accelerator=xb.ReramConfig()).load()
trial = xb.Trial(seed=1)
faults = xb.StuckCells(rate=0.005, mix="even").draw(subject.chip.geometry, trial.stream("faults"))
chip = subject.chip.inject(faults)

for detector in (xb.OriginalImages(patterns=10), xb.AdversarialPatterns(patterns=10)):
    test = detector.prepare(subject)
    score, latency_us = test.score(chip, trial), test.cost(chip).latency_ns / 1000
    answer = "faulty" if score > test.threshold else "not found"
    print(f"{detector.words}: {answer}, {100 * score:.1f} points off, {latency_us:.0f} us on the chip")

diagnosis = xb.march_chip(faults, xb.march_test("March C-"), rng=trial.stream("march"))
print(f"March C-: {len(diagnosis.fault_map)} stuck cells found, {diagnosis.operations} operations")
print("exactly the true ones" if faults.compare(diagnosis.fault_map).exact else "not the true ones")
