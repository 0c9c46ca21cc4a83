"""A fault model, a detector, a repair and an accelerator, each in one file outside the package.

Each goes through Python, a command, a campaign in two processes and its report, with its own words.
"""

import subprocess
import sys

import pytest

import xbarsim as xb
from tests.helpers.program import document, refused, run_well
from xbarsim.code import load_code
from xbarsim.report.result_figures import figures

FAULT_MODEL = '''
from dataclasses import dataclass

import numpy as np

import xbarsim as xb


@xb.fault_models.register("broken-lines")
@dataclass(frozen=True, kw_only=True)
class BrokenLines:
    """Every word line is broken with this probability: its cells carry no current."""

    probability: float

    def draw(self, geometry: xb.CellGeometry, rng: np.random.Generator) -> xb.FaultMap:
        array, row = np.nonzero(rng.random((geometry.arrays, geometry.rows)) < self.probability)
        columns = geometry.columns
        return xb.FaultMap.of(
            geometry,
            array=np.repeat(array, columns),
            row=np.repeat(row, columns),
            column=np.tile(np.arange(columns), len(array)),
            kind="stuck_hrs",
        )
'''
DETECTOR = '''
from dataclasses import dataclass

import numpy as np

import xbarsim as xb


@dataclass(frozen=True, eq=False)
class Remembered:
    probes: np.ndarray
    total: float
    threshold: float

    def score(self, chip, trial):
        return abs(float(chip.run(self.probes).scores.sum()) - self.total)

    def cost(self, chip):
        return chip.cost(len(self.probes))


@xb.detectors.register("sum-of-probes")
@dataclass(frozen=True, kw_only=True)
class SumOfProbes:
    """The answers to some images add up to something else."""

    probes: int = 2
    tolerance: float = 0.0

    def prepare(self, subject):
        probes = subject.test.images[: self.probes]
        return Remembered(probes, float(subject.chip.run(probes).scores.sum()), self.tolerance)
'''
REPAIR = '''
from dataclasses import dataclass

import xbarsim as xb


@xb.repairs.register("write-often")
@dataclass(frozen=True, kw_only=True)
class WriteOften:
    """Write every cell again, so many times."""

    times: int = 2

    def repair(self, chip, subject, trial):
        for _ in range(self.times):
            chip = chip.refresh()
        return xb.Repaired(chip=chip, counts={"cell_writes": self.times * chip.write_cost.cell_writes})
'''
ACCELERATOR = '''
from dataclasses import replace

import xbarsim as xb


@xb.accelerators.register("coarse")
def coarse():
    """ISAAC with arrays of 64 rows and an ADC of five bits."""
    isaac = xb.accelerators.parse("isaac")
    array = replace(isaac.array, rows=64, adc=xb.AdcConfig(bits=5))
    return replace(isaac, name="coarse", array=array)
'''
OWN_CHIP = '''
from dataclasses import dataclass

import xbarsim as xb


@xb.accelerators.register("halved")
@dataclass(frozen=True, kw_only=True)
class Halved:
    """An ISAAC chip at half its clock."""

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
'''
NESTED_REPAIR = '''
from dataclasses import dataclass

import xbarsim as xb


@dataclass(frozen=True, kw_only=True)
class Effort:
    tries: int = 1
    strength: float = 0.5


@xb.repairs.register("kick")
@dataclass(frozen=True, kw_only=True)
class Kick:
    """Kick the chip, which cures soft faults."""

    effort: Effort = Effort()

    def repair(self, chip, subject, trial):
        counts, files = {"kicks": self.effort.tries}, {"log.txt": b"ouch"}
        return xb.Repaired(chip=chip.refresh(), counts=counts, files=files)
'''
CAMPAIGN = """
name = "mine"
trials = 3
images = 50
networks = ["digits-mlp"]
accelerators = ["{accelerator}"]
repairs = ["as-it-is"{repair}]
{detectors}
[[faults]]
name = "none"
[[faults]]
{faults}
"""
STUCK = 'name = "stuck-cells"\nrate = [0.005, 0.03]'
PLAIN = {"accelerator": "isaac", "repair": "", "detectors": "", "faults": STUCK}
SMALL = ("--images", "50")


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Write a file of the user's into the folder where the commands are given."""
    monkeypatch.chdir(tmp_path)

    def write(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def subject_of(accelerator="isaac"):
    words = xb.accelerators.parse(accelerator)
    return xb.SubjectReference(network="digits-mlp", accelerator=words, images=50).load()


def campaign(capsys, file, plugin, **parts):
    """Plan, run in two processes, look at the status, write the page: what each says, and the figures."""
    description = file("mine.toml", CAMPAIGN.format(**PLAIN | parts))
    said = [
        run_well(capsys, "campaign", "plan", description, "--plugin", plugin),
        run_well(capsys, "campaign", "run", description, "--plugin", plugin, "--workers", "2"),
        run_well(capsys, "campaign", "status", "mine.db"),
    ]
    run_well(capsys, "report", "mine.db")
    page = description.with_suffix(".html").read_text()
    shown = {figure.name: figure for figure in figures(xb.read_results("mine.db"))}
    return [" ".join(text.split()) for text in said], page, shown


def cells(table):
    """All words of a table."""
    return [cell for row in table.rows for cell in row]


def labels(figure):
    """All words of a figure: axes and legends."""
    drawn = figure.draw()
    legends = [*drawn.legends, *(axes.get_legend() for axes in drawn.axes if axes.get_legend())]
    texts = [text.get_text() for legend in legends for text in legend.get_texts()]
    return " | ".join([axes.get_xlabel() for axes in drawn.axes] + texts)


def test_fault_model_of_ones_own(file, capsys):
    plugin = file("lines.py", FAULT_MODEL)
    load_code(plugin)
    words = "broken-lines, probability 0.05"
    model = xb.fault_models.parse("broken-lines:probability=0.05")
    results = xb.collect(xb.grid(xb.Accuracy(), subjects=subject_of(), faults=model, trials=3, seed=1))
    assert words in cells(results.table())

    shown = run_well(
        capsys,
        "simulate",
        "--plugin",
        plugin,
        *SMALL,
        "--chips",
        "3",
        "--faults",
        "broken-lines:probability=0.05",
    )
    assert words in shown
    made = document(
        capsys,
        "simulate",
        "--plugin",
        plugin,
        *SMALL,
        "--chips",
        "3",
        "--faults",
        "broken-lines:probability=0.05",
    )
    assert made["results"]["tasks"][0]["hits"] == results.trials["hits"].tolist()

    faults = 'name = "broken-lines"\nprobability = [0.02, 0.05]'
    said, page, drawn = campaign(capsys, file, plugin, faults=faults)
    for text in (*said, page):
        assert "broken-lines" in text and "0.05" in text
    assert "faults.probability" in labels(drawn["accuracy-digits-mlp"])
    store = xb.read_results("mine.db").where(faults__probability=0.05)
    assert store.trials["hits"].tolist() == results.trials["hits"].tolist()


def test_detector_of_ones_own(file, capsys):
    plugin = file("probes.py", DETECTOR)
    load_code(plugin)
    detector = xb.detectors.parse("sum-of-probes:probes=3")
    stuck = xb.StuckCells(rate=0.005)
    tasks = xb.grid(xb.Detection(detector=detector), subjects=subject_of(), faults=stuck, trials=3, seed=1)
    results = xb.collect(tasks)
    assert "sum-of-probes, probes 3" in cells(results.table())
    assert results.trials["hits"].tolist() == [1, 1, 1]

    command = ("detect", "--plugin", plugin, *SMALL, "--chips", "3", "--detectors", "sum-of-probes:probes=3")
    assert "sum-of-probes, probes 3" in run_well(capsys, *command)

    said, page, drawn = campaign(capsys, file, plugin, detectors='detectors = ["sum-of-probes:probes=3"]')
    for text in (*said, page):
        assert "sum-of-probes, probes 3" in text
    assert "sum-of-probes, probes 3" in labels(drawn["detection-digits-mlp-isaac"])


def test_repair_of_ones_own(file, capsys):
    plugin = file("often.py", REPAIR)
    load_code(plugin)
    soft = xb.SoftCells(rate=0.02)
    chosen = [xb.AsItIs(), xb.repairs.parse("write-often:times=3")]
    tasks = xb.grid(xb.Accuracy(), subjects=subject_of(), faults=soft, repairs=chosen, trials=3, seed=1)
    results = xb.collect(tasks)
    assert "write-often, times 3" in cells(results.pairs())
    healthy = results.tasks[0].facts["healthy_hits"]
    assert results.where(repair="write-often, times 3").trials["hits"].tolist() == [healthy] * 3

    command = ("repair", "--plugin", plugin, *SMALL, "--chips", "2", "--faults", "soft-cells:rate=0.02")
    shown = run_well(capsys, *command, "--repairs", "as-it-is", "--repairs", "write-often:times=3")
    assert "write-often, times 3" in shown and f"{3 * 51712:,}" in shown

    said, page, drawn = campaign(capsys, file, plugin, repair=', "write-often:times=3"')
    for text in (*said, page):
        assert "write-often, times 3" in " ".join(text.split())
    assert "write-often, times 3" in labels(drawn["accuracy-digits-mlp"])


def test_accelerator_of_ones_own(file, capsys):
    plugin = file("coarse.py", ACCELERATOR)
    load_code(plugin)
    subject = subject_of("coarse")
    results = xb.collect(xb.grid(xb.Accuracy(), subjects=subject, faults=xb.StuckCells(rate=0.01), trials=2))
    assert "coarse" in cells(results.table(by=["accelerator", "faults"]))
    assert results.tasks[0].facts.get("energy_nJ") is None  # no power model is for such arrays

    shown = run_well(capsys, "simulate", "--plugin", plugin, *SMALL, "--chips", "2", "-a", "coarse")
    assert "digits-mlp on coarse" in shown and "energy unknown" in shown
    line = refused(capsys, "simulate", "--plugin", plugin, *SMALL, "-a", "coarse:arrays=3")
    assert "at most 3 arrays" in line

    said, page, drawn = campaign(capsys, file, plugin, accelerator='coarse", "isaac')
    for text in (*said, page):
        assert "coarse" in text
    assert "coarse" in labels(drawn["accuracy-digits-mlp"])


def test_accelerator_whose_chips_are_of_a_class_of_ones_own(file, capsys):
    plugin = file("halved.py", OWN_CHIP)
    options = ("--plugin", plugin, *SMALL, "--chips", "2")
    slow, fast = (
        document(capsys, "simulate", *options, "-a", name)["results"]["tasks"][0]
        for name in ("halved:slower=3", "isaac")
    )
    assert slow["hits"] == fast["hits"] and slow["facts"]["latency_ns"] == 3 * fast["facts"]["latency_ns"]
    assert "energy_nJ" in slow["facts"] and "march_latency_ns" not in slow["facts"]
    assert "digits-mlp on halved" in run_well(capsys, "detect", *options, "-a", "halved", "-D", "original")

    said, page, drawn = campaign(capsys, file, plugin, accelerator='halved", "halved:slower=3')
    for text in said[1:]:
        assert "halved" in text and "hardware" in text  # two of one name
    found = xb.read_results("mine.db")
    assert len({row[1:-5] for row in found.table().rows}) == len(found.tasks) == 6
    assert "halved" in page and len(labels(drawn["accuracy-digits-mlp"]).split(" | ")) == 3


def test_repairs_that_differ_in_a_part_of_theirs_alone(file, capsys):
    plugin = file("kick.py", NESTED_REPAIR)
    text = CAMPAIGN.format(
        **PLAIN | {
            "repair": ', "kick:effort.tries=3", "kick:effort.strength=0.7", "kick:effort.strength=0.7000001"',
            "faults": 'name = "soft-cells"\nrate = [0.01, 0.03]',
        }
    )  # fmt: skip
    description = file("mine.toml", text)
    planned = " ".join(run_well(capsys, "campaign", "plan", description, "--plugin", plugin).split())
    run_well(capsys, "campaign", "run", description, "--plugin", plugin)
    shown = " ".join(run_well(capsys, "campaign", "status", "mine.db").split())
    for said in (planned, shown):
        assert "0.7000001" in said
    found = xb.read_results("mine.db")
    assert len({row[1:-5] for row in found.table().rows}) == len(found.tasks) == 12
    (curves,) = (figure for figure in figures(found) if figure.name == "accuracy-digits-mlp")
    lines = labels(curves).split(" | ")[1:]
    assert len(lines) == len(set(lines)) == 4 and any("0.7000001" in line for line in lines)

    out = ("--out", "out", "--chips", "2", "-R", "as-it-is", "-R", "kick")
    document(capsys, "repair", "--plugin", plugin, *SMALL, *out)
    assert (description.parent / "out" / "chip-1-log.txt").read_bytes() == b"ouch"


def test_without_its_file_a_name_is_unknown_and_with_it_listed(file, capsys):
    plugin = file("lines.py", FAULT_MODEL)
    assert "--faults: expected one of" in refused(capsys, "simulate", "-f", "broken-lines:probability=0.1")
    listed = document(capsys, "list", "faults", "--plugin", plugin)["results"]["faults"]["broken-lines"]
    assert listed["fields"] == {"probability": "(needed)"}
    assert listed["about"].startswith("Every word line is broken")


def test_a_report_needs_no_file_of_the_users(file, capsys):
    plugin = file("lines.py", FAULT_MODEL)
    faults = 'name = "broken-lines"\nprobability = [0.02, 0.05]'
    description = file("mine.toml", CAMPAIGN.format(**PLAIN | {"faults": faults}))
    run_well(capsys, "campaign", "run", description, "--plugin", plugin)
    code = "from xbarsim.cli.app import main; main(['report', 'mine.db'])"
    subprocess.run([sys.executable, "-c", code], cwd=description.parent, check=True, capture_output=True)
    page = description.with_suffix(".html").read_text()
    assert "broken-lines, probability 0.05" in page and page.count("<svg") > 0
