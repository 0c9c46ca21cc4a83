"""The kinds of public networks, small: integers follow floats, and chips give what the integers give."""

import numpy as np
import pytest
import torch

import xbarsim as xb
from tests.helpers.public_networks import KINDS, made
from xbarsim.torch_bridge import quantize

EIGHT = xb.ReramConfig(array=xb.ArrayConfig(format=xb.WeightFormat(weight_bits=8), input_bits=8))
HARDWARE = (EIGHT, xb.ReramConfig())
FEW = 3
pytestmark = [
    pytest.mark.filterwarnings("ignore::xbarsim.graph.saturation.SaturationWarning"),
    pytest.mark.filterwarnings("error::RuntimeWarning"),
]


@pytest.fixture(scope="module")
def captured_once():
    """Networks are captured once for both widths and the explanation: torch.export takes seconds."""
    capture, known = quantize.capture, {}

    def once(module, images):
        if module not in known:
            known[module] = capture(module, images)
        return known[module]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantize, "capture", once)
        yield


@pytest.fixture(scope="module", params=KINDS)
def case(request, captured_once):
    """A kind, and its subjects of 8 and of 16 bits."""
    module, inputs = made(request.param)
    subject = xb.Subject(module, EIGHT, test=(inputs, np.arange(len(inputs)) % 2), name=request.param)
    return KINDS[request.param], [subject, subject.on(HARDWARE[1])]


def test_integers_follow_the_floats_and_chips_give_what_the_integers_give(case):
    kind, subjects = case
    for subject, least_dB in zip(subjects, kind.least_dB, strict=True):
        chip, x = subject.chip, subject.test.images
        with torch.no_grad():
            wanted = subject.module(torch.from_numpy(x)).double().numpy()
        scores = chip.graph.run(x)
        assert 10 * np.log10(np.square(wanted).sum() / np.square(scores - wanted).sum()) >= least_dB
        assert (chip.run(x[:FEW]).scores == scores[:FEW]).all()
        assert (chip.run(x[:FEW], fidelity="bit-serial").scores == scores[:FEW]).all()


def test_faulty_chips_give_the_same_however_they_are_simulated(case):
    for subject in case[1]:
        chip, x = subject.chip, subject.test.images[:FEW]
        drawn = [xb.StuckCells(rate=0.02).draw(chip.geometry, xb.stream(seed, "faults")) for seed in (1, 2)]
        for faults, run in zip(drawn, chip.run_each(drawn, x), strict=True):
            faulty = chip.inject(faults)
            assert (run.scores == faulty.run(x).scores).all() and (run.scores != chip.run(x).scores).any()
            assert (run.scores == faulty.run(x, fidelity="bit-serial").scores).all()


def test_explanations_know_every_node(case):
    subject = case[1][0]
    frame = xb.explain(subject, inputs=FEW).frame
    assert list(frame.kind) == [node.kind for node in subject.chip.graph.nodes]
    assert (frame.query("kind == 'arrays'").faulty_weights == 0).all()
