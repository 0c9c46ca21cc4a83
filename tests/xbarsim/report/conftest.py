"""A small campaign with all that reports show."""

import pytest

from tests.helpers.subjects import digits_subject
from xbarsim.campaigns.runner import collect
from xbarsim.campaigns.store import Store
from xbarsim.campaigns.task import Task
from xbarsim.detection.patterns import AdversarialPatterns
from xbarsim.experiments.experiment import grid
from xbarsim.experiments.measures import Accuracy, Detection
from xbarsim.experiments.references import SubjectReference, accelerator_from
from xbarsim.faults.models import SingleFaults
from xbarsim.faults.places import NoFaults
from xbarsim.faults.stuck_cells import StuckCells
from xbarsim.repair.closest import ClosestValues
from xbarsim.repair.nothing import AsItIs


@pytest.fixture(scope="session")
def store(tmp_path_factory, finn_data):
    """Two accelerators, two rates, two repairs, tests of chips, and single faults; one trial failed."""
    path = tmp_path_factory.mktemp("campaign") / "small campaign.db"
    subjects = [digits_subject(name) for name in ("isaac", "isaac-slc")]
    models = [StuckCells(rate=rate, mix="even") for rate in (0.01, 0.03)]
    given = {"subjects": subjects, "trials": 4, "seed": 2}
    tasks = grid(Accuracy(), faults=models, repairs=[AsItIs(), ClosestValues()], **given)
    detection = Detection(detector=AdversarialPatterns(patterns=3))
    tasks += grid(detection, faults=[NoFaults(), *models], **given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XBARSIM_DATA", str(finn_data))
        board = SubjectReference(
            network=str(finn_data / "cnvW1A1"), accelerator=accelerator_from("finn"), data="cifar10", images=6
        ).load()
        (single,) = grid(Accuracy(), subjects=board, faults=SingleFaults("channel"), trials=60, seed=2)
        tasks.append(Task(workload=single.workload, trials=60, seed=2))
        collect(tasks, path, command="xbarsim campaign run <a> & 'b'.toml")
    with Store(path, "write") as opened:
        opened.append_failure(1, 77, 1, 0.1, "ValueError: <b>no</b>")
    return path
