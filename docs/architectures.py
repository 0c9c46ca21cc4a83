"""Public architectures through the quantizer: what of them is exact, and how near to floats they stay.

    pip install 'xbarsim[architectures]'
    python -m docs.architectures            # all of them, a line each as they are done
    python -m docs.architectures levit lstm # those whose names have one of these words

Weights are random, inputs Gaussian noise or random tokens: what is measured is whether a network runs, and
the signal to noise of its scores at 8 bits and a scale a channel, calibrated on the inputs themselves.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

import xbarsim as xb

KINDS = ("arrays", "integer", "table", "float")
TORCHVISION = """resnet18 vgg11_bn mobilenet_v2 mobilenet_v3_small densenet121 efficientnet_b0
shufflenet_v2_x0_5 squeezenet1_1 mnasnet0_5 regnet_y_400mf convnext_tiny swin_t"""
TIMM = """levit_128s ghostnet_050 mixer_s32_224 convnextv2_atto resnetv2_18 deit_tiny_patch16_224
swin_tiny_patch4_window7_224 poolformer_s12 efficientformer_l1 repvgg_a0 hardcorenas_a tf_efficientnetv2_b0
res2net50_14w_8s edgenext_xx_small mobilenetv4_conv_small fastvit_t8 cait_xxs24_224 pit_ti_224
twins_pcpvt_small xcit_nano_12_p16_224 coat_tiny inception_next_tiny dla34 hrnet_w18_small nfnet_l0
eca_resnet33ts gcresnet33ts volo_d1_224 mvitv2_tiny efficientvit_b0 tinynet_e visformer_tiny
beit_base_patch16_224"""
TIMM_256 = "mobilevit_xxs maxvit_pico_rw_256 halonet26t botnet26t_256 lambda_resnet26t"
SEGMENTATION = "Unet UnetPlusPlus FPN PSPNet Linknet DeepLabV3Plus PAN MAnet"
PYTORCHCV = """resnet20_cifar10 preresnet20_cifar10 densenet40_k12_cifar10 resnext20_2x64d_cifar10
seresnet20_cifar10 ror3_56_cifar10 nin_cifar10 diaresnet20_cifar10"""
SMALL: dict[str, Any] = {
    "vocab_size": 100,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 64,
}
LANGUAGE = {  # of transformers: class, config, fields
    "bert": ("BertForSequenceClassification", "BertConfig", {}),
    "roberta": ("RobertaForSequenceClassification", "RobertaConfig", {}),
    "albert": ("AlbertForSequenceClassification", "AlbertConfig", {"embedding_size": 32}),
    "electra": ("ElectraForSequenceClassification", "ElectraConfig", {"embedding_size": 32}),
    "mpnet": ("MPNetForSequenceClassification", "MPNetConfig", {}),
    "llama": ("LlamaForCausalLM", "LlamaConfig", {"num_key_value_heads": 2}),
    "qwen2": ("Qwen2ForCausalLM", "Qwen2Config", {"num_key_value_heads": 2}),
}


@dataclass(frozen=True)
class Architecture:
    """A network by name, made when it is asked for, and inputs for it."""

    name: str
    make: Callable[[], nn.Module]
    inputs: np.ndarray


def images(side: int, channels: int = 3, count: int = 3) -> np.ndarray:
    """(count, channels, side, side) Gaussian noise."""
    return np.random.default_rng(0).normal(size=(count, channels, side, side)).astype(np.float32)


def tokens(length: int = 12) -> np.ndarray:
    """(6, length) of a vocabulary of 100."""
    return np.random.default_rng(0).integers(1, 100, (6, length))


class Recurrent(nn.Module):
    """Tokens through recurrent layers of two directions."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.words = nn.Embedding(100, 16)
        self.cells = kind(16, 24, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(48, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores after the last token."""
        return self.head(self.cells(self.words(x))[0][:, -1])


def _made(module: str, name: str, *args: Any, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found(*args, **options)

    return make


def _language(kind: str, config: str, fields: dict[str, Any]) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        transformers = importlib.import_module("transformers")
        return getattr(transformers, kind)(getattr(transformers, config)(**SMALL, **fields))

    return make


def architectures() -> Iterator[Architecture]:
    """Give them all."""
    for kind in (nn.LSTM, nn.GRU, nn.RNN):
        yield Architecture(f"torch {kind.__name__}", lambda kind=kind: Recurrent(kind), tokens(5))
    for name, (kind, config, fields) in LANGUAGE.items():
        yield Architecture(f"transformers {name}", _language(kind, config, fields), tokens())
    for name in PYTORCHCV.split():
        make = _made("pytorchcv.model_provider", "get_model", name, pretrained=False)
        yield Architecture(f"pytorchcv {name}", make, images(32))
    for name in SEGMENTATION.split():
        make = _made("segmentation_models_pytorch", name, "resnet18", encoder_weights=None)
        yield Architecture(f"segmentation-models {name}", make, images(64))
    unet: dict[str, Any] = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}
    make = _made("monai.networks.nets", "UNet", channels=(8, 16, 32), strides=(2, 2), **unet)
    yield Architecture("monai UNet", make, images(32, 1))
    yield Architecture(
        "monai SegResNet", _made("monai.networks.nets", "SegResNet", init_filters=8, **unet), images(32, 1)
    )
    for name in TORCHVISION.split():
        yield Architecture(f"torchvision {name}", _made("torchvision.models", name, weights=None), images(64))
    for side, names in ((224, TIMM), (256, TIMM_256)):
        for name in names.split():
            yield Architecture(f"timm {name}", _made("timm", "create_model", name), images(side))


def measured(architecture: Architecture) -> dict[str, Any]:
    """Quantize, run, compare: nodes by kind, signal to noise, seconds of capture and import."""
    torch.manual_seed(0)
    module, inputs = architecture.make().eval(), architecture.inputs
    with torch.no_grad():
        wanted: Any = module(torch.from_numpy(inputs))
    wanted = getattr(wanted, "logits", wanted)
    while not isinstance(wanted, torch.Tensor):
        wanted = next(iter(wanted.values())) if isinstance(wanted, dict) else wanted[0]
    begun = time.perf_counter()
    graph = xb.quantize(module, inputs, weight_bits=8, activation_bits=8)
    seconds = time.perf_counter() - begun
    numbers = wanted.double().numpy()
    noise = np.square(graph.run(inputs, watched=False) - numbers).sum()
    signal = np.square(numbers).sum()
    kinds = Counter(node.kind for node in graph.nodes)
    snr = 10 * np.log10(signal / noise) if signal and noise else float("nan")
    return {"kinds": [kinds[kind] for kind in KINDS], "snr_dB": snr, "seconds": seconds}


def main(words: list[str]) -> None:
    """Print a row of the page's table for every architecture."""
    print(f"| network | {' | '.join(KINDS)} | SNR at 8 bits [dB] |")
    print("|---|" + "---|" * (len(KINDS) + 1))
    for architecture in architectures():
        if words and not any(word in architecture.name for word in words):
            continue
        found = measured(architecture)
        print(
            f"| {architecture.name} | {' | '.join(map(str, found['kinds']))} | {found['snr_dB']:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
