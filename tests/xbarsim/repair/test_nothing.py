"""No repair: the chip as it is."""

from xbarsim.repair.nothing import AsItIs


def test_the_chip_is_the_same_and_nothing_is_counted(bench, faulty, trial):
    done = AsItIs().repair(faulty, bench, trial)
    assert done.chip is faulty
    assert done.counts == {} and done.files == {}


def test_any_chip_is_taken(bench, unwritable, trial):
    assert AsItIs().repair(unwritable, bench, trial).chip is unwritable
