"""Public architectures through the quantizer: what of them is exact, how near to floats they stay, how long.

    pip install 'xbarsim[architectures]'
    python -m docs.architectures            # all of them, a line each as they are done
    python -m docs.architectures levit lstm # those whose names have one of these words

Weights are random, inputs Gaussian noise or random tokens, and scales are calibrated on the inputs
themselves. Measured are the nodes by kind; the share of the multiply-accumulates of matrix products and
convolutions that arrays do; the signal to noise of the scores at 8 bits with a scale a channel and at 16 bits
with powers of two; and the time that the integer graph of 8 bits takes for the inputs, in times of torch's in
float32, both on one thread, the median of three runs that alternate.
"""

from __future__ import annotations

import importlib
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import nn

import xbarsim as xb

REPEATS = 3
COLUMNS = ("MACs on arrays", "8 bits [dB]", "16 bits [dB]", "time")
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
    """Quantize, run, compare: nodes by kind, and the numbers of `COLUMNS`."""
    torch.manual_seed(0)
    module, inputs = architecture.make().eval(), architecture.inputs
    given = torch.from_numpy(inputs)
    with torch.no_grad():
        wanted = _scores(module(given)).double().numpy()
    graphs = [xb.quantize(module, inputs, weight_bits=bits, activation_bits=bits) for bits in (8, 16)]
    noise = [_snr_dB(wanted, graph.run(inputs, watched=False)) for graph in graphs]
    graph = graphs[0]
    kinds = {node.name: node.kind for node in graph.nodes}
    on_arrays = sum(count for name, count in graph.macs.items() if kinds[name] == "arrays")
    with torch.no_grad(), threadpool_limits(1):
        slower = _ratio(lambda: graph.run(inputs, watched=False), lambda: module(given))
    numbers = (100 * on_arrays / sum(graph.macs.values()), *noise, slower)
    return {"kinds": Counter(kinds.values()), "numbers": dict(zip(COLUMNS, numbers, strict=True))}


def _scores(given: Any) -> torch.Tensor:
    """What `graph.run` gives: the logits, or the first tensor."""
    given = getattr(given, "logits", given)
    while not isinstance(given, torch.Tensor):
        given = next(iter(given.values())) if isinstance(given, dict) else given[0]
    return given


def _snr_dB(wanted: np.ndarray, found: np.ndarray) -> float:
    signal, noise = np.square(wanted).sum(), np.square(found - wanted).sum()
    return 10 * np.log10(signal / noise) if signal and noise else float("nan")


def _ratio(one: Callable[[], Any], other: Callable[[], Any]) -> float:
    """How many times the other's time one takes: medians of runs that alternate, after one that warms up."""
    other()
    seconds = [[_seconds(run) for run in (one, other)] for _ in range(REPEATS)]
    return float(np.divide(*np.median(seconds, axis=0)))


def _seconds(run: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def processor() -> str:
    """The processor's name, as far as the system says it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


def _row(name: str, cells: list[str]) -> None:
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main(words: list[str]) -> None:
    """Print a row of the page's table for every architecture, then the least, median and largest numbers."""
    print(f"On one thread of {processor()}:")
    _row("network", [*KINDS, *COLUMNS])
    print("|---|" + "---|" * (len(KINDS) + len(COLUMNS)))
    found = []
    for architecture in architectures():
        if words and not any(word in architecture.name for word in words):
            continue
        row = measured(architecture)
        found.append(list(row["numbers"].values()))
        _row(architecture.name, [*(str(row["kinds"][kind]) for kind in KINDS), *_texts(found[-1])])
    for name, function in (("least", np.nanmin), ("median", np.nanmedian), ("most", np.nanmax)):
        _row(name, [*[""] * len(KINDS), *_texts(function(found, axis=0))])


def _texts(numbers: Any) -> list[str]:
    share, *rest = ("-" if np.isnan(number) else f"{number:.1f}" for number in numbers)
    return [f"{share} %", *rest]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
