"""What is studied: a network on an accelerator, with the data that it is tested, trained and calibrated on.

What a subject is, its contents say: digests of integers, weights, data and hardware. Names are for people.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import nn

from xbarsim.arrays import check_calibration
from xbarsim.chip import Accelerator, Chip
from xbarsim.data import Dataset, as_data, as_dataset
from xbarsim.digests import content_digest
from xbarsim.errors import InputError, check_int, check_positive
from xbarsim.hints import checked
from xbarsim.programs import CALIBRATION_INPUTS, accelerator_of, as_integers

MOST_PASSES = 1_000_000
CONTENTS = ("network", "accelerator", "test", "train", "name", "calibration", "epsilon", "passes")


class Source(Protocol):
    """Where a subject comes from: small, and another process can load it again."""

    def load(self) -> Subject: ...


class Subject:
    """A network on an accelerator, with its data.

    Parameters
    ----------
    network : a torch module, or anything else that `xbarsim.programs.program` takes
    accelerator : a name or a configuration
    test : a `Dataset` or what `xbarsim.data.as_dataset` makes one of; with a training part, if `train` is not
        given
    train : the same
    calibrate : (N, ...) inputs that fix a module's scales; by default the first 500 of `train`, or of `test`
        where there is no training data
    name : of the network, for tables; by default its class
    epsilon : of adversarial patterns, in units of the inputs
    passes : over the training data that a repair takes by default
    source : gives the same subject again, so that other processes need not be sent networks and data

    Raises
    ------
    InputError : data that is none, an unknown accelerator.
    """

    network: Any
    accelerator: Accelerator
    test: Dataset
    train: Dataset | None
    name: str
    calibration: NDArray
    epsilon: float
    passes: int

    @checked
    def __init__(
        self,
        network: Any,
        accelerator: str | Accelerator = "isaac",
        *,
        test: Any,
        train: Any = None,
        calibrate: NDArray | None = None,
        name: str | None = None,
        epsilon: float = 0.1,
        passes: int = 1,
        source: Source | None = None,
    ) -> None:
        if type(network).__module__ == "builtins":
            raise InputError("network", "a torch module or an integer network", repr(network)[:60])
        data = as_data(test, name="test")
        self.network = network.eval() if isinstance(network, nn.Module) else network
        self.accelerator = accelerator_of(accelerator)
        self.test = data.test
        self.train = data.train if train is None else as_dataset(train, name="train")
        typical = (self.train or self.test).images if calibrate is None else calibrate
        self.calibration = check_calibration(typical)[:CALIBRATION_INPUTS]
        shape, wanted = self.calibration.shape[1:], self.test.images.shape[1:]
        if shape != wanted:
            expected = f"inputs of shape {wanted}, as those of the test data"
            raise InputError("calibrate", expected, str(shape))
        self.name = _name_of(network) if name is None else name
        self.epsilon = check_positive("epsilon", epsilon)
        self.passes = check_int("passes", passes, 1, MOST_PASSES)
        self.source = source
        self._in_float: dict[Hashable, Any] = {}

    def __repr__(self) -> str:
        return f"Subject({self.name!r} on {self.accelerator.name!r}, {len(self.test)} test images)"

    @cached_property
    def integers(self) -> Any:
        """What the accelerator is programmed with: an `IntegerGraph`, or the network itself."""
        return as_integers(self.network, self.accelerator, calibrate=self.calibration)

    @cached_property
    def chip(self) -> Chip:
        """The fault-free chip."""
        return self.accelerator.program(self.integers)

    @property
    def module(self) -> nn.Module:
        """The float network.

        Raises
        ------
        InputError : a subject that has none.
        """
        if not isinstance(self.network, nn.Module):
            remedy = "hand in the torch module"
            raise InputError(f"network {self.name!r}", "a torch module", type(self.network).__name__, remedy)
        return self.network

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what `make` gave when this was first asked for under a key: answers, patterns, tests."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def in_float(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what `make` gave when this was first asked for under a key: what comes of float arithmetic.

        Processors round otherwise. So it is made once, for all accelerators that this network and data are
        on, and travels to other processes, which do not make it again.
        """
        if key not in self._in_float:
            self._in_float[key] = make()
        return self._in_float[key]

    @cached_property
    def _kept(self) -> dict[Hashable, Any]:
        return {}

    def on(self, accelerator: str | Accelerator, *, source: Source | None = None) -> Subject:
        """Return the same network and data on another accelerator; they are shared, and loaded once.

        Parameters
        ----------
        source : of what is returned; by default this subject's, on the other accelerator
        """
        chosen = accelerator_of(accelerator)
        if source is None and self.source is not None:
            source = _Elsewhere(self, chosen)
        found = Subject(
            self.network,
            chosen,
            test=self.test,
            train=self.train,
            calibrate=self.calibration,
            name=self.name,
            epsilon=self.epsilon,
            passes=self.passes,
            source=source,
        )
        found._in_float = self._in_float
        return found

    def training_data(self) -> Dataset:
        """Return the training data.

        Raises
        ------
        InputError : a subject without any.
        """
        if self.train is None:
            raise InputError(f"subject {self.name!r}", "training data", "none", "give it with train=")
        return self.train

    def describe(self) -> dict[str, Any]:
        """Return what tells it from other subjects, as JSON: names, and digests of contents."""
        return dict(self._described)

    @cached_property
    def _described(self) -> dict[str, Any]:
        return {
            "network": self.name,
            "weights": self._weights_digest(),
            "data": self.test.digest,
            "images": len(self.test),
            "training": None if self.train is None else self.train.digest,
            "accelerator": self.accelerator.name,
            "hardware": self._hardware_digest(),
            "epsilon": self.epsilon,
            "passes": self.passes,
        }

    def _weights_digest(self) -> str:
        if not isinstance(self.network, nn.Module):
            try:
                return content_digest(self.integers)
            except InputError as error:
                raise error.at(f"network {self.name!r}") from error
        state = {name: tensor.detach().cpu().numpy() for name, tensor in self.network.state_dict().items()}
        return content_digest((state, self.integers))

    def _hardware_digest(self) -> str:
        try:
            return content_digest(self.accelerator)
        except InputError as error:
            raise error.at(f"accelerator {self.accelerator.name!r}") from error

    def __getstate__(self) -> dict[str, Any]:
        """Be small where another process can load it, else whole; a chip is made again."""
        always = {"source": self.source, "_described": self.describe(), "_in_float": self._in_float}
        if self.source is not None:
            return {**always, "accelerator": self.accelerator}
        return {**always, **{name: getattr(self, name) for name in CONTENTS}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __getattr__(self, name: str) -> Any:
        """Load the contents when they are first asked for, and see that they are those that were planned."""
        source = self.__dict__.get("source")
        if name not in CONTENTS or source is None:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        found = source.load()
        if found.describe() != self._described:
            remedy = "plan again"
            raise InputError(f"{source}", "network, data and hardware as planned", "others", remedy)
        for content in CONTENTS:
            self.__dict__[content] = getattr(found, content)
        for made in ("integers", "chip"):
            if made in found.__dict__:
                self.__dict__[made] = found.__dict__[made]
        return self.__dict__[name]


@dataclass(frozen=True, eq=False)
class _Elsewhere:
    """The contents of a subject on another accelerator; subjects that travel together load them once."""

    subject: Subject
    accelerator: Accelerator

    def __str__(self) -> str:
        return str(self.subject.source)

    def load(self) -> Subject:
        """See `Source`."""
        return self.subject.on(self.accelerator)


def _name_of(network: Any) -> str:
    own = getattr(network, "name", None)
    return own if isinstance(own, str) and own else type(network).__name__
