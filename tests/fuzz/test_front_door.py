"""Every name of the front door with several arguments replaced at once, and by values of other kinds."""

import warnings

import numpy as np
import pytest

from tests.fuzz.watch import COUNT, MEMORY_MB, SEED, settled, taken_MB
from tests.helpers.good_calls import good_calls, write_files
from tests.helpers.wrong_values import alike, doubtful, wrong

KINDS = (3, 0.5, "word", True, np.ones((2, 3)), None)


@pytest.mark.filterwarnings("ignore")
def test_any_arguments_give_a_result_or_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    makers = good_calls(tmp_path)
    before = taken_MB()
    rng = np.random.default_rng(SEED)
    names = sorted(makers)
    for _ in range(COUNT):
        name = names[rng.integers(len(names))]
        call = makers[name]()
        chosen = [
            one
            for one in sorted(call.arguments)
            if rng.random() < 0.4 and one not in (*call.texts, *call.kept)
        ]
        changes = {one: _value(call, one, rng) for one in chosen}
        shown = {one: what for one, (what, _) in changes.items()}
        try:
            settled(lambda call=call, changes=changes: call.run(**{k: v for k, (_, v) in changes.items()}))
        except BaseException as error:
            raise AssertionError(f"{name} with {shown}") from error
    assert taken_MB() <= max(before, MEMORY_MB)


def _value(call, argument, rng):
    """A name and a value, most often wrong for the argument, at times for an argument of another kind."""
    good = call.arguments[argument]
    table = getattr(getattr(good, "dtype", None), "names", None)  # of columns
    if rng.random() < 0.2 or table:
        good = KINDS[rng.integers(len(KINDS))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        listed = [*wrong(good), *doubtful(good), *alike(good)]
    return listed[rng.integers(len(listed))]
