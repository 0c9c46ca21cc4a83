"""The networks of the adversarial features: extractors, decoders, discriminators."""

import pytest
import torch

from networks.adversarial_features import feature_network, feature_networks
from xbarsim.errors import InputError


@pytest.mark.parametrize("name", feature_networks())
@pytest.mark.parametrize("bias", [False, True])
def test_architectures_fit_together(name, bias):
    entry = feature_network(name)
    whole = entry.build(bias=bias).eval()
    x = torch.rand(2, *entry.input_shape)
    features = whole.extractor(x)
    assert features.shape == (2, entry.features)
    assert whole(x).shape == (2, 10)
    assert entry.decoder(bias)(features).shape == x.shape
    assert entry.discriminator(spectral_norm=bias)(features).shape == (2, 1)
    assert any(n.endswith("bias") for n, _ in whole.named_parameters()) == bias


def test_an_unknown_network_is_refused():
    with pytest.raises(InputError, match="feature network"):
        feature_network("fashion")
