"""What an imperfect March test reports: some stuck cells missed, some healthy cells called stuck.

Assumptions: every cell is judged on its own; a stuck cell that is found is reported with its true level;
a healthy cell called stuck is stuck_hrs or stuck_lrs, one as likely as the other. Soft faults are not
reported, because the test's own writes cure them: their cells count as healthy.

For March tests that follow from their notation see `xbarsim.detection.march`; this is the model for asking
how much a diagnosis may miss.
"""

from __future__ import annotations

import numpy as np

from xbarsim.errors import check_rate
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.sampling import mix_presets, sample_by_rate


def imperfect(
    fault_map: FaultMap, *, misses: float, false_positives: float, rng: np.random.Generator
) -> FaultMap:
    """The map that an imperfect test of a chip with these faults gives.

    Parameters
    ----------
    fault_map : the true faults
    misses : probability that a stuck cell is not reported; from one generator state, a higher rate misses
        the same cells and more
    false_positives : probability that a healthy cell is reported as stuck

    Raises
    ------
    InputError : a rate outside 0..1.

    >>> from xbarsim.faults.kinds import CellGeometry
    >>> chip, rng = CellGeometry(arrays=1), np.random.default_rng(0)
    >>> true = FaultMap.of(chip, array=0, row=[3, 5], column=7, kind=["stuck_lrs", "flip"], value=1)
    >>> print(imperfect(true, misses=0.0, false_positives=0.0, rng=rng))
    1 faults in 1 arrays of 128 x 128 cells with 4 levels: 1 stuck_lrs
    """
    check_rate("misses", misses)
    check_rate("false_positives", false_positives)
    stuck = fault_map.permanent
    found = rng.random(len(stuck)) >= misses
    wrong = sample_by_rate(fault_map.geometry, false_positives, mix=mix_presets()["even"], rng=rng)
    healthy = ~np.isin(wrong.cell, stuck.cell)
    cell, kind, value = (
        np.concatenate([getattr(stuck, name)[found], getattr(wrong, name)[healthy]])
        for name in ("cell", "kind", "value")
    )
    return FaultMap.from_cells(fault_map.geometry, cell, kind, value)
