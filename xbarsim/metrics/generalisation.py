"""The generalisation error: how much better a network is on what it was trained on."""

from __future__ import annotations

from xbarsim.metrics.intervals import Estimate, wilson


def generalisation_error(
    train_hits: int, train_shots: int, test_hits: int, test_shots: int, *, confidence: float = 0.95
) -> Estimate:
    """Training accuracy less test accuracy, with Newcombe's interval for a difference of two rates.

    Sources: the adversarial-features paper (see "Sources" in docs/architecture.md), Eq. 8; Newcombe,
    Statistics in Medicine 17 (1998), method 10.

    >>> print(generalisation_error(9978, 10000, 892, 1000))
    10.58% [8.80%, 12.66%]
    """
    train = wilson(train_hits, train_shots, confidence=confidence)
    test = wilson(test_hits, test_shots, confidence=confidence)
    value = train.value - test.value
    low = ((train.value - train.low) ** 2 + (test.high - test.value) ** 2) ** 0.5
    high = ((train.high - train.value) ** 2 + (test.value - test.low) ** 2) ** 0.5
    return Estimate(value, value - low, value + high)
