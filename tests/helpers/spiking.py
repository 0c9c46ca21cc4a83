"""The spiking paper's studies at a tiny size, and made-up results of theirs."""

from dataclasses import replace

from xbarsim.experiments.collecting import collect
from xbarsim.papers.spiking import TestedSpiking, chip_tasks, variants
from xbarsim.papers.spiking_networks import SpikingVariant, spiking_budget, trainings
from xbarsim.papers.study import Settings

TINY = replace(spiking_budget("smoke"), images=400, test_images=100)


def settings_in(folder):
    """Settings of a study that keeps its networks in a folder."""
    return Settings(budget="smoke", folder=folder)


def tiny_trainings(folder, chosen=None):
    """Those of Tables 3 and 4, or chosen variants, with 400 images and 2 epochs."""
    return trainings(variants(TINY.firs) if chosen is None else chosen, TINY, settings_in(folder))


def tiny_baseline(folder):
    """The training without faults."""
    return tiny_trainings(folder, [SpikingVariant(method="baseline")])[0]


def collect_tiny_chips(folder, store):
    """Make Table 4's trials at this size."""
    return collect(chip_tasks(tiny_trainings(folder)), store)


def made_up(method, hits, *, kind="", fir=0.0, seed=0):
    """A network that was right so often on chips: {(kind, ratio): hits of 1000}."""
    return TestedSpiking(
        variant=SpikingVariant(method=method, kind=kind, fir=fir), seed=seed, healthy_hits=1, shots=1000,
        hits=hits, pattern_count=0, pattern_cpu_seconds=0.0, cpu_seconds=0.0,
    )  # fmt: skip
