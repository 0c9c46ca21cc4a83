"""Multiply-accumulates, slow and obvious: what ones times ones add up to."""

import torch
from torch.nn import functional as F


def product(rows, terms, columns):
    """Of a (rows, terms) by a (terms, columns) matrix."""
    return int((torch.ones(rows, terms) @ torch.ones(terms, columns)).sum())


def convolution(layer, shape):
    """Of a convolution of two axes on an input of this shape, with ones around it."""
    ones, weight = torch.ones(1, *shape), torch.ones_like(layer.weight)
    if isinstance(layer, torch.nn.ConvTranspose2d):
        return int(F.conv_transpose2d(ones, weight, stride=layer.stride, groups=layer.groups).sum())
    around = F.pad(ones, (*[layer.padding[1]] * 2, *[layer.padding[0]] * 2), value=1.0)
    return int(F.conv2d(around, weight, None, layer.stride, 0, layer.dilation, layer.groups).sum())
