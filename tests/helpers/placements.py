"""Which cells of a placement hold digits of weights."""

import numpy as np


def holding_cells(placement):
    """(arrays, rows, columns) bool: cells that hold a digit of a weight, one matrix and group at a time."""
    config = placement.config
    found = np.zeros((placement.arrays, config.rows, config.columns), bool)
    for place in placement.matrices:
        k, m = place.inputs // place.groups, place.outputs // place.groups
        for group in range(place.groups):
            for row in range(group * k, (group + 1) * k):
                for output in range(group * m, (group + 1) * m):
                    across, slot = divmod(output, config.weights_per_row)
                    array = place.first + row // config.rows * place.column_blocks + across
                    first = slot * config.format.digits
                    found[array, row % config.rows, first : first + config.format.digits] = True
    return found


def in_weights(placement, faults):
    """Those of the faults that lie in cells that hold digits of weights."""
    return faults.take(holding_cells(placement).reshape(-1)[faults.cell])
