"""From command line values to the objects of a study, with progress where it takes time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accel_models.finn.chip import FinnChip
from accel_models.finn.config import SharedArray
from accel_models.reram.config import accelerator as accelerator_named
from networks.catalogue import NetworkEntry
from xbarsim.cells.device import device as device_named
from xbarsim.cli import output
from xbarsim.crossbar.parasitic import Wires
from xbarsim.detection.march.notation import MarchTest
from xbarsim.errors import InputError, check_choice
from xbarsim.faults.cell_map import FaultMap
from xbarsim.faults.pe import SHARED, PeFaultKind, PeFaults
from xbarsim.faults.sampling import mix_presets
from xbarsim.rng import stream
from xbarsim.studies.physics import Physics
from xbarsim.studies.repair import Repair, RetrainSettings, repair_chip
from xbarsim.studies.workbench import Workbench, build_workbench
from xbarsim.training.recipe import Recipe

FIDELITIES = ("digital", "bit-serial", "analog", "parasitic")


def workbench(
    network: str,
    accelerator: str,
    cells: str,
    *,
    weights: Path | None,
    seed: int,
    images: int | None,
) -> Workbench:
    """A named network on a healthy chip; the digits network is trained here if it has no weights."""
    config = accelerator_named(accelerator, cells=cells)
    with output.progress(f"preparing {network}") as advance:
        return build_workbench(network, config, weights=weights, seed=seed, images=images, on_batch=advance)


@dataclass(frozen=True, kw_only=True)
class FaultyChips:
    """How many chips, their fault maps, and where the faults come from, in words."""

    count: int
    maps: Iterable[FaultMap]
    words: str


def faulty_chips(
    bench: Workbench, files: list[Path] | None, *, rate: float, mix: str, chips: int, seed: int
) -> FaultyChips:
    """Fault maps from files if there are any, else drawn."""
    if files:
        maps = [FaultMap.load(path) for path in files]
        return FaultyChips(count=len(files), maps=maps, words="faults from files")
    check_choice("mix", mix, mix_presets())
    drawn = bench.fault_maps(rate, mix_presets()[mix], chips=chips, seed=seed)
    return FaultyChips(count=chips, maps=drawn, words=f"{100 * rate:g} % of the cells faulty, mix '{mix}'")


def physics(
    fidelity: str, device: str | None, age_seconds: float | None, wire_ohm: float | None
) -> Physics | None:
    """The physics of an analog or parasitic chip; None for the others, which take no such options."""
    check_choice("fidelity", fidelity, FIDELITIES)
    needs = {"--device": "analog", "--age": "analog", "--wire-ohm": "parasitic"}
    for option, value in zip(needs, (device, age_seconds, wire_ohm), strict=True):
        if value is not None and FIDELITIES.index(fidelity) < FIDELITIES.index(needs[option]):
            remedy = f"add --fidelity {needs[option]} or leave {option} out"
            raise InputError(option, f"no value with --fidelity {fidelity}", repr(value), remedy)
    if fidelity not in ("analog", "parasitic"):
        return None
    ohm = 0.0 if fidelity == "analog" else 1.0 if wire_ohm is None else wire_ohm
    return Physics(
        device=device_named("hfo2-wan" if device is None else device),
        wires=Wires(word_ohm=ohm, bit_ohm=ohm),
        seconds=1.0 if age_seconds is None else age_seconds,
    )


def shared_array(words: str | None) -> SharedArray | None:
    """The array of a loopback accelerator from 'PE,SIMD'."""
    if words is None:
        return None
    sizes = _numbers("--loopback", words)
    if len(sizes) != 2:
        raise InputError("--loopback", "two numbers, PE,SIMD", repr(words), "as in --loopback 16,32")
    return SharedArray(pe=sizes[0], simd=sizes[1])


def chosen_faults(
    design: FinnChip,
    *,
    file: Path | None,
    kinds: str,
    layers: str | None,
    sample: int | None,
    seed: int,
    images: int | None,
) -> PeFaults:
    """Faults from a file, else all of some kinds; a sample of them; each on one of `images`, if given."""
    if file is not None:
        if layers is not None:
            raise InputError("--layers", "no --faults beside it", str(file), "leave one of them out")
        found = PeFaults.load(file)
    else:
        names = list(dict.fromkeys(name.strip() for name in kinds.split(",")))
        for name in names:
            check_choice("--kinds", name, PeFaultKind.__members__)
        places = None if layers is None else list(dict.fromkeys(_numbers("--layers", layers)))
        shared = [kind.name for kind in SHARED if design.shared is not None and kind.name in names]
        if places is not None and shared:
            expected = f"no {shared[0]} faults beside it with --loopback"
            raise InputError("--layers", expected, repr(layers), "a shared array's faults hit all layers")
        found = design.fault_list([PeFaultKind[name] for name in names], places)
    if sample is not None:
        found = found.sample(sample, stream(seed, "pe faults"))
    if images is not None:
        rng = stream(seed, "struck images")
        calls = [i for i, layer in enumerate(design.geometry.layers) if layer.values]
        found = found.struck(rng.integers(0, images, len(found)), rng.choice(calls, len(found)))
    return found


def _numbers(where: str, words: str) -> list[int]:
    try:
        return [int(word) for word in words.split(",")]
    except ValueError as error:
        raise InputError(where, "integers with commas", repr(words)) from error


def rates(where: str, words: str | None) -> tuple[float, ...]:
    """Numbers from words with commas; none from none."""
    try:
        return () if words is None else tuple(float(word) for word in words.split(","))
    except ValueError as error:
        raise InputError(where, "numbers with commas", repr(words)) from error


def recipe_of(entry: NetworkEntry, **changes: object) -> Recipe:
    """A network's recipe with the settings that were given."""
    given = {name: value for name, value in changes.items() if value is not None}
    return replace(entry.recipe, **given)  # type: ignore[arg-type]


def repair_chips(
    bench: Workbench,
    maps: Sequence[FaultMap],
    *,
    seed: int,
    march: MarchTest,
    settings: RetrainSettings,
) -> tuple[list[Repair], list[bytes]]:
    """Repair chips one after the other: the counts, and the files to send."""
    repairs, updates = [], []
    for trial, fault_map in enumerate(maps):
        with output.progress(f"retraining chip {trial + 1} of {len(maps)}") as advance:
            repair, update = repair_chip(
                bench, fault_map, seed=seed, trial=trial, march=march, settings=settings, on_batch=advance
            )
        repairs.append(repair)
        updates.append(update.to_bytes())
    return repairs, updates
