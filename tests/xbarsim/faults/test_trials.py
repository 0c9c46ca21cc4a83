"""The faults of a trial's chip: the stream that they come from."""

from dataclasses import dataclass

from xbarsim.faults.trials import faults_of
from xbarsim.rng import Trial


@dataclass(frozen=True)
class Drawn:
    """Two numbers of the stream, as faults."""

    def draw(self, geometry, rng):
        return geometry, tuple(rng.random(2).tolist())


@dataclass(frozen=True)
class Named(Drawn):
    """The same, from a stream of its own."""

    scenario: str = "bursts"


@dataclass(frozen=True)
class Listed(Drawn):
    """Numbers its faults."""

    def numbered(self, geometry, trial):
        return geometry, trial.number


def expected(trial, scenario):
    return "chip", tuple(trial.stream(scenario).random(2).tolist())


def test_faults_come_from_the_stream_of_their_trial():
    for trial in (Trial(1, 0), Trial(1, 1), Trial(2, 0)):
        assert faults_of(Drawn(), "chip", trial) == expected(trial, "faults")
        assert faults_of(Named(), "chip", trial) == expected(trial, "bursts")
    found = {
        faults_of(model, "chip", Trial(s, n)) for model in (Drawn(), Named()) for s in (1, 2) for n in (0, 1)
    }
    assert len(found) == 8


def test_a_model_that_numbers_its_faults_is_asked_for_the_trials_own():
    assert [faults_of(Listed(), "chip", Trial(9, number)) for number in (0, 5)] == [("chip", 0), ("chip", 5)]
