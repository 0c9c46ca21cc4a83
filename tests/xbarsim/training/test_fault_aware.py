"""FAT's two ways of enabling error-injection layers."""

import pytest

from tests.helpers.trainings import data, injected, plain, recipe
from xbarsim.errors import InputError
from xbarsim.training.fault_aware import AllLayers, OneLayerAnEpoch
from xbarsim.training.loop import fit, initialise


@pytest.mark.parametrize("method", [AllLayers, OneLayerAnEpoch])
def test_methods_of_fat_need_injection_layers(method):
    with pytest.raises(InputError, match="error-injection layers, got none; train fault_aware"):
        fit(initialise(plain, 0), *data(), recipe(), seed=3, methods=[method()])


def test_one_layer_an_epoch_is_drawn_anew_for_every_epoch():
    module, chosen = initialise(injected, 0), []

    def note(history):
        enabled = [i for i, m in enumerate(module.modules()) if getattr(m, "enabled", False)]
        assert len(enabled) == 1
        chosen.append(enabled[0])

    fit(module, *data(10), recipe(epochs=12), seed=3, methods=[OneLayerAnEpoch()], on_epoch=note)
    assert len(set(chosen)) == 2
    fit(module, *data(10), recipe(epochs=1), seed=3, methods=[AllLayers()])
    assert all(m.enabled for m in module.modules() if hasattr(m, "enabled"))
