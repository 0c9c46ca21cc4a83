"""A budget of the stochastic studies that takes seconds."""

from dataclasses import replace

from xbarsim.papers.stochastic_training import stochastic_budget


def tiny_budget():
    """One batch an epoch, two epochs a training, some chips at two rates."""
    smoke = stochastic_budget("smoke")
    quick = replace(smoke.pretrain, epochs=1)
    return replace(
        smoke,
        pretrain=quick,
        tolerant=replace(smoke.tolerant, epochs=2),
        prune=quick,
        epochs_a_stage=1,
        norm_epochs=1,
        rates=(0.005, 0.01),
        chips=3,
        few_chips=2,
        images=16,
        test_images=6,
    )
