"""A ViT of Hugging Face on ReRAM: right digits over stuck cells, and what closest values win back."""

import torch
from torch import nn
from transformers import ViTConfig, ViTForImageClassification

import xbarsim as xb

CHIPS = 5


class Digits(nn.Module):
    """A small ViT that takes 8 x 8 digits in patches of 2 x 2, and gives its scores alone."""

    def __init__(self):
        super().__init__()
        config = ViTConfig(
            image_size=8, patch_size=2, num_channels=1, num_labels=10,
            hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        )  # fmt: skip
        self.network = ViTForImageClassification(config)

    def forward(self, images):
        return self.network(images).logits


def subject():
    """The network, trained for seconds, on ISAAC's arrays with 8 bits, with its data."""
    train, test = xb.load_dataset("digits", "train"), xb.load_dataset("digits", "test").first(200)
    module = xb.initialise(Digits, 0)
    recipe = xb.Recipe(epochs=20, batch_size=64, learning_rate=0.002, schedule="cosine")
    xb.fit(module, train.images, train.labels, recipe, seed=0)
    eight = xb.ReramConfig(array=xb.ArrayConfig(format=xb.WeightFormat(weight_bits=8), input_bits=8))
    return xb.Subject(module, eight, train=train, test=test, name="vit")


def prepared():
    """A fault-free chip, its inputs, and what is measured of a run: {name: function of the scores}."""
    found = subject()
    test = found.test
    with torch.no_grad():
        wanted = found.module(torch.from_numpy(test.images)).argmax(1).numpy()
    measures = {
        "accuracy": lambda scores: (scores.argmax(1) == test.labels).mean(),
        "agreement": lambda scores: (scores.argmax(1) == wanted).mean(),
    }
    return found.chip, test.images, measures


def main():
    """Accuracy as chips are, and with the closest values that stuck cells can act as."""
    tasks = xb.grid(
        xb.Accuracy(),
        subjects=subject(),
        faults=[xb.NoFaults(), *(xb.StuckCells(rate=rate) for rate in (0.003, 0.01))],
        repairs=[xb.AsItIs(), xb.ClosestValues()],
        trials=CHIPS,
    )
    print(xb.collect(tasks).table(by=["faults", "repair"]))


if __name__ == "__main__":
    main()
