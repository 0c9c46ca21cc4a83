"""Adversarial features: the games, their state, the rivals, and streams of their own."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from networks.adversarial_features import feature_network, feature_networks
from networks.datasets import load_dataset
from xbarsim.errors import InputError
from xbarsim.faults.stuck_at_zero import StuckAtZero
from xbarsim.rng import stream
from xbarsim.torch_bridge.stuck_at_zero import draw_masks, faulty_shapes, stuck
from xbarsim.training.adversarial_features import Game, GameSettings, moves, play
from xbarsim.training.logs import csv_log
from xbarsim.training.loop import fit, initialise
from xbarsim.training.recipe import Recipe
from xbarsim.training.regularisers import Penalty, StuckAtZeroTraining

SETTINGS = GameSettings(epochs=3, batch_size=50)


def digits(count=300):
    data = load_dataset("digits", "train", limit=count)
    return data.images, data.labels


def game(seed=0, dropout=0.5):
    parts = initialise(
        lambda: nn.ModuleList(
            [
                nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8)),
                nn.Sequential(nn.Linear(8, 64), nn.Unflatten(1, (1, 8, 8))),
                nn.Sequential(nn.Linear(8, 32), nn.LeakyReLU(0.1), nn.Dropout(dropout), nn.Linear(32, 1)),
            ]
        ),
        seed,
    )
    return Game(extractor=parts[0], decoder=parts[1], discriminator=parts[2])


def weights(players):
    return [p.detach().clone() for p in players.parameters()]


def test_reconstruction_falls_and_the_same_seed_gives_the_same_weights():
    found = []
    for _ in range(2):
        one = game()
        history = play(one, digits()[0], GameSettings(epochs=8, batch_size=50), seed=1)
        found.append((history, weights(one.players)))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(a, b) for a, b in zip(found[0][1], found[1][1], strict=True))
    losses = [epoch.reconstruction for epoch in found[0][0]]
    assert losses[-1] < 0.7 * losses[0] and moves(found[0][0])["reconstruction falls"]


def test_one_batch_is_the_three_steps_of_the_algorithm():
    """Against the equations written out, with optimizers of their own."""
    one, two = game(dropout=0.0), game(dropout=0.0)
    x = torch.as_tensor(digits(50)[0])
    play(one, x, GameSettings(epochs=1, batch_size=50, steps=2, discriminator_rate=1e-2), seed=4)
    torch.manual_seed(int(stream(4, "adversarial features", 0).integers(2**62)))
    x = x[torch.randperm(50)]
    q, p, d = two.extractor, two.decoder, two.discriminator
    reconstruct = torch.optim.Adam([*q.parameters(), *p.parameters()], 1e-3)
    tell, fool = torch.optim.Adam(d.parameters(), 1e-2), torch.optim.Adam(q.parameters(), 1e-2)
    ((x - p(q(x))) ** 2).mean().backward()
    reconstruct.step()
    for _ in range(2):
        z = q(x).detach()
        tell.zero_grad()
        prior = torch.randn_like(z)
        (-(d(prior).sigmoid().log() + (1 - d(z).sigmoid()).log()).mean()).backward()
        tell.step()
    fool.zero_grad()
    (-d(q(x)).sigmoid().log().mean()).backward()
    fool.step()
    for ours, written in zip(weights(one.players), weights(two.players), strict=True):
        assert torch.allclose(ours, written, atol=1e-6)


def test_without_steps_of_the_discriminator_it_is_an_autoencoder():
    one = game()
    before = weights(one.discriminator)
    history = play(one, digits()[0], GameSettings(epochs=1, steps=0), seed=0)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(one.discriminator), strict=True))
    assert history[0].discriminator == history[0].extractor == 0


@pytest.mark.parametrize("stopped", [1, 2])
def test_a_resumed_game_ends_in_the_same_weights(tmp_path, stopped):
    whole = game()
    expected = play(whole, digits()[0], SETTINGS, seed=2)

    class StopError(Exception):
        pass

    def stop(history):
        if len(history) == stopped:
            raise StopError

    with pytest.raises(StopError):
        play(game(), digits()[0], SETTINGS, seed=2, resume=tmp_path / "a", on_epoch=stop)
    again = game(seed=7)
    assert play(again, digits()[0], SETTINGS, seed=2, resume=tmp_path / "a") == expected
    pairs = zip(weights(whole.players), weights(again.players), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.write_bytes(b"x" * 100), "a training's state"),
        (lambda path: None, "the training GameSettings"),
    ],
)
def test_another_file_is_refused_and_stays(tmp_path, change, words):
    path = tmp_path / "a"
    play(game(), digits()[0], SETTINGS, seed=2, resume=path)
    change(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=words):
        play(game(), digits()[0], SETTINGS, seed=3, resume=path)
    assert path.read_bytes() == before


def test_losses_are_logged(tmp_path):
    history = play(game(), digits()[0], SETTINGS, seed=0, on_epoch=csv_log(tmp_path / "a.csv"))
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "epoch,reconstruction,discriminator,extractor,told_right"
    assert [float(line.split(",")[1]) for line in lines[1:]] == [e.reconstruction for e in history]


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


@pytest.mark.parametrize("unit", ["weight", "filter", "node"])
def test_masks_silence_their_units_and_nothing_else(unit):
    module = initialise(lambda: feature_network("fashion-cnn").build(bias=True), 0).eval()
    x, before = torch.rand(3, 1, 28, 28), copy.deepcopy(module.state_dict())
    faults = StuckAtZero(unit=unit, share=0.3)
    masks = draw_masks(module, faults, np.random.default_rng(1))
    layers = dict(module.named_modules())
    seen = {}
    for name in masks:
        layers[name].register_forward_hook(
            lambda layer, inputs, output, name=name: seen.__setitem__(name, output)
        )
    healthy = module(x)
    hooks = len(layers["classifier.1"]._forward_hooks)
    with stuck(module, faults, masks):
        faulty = module(x)
        for name, mask in masks.items():
            works = torch.from_numpy(mask)
            assert abs(int((~works).sum()) - 0.3 * works.numel()) <= 0.5
            weight = layers[name].weight
            if unit == "weight":
                assert torch.equal(weight, before[f"{name}.weight"] * works)
            elif unit == "filter":
                assert (weight[~works] == 0).all() and (layers[name].bias[~works] == 0).all()
                assert torch.equal(weight[works], before[f"{name}.weight"][works])
    assert not torch.equal(faulty, healthy)
    assert all(torch.equal(a, before[n]) for n, a in module.state_dict().items())
    assert torch.equal(module(x), healthy)
    assert len(layers["classifier.1"]._forward_hooks) == hooks
    if unit == "node":
        assert list(masks) == ["classifier.1"]
        hidden = layers["classifier.1"]
        inputs = module.extractor(x)
        with stuck(module, faults, masks):
            out = hidden(inputs)
        assert (out[:, ~torch.from_numpy(masks["classifier.1"])] == 0).all()


def test_a_share_by_layer_leaves_the_others_alone():
    module = feature_network("fashion-mlp").build()
    names = list(faulty_shapes(module, "node"))
    masks = draw_masks(module, StuckAtZero(unit="node", share={names[1]: 0.5}), np.random.default_rng(0))
    assert [int((~mask).sum()) for mask in masks.values()] == [0, 512, 0]
    with pytest.raises(InputError, match="layers of"):
        draw_masks(module, StuckAtZero(unit="node", share={"fc": 0.5}), np.random.default_rng(0))


@pytest.mark.parametrize("unit", ["weight", "node"])
def test_injection_trains_under_masks_and_heals(unit):
    module = initialise(
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 10)), 0
    )
    x, y = digits()
    seen = []

    class Watch(StuckAtZeroTraining):
        def after_backward(self, layer):
            seen.append(layer[1].weight.detach().clone())
            super().after_backward(layer)
            stuck_weights = ~torch.from_numpy(self._masks["1"]) if unit == "weight" else None
            if stuck_weights is not None:
                assert (layer[1].weight.grad[stuck_weights] == 0).all()
                assert (seen[-1][stuck_weights] == 0).all()

    fit(module, x, y, Recipe(epochs=2), seed=0, methods=[Watch(StuckAtZero(unit=unit, share=0.4))])
    assert (module[1].weight != 0).all() and not module[1]._forward_hooks
    zeros = [float((w == 0).float().mean()) for w in seen]
    assert zeros == pytest.approx([0.4 if unit == "weight" else 0] * len(zeros), abs=1e-3)


@pytest.mark.parametrize("kind", ["lasso", "tikhonov"])
def test_penalties_are_those_of_the_equations(kind):
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 10), nn.LayerNorm(10))
    found = Penalty(kind, 0.25).extra_loss(module, None, None, None)
    flat = torch.cat([module[0].weight.flatten(), module[2].weight.flatten()])
    assert found.item() == pytest.approx(0.25 * (flat.abs() if kind == "lasso" else flat**2).sum().item())
    heavy = initialise(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), 0)
    fit(heavy, *digits(), Recipe(epochs=5, learning_rate=1e-2), seed=0, methods=[Penalty(kind, 0.1)])
    plain = initialise(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), 0)
    fit(plain, *digits(), Recipe(epochs=5, learning_rate=1e-2), seed=0)
    assert heavy[1].weight.abs().mean() < 0.5 * plain[1].weight.abs().mean()


def test_masks_and_initial_weights_of_equal_seeds_are_not_alike():
    for seed in range(5):
        module = initialise(lambda: feature_network("fashion-mlp").build(), seed)
        masks = draw_masks(module, StuckAtZero(unit="weight", share=0.5), stream(seed, "faults"))
        for name, mask in masks.items():
            weight = module.get_parameter(f"{name}.weight").detach().numpy()
            for values in (weight, np.abs(weight), weight > 0):
                found = np.corrcoef(mask.ravel(), values.ravel())[0, 1]
                assert abs(found) < 4.5 / mask.size**0.5


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: GameSettings(epochs=1, prior_label=0.2), "prior_label"),
        (lambda: GameSettings(epochs=1, steps=-1), "steps"),
        (lambda: play(game(), digits()[0][:0], SETTINGS, seed=0), "at least one"),
        (lambda: play(misfit(extractor=nn.Identity()), digits()[0], SETTINGS, seed=0), "N, features"),
        (lambda: play(misfit(decoder=nn.Linear(9, 64)), digits()[0], SETTINGS, seed=0), "one of 8 features"),
        (lambda: play(misfit(decoder=nn.Linear(8, 64)), digits()[0], SETTINGS, seed=0), "decoder"),
        (lambda: play(misfit(discriminator=nn.Linear(8, 2)), digits()[0], SETTINGS, seed=0), "discriminator"),
        (
            lambda: play(game(), digits()[0], GameSettings(epochs=9, learning_rate=1e20), seed=0),
            "losses of the games",
        ),
        (lambda: StuckAtZero(unit="layer", share=0.1), "unit"),
        (lambda: StuckAtZero(unit="node", share={"a": 1.1}), "share"),
        (lambda: faulty_shapes(nn.Sequential(nn.Linear(3, 2)), "filter"), "layers with a filter"),
        (lambda: Penalty("l3", 0.1), "penalty"),
        (lambda: Penalty("lasso", 0.1).extra_loss(nn.ReLU(), None, None, None), "linear or convolution"),
        (lambda: faulty_shapes(nn.Sequential(nn.Linear(3, 2), nn.Sigmoid()), "node"), "0 at 0"),
        (lambda: masks_of_another(), "draw them for this module"),
        (lambda: play(misfit(extractor=nn.Linear(9, 8)), digits()[0], SETTINGS, seed=0), "extractor"),
        (lambda: feature_network("fashion"), "feature network"),
    ],
)
def test_nonsense_is_refused(act, words):
    with pytest.raises(InputError, match=words):
        act()


def masks_of_another():
    with stuck(nn.Linear(3, 2), StuckAtZero(unit="weight", share=0.5), {"fc": np.ones((2, 3), bool)}):
        pass


def test_a_left_over_image_and_no_epochs_are_no_mistake():
    one = game()
    normed = Game(
        extractor=nn.Sequential(one.extractor, nn.BatchNorm1d(8)),
        decoder=one.decoder,
        discriminator=one.discriminator,
    )
    play(normed, digits(51)[0], GameSettings(epochs=1, batch_size=50), seed=0)
    assert play(one, digits()[0], GameSettings(epochs=0), seed=0) == [] and moves([]) == {}


def misfit(**parts):
    one = game()
    known = {"extractor": one.extractor, "decoder": one.decoder, "discriminator": one.discriminator}
    return Game(**(known | parts))
