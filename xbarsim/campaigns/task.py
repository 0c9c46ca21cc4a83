"""Tasks: what is repeated trial by trial, and the digest that says whether two are the same.

A workload knows how a trial is made; a campaign knows nothing about it but its description. Whatever a result
depends on belongs into that description: digests of weights and data, configurations, fault models, the
revision of the code. Two tasks with equal descriptions are one task.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

from xbarsim.errors import InputError, check_int
from xbarsim.hints import check_fields

MOST_TRIALS = 10**7
RESERVED = {"task", "seed", "trial", "shots", "hits", "seconds", "run", "counts"}


class Outcome(NamedTuple):
    """What a trial counted: `hits` of `shots`, and any further counts by name (letters, digits, '_-. ')."""

    shots: int
    hits: int
    counts: Mapping[str, float] = {}


# (seed, trials) to what each of them counted, in order: a generator where trials are made one by one. What a
# trial counts depends on its number and the seed alone, not on those that are made together with it
TrialFunction = Callable[[int, Sequence[int]], Iterable[Outcome]]


class Workload(Protocol):
    """What a trial is. It travels to the workers, so it must pickle; it should be small until prepared.

    A workload whose trials share work may have an attribute `batch`: how many a worker gets at a time. One
    that has something to say for reports may have a method `facts()`: plain JSON that does not name the task.
    What people read of parts of its description may stand in an attribute `words`: a mapping by part, as
    {"faults": "1 % stuck"}.
    One of classes from files that `xbarsim.code.load_code` ran may have an attribute `code`: these files,
    which workers run before they receive it.
    """

    def describe(self) -> Mapping[str, Any]:
        """Everything but the seed that its results depend on, as JSON."""

    def prepare(self) -> TrialFunction:
        """Build what all trials share, once a worker."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A workload, repeated.

    Parameters
    ----------
    seed : which chips; trial t of a seed is the same chip in every task
    trials : how many, or at most how many where a stopping rule may end them earlier

    Raises
    ------
    InputError : a description that is not JSON or has reserved names, no trials.
    """

    workload: Workload
    trials: int
    seed: int = 0
    description: str = field(init=False)

    def __post_init__(self) -> None:
        check_fields(self)
        check_int("Task.trials", self.trials, 1, MOST_TRIALS)
        check_int("Task.seed", self.seed, 0, 2**63 - 1)
        described = self.workload.describe()
        if taken := sorted(str(n) for n in described if n in RESERVED or str(n).startswith("counts.")):
            expected = f"other names than {', '.join(sorted(RESERVED))}"
            raise InputError(
                "description of a task", expected, ", ".join(taken), "they are columns of a table"
            )
        object.__setattr__(self, "description", canonical(described))

    @property
    def key(self) -> str:
        """32 hexadecimal digits that name the task."""
        return blake2b(f"{self.seed} {self.description}".encode(), digest_size=16).hexdigest()

    def facts(self) -> str:
        """What the workload says for reports, as JSON; may take a while."""
        return canonical(getattr(self.workload, "facts", dict)())


def canonical(description: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no spaces: equal descriptions are equal strings.

    >>> canonical({"rate": 0.01, "network": "lenet"})
    '{"network":"lenet","rate":0.01}'
    """
    try:
        text = json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False)
        json.loads(text, parse_int=_check_fits)
        json.dumps(description, ensure_ascii=False).encode()
    except InputError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError("description of a task", "plain JSON", str(error)) from error
    return text


def _check_fits(digits: str) -> int:
    """Integers of tables and of the store have 64 bits."""
    return check_int("description of a task", int(digits), -(2**63), 2**63 - 1)
