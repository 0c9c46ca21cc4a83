import numpy as np
import pytest

from accel_models.reram.config import CellOperations, ReramConfig, accelerator
from accel_models.reram.timing import LATENCY_MODELS, LayerLoad, inference_latency_ns, replication
from xbarsim.errors import InputError

CONFIG = ReramConfig()
LOADS = (
    LayerLoad(name="a", positions=100, arrays=2, macs=100 * 500),
    LayerLoad(name="b", positions=10, arrays=3, macs=10 * 4000),
)


@pytest.mark.parametrize(
    ("model", "expected_ns"),
    [
        ("mac-proportional", 5 * 1600 * 8 * 90_000 / 16384),
        ("array-serial", 5 * 1600 * (200 + 30)),
        ("layer-serial", 5 * (110 * 1600 + 2 * 600)),
        ("pipelined", 110 * 1600 + 2 * 600 + 4 * 100 * 1600),
    ],
)
def test_models_follow_their_formulas(model, expected_ns):
    assert inference_latency_ns(LOADS, CONFIG, 5, model) == pytest.approx(expected_ns)


def test_balanced_pipeline_gives_copies_to_the_slowest_layer():
    assert replication(LOADS, 5) == {"a": 1, "b": 1}
    assert replication(LOADS, 23) == {"a": 10, "b": 1}
    budget = ReramConfig(arrays=23)
    assert inference_latency_ns(LOADS, budget, 5, "balanced") == 20 * 1600 + 2 * 600 + 4 * 10 * 1600


def test_copies_never_exceed_the_budget_or_the_positions():
    rng = np.random.default_rng(0)
    for _ in range(50):
        loads = tuple(
            LayerLoad(name=str(i), positions=int(p), arrays=int(a), macs=1)
            for i, (p, a) in enumerate(rng.integers(1, 60, (4, 2)))
        )
        least = sum(load.arrays for load in loads)
        copies = replication(loads, least + int(rng.integers(0, 500)))
        assert all(1 <= copies[load.name] <= load.positions for load in loads)


def test_balancing_never_slows_down():
    balanced, plain = (inference_latency_ns(LOADS, CONFIG, 7, m) for m in ("balanced", "pipelined"))
    assert balanced <= plain


def test_unknown_model_no_images_and_a_budget_too_small_are_refused():
    with pytest.raises(
        InputError, match="latency model: expected one of " + ", ".join(sorted(LATENCY_MODELS))
    ):
        inference_latency_ns(LOADS, CONFIG, 1, "optimistic")
    with pytest.raises(InputError, match="images"):
        inference_latency_ns(LOADS, CONFIG, 0)
    with pytest.raises(InputError, match="at least 5"):
        replication(LOADS, 4)


@pytest.mark.parametrize(
    "settings", [{"arrays": 0}, {"cycle_ns": 0.0}, {"cycle_ns": float("nan")}, {"pipeline_cycles": 3}]
)
def test_nonsense_configurations_are_refused(settings):
    with pytest.raises(InputError, match="ReramConfig"):
        ReramConfig(**settings)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="accelerator: expected one of"):
        accelerator("isaak")
    with pytest.raises(InputError, match="cells: expected one of"):
        accelerator("isaac", cells="flash")
    with pytest.raises(InputError, match="t_read_ns"):
        CellOperations(source="none", t_read_ns=0, t_write_ns=1)
