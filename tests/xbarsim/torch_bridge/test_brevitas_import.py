"""Networks of Brevitas layers become integers and thresholds of the same classes, or are refused by layer."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from accel_models.finn.config import FinnConfig
from accel_models.finn.from_graph import from_graph, image_pixels
from networks.cnv import Cnv
from xbarsim.errors import InputError
from xbarsim.faults.activations import StuckActivations
from xbarsim.graph.integer_graph import exact_product
from xbarsim.graph.nodes import Input, MatMul
from xbarsim.graph.thresholds import Threshold
from xbarsim.torch_bridge import quantized
from xbarsim.torch_bridge.brevitas_import import levels_of, weights_of
from xbarsim.torch_bridge.finn_export import finn_graph
from xbarsim.torch_bridge.injection import fault_aware, injections
from xbarsim.torch_bridge.quantized import PixelSign, QuantInput, ScoreNorm

pytest.importorskip("brevitas")

from brevitas.nn import QuantConv2d, QuantHardTanh, QuantIdentity, QuantLinear, QuantReLU
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFixedPoint,
    Int8WeightPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    SignedTernaryActPerTensorConst,
    SignedTernaryWeightPerTensorConst,
    Uint8ActPerTensorFloat,
)
from brevitas_examples.bnn_pynq.models import CNV as bnn_pynq_cnv
from brevitas_examples.bnn_pynq.models.common import CommonActQuant, CommonWeightQuant
from brevitas_examples.bnn_pynq.models.tensor_norm import TensorNorm

WIDTH, IMAGES = 8, 300
Q17 = dict(
    act_quant=CommonActQuant,
    bit_width=8,
    min_val=-1.0,
    max_val=1 - 2**-7,
    narrow_range=False,
    restrict_scaling_type="POWER_OF_TWO",
)


def coloured_images(rng, count, side=32):
    """(count, 3, side, side) pixels of ten coarse patterns under noise, and which pattern each one is."""
    patterns = (
        np.random.default_rng(0).integers(0, 256, (10, 3, 4, 4)).repeat(side // 4, 2).repeat(side // 4, 3)
    )
    labels = rng.integers(0, 10, count)
    noisy = patterns[labels] + rng.normal(0, 90, (count, 3, side, side))
    return noisy.round().clip(0, 255).astype(np.uint8), labels


def scaled(pixels, dtype=torch.float64):
    """As BNN-PYNQ's CNV scales its images."""
    return 2 * torch.from_numpy(pixels).to(dtype) / 255 - 1


def train(module, seed, *, steps=12, side=32):
    """A few steps, so that no batch norm and no scale is as it began; then float64 and evaluation."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    module.train()
    for _ in range(steps):
        pixels, labels = coloured_images(rng, 32, side)
        loss = nn.functional.cross_entropy(module(scaled(pixels, torch.float32)), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return module.double().eval()


@torch.no_grad()
def assert_same_classes(module, seed, *, side=32, exact=True):
    """Of the FINN design and of the module, on images that neither was trained with.

    Where scales are no powers of two, equal scores differ by roundings in the module: any of the largest will
    do then.
    """
    pixels, _ = coloured_images(np.random.default_rng(seed + 1), IMAGES, side)
    images = scaled(pixels)
    graph = finn_graph(module, images.shape[1:])
    scores = module(images).numpy()
    found = FinnConfig().program(from_graph(graph)).classify(pixels.transpose(0, 2, 3, 1))
    assert len(set(found.tolist())) > 2
    assert (found == graph.run(images.numpy()).argmax(axis=1)).all()
    if exact:
        assert (found == scores.argmax(axis=1)).all()
    best, chosen = scores.max(axis=1), np.take_along_axis(scores, found[:, None], 1)[:, 0]
    assert (best - chosen < 1e-9).all()
    return graph


@pytest.fixture
def narrow_cnv(monkeypatch):
    """BNN-PYNQ's CNV in an eighth of its width, as the layers that it runs one after the other."""
    wide = bnn_pynq_cnv.CNV_OUT_CH_POOL
    monkeypatch.setattr(bnn_pynq_cnv, "CNV_OUT_CH_POOL", [(c * WIDTH // 64, pool) for c, pool in wide])
    monkeypatch.setattr(bnn_pynq_cnv, "INTERMEDIATE_FC_FEATURES", [(4 * WIDTH, 8 * WIDTH), (8 * WIDTH,) * 2])
    monkeypatch.setattr(bnn_pynq_cnv, "LAST_FC_IN_FEATURES", 8 * WIDTH)

    def build(weight_bits, activation_bits):
        torch.manual_seed(weight_bits + activation_bits)
        whole = bnn_pynq_cnv.CNV(10, weight_bits, activation_bits, 8, 3)
        return nn.Sequential(*whole.conv_features, nn.Flatten(), *whole.linear_features), whole

    return build


@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(1, 1), (1, 2), (2, 2), (4, 4)])
def test_bnn_pynq_cnv_gives_the_classes_of_its_module(narrow_cnv, weight_bits, activation_bits):
    module, whole = narrow_cnv(weight_bits, activation_bits)
    train(module, seed=3)
    assert module[2].running_mean.abs().min() > 0 and (module[2].weight != 1).all()
    graph = assert_same_classes(module, seed=3, exact=activation_bits < 4)
    first, *_ = graph.nodes
    assert (first.bits, first.signed, first.fraction) == (8, True, 7)
    assert sum(isinstance(n, Threshold) for n in graph.nodes) == 8 and len(graph.layers) == 9
    pixels, _ = coloured_images(np.random.default_rng(9), 20)
    unscaled = torch.from_numpy(pixels).double() / 255
    with torch.no_grad():
        assert torch.equal(whole.eval()(unscaled), module(2 * unscaled - 1))


@torch.no_grad()
@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(1, 1), (1, 2), (2, 2)])
def test_every_activation_is_that_of_the_module(narrow_cnv, weight_bits, activation_bits):
    with torch.enable_grad():
        module = train(narrow_cnv(weight_bits, activation_bits)[0], seed=4)
    pixels, _ = coloured_images(np.random.default_rng(5), 20)
    graph = finn_graph(module, pixels.shape[1:])
    layers = [layer for layer in module[1:] if isinstance(layer, QuantIdentity)]
    seen = []
    for layer in layers:
        layer.register_forward_hook(lambda _, __, out: seen.append(out.numpy()))
    module(scaled(pixels))
    values = {"input": graph.quantize_input(scaled(pixels).numpy())}
    for node in graph.nodes[1:]:
        given = values[node.source]
        values[node.name] = (
            node.apply(given, exact_product)
            if isinstance(node, MatMul)
            else node.forward(given)
        )
    found = [values[node.name] for node in graph.nodes if isinstance(node, Threshold)]
    assert len(found) == len(seen) == 8
    assert all((a == b).all() for a, b in zip(found, seen, strict=True))


def chain(weight, activation, *, bias=False, norm=True, last=None, width=WIDTH):
    """Two convolutions with a pool, two linear layers, for 3 x 12 x 12 images."""
    layers = [QuantIdentity(**Q17)]
    for i, (before, after) in enumerate(pairwise((3, width, 2 * width))):
        layers += [QuantConv2d(before, after, 3, bias=bias, **weight)]
        layers += [nn.BatchNorm2d(after)] if norm else []
        layers += [activation(), nn.MaxPool2d(2) if i == 0 else nn.Dropout2d(0.1)]
    layers += [nn.Flatten(), QuantLinear(18 * width, 4 * width, bias=bias, **weight)]
    layers += [nn.BatchNorm1d(4 * width)] if norm else []
    layers += [activation(), nn.Dropout(0.1)]
    layers += [QuantLinear(4 * width, 10, bias=False, **(weight if last is None else last)), TensorNorm()]
    return nn.Sequential(*layers)


QUANTIZERS = {
    "binary 0.1": (
        dict(weight_quant=SignedBinaryWeightPerTensorConst),
        lambda: QuantIdentity(act_quant=SignedBinaryActPerTensorConst),
    ),
    "ternary 0.1": (
        dict(weight_quant=SignedTernaryWeightPerTensorConst),
        lambda: QuantIdentity(act_quant=SignedTernaryActPerTensorConst, min_val=-0.7, max_val=0.7),
    ),
    "learned scales": (
        dict(weight_quant=Int8WeightPerTensorFloat, weight_bit_width=3),
        lambda: QuantHardTanh(min_val=-1, max_val=1, bit_width=4, scaling_impl_type="parameter"),
    ),
    "fixed point": (
        dict(weight_quant=Int8WeightPerTensorFixedPoint),
        lambda: QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, collect_stats_steps=3, bit_width=5),
    ),
    "unsigned": (
        dict(weight_quant=Int8WeightPerTensorFloat, weight_bit_width=4),
        lambda: QuantReLU(act_quant=Uint8ActPerTensorFloat, collect_stats_steps=3, bit_width=3),
    ),
    "signed behind a ReLU": (
        dict(weight_quant=Int8WeightPerTensorFixedPoint, weight_bit_width=4),
        lambda: QuantReLU(act_quant=Int8ActPerTensorFixedPoint, collect_stats_steps=3, bit_width=4),
    ),
    "floor": (
        dict(weight_quant=Int8WeightPerTensorFixedPoint, weight_bit_width=4, weight_narrow_range=False),
        lambda: QuantIdentity(
            act_quant=Int8ActPerTensorFixedPoint,
            collect_stats_steps=3,
            bit_width=4,
            float_to_int_impl_type="FLOOR",
        ),
    ),
}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", QUANTIZERS)
def test_other_quantizers_of_brevitas(name, bias):
    torch.manual_seed(6)
    weight, activation = QUANTIZERS[name]
    module = train(chain(weight, activation, bias=bias), 6, side=12)
    assert_same_classes(module, 6, side=12, exact=False)


@pytest.mark.parametrize("bias", [False, True])
def test_scales_of_single_channels(bias):
    torch.manual_seed(7)
    weight = dict(weight_quant=Int8WeightPerChannelFloat, weight_bit_width=4)
    last = dict(weight_quant=Int8WeightPerTensorFloat, weight_bit_width=4)
    _, activation = QUANTIZERS["unsigned"]
    module = train(chain(weight, activation, bias=bias, last=last), 7, side=12)
    scales = weights_of(module[1], "1").scale
    assert len(set(scales.tolist())) == WIDTH
    assert_same_classes(module, 7, side=12, exact=False)
    with pytest.raises(InputError, match=r"scores \(of '14'\): expected one scale"):
        finn_graph(nn.Sequential(*module[:-2], QuantLinear(4 * WIDTH, 10, bias=False, **weight)), (3, 12, 12))


def test_no_pixel_lies_between_two_inputs():
    """Ties would round up in the graph's input and to even in Brevitas's."""
    x = scaled(np.arange(256, dtype=np.uint8)[:, None])
    source = finn_graph(nn.Sequential(QuantIdentity(**Q17), LAST), (4,)).nodes[0]
    for numbers in (x, x.float()):
        assert (source.quantize(numbers.numpy()) / 128 == QuantIdentity(**Q17)(numbers).numpy()).all()


def test_quantizer_without_batch_norm_ties_round_to_even():
    """Accumulators in halves of an activation's step: every decision is a tie."""
    act = QuantIdentity(**{**Q17, "bit_width": 4, "min_val": -16.0, "max_val": 16.0})
    assert levels_of(act, "act").scale == 2
    first = QuantLinear(1, 1, bias=False, weight_quant=CommonWeightQuant, weight_bit_width=2)
    second = QuantLinear(1, 2, bias=False, weight_quant=CommonWeightQuant, weight_bit_width=2)
    nn.init.ones_(first.weight)
    second.weight.data = torch.tensor([[1.0], [0.0]])
    numbers = torch.arange(-20, 21).double()[:, None]
    image = QuantIdentity(**{**Q17, "min_val": -128.0, "max_val": 127.0})
    module = nn.Sequential(image, first, act, second).double().eval()
    graph = finn_graph(module, (1,))
    assert graph.nodes[0].fraction == 0
    assert (graph.run(numbers.numpy())[:, 0] * 2 == module(numbers)[:, 0].detach().numpy()).all()


MODES = ("ROUND", "DPU", "FLOOR", "CEIL", "ROUND_TO_ZERO")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("signed", "narrow"), [(True, False), (True, True), (False, False), (False, True)])
@pytest.mark.parametrize("kind", [QuantIdentity, QuantHardTanh, QuantReLU])
def test_levels_are_those_of_the_layer(mode, signed, narrow, kind):
    layer = kind(
        act_quant=CommonActQuant,
        bit_width=3,
        float_to_int_impl_type=mode,
        signed=signed,
        narrow_range=narrow,
        restrict_scaling_type="POWER_OF_TWO",
    ).train()
    levels = levels_of(layer, "act")
    assert layer.training and layer.act_quant.training
    x = torch.arange(-160, 161) / 16 * float(levels.scale)
    pairs = list(zip(levels.cuts, levels.inclusive, strict=True))
    found = torch.tensor(levels.values)[
        [sum(v > c or (v == c and at) for c, at in pairs) for v in x.tolist()]
    ]
    assert torch.equal(found, layer(x)) and len(found.unique()) == len(levels.values)


def test_constant_channels_and_negative_gains():
    torch.manual_seed(8)
    module = train(chain(*QUANTIZERS["ternary 0.1"]), 8, side=12)
    with torch.no_grad():
        module[2].weight[:3] = torch.tensor([0.0, -0.5, -2.0])
        module[5].weight *= -1
    assert_same_classes(module, 8, side=12, exact=False)


def test_brevitas_layers_behind_the_inputs_of_this_package():
    torch.manual_seed(9)
    weight, activation = QUANTIZERS["ternary 0.1"]
    layers = list(chain(weight, activation))[1:-1]
    for first, kind in ((QuantInput(8, fraction=7), "fixed-point"), (PixelSign(), "bipolar")):
        module = nn.Sequential(first, *layers, ScoreNorm()).double().eval()
        pixels, _ = coloured_images(np.random.default_rng(9), 50, 12)
        images = scaled(pixels) if kind == "fixed-point" else torch.from_numpy(pixels).double() / 255
        graph = finn_graph(module, (3, 12, 12))
        network = from_graph(graph)
        assert network.pixels.kind == kind
        found = FinnConfig().program(network).classify(image_pixels(graph, images.numpy()))
        with torch.no_grad():
            scores = module(images).numpy()
        assert (scores.max(axis=1) - scores[np.arange(50), found] < 1e-9).all()


@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_a_network_of_this_package_and_its_twin_in_brevitas_are_the_same_graph(weight_bits, activation_bits):
    torch.manual_seed(weight_bits)
    own = Cnv(weight_bits, activation_bits, width=4).eval()
    twins = []
    for layer in own.layers:
        weight = dict(bias=False, weight_quant=CommonWeightQuant, weight_bit_width=weight_bits)
        match layer:
            case quantized.QuantConv2d():
                twins.append(QuantConv2d(layer.in_channels, layer.out_channels, 3, **weight))
                twins[-1].weight.data = layer.weight.data
            case quantized.QuantLinear():
                twins.append(QuantLinear(layer.in_features, layer.out_features, **weight))
                twins[-1].weight.data = layer.weight.data
            case quantized.QuantActivation():
                twins.append(QuantIdentity(act_quant=CommonActQuant, bit_width=layer.bits))
            case nn.BatchNorm2d() | nn.BatchNorm1d():
                layer.running_mean.normal_()
                layer.running_var.uniform_(1, 200)
                nn.init.normal_(layer.weight)
                nn.init.normal_(layer.bias)
                twins.append(layer)
            case _:
                twins.append(layer)
    graphs = [finn_graph(network, (3, 32, 32)) for network in (own, nn.Sequential(*twins))]
    for a, b in zip(*(graph.nodes for graph in graphs), strict=True):
        assert type(a) is type(b)
        if isinstance(a, MatMul):
            assert (a.weights == b.weights).all() and a.window == b.window
            assert (a.input_bits, a.input_signed) == (b.input_bits, b.input_signed)
        if isinstance(a, Threshold):
            assert (a.thresholds == b.thresholds).all() and (a.low, a.step) == (b.low, b.step)


def test_module_stays_as_it_is(narrow_cnv):
    module, _ = narrow_cnv(2, 2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    finn_graph(module.train(), (3, 32, 32))
    assert all(part.training for part in module.modules())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_fault_aware_finds_brevitas_activations_and_their_values(narrow_cnv):
    module, _ = narrow_cnv(1, 2)
    aware = fault_aware(module, StuckActivations(rate=0.5, unit="channel"))
    layers = injections(aware)
    assert len(layers) == 8 and {layer.values for layer in layers} == {(-1.0, 0.0, 1.0)}
    torch.manual_seed(1)
    train(aware, seed=3, steps=3)
    assert_same_classes(module.double().eval(), seed=3)
    assert len(finn_graph(aware, (3, 32, 32)).nodes) == len(finn_graph(module, (3, 32, 32)).nodes)
    module[3].return_quant_tensor = True
    with pytest.raises(InputError, match=r"layer '3' \(QuantIdentity\): expected return_quant_tensor=False"):
        fault_aware(module, StuckActivations(rate=0.5, unit="channel"))


def pair(**options):
    """An input and a linear layer of CommonWeightQuant, with other settings."""
    weight = {"weight_quant": CommonWeightQuant, "weight_bit_width": 2, "bias": False, **options}
    return [QuantIdentity(**Q17), QuantLinear(4, 4, **weight)]


def fit(**options):
    return QuantIdentity(**{**Q17, "bit_width": 4, **options})


LAST = pair()[1]
REFUSED = {
    "scale of the input": ([QuantIdentity(act_quant=CommonActQuant, bit_width=8), LAST], "'0'.*POWER_OF_TWO"),
    "narrow input": ([QuantIdentity(**{**Q17, "narrow_range": True}), LAST], "'0'.*narrow_range=False"),
    "binary input": ([QuantIdentity(act_quant=CommonActQuant, bit_width=1), LAST], "'0'.*PixelSign"),
    "no input": ([LAST], "'0'.*QuantIdentity"),
    "bits": ([*pair(weight_bit_width=9)], "'1'.*bit_width.*1..8"),
    "float weights": ([*pair(weight_quant=None)], "'1'.*quantized weights"),
    "input_quant": ([*pair(input_quant=Int8ActPerTensorFloat)], "'1'.*no input_quant"),
    "output_quant": ([*pair(output_quant=Int8ActPerTensorFloat)], "'1'.*no output_quant"),
    "act_quant": ([*pair(), QuantIdentity(act_quant=None), LAST], "'2'.*set act_quant"),
    "wide activations": ([*pair(), fit(bit_width=9), LAST], "'2'.*bit_width.*1..8"),
    "one bit of integers": ([*pair(), fit(bit_width=1, quant_type="INT"), LAST], "'2'.*another kind"),
    "two products": ([*pair(), LAST], "'2'.*between two products"),
    "flattened products": ([*pair(), nn.Flatten(), LAST], "'3'.*between two products"),
    "bias of the scores": ([*pair(bias=True)], "scores.*without bias"),
    "norm of single scores": ([*pair(), nn.BatchNorm1d(4)], "scores.*no BatchNorm behind"),
    "second input": ([*pair(), fit(), QuantInput(8, fraction=7), LAST], "'3'.*QuantInput"),
    "another layer": ([*pair(), nn.ReLU(), fit(), LAST], r"'2' \(ReLU\).*brevitas.nn"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_layer_and_with_a_remedy(case):
    layers, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        finn_graph(nn.Sequential(*layers), (4,))


def test_tensor_norm_that_turns_the_order_around_is_refused():
    norm = TensorNorm()
    norm.weight.data.fill_(-1)
    with pytest.raises(InputError, match=r"scores.*one scale above 0"):
        finn_graph(nn.Sequential(*pair(), norm), (4,))
    norm.weight.data.fill_(1)
    assert isinstance(finn_graph(nn.Sequential(*pair(), norm), (4,)).nodes[-1], MatMul)


def test_input_of_other_powers_of_two():
    layer = QuantIdentity(**{**Q17, "bit_width": 6, "min_val": -4.0, "max_val": 3.0})
    first = finn_graph(nn.Sequential(layer, LAST), (4,)).nodes[0]
    assert isinstance(first, Input) and (first.bits, first.fraction) == (6, 3)
    x = torch.linspace(-5, 5, 97) + 0.01  # ties would round up here and to even there
    assert (first.quantize(x.numpy()) / 8 == layer.eval()(x).numpy()).all()
