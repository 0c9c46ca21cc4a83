"""Small subjects for the tests of experiments and reports: the digits network of the zoo, few images."""

from functools import cache

from networks.catalogue import network
from networks.checkpoints import load_checkpoint
from networks.datasets import load_dataset
from networks.zoo import zoo_path
from xbarsim.data import Dataset
from xbarsim.programs import accelerator_of
from xbarsim.subject import Subject
from xbarsim.training.loop import initialise

IMAGES = 40


def digits_module():
    """The trained network."""
    module = initialise(network("digits-mlp").build, 0)
    load_checkpoint(zoo_path("digits-mlp"), module)
    return module


@cache
def digits_data(part: str) -> Dataset:
    """The data set, whole."""
    return load_dataset("digits", part)


def digits_subject(accelerator="isaac", *, images: int = IMAGES, training: int = 600, **changes) -> Subject:
    """The network on an accelerator, without a source."""
    given = {
        "network": digits_module(),
        "test": digits_data("test").first(images),
        "train": digits_data("train").first(training),
        "name": "digits-mlp",
        **changes,
    }
    return Subject(given.pop("network"), accelerator_of(accelerator), **given)
