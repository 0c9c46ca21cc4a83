"""Descriptions of campaigns: what they mean, and the line of what is wrong with them."""

import pytest
from xbarsim.studies.campaign_file import CampaignFile, NetworkChoice, plan
from xbarsim.studies.campaign_reading import read_campaign
from xbarsim.studies.single_faults import SingleFaults

from networks.zoo import zoo_path
from xbarsim.errors import InputError
from xbarsim.studies.workloads import ChipAccuracy, ChipDetection

TOML = """\
name = "digits"
seed = 3
trials = 7
images = 50
networks = ["digits-mlp", {name = "board", weights = "cnvW1A1"}]
accelerators = ["isaac", "isaac-slc", "finn"]
methods = ["none", "closest"]
metrics = ["accuracy", "detection"]

[[faults]]
model = "cells"
rates = [0.0, 0.01]

# another model
[[faults]]
model = "single"
kinds = ["channel"]
margin = 0.1
"""
YAML = """\
name: digits
networks: [digits-mlp]
accelerators:
  - isaac
faults:
  - model: cells
    rates: [0.01]
"""


@pytest.fixture
def folder(finn_data, monkeypatch):
    """The folder of a random board, whose images are the data set; descriptions are written beside it."""
    monkeypatch.setenv("XBARSIM_DATA", str(finn_data))
    return finn_data


def written(folder, text, name="campaign.toml"):
    path = folder / name
    path.write_text(text)
    return path


def test_a_plan_has_every_combination_that_makes_sense(folder):
    found = plan(read_campaign(written(folder, TOML)))
    kinds = [type(task.workload) for task in found.tasks]
    # two accelerators x two rates x (two methods measured, one tested), and one list of single faults
    assert (
        kinds.count(ChipAccuracy) == 8 and kinds.count(ChipDetection) == 4 and kinds.count(SingleFaults) == 1
    )
    assert {task.seed for task in found.tasks} == {3}
    assert {task.trials for task in found.tasks if not isinstance(task.workload, SingleFaults)} == {7}
    (single,) = (task for task in found.tasks if isinstance(task.workload, SingleFaults))
    assert found.populations == {single.key: 3840}
    assert single.trials == 94  # of 3,840, for 10 % at 95 %
    described = found.tasks[0].workload.describe()
    assert described["network"] == "digits-mlp" and described["faults"] == {
        "model": "cells", "rate": 0.0, "mix": "even"
    }  # fmt: skip


def test_yaml_says_the_same(folder):
    found = read_campaign(written(folder, YAML, "campaign.yaml"))
    python = CampaignFile.model_validate(
        {
            "name": "digits",
            "networks": ["digits-mlp"],
            "accelerators": ["isaac"],
            "faults": [{"model": "cells", "rates": [0.01]}],
        }
    )
    assert found == python
    assert [t.key for t in plan(found).tasks] == [t.key for t in plan(python).tasks]


def test_a_task_is_its_weights_data_and_hardware_not_the_place_of_its_files(folder, digits_weights, tmp_path):
    def key(weights, **changes):
        values = {
            "name": "x", "networks": [{"name": "digits-mlp", "weights": weights}], "accelerators": ["isaac"],
            "faults": [{"model": "cells", "rates": [0.01]}], "images": 50, **changes,
        }  # fmt: skip
        return plan(CampaignFile.model_validate(values)).tasks[0].key

    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(digits_weights.read_bytes())
    same = key(digits_weights)
    assert key(copy) == same and key(copy, trials=9, name="y") == same
    for change in ({"images": 60}, {"accelerators": ["isaac-slc"]}, {"seed": 2}, {"methods": ["closest"]}):
        assert key(digits_weights, **change) != same
    assert key(None) != same  # the zoo's weights


def changed(old, new):
    assert old in TOML
    return TOML.replace(old, new)


BAD = [
    ('seed = 3', 'seed = "x"', r"line 2: seed: expected .*integer"),
    ("trials = 7", "trials = 0", r"line 3: trials: expected .*greater than or equal to 1, got 0"),
    ("seed = 3", "sed = 3", r"line 2: sed: expected one of accelerators, .*seed.*, got an unknown key"),
    ("margin = 0.1", "margn = 0.1", r"line 18: faults.1.margn: expected one of .*margin.*, got an unknown"),
    ("rates = [0.0, 0.01]", "rates = [0.0, 1.5]", r"line 12: faults.0.rates.1: expected .*1, got 1.5"),
    ("rates = [0.0, 0.01]", "rates = []", r"line 12: faults.0.rates: expected at least one, got"),
    ('kinds = ["channel"]', 'kinds = ["chanel"]', r"line 17: faults.1.kinds: kind: expected .*channel"),
    ('model = "cells"', 'model = "cell"', r"line 10: faults.0: expected .*'cell'"),
    ('"isaac-slc"', '"isac"', r"line 6: accelerators: accelerator: .*isaac-slc.*, got 'isac'"),
    ('"digits-mlp"', '"digit"', r"line 5: networks.0: network without weights: expected one of .*digits-mlp"),
    ('weights = "cnvW1A1"', 'weights = "none"', r"line 5: networks.1: .*none: expected a checkpoint, folder"),
    ('methods = ["none", "closest"]', 'methods = "none"', r"line 7: methods: expected a list, got 'none'"),
    ('metrics = ["accuracy", "detection"]', 'until = "soon"', r"line 8: until: stopping rule: expected"),
    ("images = 50", "images = 50\nimages = 60", r"expected a TOML file, got .*line 5"),
    ('name = "digits"\n', "", r"campaign.toml: name: expected a value, got none"),
]  # fmt: skip


BAD += [
    ('networks = ["digits-mlp", {name = "board", weights = "cnvW1A1"}]', "networks = 5", r"line 5: networks"),
    ("seed = 3", "seed = true", r"line 2: seed: expected .*integer"),
    ("trials = 7", 'trials = "7"', r"line 3: trials: expected .*integer"),
    ("seed = 3", "cells = 3", r"line 2: cells: expected one of .*seed.*, got an unknown key"),
    (
        'kinds = ["channel"]',
        "rates = [0.1]",
        r"faults.1.rates: expected one of confidence, kinds, margin",
    ),
    ("margin = 0.1", "margin = 0.1\nconfidence = 1", r"line 19: faults.1.confidence: expected .*less than 1"),
    ("images = 50", "images = " + "9" * 5000, r"expected a TOML file"),
]


@pytest.mark.parametrize(("old", "new", "words"), BAD)
def test_mistakes_are_one_line_with_the_key_and_its_line(folder, old, new, words):
    with pytest.raises(InputError, match=words) as raised:
        read_campaign(written(folder, changed(old, new)))
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rates: [0.01]", "rates: [2]", "line 7: faults.0.rates.0: expected"),
        ("  - isaac\n", "  - isaac\n  - isacs\n", "line 3: accelerators: accelerator: expected one of"),
        ("rates: [0.01]", "rates: [0.01", "expected a YAML file"),
        ("name: digits", "name: digits\nnames: x", "line 2: names: expected one of"),
        (YAML, "- a\n- b\n", "expected keys with values, got list"),
        (YAML, "", "expected keys with values"),
        ("name: digits", "name: &a [*a]", "expected a YAML file"),
        ("name: digits", "name: digits\nname: others", "'name' stands here again.*line 2"),
        ("rates: [0.01]", "rates: [0.01]\n    rates: [0.1]", "'rates' stands here again.*line 8"),
        ("rates: [0.01]", "rates: [1:30]", "line 7: faults.0.rates.0: expected a valid number, got '1:30'"),
        ("name: digits", "name: x\ntrials: 010", "line 2: trials: expected a valid integer"),
        ("name: digits", "name: ''", "line 1: name: expected"),
        ("name: digits", "name: x\nimages: 1" + "0" * 30, "line 2: images: expected less than or equal"),
        ("name: digits", "name: x\nseed: !!int foo", "expected a YAML file"),
        ("name: digits", "name: " + "[" * 3000, "expected a YAML file"),
        ("name: digits", "name: !!python/object/apply:os.getcwd []", "expected a YAML file"),
    ],
)
def test_mistakes_in_yaml_too(folder, old, new, words):
    with pytest.raises(InputError, match=words):
        read_campaign(written(folder, YAML.replace(old, new), "campaign.yml"))


def test_numbers_of_yaml_are_those_of_its_version_1_2(folder):
    text = YAML.replace("rates: [0.01]", "rates: [1e-3, 2E-2, .5]").replace(
        "name: digits", "name: 2024-13-45"
    )
    found = read_campaign(written(folder, text, "campaign.YML"))
    assert found.faults[0].rates == (0.001, 0.02, 0.5) and found.name == "2024-13-45"


def test_a_mark_of_the_byte_order_is_no_mistake(folder):
    path = folder / "bom.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TOML.encode())
    assert read_campaign(path).name == "digits"


def test_a_rule_for_what_is_not_measured_is_refused(folder):
    text = YAML.replace("name: digits", "name: digits\nuntil: detection +- 2 %")
    with pytest.raises(
        InputError, match=r"metric of the stopping rule: expected .*accuracy.*, got 'detection'"
    ):
        plan(read_campaign(written(folder, text, "campaign.yml")))


def test_other_files_are_refused(folder):
    for path, words in ((folder / "none.toml", "a campaign file"), (folder / "c.json", "one of .toml")):
        with pytest.raises(InputError, match=words):
            read_campaign(path)
    binary = folder / "b.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="a campaign file"):
        read_campaign(binary)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('accelerators = ["isaac", "isaac-slc", "finn"]', 'accelerators = ["isaac"]', "no use for"),
        (
            'networks = ["digits-mlp", {name = "board", weights = "cnvW1A1"}]',
            'networks = ["digits-mlp"]',
            "no use",
        ),
        ('methods = ["none", "closest"]', 'methods = ["closest"]', "no use for 'detection'"),
        ("images = 50", "images = 3", r"patterns: expected an integer in 1\.\.3, got 10"),
    ],
)
def test_what_nothing_uses_is_refused(folder, old, new, words):
    with pytest.raises(InputError, match=words):
        plan(read_campaign(written(folder, changed(old, new))))


def test_what_means_the_same_is_the_same_task():
    def keys(**changes):
        values = {
            "name": "x", "networks": ["digits-mlp"], "accelerators": ["isaac"], "methods": ["retrain"],
            "faults": [{"model": "cells", "rates": [0.0]}],
        }  # fmt: skip
        return [task.key for task in plan(CampaignFile.model_validate(values | changes)).tasks]

    same = keys()
    assert keys(images=500) == keys(images=10**6) == same  # there are 500
    assert keys(faults=[{"model": "cells", "rates": [-0.0, 0.0]}]) == same
    assert keys(train_images=10) != same


def test_weights_of_another_network_are_refused():
    for name in ("lenet", "mlp"):
        with pytest.raises(ValueError, match=f"expected weights of {name}, got weights of digits-mlp"):
            NetworkChoice(name=name, weights=zoo_path("digits-mlp"))
