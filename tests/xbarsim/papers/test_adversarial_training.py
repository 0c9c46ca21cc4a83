"""Networks of the adversarial-features paper: found again, the same on any number of threads."""

import pytest
import torch
from filelock import FileLock

from networks.adversarial_features import feature_network
from xbarsim.errors import InputError
from xbarsim.papers import adversarial_training
from xbarsim.papers.adversarial_training import (
    BUDGETS,
    METHODS,
    FeatureTraining,
    ImageSets,
    trained,
)
from xbarsim.training.loop import initialise

IMAGES = ImageSets(name="fashion-mnist", train_images=80, test_images=50)


def training(method="none", strength=0.0, **others):
    return FeatureTraining(
        network="fashion-mlp",
        method=method,
        strength=strength,
        images=IMAGES,
        game_epochs=1,
        epochs=1,
        **others,
    )


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.fixture(autouse=True)
def forget():
    """Nothing that an earlier test trained is at hand."""
    trained.cache_clear()


def test_files_are_named_by_what_tells_trainings_apart(tmp_path):
    names = [
        training(*how).file(tmp_path, 80).name for how in (("none",), ("tikhonov", 0.001), ("tikhonov", 0.0))
    ]
    assert names == [
        "fashion-mnist-fashion-mlp-none-80-images-seed-0-1-epochs.safetensors",
        "fashion-mnist-fashion-mlp-tikhonov-0.001-80-images-seed-0-1-epochs.safetensors",
        "fashion-mnist-fashion-mlp-tikhonov-80-images-seed-0-1-epochs.safetensors",
    ]
    games = training("adversarial").games_file(tmp_path, 80).name
    assert games == "fashion-mnist-fashion-mlp-adversarial-80-images-seed-0-1-games.safetensors"


def test_every_method_trains_another_network(data_folder, tmp_path):
    found = [weights(trained(training(method, 1e-4 * (method == "tikhonov")), tmp_path)) for method in METHODS
             if method != "lasso"]  # fmt: skip
    found.append(weights(trained(training("lasso", 1e-5), tmp_path)))
    found.append(weights(initialise(feature_network("fashion-mlp").build, 0)))
    assert len({float(w.double().square().sum()) for w in found}) == len(METHODS) + 1


def test_a_network_that_is_there_is_not_trained_again(data_folder, tmp_path):
    asked = training("adversarial")
    first = weights(trained(asked, tmp_path))
    files = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.safetensors")}
    assert set(files) == {asked.file(tmp_path, 80), asked.games_file(tmp_path, 80)}
    trained.cache_clear()
    assert torch.equal(weights(trained(asked, tmp_path)), first)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.safetensors")} == files


def test_threads_do_not_change_a_network(data_folder, tmp_path):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with_two = weights(trained(training("adversarial-stable"), tmp_path / "two"))
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        with_one = weights(trained(training("adversarial-stable"), tmp_path / "one"))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(with_two, with_one)


def test_games_are_played_under_a_lock_of_their_own(data_folder, tmp_path, monkeypatch):
    locked = []

    def play(*arguments, resume, **options):
        lock = FileLock(f"{resume}.lock", timeout=0, is_singleton=False)
        with pytest.raises(TimeoutError):
            lock.acquire()
        locked.append(resume)

    monkeypatch.setattr(adversarial_training, "play", play)
    asked = training("adversarial")
    trained(asked, tmp_path)
    assert locked == [asked.games_file(tmp_path, 80)]


def test_games_are_read_from_their_file(data_folder, tmp_path):
    asked = training("adversarial")
    with pytest.raises(InputError, match="the games that were played, got no file; use the folder"):
        asked.games(tmp_path, 80)
    trained(asked, tmp_path)
    (epoch,) = asked.games(tmp_path, 80)
    assert epoch.epoch == 1 and 0 < epoch.reconstruction < 1 and 0 <= epoch.told_right <= 1
    log = asked.games_file(tmp_path, 80).with_suffix(".csv").read_text()
    assert f"1,{epoch.reconstruction!r},{epoch.discriminator!r}" in log
    assert training("none").games(tmp_path, 80) == ()


def test_what_a_training_is_tells_games_recipe_and_data(data_folder):
    plain, game = training().describe(), training("adversarial-stable", seed=3).describe()
    assert plain["game"] is None and game["game"]["spectral_norm"] and game["game"]["prior_label"] == 0.9
    assert plain["recipe"]["epochs"] == 1 and game["training_seed"] == 3
    assert (plain["data"], plain["training"]) == (IMAGES.test().digest, IMAGES.train().digest)


def test_unknown_methods_and_networks_are_refused():
    with pytest.raises(InputError, match="method"):
        training("ridge")
    with pytest.raises(InputError, match="feature network"):
        FeatureTraining(network="mlp", method="none", strength=0.0, images=IMAGES, game_epochs=1, epochs=1)


def test_budgets_grow():
    sizes = [BUDGETS[name].networks["fashion-mlp"].epochs for name in ("smoke", "cpu", "full")]
    assert sizes == sorted(sizes) == [2, 20, 100]
    assert BUDGETS["full"].networks["cifar-deep"].images is None and BUDGETS["full"].masks == 10
