"""Single faults of FINN designs as a workload of campaigns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from accel_models.finn.concurrent import simulate_faults
from xbarsim.campaigns.task import Outcome, TrialFunction
from xbarsim.errors import InputError
from xbarsim.faults.pe import PeFaultKind, PeFaults
from xbarsim.rng import stream
from xbarsim.studies.boards import BoardBench, board_bench
from xbarsim.studies.workloads import REVISION, content_digest

FAULTS_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class SingleFaults:
    """One permanent fault of a FINN design on all test images, another one in every trial.

    Trial t is the t-th of all faults of these kinds in a drawn order, so that the first n trials are a sample
    without repetition, and as many trials as there are faults are all of them.
    """

    board: Path
    name: str
    kinds: tuple[str, ...]
    images: int
    network_digest: str
    data_digest: str

    batch = FAULTS_AT_ONCE

    def describe(self) -> dict[str, Any]:
        """See `Workload`."""
        return {
            "metric": "accuracy",
            "method": "none",
            "network": self.name,
            "weights": self.network_digest,
            "data": self.data_digest,
            "images": self.images,
            "accelerator": "finn",
            "revision": REVISION,
            "faults": {"model": "single", "kinds": list(self.kinds)},
        }

    def prepare(self) -> TrialFunction:
        """See `Workload`."""
        bench = self._bench()
        faults = _fault_list(bench, self.kinds)

        def trials(seed: int, numbers: Sequence[int]) -> list[Outcome]:
            order = stream(seed, "pe faults").permutation(len(faults))
            if max(numbers) >= len(order):
                raise ValueError(f"trial {max(numbers)} of {len(order)} faults")
            chosen = faults.take(order[list(numbers)])
            found = simulate_faults(bench.design, chosen, bench.images, bench.labels)
            return [
                Outcome(
                    found.shots,
                    int(found.hits[place]),
                    {
                        "kind": int(fault.kind),
                        "layer": int(fault.layer),
                        "unit": int(fault.unit),
                        "value": int(fault.value),
                        "flips": int(found.flips[place]),
                    },
                )
                for place, fault in enumerate(chosen)
            ]

        return trials

    @property
    def population(self) -> int:
        """How many such faults the design has."""
        return len(_fault_list(self._bench(), self.kinds))

    def facts(self) -> dict[str, Any]:
        """What a report shows beside the trials."""
        bench = self._bench()
        right = int((bench.design.classify(bench.images) == bench.labels).sum())
        return {"healthy_hits": right, "shots": len(bench.labels), "population": self.population}

    def _bench(self) -> BoardBench:
        if single_faults(self.board, self.kinds, self.images) != self:
            remedy = "plan the campaign again"
            raise InputError(str(self.board), "network and images as planned", "others", remedy)
        return _board(self.board, self.network_digest, self.images)


@lru_cache(maxsize=2)
def _board(path: Path, digest: str, images: int | None) -> BoardBench:
    """The digest is there so that a changed network is read again."""
    return board_bench(path, images=images)


@lru_cache(maxsize=2)
def _fault_list(bench: BoardBench, kinds: tuple[str, ...]) -> PeFaults:
    return bench.design.fault_list([PeFaultKind[kind] for kind in kinds])


@lru_cache(maxsize=4)
def _board_data(bench: BoardBench) -> str:
    digest = hashlib.sha256(bench.images.tobytes())
    digest.update(bench.labels.tobytes())
    return digest.hexdigest()[:16]


def single_faults(board: Path, kinds: Sequence[str], images: int | None) -> SingleFaults:
    """Single faults of a board's folder, a QONNX file or a checkpoint as it is now, with its digests."""
    digest = content_digest(board)
    bench = _board(board.resolve(), digest, images)
    return SingleFaults(
        board=board.resolve(),
        name=bench.design.network.name,
        kinds=tuple(kinds),
        images=len(bench.labels),
        network_digest=digest,
        data_digest=_board_data(bench),
    )
