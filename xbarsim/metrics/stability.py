"""Stability score: how little stuck cells take from a network, and how much training for them left.

Assumed: nothing but what the equation says. The score is a quotient of accuracies, so it does not depend on
their unit, as long as all three have the same one. The paper does not say what the score is where the faulty
accuracy reaches the pretrained one; it grows without bound towards that point, and is infinite from there on.

Source: Wang et al. (see "Sources" in docs/architecture.md), Eq. 1.
"""

from __future__ import annotations

from math import inf

from xbarsim.errors import check_number
from xbarsim.hints import checked


@checked
def stability_score(pretrain: float, retrain: float, defect: float) -> float:
    """SS = retrain / (pretrain - defect); the larger, the more stable.

    Parameters
    ----------
    pretrain : accuracy of the network before training for faults, on a healthy chip
    retrain : accuracy after it, on a healthy chip
    defect : mean accuracy after it, on faulty chips

    Returns
    -------
    The score, from 0 on; infinite where `defect` reaches `pretrain`.

    Raises
    ------
    InputError : an accuracy that is negative or not finite.

    >>> round(stability_score(75.10, 75.10, 2.97), 2)  # Table II, first row
    1.04
    """
    before = check_number("pretrain", pretrain, 0, inf)
    after = check_number("retrain", retrain, 0, inf)
    faulty = check_number("defect", defect, 0, inf)
    return inf if faulty >= before else after / (before - faulty)
