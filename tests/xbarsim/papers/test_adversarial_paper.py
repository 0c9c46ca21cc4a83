"""The paper's numbers are of networks, methods and shares that the studies have."""

from networks.adversarial_features import feature_networks
from xbarsim.papers.adversarial import SHARES
from xbarsim.papers.adversarial_paper import FIG_3, FIG_7, TABLE_1, TABLE_2
from xbarsim.papers.adversarial_training import METHODS


def test_tables_are_of_known_networks_and_methods():
    assert len(TABLE_2) == 16
    assert {network for network, _ in TABLE_2} == set(feature_networks())
    assert {method for _, method in TABLE_2} == {"none", "lasso", "tikhonov", "adversarial"} < set(METHODS)
    for train, test in (*TABLE_1.values(), *TABLE_2.values()):
        assert 0 < train <= 100 and 0 < test <= 100


def test_table_1_falls_with_strength():
    errors = [train - test for train, test in TABLE_1.values()]
    assert list(TABLE_1) == sorted(TABLE_1) and errors == sorted(errors, reverse=True)


def test_quoted_shares_are_measured():
    assert all(share in SHARES[unit] for unit, share in (*FIG_3, *FIG_7))
    assert all(set(by) <= set(METHODS) for by in FIG_7.values())
