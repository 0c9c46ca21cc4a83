"""Products in groups, slow and obvious: one row and one group at a time."""

import numpy as np


def products(layer, rows):
    """(groups, n, outputs) of (groups, n, inputs) rows with a layer's weights."""
    groups, count, _ = rows.shape
    found = np.zeros((groups, count, layer.weights.shape[2]), np.int64)
    for group in range(groups):
        for row in range(count):
            found[group, row] = rows[group, row].astype(np.int64) @ layer.weights[group]
    return found
