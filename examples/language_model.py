"""A small GPT-2 of Hugging Face on ReRAM: perplexity over the rate of stuck cells.

It reads letters, and learns for half a minute from a text that comes with Python: its language reference.
"""

from pydoc_data.topics import topics

import numpy as np
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

import xbarsim as xb

CHIPS, LENGTH, STEPS = 5, 32, 250
TEXT = "\n".join(topics[name] for name in sorted(topics))
LETTERS = sorted({letter for letter in TEXT if letter.isascii()})
TOKENS = np.array([LETTERS.index(letter) for letter in TEXT if letter.isascii()])
HELD_OUT = 20_000


def windows(tokens, count, seed):
    """(count, LENGTH + 1) stretches of the text: what is read, and one letter more."""
    starts = np.random.default_rng(seed).integers(0, len(tokens) - LENGTH - 1, count)
    return tokens[starts[:, None] + np.arange(LENGTH + 1)]


def trained():
    """Return a GPT-2 of two layers after some hundred steps."""
    torch.manual_seed(0)
    sizes = {"vocab_size": len(LETTERS), "n_positions": LENGTH, "n_embd": 64, "n_layer": 2, "n_head": 4}
    dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    module = GPT2LMHeadModel(GPT2Config(**sizes, **dropout, bos_token_id=0, eos_token_id=0))
    optimiser = torch.optim.AdamW(module.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, STEPS)
    for step in range(STEPS):
        batch = torch.from_numpy(windows(TOKENS[:-HELD_OUT], 48, step))
        scores = module(batch[:, :-1]).logits
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return module.eval()


def perplexity(scores, wanted):
    """The exponential of the mean surprise, in nats a letter, of (N, LENGTH, letters) scores."""
    shifted = scores - scores.max(-1, keepdims=True)
    surprise = np.log(np.exp(shifted).sum(-1)) - np.take_along_axis(shifted, wanted[..., None], -1)[..., 0]
    return float(np.exp(surprise.mean()))


def prepared():
    """A fault-free chip, its inputs, and what is measured of a run: {name: function of the scores}."""
    module = trained()
    test = windows(TOKENS[-HELD_OUT:], 100, 0)
    inputs, wanted = test[:, :-1], test[:, 1:]
    with torch.no_grad():
        in_float = perplexity(module(torch.from_numpy(inputs)).logits.numpy(), wanted)
    print(f"perplexity {in_float:.2f} of {len(LETTERS)} letters in floats")

    eight = xb.ReramConfig(array=xb.ArrayConfig(format=xb.WeightFormat(weight_bits=8), input_bits=8))
    chip = xb.program(module, eight, calibrate=windows(TOKENS[:-HELD_OUT], 100, 1)[:, :-1])
    return chip, inputs, {"perplexity": lambda scores: perplexity(scores, wanted)}


def main():
    """Perplexity on some chips a rate."""
    chip, inputs, measures = prepared()
    measure = measures["perplexity"]
    print(f"perplexity {measure(chip.run(inputs).scores):.2f} on a chip without faults")
    for rate in (0.0003, 0.001, 0.003):
        model = xb.StuckCells(rate=rate)
        faults = [model.draw(chip.geometry, xb.stream(1, "faults", trial)) for trial in range(CHIPS)]
        found = xb.mean_over_chips([measure(run.scores) for run in chip.run_each(faults, inputs)])
        print(f"{rate:.2%} of the cells stuck: {found.value:.2f} [{found.low:.2f}, {found.high:.2f}]")


if __name__ == "__main__":
    main()
