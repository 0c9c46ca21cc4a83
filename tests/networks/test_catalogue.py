"""Named networks take the images of their data sets."""

import pytest
import torch

from networks.catalogue import networks


@pytest.mark.parametrize("entry", networks().values(), ids=lambda e: e.name)
def test_named_networks_take_their_images_and_answer_ten_classes(entry):
    with torch.no_grad():
        assert entry.build().eval()(torch.zeros(2, *entry.input_shape)).shape == (2, 10)
