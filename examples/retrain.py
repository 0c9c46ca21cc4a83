"""Win the accuracy of a faulty chip back, and send only what it needs."""

import xbarsim as xb

subject = xb.SubjectReference(network="digits-mlp", accelerator=xb.ReramConfig()).load()
trial = xb.Trial(seed=1)
faults = xb.StuckCells(rate=0.03, mix="even").draw(subject.chip.geometry, trial.stream("faults"))
chip = subject.chip.inject(faults)


def accuracy(some_chip):
    """Share of the test images that a chip gets right."""
    return some_chip.run(subject.test.images).accuracy(subject.test.labels)


print(f"fault-free {accuracy(subject.chip):.1%}, faulty {accuracy(chip):.1%}")
diagnosis = xb.Diagnosis(march="March C-")
for update in ("exact", "ternary"):
    repaired = xb.Retrain(update=update, diagnosis=diagnosis).repair(chip, subject, trial)
    size, writes = repaired.counts["update_bytes"], repaired.counts["cell_writes"]
    print(f"{update} update: {accuracy(repaired.chip):.1%}, {size} bytes sent, {writes} cells written")
