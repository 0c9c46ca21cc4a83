"""A campaign in Python: collect, read into pandas, draw with matplotlib."""

from pathlib import Path

import matplotlib.pyplot as plt

from xbarsim.campaigns.exchange import read_frame
from xbarsim.campaigns.runner import collect
from xbarsim.metrics.intervals import mean_over_chips, paired_difference
from xbarsim.studies.campaign_file import CampaignFile, plan

STORE = Path("campaign.db")


def main() -> None:
    """Accuracy over the rate of faulty cells, as chips are and with the closest values written."""
    campaign = CampaignFile.model_validate(
        {
            "name": "digits",
            "trials": 12,
            "images": 100,
            "networks": ["digits-mlp"],
            "accelerators": ["isaac"],
            "methods": ["none", "closest"],
            "faults": [{"model": "cells", "rates": [0.002, 0.005, 0.01, 0.02]}],
        }
    )
    print(collect(plan(campaign).tasks, STORE, workers=2))  # what is there already is not made again

    trials = read_frame(STORE)
    trials["accuracy"] = trials.hits / trials.shots
    figure, axes = plt.subplots(layout="constrained")
    for method, rows in trials.groupby("method", observed=True):
        curve = rows.groupby("faults.rate").accuracy.apply(lambda chips: mean_over_chips(chips.tolist()))
        means = [estimate.value for estimate in curve]
        axes.plot(curve.index, means, marker="o", label=method)
        axes.fill_between(curve.index, [e.low for e in curve], [e.high for e in curve], alpha=0.2)
        print(method, ", ".join(f"{rate:g}: {estimate}" for rate, estimate in curve.items()))
    axes.set(xscale="log", xlabel="rate of faulty cells", ylabel="accuracy, mean over chips")
    axes.legend()
    figure.savefig("campaign.png")

    chips = trials[trials["faults.rate"] == 0.02].pivot(index="trial", columns="method", values="accuracy")
    gain = paired_difference(chips["closest"].tolist(), chips["none"].tolist())
    print(f"at 2 %, closest values give {100 * gain.value:.1f} points more on the same {len(chips)} chips")


if __name__ == "__main__":
    main()
