"""Win the accuracy of faulty chips back, and send only what it needs."""

import xbarsim as xb

subject = xb.SubjectReference(network="digits-mlp", accelerator=xb.accelerators.parse("isaac")).load()
repairs = [xb.AsItIs(), xb.ClosestValues(), xb.Retrain(epochs=5), xb.Retrain(epochs=5, update="ternary")]
stuck = xb.StuckCells(rate=0.03)
results = xb.collect(
    xb.grid(xb.Accuracy(), subjects=subject, faults=stuck, repairs=repairs, trials=3, seed=1)
)
print(results.table(by=["repair"]))
print(results.pairs(against="closest-values"))

# one chip by hand
trial = xb.Trial(1, 0)
chip = subject.chip.inject(stuck.draw(subject.chip.geometry, trial.stream("faults")))
repaired = xb.Retrain(epochs=5).repair(chip, subject, trial)
test = subject.test
for name, one in (("faulty", chip), ("retrained", repaired.chip)):
    print(f"{name}: {one.run(test.images).accuracy(test.labels):.1%}")
print({name: f"{value:g}" for name, value in repaired.counts.items()})
