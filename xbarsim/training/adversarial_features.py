"""Adversarial features: an extractor learns, without labels, features of a given distribution.

Three steps a batch, as Algorithm 1 has them: extractor and decoder learn to reconstruct the images (Eq. 11);
`steps` times the discriminator learns to tell features from samples of N(0, I) (Eq. 12); the extractor learns
to be taken for such samples (Eq. 13). Eq. 11 is taken as a mean over pixels, not a sum, and all steps are
Adam's. Then a classifier is put behind the extractor and both are trained as
any network (`fit`).

The game may be lost: a discriminator that wins leaves no gradient. Options that keep such games apart:
spectral norm of the discriminator (in its layers), labels of less than 1 for the prior's samples, steps of
the discriminator a batch.

Source: the adversarial-features paper (see "Sources" in docs/architecture.md), section V. Its Fig. 5 shows
the losses: reconstruction and extractor fall, the discriminator's rises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from xbarsim.errors import InputError, check_int, check_number, check_positive, check_type
from xbarsim.hints import check_fields, checked
from xbarsim.rng import stream
from xbarsim.torch_bridge.threads import torch_threads
from xbarsim.training.batches import checked_images
from xbarsim.training.loop import check_device
from xbarsim.training.resume import StateFile

OnLosses = Callable[[Sequence["GameEpoch"]], None]
OnBatch = Callable[[int, int, float], None]


@dataclass(frozen=True, kw_only=True)
class GameSettings:
    """How the games are played.

    Parameters
    ----------
    epochs, batch_size : of the unsupervised training
    learning_rate, discriminator_rate : Adam's, of the reconstruction, and of both steps of the second game
        (the paper's: 5e-5; it names no optimizer of these steps)
    steps : of the discriminator in every batch; 0 leaves the second game out
    every : the extractor's adversarial step comes in every so many batches
    prior_label : what the discriminator shall say of the prior's samples; below 1 smooths
    """

    epochs: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    discriminator_rate: float = 5e-5
    steps: int = 1
    every: int = 1
    prior_label: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        check_int("GameSettings.epochs", self.epochs, 0, 10**6)
        check_int("GameSettings.batch_size", self.batch_size, 2, 10**6)
        check_positive("GameSettings.learning_rate", self.learning_rate)
        check_positive("GameSettings.discriminator_rate", self.discriminator_rate)
        check_int("GameSettings.steps", self.steps, 0, 1000)
        check_int("GameSettings.every", self.every, 1, 10**6)
        check_number("GameSettings.prior_label", self.prior_label, 0.5, 1)


@dataclass(frozen=True, kw_only=True)
class GameEpoch:
    """Mean losses of an epoch (Eqs. 11 to 13); the share of samples that the discriminator tells right."""

    epoch: int
    reconstruction: float
    discriminator: float
    extractor: float
    told_right: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Game:
    """The players: `extractor`, images to (N, features); `decoder`, back; `discriminator`, to (N, 1)."""

    extractor: nn.Module
    decoder: nn.Module
    discriminator: nn.Module

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def players(self) -> nn.ModuleDict:
        """All three."""
        return nn.ModuleDict(
            {"extractor": self.extractor, "decoder": self.decoder, "discriminator": self.discriminator}
        )


@checked
def play(
    game: Game,
    images: np.ndarray | torch.Tensor,
    settings: GameSettings,
    *,
    seed: int,
    resume: str | Path | None = None,
    on_batch: OnBatch | None = None,
    on_epoch: OnLosses | None = None,
    device: str = "cpu",
) -> list[GameEpoch]:
    """Train the extractor without labels; all three modules change in place.

    Parameters
    ----------
    images : (N, ...)
    seed : of the order, the prior's samples and dropout; the games are played on one thread of the processor,
        since with other numbers sums round otherwise
    resume : file that is written after every epoch; if it is there, the training goes on from it, and ends in
        the same weights
    on_batch : called with batches done, batches in all, reconstruction loss
    on_epoch : called with all epochs so far; `training.logs.csv_log` writes them

    Raises
    ------
    InputError : no images, parts that do not fit together, a loss that is not finite, another game's file.
    """
    place = check_device(device)
    check_int("seed", seed, 0, 2**63 - 1)
    x = checked_images(images).to(place, torch.float32)
    players = game.players.to(place).eval()
    _check_fit(game, x[:2])
    turns = _Turns(game, settings)
    state = None if resume is None else _state_file(Path(resume), players, turns, seed)
    history = [] if state is None else state.load()
    players.train()
    for epoch in range(len(history), settings.epochs):
        rng = stream(seed, "adversarial features", epoch)
        with torch_threads(1), torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
            torch.manual_seed(int(rng.integers(2**62)))
            batches = _batches(torch.randperm(len(x)).to(place), settings.batch_size)
            sums, first = np.zeros(4), epoch * len(batches)
            for i, batch in enumerate(batches, first):
                losses = turns.play(x[batch], i)
                sums += np.array(losses) * len(batch)
                if on_batch is not None:
                    on_batch(i + 1, settings.epochs * len(batches), losses[0])
        mean = (sums / len(x)).tolist()
        if not np.isfinite(mean).all():
            raise InputError("losses of the games", "finite numbers", str(mean), "lower the learning rates")
        history.append(
            GameEpoch(
                epoch=epoch + 1, reconstruction=mean[0], discriminator=mean[1], extractor=mean[2],
                told_right=mean[3],
            )
        )  # fmt: skip
        if state is not None:
            state.save(history)
        if on_epoch is not None:
            on_epoch(history)
    players.eval()
    return history


def _state_file(path: Path, players: nn.ModuleDict, turns: _Turns, seed: int) -> StateFile[GameEpoch]:
    about = f"{turns.settings}, seed {seed}"
    return StateFile(path=path, parts={"players": players, **turns.optimizers}, about=about, epoch=GameEpoch)


def _batches(order: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Batches; one image that is left over, of which norms know no variance, goes into the last but one."""
    parts = list(order.split(size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


class _Turns:
    """The three steps of a batch, with an optimizer each."""

    def __init__(self, game: Game, settings: GameSettings) -> None:
        self.game, self.settings = game, settings
        both = [*game.extractor.parameters(), *game.decoder.parameters()]
        self.reconstruct = torch.optim.Adam(both, settings.learning_rate)
        self.tell = torch.optim.Adam(game.discriminator.parameters(), settings.discriminator_rate)
        self.fool = torch.optim.Adam(game.extractor.parameters(), settings.discriminator_rate)

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """By name."""
        return {"reconstruct": self.reconstruct, "tell": self.tell, "fool": self.fool}

    def play(self, x: torch.Tensor, batch: int) -> tuple[float, float, float, float]:
        """One batch; its three losses and the share told right."""
        game, settings = self.game, self.settings
        loss = F.mse_loss(game.decoder(game.extractor(x)), x)
        _descend(self.reconstruct, loss)
        told, gain, right = 0.0, 0.0, 0.5
        for _ in range(settings.steps):
            with torch.no_grad():
                features = game.extractor(x)
            told, right = self._tell(features)
        if settings.steps:
            scores = game.discriminator(game.extractor(x))
            fooled = F.binary_cross_entropy_with_logits(scores, torch.ones_like(scores))
            if batch % settings.every == 0:
                _descend(self.fool, fooled)
            gain = float(fooled.detach())
        return float(loss.detach()), told, gain, right

    def _tell(self, features: torch.Tensor) -> tuple[float, float]:
        """One step of the discriminator: its loss, and the share of samples that it told right before."""
        judge = self.game.discriminator
        prior, found = judge(torch.randn_like(features)), judge(features)
        wanted = torch.full_like(prior, self.settings.prior_label)
        of_prior = F.binary_cross_entropy_with_logits(prior, wanted)
        of_features = F.binary_cross_entropy_with_logits(found, torch.zeros_like(found))
        _descend(self.tell, of_prior + of_features)
        right = float(((prior > 0).float().mean() + (found <= 0).float().mean()) / 2)
        return float((of_prior + of_features).detach()), right


def _descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


@torch.no_grad()
def _check_fit(game: Game, x: torch.Tensor) -> None:
    try:
        features = game.extractor(x)
    except RuntimeError as error:
        got_words = str(error).splitlines()[0][:80]
        raise InputError("extractor", f"one that takes images {tuple(x.shape[1:])}", got_words) from error
    if features.ndim != 2:
        raise InputError("extractor", "(N, features)", str(tuple(features.shape)), "end it with nn.Flatten()")
    for name, part, shape in (
        ("decoder", game.decoder, x.shape),
        ("discriminator", game.discriminator, (len(x), 1)),
    ):
        try:
            got = tuple(part(features).shape)
        except RuntimeError as error:
            got_words = str(error).splitlines()[0][:80]
            raise InputError(name, f"one of {features.shape[1]} features", got_words) from error
        if got != tuple(shape):
            raise InputError(name, f"{tuple(shape)} from {features.shape[1]} features", str(got))


@checked
def moves(history: Sequence[GameEpoch]) -> dict[str, bool]:
    """Whether the losses moved as the paper's Fig. 5 says, from the first epoch to the last.

    >>> one = GameEpoch(epoch=1, reconstruction=1, discriminator=1.2, extractor=0.8, told_right=0.6)
    >>> two = GameEpoch(epoch=2, reconstruction=0.5, discriminator=1.3, extractor=0.9, told_right=0.5)
    >>> moves([one, two])
    {'reconstruction falls': True, 'extractor falls': False, 'discriminator rises': True}
    """
    for epoch in history:
        check_type("history", epoch, GameEpoch)
    if not history:
        return {}
    first, last = history[0], history[-1]
    return {
        "reconstruction falls": last.reconstruction < first.reconstruction,
        "extractor falls": last.extractor < first.extractor,
        "discriminator rises": last.discriminator > first.discriminator,
    }
