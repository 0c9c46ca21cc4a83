"""Many chips: collected in a store that survives anything, as a table, as pairs, as a curve, in pandas."""

from pathlib import Path

import xbarsim as xb

STORE = Path("campaign.db")


def main() -> None:
    """Accuracy over the rate of stuck cells, as chips are and with the closest values written."""
    isaac = xb.accelerators.parse("isaac")
    subject = xb.SubjectReference(network="digits-mlp", accelerator=isaac, images=100).load()
    tasks = xb.grid(
        xb.Accuracy(),
        subjects=subject,
        faults=[xb.StuckCells(rate=rate, mix="even") for rate in (0.002, 0.005, 0.01, 0.02)],
        repairs=[xb.AsItIs(), xb.ClosestValues()],
        trials=12,
        seed=1,
    )
    results = xb.collect(tasks, STORE, workers=2)  # what is there already is not made again
    print(results.table(by=["faults.rate", "repair"]))
    print(results.pairs())
    results.plot(x="faults.rate", by="repair").savefig("campaign.png")
    accuracy = (results.trials.hits / results.trials.shots).groupby(results.trials["faults.rate"])
    print("worst chip by rate:", accuracy.min().to_dict())


if __name__ == "__main__":
    main()
