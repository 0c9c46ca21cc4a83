"""Answers of float networks: those of an image alone, whatever is asked beside it."""

import pytest
import torch

from networks.lenet import LeNet
from networks.resnet import resnet20
from xbarsim.torch_bridge.answers import AT_ONCE, in_parts
from xbarsim.torch_bridge.threads import torch_threads
from xbarsim.training.loop import initialise


@pytest.mark.parametrize("build, shape", [(LeNet, (1, 28, 28)), (resnet20, (3, 32, 32))])
@torch.no_grad()
def test_answers_do_not_depend_on_threads_places_or_other_images(build, shape):
    module = initialise(build, 0).eval()
    images = torch.rand(30, *shape, generator=torch.Generator().manual_seed(0))
    whole = in_parts(module, images, at_once=16)
    for threads, chosen in ((1, [3]), (2, [29, 0, 7]), (3, list(range(29, -1, -1)))):
        with torch_threads(threads):
            assert torch.equal(in_parts(module, images[chosen], at_once=16), whole[chosen])


def test_a_network_that_draws_draws_the_same_at_every_call():
    torch.manual_seed(3)
    one, same = (in_parts(torch.rand_like, torch.zeros(5, 2)) for _ in range(2))
    assert torch.equal(one, same)
    torch.manual_seed(3)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    in_parts(torch.rand_like, torch.zeros(5, 2))
    assert torch.equal(torch.rand(1), drawn)  # nobody else's numbers are used up


def test_parts_have_one_size_and_one_thread_and_fit_together():
    seen = []

    def of(x, y):
        seen.append((len(x), len(y), torch.get_num_threads()))
        return x + y

    x = torch.arange(2 * AT_ONCE + 3)
    with torch_threads(2):
        assert torch.equal(in_parts(of, x, 2 * x), 3 * x)
    assert seen == [(AT_ONCE, AT_ONCE, 1)] * 3
