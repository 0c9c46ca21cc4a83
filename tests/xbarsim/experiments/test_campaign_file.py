"""What the description of a campaign means, and what of it nothing would use."""

import pickle

import pytest

from networks.zoo import zoo_path
from xbarsim.detection.patterns import AdversarialPatterns, OriginalImages
from xbarsim.errors import InputError
from xbarsim.experiments.campaign_file import CampaignFile, plan, stopping_rule
from xbarsim.experiments.measures import Accuracy, Detection
from xbarsim.experiments.references import SubjectReference
from xbarsim.faults.models import SingleFaults
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.repair.closest import ClosestValues

CELLS = {"name": "stuck-cells", "rate": [0.01]}
CODE = """\
import numpy as np
from torch import nn


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()


def data():
    rng = np.random.default_rng(0)
    return rng.random((6, 1, 4, 4)).astype(np.float32), rng.integers(0, 3, 6)
"""


def campaign(**changes):
    values = {
        "name": "x", "networks": ["digits-mlp"], "accelerators": ["isaac"], "faults": [CELLS], "images": 50,
        **changes,
    }  # fmt: skip
    return CampaignFile.model_validate({name: value for name, value in values.items() if value is not None})


def keys(**changes):
    return [task.key for task in plan(campaign(**changes)).tasks]


def experiments(found):
    return [task.workload for task in found.tasks]


@pytest.fixture
def board(finn_data, monkeypatch):
    monkeypatch.setenv("XBARSIM_DATA", str(finn_data))
    return {"name": str(finn_data / "cnvW1A1")}


def test_a_plan_has_every_combination_that_makes_sense(board):
    found = plan(
        campaign(
            networks=["digits-mlp", board],
            accelerators=["isaac", "isaac-slc", "finn"],
            repairs=["as-it-is", "closest-values"],
            measures=["accuracy", "detection"],
            faults=[
                {"name": "stuck-cells", "rate": [0.0, 0.01]},
                {"name": "single", "kinds": ["channel"], "margin": 0.1},
            ],
            trials=7,
            seed=3,
        )
    )
    crossbars = [e for e in experiments(found) if isinstance(e.faults, StuckCells)]
    # two accelerators x two rates x (two repairs measured, one tested)
    assert len([e for e in crossbars if isinstance(e.measure, Accuracy)]) == 8
    assert len([e for e in crossbars if isinstance(e.measure, Detection)]) == 4
    assert not [e for e in experiments(found) if e not in crossbars and isinstance(e.measure, Detection)]
    assert {t.seed for t in found.tasks} == {3} and found.metrics == ("accuracy", "detection")
    assert {t.trials for t in found.tasks if t.workload in crossbars} == {7}


def test_listed_faults_are_all_or_a_sample(board):
    single = {"name": "single", "kinds": ["channel"]}
    for choice, trials in ((single, 3840), ({**single, "margin": 0.1}, 94)):
        found = plan(campaign(networks=[board], accelerators=["finn"], faults=[choice]))
        (task,) = found.tasks
        assert isinstance(task.workload.faults, SingleFaults)
        assert (task.trials, found.populations) == (trials, {task.key: 3840})


def test_detectors_bring_detection_and_detection_a_detector():
    found = plan(campaign(detectors=["original:patterns=3", "adversarial:criterion=SDC-1"]))
    assert [e.measure for e in experiments(found)] == [
        Accuracy(),
        Detection(detector=OriginalImages(patterns=3)),
        Detection(detector=AdversarialPatterns(criterion="SDC-1")),
    ]
    (only,) = experiments(plan(campaign(measures=["detection"])))
    assert only.measure == Detection(detector=AdversarialPatterns())


def test_detection_is_not_of_repaired_chips():
    found = experiments(plan(campaign(repairs=["as-it-is", "closest-values"], detectors=["original"])))
    assert [type(e.measure) for e in found if e.repair == ClosestValues()] == [Accuracy]


def test_fault_free_chips_go_anywhere(board):
    found = plan(
        campaign(networks=["digits-mlp", board], accelerators=["isaac", "finn"], faults=[{"name": "none"}])
    )
    assert len(found.tasks) == 2


def test_a_task_is_its_weights_data_and_hardware_not_the_place_of_its_files(tmp_path):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(zoo_path("digits-mlp").read_bytes())

    def of(path, **changes):
        return keys(networks=[{"name": "digits-mlp", "weights": str(path)}], **changes)

    same = keys()
    assert of(copy) == of(zoo_path("digits-mlp")) == of(copy, trials=9, name="y") == same
    for change in (
        {"images": 60},
        {"accelerators": ["isaac-slc"]},
        {"seed": 2},
        {"repairs": ["closest-values"]},
        {"measures": ["detection"]},
        {"faults": [{"name": "stuck-cells", "rate": 0.02}]},
        {"networks": [{"name": "digits-mlp", "label": "mine"}]},
    ):
        assert keys(**change) != same


def test_network_and_data_are_loaded_once_for_all_accelerators(monkeypatch):
    loaded, load = [], SubjectReference.load
    monkeypatch.setattr(SubjectReference, "load", lambda self: loaded.append(self.network) or load(self))
    found = plan(campaign(accelerators=("isaac", "isaac-slc"))).tasks
    assert len({task.workload.subject.accelerator.name for task in found}) == 2
    assert len({id(task.workload.subject.test) for task in found}) == 1
    assert loaded == ["digits-mlp"]
    travelled = pickle.loads(pickle.dumps(found))
    assert [task.key for task in travelled] == [task.key for task in found]
    assert len({id(task.workload.subject.test) for task in travelled}) == 1
    assert loaded == ["digits-mlp"] * 2


def test_what_means_the_same_is_the_same_task():
    assert keys(images=500) == keys(images=10**6) == keys(images=None)  # there are 500
    assert keys(faults=[{"name": "stuck-cells", "rate": 0.01}]) == keys()
    assert len(keys(faults=[CELLS, {"name": "stuck-cells", "rate": [0.01, 0.01]}])) == 1


def test_accelerators_of_one_name_are_told_apart_by_their_fields():
    found = plan(campaign(accelerators=["isaac", "isaac:arrays=64", "isaac:cell.t_read_ns=99"]))
    assert len(found.tasks) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accelerators": ["isaac", "finn"]}, "no use for 'finn'"),
        ({"faults": [CELLS, {"name": "single"}]}, "no use for 'single'"),
        ({"faults": [CELLS, {"name": "faulty-neurons"}]}, "no use for 'faulty-neurons'"),
        ({"repairs": ["closest-values"], "measures": ["accuracy", "detection"]}, "no use for 'detection'"),
        (
            {"detectors": ["original"], "measures": ["accuracy"]},
            "detectors: expected the measure 'detection'",
        ),
        (
            {"faults": [{**CELLS, "margin": 0.1}]},
            "margin: expected a model that lists its faults, got stuck-cells",
        ),
        ({"images": 3, "measures": ["detection"], "networks": ["digits"]}, "network: expected a file"),
        (
            {"until": "detection ± 2 %"},
            "metric of the stopping rule: expected one of accuracy, got 'detection'",
        ),
        ({"networks": ["lenet6"]}, "network: expected a file, file.py:function, or one of"),
        ({"networks": ["resnet32"]}, "network 'resnet32': expected trained weights, got none"),
        ({"accelerators": ["isac"]}, "accelerator: expected one of .*isaac-slc.*, got 'isac'"),
        ({"accelerators": ["isaac:arays=3"]}, "accelerator isaac: expected fields"),
        (
            {"networks": [{"name": "digits-mlp", "data": "none"}]},
            "data: expected a file, a folder, or one of",
        ),
    ],
)
def test_what_nothing_uses_is_refused(changes, words):
    with pytest.raises(InputError, match=words) as raised:
        plan(campaign(**changes))
    assert "\n" not in str(raised.value)


def test_weights_of_another_network_are_refused():
    for name in ("lenet", "mlp"):
        wrong = {"name": name, "weights": str(zoo_path("digits-mlp"))}
        with pytest.raises(InputError, match=f"expected weights of {name}, got weights of digits-mlp"):
            plan(campaign(networks=[wrong]))


def test_a_rule_is_for_what_is_measured():
    found = plan(campaign(until="accuracy ± 2 %"))
    assert str(found.precision) == "accuracy ± 2 % at 95 %"
    assert plan(campaign()).precision is None
    with pytest.raises(InputError, match="metric of the stopping rule"):
        stopping_rule("speed ± 2 %")


def test_code_is_called_only_if_its_file_was_named(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(CODE)
    own = {"networks": [{"name": f"{file}:network", "data": f"{file}:data"}], "images": None}
    with pytest.raises(InputError, match=r"no code that was not named, got '.*mine\.py:network'"):
        plan(campaign(**own))
    found = plan(campaign(**own), code=[file])
    assert found.tasks[0].workload.subject.name == "network" and len(found.tasks) == 1
    other = tmp_path / "other.py"
    other.write_text(CODE)
    for mixed in (
        {**own, "networks": [{"name": f"{other}:network", "data": f"{file}:data"}]},
        {**own, "networks": [{"name": f"{file}:network", "data": f"{other}:data"}]},
        {**own, "accelerators": [f"{other}:chip"]},
    ):
        with pytest.raises(InputError, match=r"no code that was not named, got '.*other\.py"):
            plan(campaign(**mixed), code=[file])
