"""Chips beside torch float32 on networks of many shapes: the table of docs/performance.md.

    python -m docs.speed              # all networks, 8 and 16 bits, one thread
    python -m docs.speed 1,2 resnet   # one and two threads, those whose names have this word

Each network runs in a process of its own. Times are medians of alternating runs; a ratio above 1 is faster
than torch. Memory is the process's peak, before and with the chip.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

ROUNDS = 5
RATES = (0.001, 0.01)
THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
HEAD = "| network | bits | threads | torch float32 | healthy | 0.1 % stuck | 1 % stuck | peak memory |"


def clock(run: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(name: str, bits: int) -> dict[str, list[float]]:
    """Seconds of torch; its share of the time of chips with no, few and many stuck cells; peaks in bytes."""
    import torch

    import xbarsim as xb
    from docs.speed_networks import NETWORKS

    network = NETWORKS[name]
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    module, inputs = network.build()
    tensor = torch.from_numpy(inputs)
    with torch.no_grad():
        module(tensor)
        before = peak()
        form = xb.ArrayConfig(format=xb.WeightFormat(weight_bits=bits), input_bits=bits)
        healthy = xb.program(module, xb.ReramConfig(arrays=10**6, array=form), calibrate=inputs)
        pairs = [beside(lambda: module(tensor), lambda: healthy.run(inputs))]
        held = peak()
        for rate in RATES:
            faults = xb.StuckCells(rate=rate).draw(healthy.geometry, np.random.default_rng(0))
            chip = healthy.inject(faults)
            pairs.append(beside(lambda: module(tensor), lambda chip=chip: chip.run(inputs)))
            del chip
    return {"torch": [pairs[0][0]], "ratios": [own / chips for own, chips in pairs], "peaks": [before, held]}


def beside(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Median seconds of two calls, taken in turn."""
    first(), second()
    times = [(clock(first), clock(second)) for _ in range(ROUNDS)]
    return float(np.median([t for t, _ in times])), float(np.median([t for _, t in times]))


def peak() -> int:
    """The most memory that this process has held, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def row(name: str, bits: int, threads: int, found: dict[str, list[float]]) -> str:
    """A line of the table."""
    ratios = " | ".join(f"{ratio:.2f}" for ratio in found["ratios"])
    memory = " / ".join(f"{size / 2**30:.1f}" for size in found["peaks"])
    return f"| {name} | {bits} | {threads} | {1e3 * found['torch'][0]:.1f} ms | {ratios} | {memory} GB |"


def main(threads: str = "1", *words: str) -> None:
    """Print the table, a line as it is done, and the geometric means."""
    from docs.speed_networks import NETWORKS

    print(HEAD + "\n" + "|---" * HEAD.count(" | ") + "|---|")
    for count in map(int, threads.split(",")):
        for bits in (8, 16):
            ratios = []
            for name in NETWORKS:
                if words and not any(word.lower() in name.lower() for word in words):
                    continue
                environment = {**os.environ, **dict.fromkeys(THREADS, str(count))}
                command = [sys.executable, "-W", "ignore", "-m", "docs.speed", "--one", name, str(bits)]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                found = json.loads(done.stdout.splitlines()[-1])
                print(row(name, bits, count, found), flush=True)
                ratios.append(found["ratios"])
            means = " | ".join(f"**{mean:.2f}**" for mean in np.exp(np.log(ratios).mean(axis=0)))
            print(f"| **geometric mean** | {bits} | {count} | | {means} | |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
    else:
        main(*sys.argv[1:])
