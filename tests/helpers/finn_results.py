"""Made-up counts of fault simulations."""

import numpy as np

from accel_models.finn.concurrent import FaultResults
from xbarsim.faults.pe import PeFault, PeFaultKind, PeFaults


def results_of(rows, *, kind=PeFaultKind.channel, baseline=90, shots=100):
    """Results from (layer, unit, value, hits, flips) rows."""
    faults = [PeFault(kind=kind, layer=m, unit=u, value=v) for m, u, v, _, _ in rows]
    hits, flips = (np.array([row[i] for row in rows], np.int64) for i in (3, 4))
    return FaultResults(
        faults=PeFaults.of(faults),
        hits=hits,
        flips=flips,
        masked=np.zeros(len(rows), np.int64),
        baseline_hits=baseline,
        shots=shots,
    )
