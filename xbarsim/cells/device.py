"""A memory device: its range of conductance, and what moves a cell away from its target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xbarsim.cells.effects import (
    DAY,
    Additive,
    Decay,
    Drift,
    Effect,
    FlickerRead,
    Floats,
    ProgrammingAndRelaxation,
    ReadNoise,
    UniformRead,
    VerifyError,
)
from xbarsim.errors import InputError, check_choice, check_number
from xbarsim.hints import checked

TEN_YEARS = 3650 * DAY


@dataclass(frozen=True, kw_only=True)
class Device:
    """Cells of level l aim at G_off + l (G_on - G_off) / (L - 1).

    Parameters
    ----------
    name, source : shown in reports
    g_off_uS, g_on_uS : conductance of the lowest and the highest level
    effects : what moves a cell, in this order
    read : noise of every read, or None
    longest_seconds : how long after a write the models hold; ten years where a source gives no end
    """

    name: str
    source: str
    g_off_uS: float
    g_on_uS: float
    effects: tuple[Effect, ...] = ()
    read: ReadNoise | None = None
    longest_seconds: float = TEN_YEARS

    def __post_init__(self) -> None:
        check_number("Device.g_on_uS", self.g_on_uS, 1e-6, 1e9)
        check_number("Device.g_off_uS", self.g_off_uS, 0, 1e9)
        check_number("Device.longest_seconds", self.longest_seconds, 0, TEN_YEARS)
        if not self.g_off_uS < self.g_on_uS:
            raise InputError("Device", "g_off_uS < g_on_uS", f"{self.g_off_uS} and {self.g_on_uS}")
        for effect in self.effects:
            if not hasattr(effect, "apply") or not hasattr(effect, "draws"):
                raise InputError("Device.effects", "effects from xbarsim.cells.effects", repr(effect))
        if self.read is not None and not hasattr(self.read, "sigma_uS"):
            raise InputError("Device.read", "read noise from xbarsim.cells.effects", repr(self.read))

    @property
    def draws(self) -> int:
        """Standard normal draws a cell takes when it is written."""
        return sum(effect.draws for effect in self.effects)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of its effects and its read noise, with their parameters."""
        return tuple(map(repr, (*self.effects, *([self.read] if self.read else []))))

    def step_uS(self, levels: int) -> float:
        """Conductance between two of so many levels."""
        return (self.g_on_uS - self.g_off_uS) / (levels - 1)

    def target_uS(self, level: NDArray[np.integer], levels: int) -> Floats:
        """Conductances that levels aim at, same shape."""
        return (self.g_off_uS + level * self.step_uS(levels)).astype(np.float32)

    def conductance_uS(self, target_uS: Floats, z: Floats, seconds: float) -> Floats:
        """Conductances so long after the write; z is (draws, *target_uS.shape). Never negative."""
        g, first = target_uS, 0
        for effect in self.effects:
            mine = z[first : first + effect.draws]
            g = effect.apply(g, mine, seconds=seconds, g_off_uS=self.g_off_uS, g_on_uS=self.g_on_uS)
            first += effect.draws
        return np.maximum(g, 0).astype(np.float32, copy=False)

    def read_sigma_uS(self, g_uS: Floats, seconds: float) -> Floats:
        """Standard deviation of one read of each conductance."""
        if self.read is None:
            return np.zeros_like(g_uS)
        return self.read.sigma_uS(g_uS, seconds=seconds, g_off_uS=self.g_off_uS, g_on_uS=self.g_on_uS)


def device_presets() -> dict[str, Device]:
    """The named devices."""
    devices = (
        Device(name="ideal", source="ISAAC as public simulators configure it", g_off_uS=0.5, g_on_uS=500),
        Device(
            name="hfo2-wan",
            source="Wan et al., Nature 2022, fit of IBM's toolkit; read noise 1 % of the range as it advises",
            g_off_uS=1,
            g_on_uS=40,
            effects=(ProgrammingAndRelaxation(),),
            read=UniformRead(0.01),
            longest_seconds=2 * DAY,
        ),
        Device(
            name="hfo2-milo",
            source="Milo et al., IRPS 2021",
            g_off_uS=50,
            g_on_uS=225,
            effects=(VerifyError(),),
        ),
        Device(
            name="cmo-hfox",
            source="Falcone et al., fit of IBM's toolkit",
            g_off_uS=9,
            g_on_uS=88.19,
            effects=(Decay(),),
            read=FlickerRead(),
        ),
        Device(
            name="pcm",
            source="Joshi et al., Nature Communications 2020, mean drift of IBM's toolkit",
            g_off_uS=0.1,
            g_on_uS=25,
            effects=(Drift(),),
        ),
        Device(
            name="variation-3",
            source="RRAMedy, Eq. 8 with sigma 0.03 of the range",
            g_off_uS=0.5,
            g_on_uS=500,
            effects=(Additive(0.03),),
        ),
    )
    return {device.name: device for device in devices}


@checked
def device(name: str) -> Device:
    """Look a device up by name.

    Raises
    ------
    InputError : no such device.
    """
    return device_presets()[check_choice("device", name, device_presets())]
