"""What moves a cell's conductance away from its target: published models, one class each.

Every effect takes conductances and standard normal draws that were made when the cell was written, so that a
cell ages along one history. Conductances are in uS, times in seconds since the write. Sources are named at
each class; "the toolkit" is IBM's Analog Hardware Acceleration Kit, which tabulates several of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xbarsim.errors import check_number

Floats = NDArray[np.float32]
DAY = 86400.0


class Effect(Protocol):
    """A change of conductance; `draws` standard normal numbers a cell."""

    @property
    def draws(self) -> int:
        """How many draws a cell it takes."""

    def apply(self, g_uS: Floats, z: Floats, *, seconds: float, g_off_uS: float, g_on_uS: float) -> Floats:
        """The conductances after the effect; z is (draws, *g_uS.shape)."""


@dataclass(frozen=True)
class ProgrammingAndRelaxation:
    """HfO2: sigma(g) = sum c_i g**i uS by time since the write, g relative to the highest conductance.

    Between the tabulated times (1 s, 1 day, 2 days) sigma is interpolated over the logarithm of time. The
    error at 1 s and what relaxation adds to it are separate draws, so that writing with verification cuts the
    first and not the second; at every time the sum has the tabulated sigma.

    Source: Wan et al., Nature 2022, as fitted in the toolkit for 40 uS; sigma scales with the range.
    """

    draws: int = field(default=2, init=False, repr=False)
    reference_uS: float = 40.0

    def __post_init__(self) -> None:
        check_number("ProgrammingAndRelaxation.reference_uS", self.reference_uS, 1e-6, 1e6)

    def apply(self, g_uS: Floats, z: Floats, *, seconds: float, g_off_uS: float, g_on_uS: float) -> Floats:
        """See the class."""
        relative, scale = g_uS / np.float32(g_on_uS), g_on_uS / self.reference_uS
        start = self._sigma(relative, 1.0) * np.float32(scale)
        now = self._sigma(relative, seconds) * np.float32(scale)
        kept = np.minimum(start, now)
        return g_uS + kept * z[0] + np.sqrt(np.maximum(now**2 - kept**2, 0)) * z[1]

    def _sigma(self, relative: Floats, seconds: float) -> Floats:
        table = {
            1.0: (0.348, 16.03, -43.853, 45.393, -16.815),
            DAY: (0.701, 22.086, -50.773, 47.095, -16.458),
            2 * DAY: (0.782, 20.274, -43.507, 37.062, -11.934),
        }
        times = np.log(list(table))
        at = np.log(max(seconds, 1.0))
        weights = [np.interp(at, times, unit) for unit in np.eye(len(table))]
        mixed = np.array(weights) @ np.array(list(table.values()))
        sigma = np.polynomial.polynomial.polyval(relative, mixed.astype(np.float32))
        return np.maximum(sigma, 0).astype(np.float32)


@dataclass(frozen=True)
class VerifyError:
    """What a write with verification leaves: sigma = intercept + slope G, in uS.

    Source: Milo et al., IRPS 2021, 50 <= G <= 225 uS; extrapolated elsewhere.
    """

    intercept_uS: float = 4.782
    slope: float = -0.0091
    draws: int = field(default=1, init=False, repr=False)

    def __post_init__(self) -> None:
        check_number("VerifyError.intercept_uS", self.intercept_uS, 0, 1e6)
        check_number("VerifyError.slope", self.slope, -1, 1)

    def apply(self, g_uS: Floats, z: Floats, *, seconds: float, g_off_uS: float, g_on_uS: float) -> Floats:
        """See the class."""
        return g_uS + np.maximum(self.intercept_uS + self.slope * g_uS, 0).astype(np.float32) * z[0]


@dataclass(frozen=True)
class Decay:
    """CMO/HfOx: mean -0.0890 ln t uS, sigma 0.0420 ln t + 0.4118 uS from 1 s on; nothing before.

    Source: Falcone et al., as fitted in the toolkit; independent of the conductance.
    """

    draws: int = field(default=1, init=False, repr=False)

    def apply(self, g_uS: Floats, z: Floats, *, seconds: float, g_off_uS: float, g_on_uS: float) -> Floats:
        """See the class."""
        if seconds < 1.0:
            return g_uS
        log = np.log(seconds)
        return g_uS + np.float32(-0.0890 * log) + np.float32(0.0420 * log + 0.4118) * z[0]


@dataclass(frozen=True)
class Drift:
    """Phase change: G ((t + 20) / 20)**-nu, nu = clamp(-0.0155 ln(G / G_on) + 0.0244, 0.049, 0.1).

    Source: Joshi et al., Nature Communications 2020, mean drift as in the toolkit.
    """

    draws: int = field(default=0, init=False, repr=False)

    def apply(self, g_uS: Floats, z: Floats, *, seconds: float, g_off_uS: float, g_on_uS: float) -> Floats:
        """See the class."""
        relative = np.maximum(g_uS / np.float32(g_on_uS), np.float32(1e-6))
        nu = np.clip(np.float32(-0.0155) * np.log(relative) + np.float32(0.0244), 0.049, 0.1)
        return g_uS * np.exp(-nu * np.float32(np.log((seconds + 20) / 20))).astype(np.float32)


@dataclass(frozen=True)
class Lognormal:
    """G exp(theta), theta ~ N(0, sigma**2). Textbook."""

    sigma: float
    draws: int = field(default=1, init=False, repr=False)

    def __post_init__(self) -> None:
        check_number("Lognormal.sigma", self.sigma, 0, 1)

    def apply(self, g_uS: Floats, z: Floats, *, seconds: float, g_off_uS: float, g_on_uS: float) -> Floats:
        """See the class."""
        return g_uS * np.exp(np.float32(self.sigma) * z[0])


@dataclass(frozen=True)
class Additive:
    """G + theta, theta ~ N(0, sigma**2), sigma as a share of the range G_on - G_off.

    Source: RRAMedy, Eq. 8, taken per cell: the paper leaves the unit of its weight noise unsaid.
    """

    sigma: float
    draws: int = field(default=1, init=False, repr=False)

    def __post_init__(self) -> None:
        check_number("Additive.sigma", self.sigma, 0, 1)

    def apply(self, g_uS: Floats, z: Floats, *, seconds: float, g_off_uS: float, g_on_uS: float) -> Floats:
        """See the class."""
        return g_uS + np.float32(self.sigma * (g_on_uS - g_off_uS)) * z[0]


class ReadNoise(Protocol):
    """Noise that is drawn anew with every read."""

    @property
    def uniform(self) -> bool:
        """Whether it is the same for every conductance."""

    def sigma_uS(self, g_uS: Floats, *, seconds: float, g_off_uS: float, g_on_uS: float) -> Floats:
        """Standard deviation for each conductance, same shape."""


@dataclass(frozen=True)
class FlickerRead:
    """CMO/HfOx: sigma = 0.0277 log10(G) sqrt(ln((t + 1 us) / 2 us)) uS, 0 below 1 uS.

    Source: as fitted in the toolkit. The time is at least 1 s: the model describes reads after a write.
    """

    uniform: bool = field(default=False, init=False, repr=False)

    def sigma_uS(self, g_uS: Floats, *, seconds: float, g_off_uS: float, g_on_uS: float) -> Floats:
        """See the class."""
        growth = np.sqrt(np.log((max(seconds, 1.0) + 1e-6) / 2e-6))
        return np.float32(0.0277 * growth) * np.log10(np.maximum(g_uS, 1)).astype(np.float32)


@dataclass(frozen=True)
class UniformRead:
    """sigma is a share of the range G_on - G_off, the same for every cell."""

    sigma: float
    uniform: bool = field(default=True, init=False, repr=False)

    def __post_init__(self) -> None:
        check_number("UniformRead.sigma", self.sigma, 0, 1)

    def sigma_uS(self, g_uS: Floats, *, seconds: float, g_off_uS: float, g_on_uS: float) -> Floats:
        """See the class."""
        return np.full_like(g_uS, self.sigma * (g_on_uS - g_off_uS))
