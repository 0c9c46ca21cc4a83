"""What users add in one file of their own goes everywhere: Python, commands, campaigns, reports."""

import subprocess
import sys

import matplotlib
import pytest

import xbarsim as xb
from tests.helpers.commands import document, refused, run
from xbarsim.code import load_code
from xbarsim.report.result_figures import figures

HEAD = """\
from dataclasses import dataclass

import numpy as np

import xbarsim as xb


"""
FAULTS = """\
@xb.fault_models.register("broken-lines")
@dataclass(frozen=True, kw_only=True)
class BrokenLines:
    \"\"\"Word lines that do not conduct.\"\"\"

    probability: float = 0.01
    kinds: tuple[str, ...] = ("stuck_hrs",)

    def draw(self, geometry: xb.CellGeometry, rng):
        rows = geometry.arrays * geometry.rows
        broken = np.flatnonzero(rng.random(rows) < self.probability)
        cell = (broken[:, None] * geometry.columns + np.arange(geometry.columns)).ravel()
        kind = rng.choice([xb_kind(name) for name in self.kinds], len(cell))
        return xb.FaultMap.from_cells(geometry, cell, kind, np.zeros(len(cell), int))


def xb_kind(name):
    return {"stuck_hrs": 0, "stuck_lrs": 1}[name]
"""
DETECTOR = """\
@xb.detectors.register("checksum")
@dataclass(frozen=True, kw_only=True)
class Checksum:
    \"\"\"Compare the sum of all scores on the first images.\"\"\"

    images: int = 4
    threshold: float = 0.0

    def prepare(self, subject):
        inputs = subject.test.images[: self.images]
        return Prepared(inputs=inputs, expected=subject.chip.run(inputs).scores.sum(), threshold=self.threshold)


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    inputs: object
    expected: float
    threshold: float

    def score(self, chip, trial):
        return abs(float(chip.run(self.inputs).scores.sum() - self.expected))

    def cost(self, chip):
        return chip.cost(len(self.inputs))
"""
REPAIR = """\
@dataclass(frozen=True, kw_only=True)
class Effort:
    tries: int = 1
    strength: float = 0.5


@xb.repairs.register("kick")
@dataclass(frozen=True, kw_only=True)
class Kick:
    \"\"\"Kick the chip, which cures soft faults.\"\"\"

    effort: Effort = Effort()

    def repair(self, chip, subject, trial):
        return xb.Repaired(chip=chip.refresh(), counts={"kicks": self.effort.tries}, files={"log.txt": b"ouch"})
"""
ACCELERATOR = """\
@xb.accelerators.register("tiny")
def tiny():
    \"\"\"Arrays of 64 x 64 cells.\"\"\"
    return xb.ReramConfig(name="tiny", array=xb.ArrayConfig(rows=64, columns=64))


@xb.accelerators.register("halved")
@dataclass(frozen=True, kw_only=True)
class Halved:
    \"\"\"An ISAAC chip at half its clock.\"\"\"

    name: str = "halved"
    slower: float = 2.0
    quantization: xb.Quantization = xb.Quantization()

    def program(self, network):
        return Slow(config=self, chip=xb.accelerators.make("isaac").program(network))


@dataclass(frozen=True, kw_only=True, eq=False)
class Slow:
    config: Halved
    chip: object

    @property
    def accelerator(self):
        return self.config

    @property
    def geometry(self):
        return self.chip.geometry

    @property
    def faults(self):
        return self.chip.faults

    @property
    def input_shape(self):
        return self.chip.input_shape

    @property
    def resources(self):
        return self.chip.resources

    def inject(self, faults):
        return Slow(config=self.config, chip=self.chip.inject(faults))

    def run(self, inputs, *, seed=0):
        run = self.chip.run(inputs, seed=seed)
        return xb.Run(scores=run.scores, classes=run.classes, cost=self.cost(len(inputs)))

    def run_each(self, faults, inputs, *, seed=0):
        return (self.inject(one).run(inputs, seed=seed) for one in faults)

    def cost(self, inputs):
        own = self.chip.cost(inputs)
        return xb.Cost(latency_ns=self.config.slower * own.latency_ns, energy_pJ=own.energy_pJ)
"""
CAMPAIGN = """\
name = "mine"
trials = 3
images = 30
networks = ["digits-mlp"]
accelerators = [{accelerators}]
repairs = [{repairs}]
{detectors}
[[faults]]
{faults}
"""
CELLS = 'name = "stuck-cells"\nrate = [0.01, 0.03]'
SMALL = ["--chips", "2", "--images", "30"]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Write the user's file; what it registers is forgotten afterwards."""
    for kind in (xb.fault_models, xb.detectors, xb.repairs, xb.accelerators):
        monkeypatch.setattr(kind, "_added", dict(kind._added))
    known = set(sys.modules)

    def write(text):
        file = tmp_path / "mine.py"
        file.write_text(HEAD + text)
        return file

    yield write
    for name in set(sys.modules) - known:
        if name.startswith("xbarsim_code_"):
            del sys.modules[name]


def campaign(capsys, file, **parts):
    """Plan, run with two workers and look at a campaign; words of plan and status, and its results."""
    path = file.with_name("c.toml")
    given = {"accelerators": '"isaac"', "repairs": '"as-it-is"', "detectors": "", "faults": CELLS, **parts}
    path.write_text(CAMPAIGN.format(**given))
    plugin = ["--plugin", file]
    code, planned, err = run(capsys, "campaign", "plan", path, *plugin)
    assert (code, err) == (0, "")
    found = document(capsys, "campaign", "run", path, *plugin, "--workers", "2")["results"]
    assert found["run"]["failed"] == 0 and not found["run"]["unprepared"]
    store = path.with_suffix(".db")
    assert document(capsys, "campaign", "run", path, *plugin)["results"]["run"]["made"] == 0
    _, status, _ = run(capsys, "campaign", "status", store)
    return [" ".join(text.split()) for text in (planned, status)], xb.read_results(store)


def in_another_process(store, figure, folder):
    """The page and a figure by a program that knows nothing of the user's file."""
    page = folder / "page.html"
    program = [sys.executable, "-c", "from xbarsim.cli.app import main; main()", "report", store, "--out", page]
    subprocess.run([*program, "--figures", folder, "--only", figure], check=True, capture_output=True)
    return " ".join(page.read_text().split()), (folder / f"{figure}.svg").read_text()


def drawn_words(results, name):
    """All text of a figure."""
    (shown,) = (figure for figure in figures(results) if figure.name == name)
    found = shown.draw().findobj(matplotlib.text.Text)
    return " ".join(text.get_text() for text in found)


def test_a_fault_model_of_ones_own(mine, capsys, tmp_path):
    file = mine(FAULTS)
    results = document(capsys, "simulate", "--plugin", file, *SMALL, "-f", "broken-lines:probability=0.05")["results"]
    (task,) = results["tasks"]
    assert task["is"]["faults"] == {"name": "broken-lines", "probability": 0.05, "kinds": ["stuck_hrs"]}
    assert all(count % 128 == 0 for count in task["counts"]["faults"]) and any(task["counts"]["faults"])
    model = xb.fault_models.make("broken-lines", {"probability": 0.05})
    subject = xb.SubjectReference(network="digits-mlp", accelerator=xb.accelerators.make("isaac"), images=30).load()
    own = xb.collect(xb.grid(xb.Accuracy(), subjects=subject, faults=model, trials=2, seed=1))
    assert own.trials["hits"].tolist() == task["hits"]
    code, out, _ = run(capsys, "simulate", "--plugin", file, *SMALL, "-f", "broken-lines:probability=0.05")
    assert code == 0 and "broken-lines, probability 0.05" in " ".join(out.split())

    lists = 'name = "broken-lines"\nprobability = [0.02, 0.05]\nkinds = ["stuck_hrs", "stuck_lrs"]'
    texts, found = campaign(capsys, file, faults=lists, repairs='"as-it-is", "closest-values"')
    for text in texts:
        assert "broken-lines, probability 0.02" in text and "broken-lines, probability 0.05" in text
    assert len(found.trials) == 12 and set(found.trials["faults.name"]) == {"broken-lines"}
    assert "broken-lines, probability 0.05" in str(found.table().rows)
    words = drawn_words(found, "accuracy-digits-mlp")
    assert "faults.probability" in words and "closest-values" in words and "as-it-is" in words
    page, svg = in_another_process(found.path, "accuracy-digits-mlp", tmp_path / "f")
    assert "broken-lines, probability 0.05" in page and "<svg" in svg


def test_a_detector_of_ones_own(mine, capsys, tmp_path):
    file = mine(DETECTOR)
    results = document(capsys, "detect", "--plugin", file, *SMALL, "-D", "checksum:images=2")["results"]
    faulty, healthy = results["tasks"]
    assert faulty["is"]["detector"] == {"name": "checksum", "images": 2, "threshold": 0.0}
    assert faulty["hits"] == [1, 1] and healthy["hits"] == [0, 0] and min(faulty["counts"]["score"]) > 0
    load_code(file)
    subject = xb.SubjectReference(network="digits-mlp", accelerator=xb.accelerators.make("isaac"), images=30).load()
    measure = xb.Detection(detector=xb.detectors.make("checksum", {"images": 2}))
    own = xb.collect(xb.grid(measure, subjects=subject, faults=xb.NoFaults(), trials=2, seed=1))
    assert own.trials["hits"].tolist() == [0, 0]

    texts, found = campaign(
        capsys, file, detectors='detectors = ["checksum", "checksum:images=2"]', faults=CELLS.replace("0.01", "0.0")
    )
    for text in texts:
        assert "checksum, images 2" in text
    assert len({row[1:6] for row in found.table().rows}) == len(found.tasks) == 6
    words = drawn_words(found, "detection-digits-mlp-isaac")
    assert "checksum, images 2" in " ".join(words.split())
    page, svg = in_another_process(found.path, "detection-digits-mlp-isaac", tmp_path / "f")
    assert "checksum, images 2" in page and "checksum" in svg


def test_a_repair_of_ones_own(mine, capsys, tmp_path):
    file = mine(REPAIR)
    soft = ["-f", "soft-cells:rate=0.02"]
    options = ["--plugin", file, *SMALL, *soft, "-R", "as-it-is", "-R", "kick:effort.tries=3"]
    results = document(capsys, "repair", *options, "--out", tmp_path / "out")["results"]
    plain, kicked = results["tasks"]
    assert kicked["is"]["repair"] == {"name": "kick", "effort": {"tries": 3, "strength": 0.5}}
    assert kicked["counts"]["kicks"] == [3, 3] and min(kicked["hits"]) >= max(plain["hits"])
    assert (tmp_path / "out" / "chip-1-log.txt").read_bytes() == b"ouch"
    code, out, _ = run(capsys, "repair", *options)
    assert code == 0 and "kick, effort.tries 3" in " ".join(out.split())

    repairs = '"as-it-is", "kick", "kick:effort.strength=0.7", "kick:effort.strength=0.7000001"'
    texts, found = campaign(capsys, file, repairs=repairs, faults='name = "soft-cells"\nrate = [0.01, 0.03]')
    for text in texts:
        assert "kick," in text and "0.7000001" in text
    assert len(found.tasks) == 8 and len({row[1:7] for row in found.table().rows}) == 8
    assert len(found.pairs().rows) == 6 and "kick, effort.strength 0.7" in str(found.pairs().rows)
    words = drawn_words(found, "accuracy-digits-mlp")
    assert "kick, effort.strength 0.7" in words and "0.7000001" in words
    page, svg = in_another_process(found.path, "accuracy-digits-mlp", tmp_path / "f")
    assert "kick, effort.strength 0.7" in page and "kick" in svg


def test_accelerators_of_ones_own(mine, capsys, tmp_path):
    file = mine(ACCELERATOR)
    for name, arrays in (("tiny", 14), ("halved:slower=3", 7), (f"{file}:tiny", 14)):
        options = ["--plugin", file, *SMALL, "-a", name]
        results = document(capsys, "simulate", *options)["results"]
        assert results["tasks"][0]["facts"]["geometry"]["arrays"] == arrays
        code, out, _ = run(capsys, "simulate", *options)
        assert code == 0 and f"on {name.split(':')[0] if ':tiny' not in name else 'tiny'}" in out
    slow, fast = (
        document(capsys, "simulate", "--plugin", file, *SMALL, "-a", name)["results"]["tasks"][0]
        for name in ("halved:slower=3", "isaac")
    )
    assert slow["hits"] == fast["hits"] and slow["facts"]["latency_ns"] == 3 * fast["facts"]["latency_ns"]
    assert "repair closest-values" in refused(capsys, "repair", "--plugin", file, *SMALL, "-a", "halved", "-R", "closest-values")

    texts, found = campaign(capsys, file, accelerators='"tiny", "halved", "halved:slower=3", "isaac"')
    for text in texts:
        assert "tiny" in text and "halved" in text and "isaac" in text
    assert len(found.tasks) == 8 and len({row[1:7] for row in found.table().rows}) == 8
    words = drawn_words(found, "accuracy-digits-mlp")
    assert "tiny" in words and "halved" in words and "isaac" in words
    page, svg = in_another_process(found.path, "accuracy-digits-mlp", tmp_path / "f")
    assert "halved" in page and "tiny" in svg


def test_without_its_file_a_name_is_unknown(mine, capsys):
    mine(FAULTS)
    assert "fault model: expected one of" in refused(capsys, "simulate", "-f", "broken-lines")


def test_what_is_added_is_listed(mine, capsys):
    file = mine(FAULTS + "\n\n" + REPAIR)
    listed = document(capsys, "list", "faults", "--plugin", file)["results"]["faults"]["broken-lines"]
    assert listed == {
        "about": "Word lines that do not conduct.", "fields": {"probability": "0.01", "kinds": "stuck_hrs"}
    }  # fmt: skip
    assert document(capsys, "list", "repairs", "--plugin", file)["results"]["repairs"]["kick"]["fields"] == {
        "effort": "..."
    }
