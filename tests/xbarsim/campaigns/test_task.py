import pytest

from tests.helpers.workloads import Chips
from xbarsim.campaigns.task import Task
from xbarsim.errors import InputError


def test_a_task_is_what_its_workload_describes_and_its_seed():
    task = Task(workload=Chips(0.1), trials=10)
    assert Task(workload=Chips(0.1, seconds=3.0), trials=99).key == task.key
    assert (
        len(
            {
                task.key,
                Task(workload=Chips(0.2), trials=10).key,
                Task(workload=Chips(), trials=10, seed=1).key,
            }
        )
        == 3
    )
    assert len(task.key) == 32


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x", "\udcff"])
def test_descriptions_are_plain_json(value):
    class Odd(Chips):
        def describe(self):
            return {"value": value}

    with pytest.raises(InputError, match="plain JSON"):
        Task(workload=Odd(), trials=1)


@pytest.mark.parametrize("value", [2**63, [-(2**63) - 1], {"deep": [{"er": 10**30}]}])
def test_integers_of_descriptions_have_64_bits(value):
    class Big(Chips):
        def describe(self):
            return {"value": value}

    with pytest.raises(
        InputError, match=r"description of a task: expected an integer in -9223372036854775808"
    ):
        Task(workload=Big(), trials=1)


@pytest.mark.parametrize(
    ("field", "value"), [("trials", 0), ("trials", 10**9), ("trials", 1.5), ("seed", -1)]
)
def test_numbers_out_of_range_are_refused(field, value):
    with pytest.raises(InputError, match=f"Task.{field}"):
        Task(workload=Chips(), **{"trials": 1, field: value})


@pytest.mark.parametrize("name", ["task", "seed", "trial", "hits", "counts.faults"])
def test_names_of_columns_are_reserved(name):
    class Named(Chips):
        def describe(self):
            return {name: 1}

    with pytest.raises(InputError, match=f"got {name}; they are columns"):
        Task(workload=Named(), trials=1)
