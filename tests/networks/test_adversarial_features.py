"""The four architectures of adversarial feature training fit together, with and without biases."""

import pytest
import torch
from torch import nn

from networks.adversarial_features import feature_network, feature_networks
from xbarsim.errors import InputError


@pytest.mark.parametrize("name", feature_networks())
def test_parts_fit_together(name):
    network = feature_network(name)
    x = torch.rand(2, *network.input_shape)
    whole = network.build().eval()
    features = whole.extractor(x)
    assert features.flatten(1).shape == (2, network.features)
    assert whole.classifier(features).shape == (2, 10) and torch.equal(whole(x), whole.classifier(features))
    assert network.decoder(False).eval()(features).shape == x.shape
    assert network.discriminator().eval()(features.flatten(1)).shape == (2, 1)


@pytest.mark.parametrize("name", feature_networks())
@pytest.mark.parametrize("bias", [False, True])
def test_biases_are_given_on_request_only(name, bias):
    network = feature_network(name)
    layers = [
        m
        for part in (network.build(bias=bias), network.decoder(bias))
        for m in part.modules()
        if isinstance(m, nn.Conv2d | nn.Linear)
    ]
    assert {m.bias is not None for m in layers} == {bias}


@pytest.mark.parametrize("name", feature_networks())
def test_the_extractors_features_can_be_negative(name):
    torch.manual_seed(0)
    network = feature_network(name)
    features = network.build().eval().extractor(torch.rand(8, *network.input_shape) - 0.5)
    assert (features < 0).any() and (features > 0).any()


def test_spectral_norm_bounds_every_hidden_layer_of_the_discriminator():
    torch.manual_seed(0)
    plain, bounded = (
        feature_network("fashion-mlp").discriminator(spectral_norm=bound) for bound in (False, True)
    )
    bounded(torch.randn(4, 512))
    for layer in (m for m in bounded.eval().modules() if isinstance(m, nn.Linear)):
        assert float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) == pytest.approx(1, abs=0.2)
    largest = max(
        float(torch.linalg.matrix_norm(m.weight.detach(), 2))
        for m in plain.modules()
        if isinstance(m, nn.Linear)
    )
    assert abs(largest - 1) > 0.1, "without it, the norms are others"


def test_unknown_architecture_is_refused():
    with pytest.raises(InputError, match="feature network: expected one of fashion-mlp"):
        feature_network("cifar-huge")
