"""Adversarial features: the games, their state, the rivals, and streams of their own."""

import pytest
import torch
from torch import nn

from networks.datasets import load_dataset
from xbarsim.errors import InputError
from xbarsim.rng import stream
from xbarsim.training.adversarial_features import Game, GameSettings, moves, play
from xbarsim.training.logs import csv_log
from xbarsim.training.loop import initialise

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
        (lambda: play(misfit(extractor=nn.Linear(9, 8)), digits()[0], SETTINGS, seed=0), "extractor"),
    ],
)
def test_nonsense_is_refused(act, words):
    with pytest.raises(InputError, match=words):
        act()


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
