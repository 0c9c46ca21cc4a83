"""Descriptions of campaigns as files: what they say, and the line of what is wrong with them."""

import pytest

from xbarsim.errors import InputError
from xbarsim.experiments.campaign_file import CampaignFile
from xbarsim.experiments.campaign_reading import read_campaign

TOML = """\
name = "digits"
seed = 3
trials = 7
images = 50
networks = ["digits-mlp", {name = "./board", data = "cifar10", label = "mine"}]
accelerators = ["isaac", "isaac-slc:arrays=64", "finn"]
repairs = ["as-it-is", "closest-values"]
measures = ["accuracy", "detection"]

[[faults]]
name = "stuck-cells"
rate = [0.0, 0.01]

# another model
[[faults]]
name = "single"
kinds = ["channel"]
margin = 0.1
"""
YAML = """\
name: digits
networks: [digits-mlp]
accelerators:
  - isaac
faults:
  - name: stuck-cells
    rate: [0.01]
"""


def written(folder, text, name="campaign.toml"):
    path = folder / name
    path.write_text(text)
    return path


def changed(old, new, text=TOML):
    assert old in text
    return text.replace(old, new)


def test_a_file_says_what_python_says(tmp_path):
    python = CampaignFile.model_validate(
        {"name": "digits", "networks": ["digits-mlp"], "accelerators": ["isaac"],
         "faults": [{"name": "stuck-cells", "rate": [0.01]}]}
    )  # fmt: skip
    assert read_campaign(written(tmp_path, YAML, "campaign.yaml")) == python
    found = read_campaign(written(tmp_path, TOML))
    assert (found.name, found.seed, found.trials, found.images) == ("digits", 3, 7, 50)
    assert [choice.name for choice in found.networks] == ["digits-mlp", "./board"]
    assert found.networks[1].label == "mine" and found.detectors is None


def test_paths_are_seen_from_the_files_folder(tmp_path):
    (tmp_path / "board").mkdir()
    (tmp_path / "chip.toml").write_text('base = "isaac"\n')
    text = changed('data = "cifar10"', 'data = "mine.py:data"').replace(
        '"finn"', '"chip.toml", "own.py:chip"'
    )
    found = read_campaign(written(tmp_path, text))
    assert found.networks[1].name == str(tmp_path / "board")
    assert found.networks[1].data == f"{tmp_path / 'mine.py'}:data"
    assert found.accelerators[2:] == (str(tmp_path / "chip.toml"), f"{tmp_path / 'own.py'}:chip")
    weights = changed('"digits-mlp",', '{name = "digits-mlp", weights = "w.safetensors"},')
    assert read_campaign(written(tmp_path, weights)).networks[0].weights == tmp_path / "w.safetensors"


def test_a_list_makes_a_model_of_each_of_its_values(tmp_path):
    text = changed("rate = [0.0, 0.01]", 'rate = [0.0, 0.01]\nmix = ["even", "measured"]')
    models = read_campaign(written(tmp_path, text)).faults[0].models()
    assert [(m.rate, m.mix) for m in models] == [
        (0.0, "even"), (0.0, "measured"), (0.01, "even"), (0.01, "measured")
    ]  # fmt: skip


def test_a_list_of_a_field_that_is_a_list_is_one_value(tmp_path):
    (one,) = read_campaign(written(tmp_path, TOML)).faults[1].models()
    assert one.kinds == ("channel",)
    text = changed('kinds = ["channel"]', 'kinds = [["channel"], ["channel", "pe"]]')
    models = read_campaign(written(tmp_path, text)).faults[1].models()
    assert [m.kinds for m in models] == [("channel",), ("channel", "pe")]


BAD = [
    ("seed = 3", 'seed = "x"', r"line 2: seed: expected .*integer"),
    ("seed = 3", "seed = true", r"line 2: seed: expected .*integer"),
    ("seed = 3", "seed = 3.0", r"line 2: seed: expected .*integer"),
    ("seed = 3", "sed = 3", r"line 2: sed: expected one of accelerators, .*seed.*, got an unknown key"),
    ("seed = 3", "methods = 3", r"line 2: methods: expected one of .*repairs.*, got an unknown key"),
    ("trials = 7", "trials = 0", r"line 3: trials: expected .*greater than or equal to 1, got 0"),
    ("trials = 7", 'trials = "7"', r"line 3: trials: expected .*integer"),
    ("images = 50", "images = 50\nimages = 60", r"expected a TOML file, got .*line 5"),
    ("images = 50", "images = " + "9" * 5000, r"expected a TOML file"),
    ('label = "mine"', 'lable = "mine"', r"line 5: networks.1.lable: expected one of data, label, .*unknown key"),
    ('label = "mine"', 'weights = ""', r"line 5: networks.1.weights: weights: expected a checkpoint"),
    ('["digits-mlp", {name = "./board", data = "cifar10", label = "mine"}]', "5", r"line 5: networks: .*a list"),
    ('["digits-mlp", {name = "./board", data = "cifar10", label = "mine"}]', "[]", r"line 5: networks: .*at least"),
    ('repairs = ["as-it-is", "closest-values"]', 'repairs = "as-it-is"', r"line 7: repairs: expected a list"),
    ('"closest-values"]', '"closest"]', r"line 7: repairs: repair: expected one of .*closest-values.*'closest'"),
    ('"closest-values"]', '"retrain:epoch=1"]', r"line 7: repairs: repair retrain: expected fields epochs"),
    ('measures = ["accuracy", "detection"]', 'measures = ["speed"]', r"line 8: measures.0: expected 'accuracy' or"),
    ('measures = ["accuracy", "detection"]', 'detectors = ["x-ray"]', r"line 8: detectors: detector: .*'x-ray'"),
    ('measures = ["accuracy", "detection"]', 'until = "soon"', r"line 8: until: stopping rule: expected"),
    ('measures = ["accuracy", "detection"]', 'until = "speed ± 1 %"', r"line 8: until: metric of the stopping"),
    ('name = "stuck-cells"', 'name = "cells"', r"line 10: faults.0: fault model: expected one of .*'cells'"),
    ("rate = [0.0, 0.01]", "rate = [0.0, 1.5]", r"line 10: faults.0: .*StuckCells.rate: expected .*1, got 1.5"),
    ("rate = [0.0, 0.01]", "rate = []", r"line 10: faults.0: .*at least one value in every list, got none"),
    ("rate = [0.0, 0.01]", 'rate = "0.01"', r"line 10: faults.0: .*rate: expected .*number, got '0.01'"),
    ("rate = [0.0, 0.01]", "rates = [0.0]", r"line 10: faults.0: .*expected fields rate, mix, got 'rates'"),
    ("rate = [0.0, 0.01]", "mix = 'even'", r"line 10: faults.0: .*expected a value for rate, got none"),
    ('kinds = ["channel"]', 'kinds = ["chanel"]', r"line 15: faults.1: .*kinds: expected one of .*channel"),
    ("margin = 0.1", "margn = 0.1", r"line 15: faults.1: .*expected fields .*, got 'margn'"),
    ("margin = 0.1", "margin = 0.1\nconfidence = 1", r"line 19: faults.1.confidence: expected .*less than 1"),
    ("margin = 0.1", "confidence = 0.9", r"line 15: faults.1: confidence: expected margin beside it, got none"),
    ("margin = 0.1", "margin = true", r"line 18: faults.1.margin: expected .*number"),
    ('name = "digits"\n', "", r"campaign.toml: name: expected a value, got none"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), BAD, ids=lambda v: v[:30] if isinstance(v, str) else None)
def test_mistakes_are_one_line_with_the_key_and_its_line(tmp_path, old, new, words):
    with pytest.raises(InputError, match=words) as raised:
        read_campaign(written(tmp_path, changed(old, new)))
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rate: [0.01]", "rate: [2]", "line 6: faults.0: .*StuckCells.rate: expected"),
        ("rate: [0.01]", "rate: [0.01", "expected a YAML file"),
        ("name: digits\n", "name: digits\nnames: x\n", "line 2: names: expected one of"),
        (YAML, "- a\n- b\n", "expected keys with values, got list"),
        (YAML, "", "expected keys with values"),
        ("name: digits", "name: &a [*a]", "expected a YAML file"),
        ("name: digits\n", "name: digits\nname: others\n", "'name' stands here again.*line 2"),
        ("rate: [0.01]", "rate: [0.01]\n    rate: [0.1]", "'rate' stands here again.*line 8"),
        ("rate: [0.01]", "rate: [1:30]", "line 6: faults.0: .*rate: expected .*number, got '1:30'"),
        ("name: digits\n", "name: x\ntrials: 010\n", "line 2: trials: expected a valid integer"),
        ("name: digits\n", "name: ''\n", "line 1: name: expected"),
        (
            "name: digits\n",
            "name: x\nimages: 1" + "0" * 30 + "\n",
            "line 2: images: expected less than or equal",
        ),
        ("name: digits\n", "name: x\nseed: !!int foo\n", "expected a YAML file"),
        ("name: digits\n", "name: " + "[" * 3000 + "\n", "expected a YAML file"),
        ("name: digits\n", "name: !!python/object/apply:os.getcwd []\n", "expected a YAML file"),
    ],
    ids=lambda v: v[:30] if isinstance(v, str) else None,
)
def test_mistakes_in_yaml_too(tmp_path, old, new, words):
    with pytest.raises(InputError, match=words) as raised:
        read_campaign(written(tmp_path, changed(old, new, YAML), "campaign.yml"))
    assert "\n" not in str(raised.value)


def test_numbers_of_yaml_are_those_of_its_version_1_2(tmp_path):
    text = changed("rate: [0.01]", "rate: [1e-3, 2E-2, .5]", YAML).replace(
        "name: digits\n", "name: 2024-13-45\n"
    )
    found = read_campaign(written(tmp_path, text, "campaign.YML"))
    assert [model.rate for model in found.faults[0].models()] == [0.001, 0.02, 0.5]
    assert found.name == "2024-13-45"


def test_a_mark_of_the_byte_order_is_no_mistake(tmp_path):
    path = tmp_path / "bom.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TOML.encode())
    assert read_campaign(path).name == "digits"


def test_other_files_are_refused(tmp_path):
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, words in (
        (tmp_path / "none.toml", "a campaign file"),
        (tmp_path / "c.json", "one of .toml"),
        (binary, "a campaign file"),
    ):
        with pytest.raises(InputError, match=words):
            read_campaign(path)
