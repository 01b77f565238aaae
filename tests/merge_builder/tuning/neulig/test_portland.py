import hashlib

import numpy as np
import pytest

from merge_builder.tuning.neulig import Examples, Schedule, ensemble, merge, neulig_loss, train, zeros
from merge_builder.tuning.neulig.portland import Portland

rng = np.random.default_rng(0)
MODELS, WIDTH, LABELS = 4, 6, 3


def _network() -> Portland:
    return Portland(rng.normal(size=(MODELS, MODELS * WIDTH)), rng.normal(size=MODELS))


def _experts() -> list[dict[str, np.ndarray]]:
    shapes = {"a": (5, WIDTH), "b": (5,)}
    return [{name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()} for _ in range(MODELS)]


def test_a_network_of_zeros_gives_the_plain_average() -> None:
    betas = zeros(MODELS, MODELS * WIDTH).betas(rng.normal(size=(7, MODELS * WIDTH)))
    assert np.array_equal(betas, np.full((7, MODELS), 1 / MODELS))
    experts = _experts()
    for name, values in merge(experts, betas[0]).items():
        average = np.mean([own[name].astype(np.float64) for own in experts], axis=0)
        np.testing.assert_allclose(values, average, rtol=1e-6)
        assert values.dtype == np.float32


def test_betas_are_shares() -> None:
    betas = _network().betas(30 * rng.normal(size=(50, MODELS * WIDTH)))
    assert (betas >= 0).all()
    np.testing.assert_allclose(betas.sum(axis=1), 1, atol=1e-12)


def test_a_row_does_not_depend_on_its_batch() -> None:
    network, features = _network(), rng.normal(size=(33, MODELS * WIDTH))
    together, order = network.betas(features), rng.permutation(33)
    assert np.array_equal(np.concatenate([network.betas(row[None]) for row in features]), together)
    assert np.array_equal(network.betas(features[order]), together[order])
    assert network.betas(features[:0]).shape == (0, MODELS)


def test_permuted_experts_have_permuted_betas() -> None:
    network, features, order = _network(), rng.normal(size=(9, MODELS, WIDTH)), rng.permutation(MODELS)
    weight = network.weight.reshape(MODELS, MODELS, WIDTH)[np.ix_(order, order)].reshape(MODELS, -1)
    permuted = Portland(weight, network.bias[order])
    np.testing.assert_allclose(
        permuted.betas(features[:, order].reshape(9, -1)), network.betas(features.reshape(9, -1))[:, order], atol=1e-12
    )


def test_training_is_blind_to_the_order_of_the_experts() -> None:
    logits, labels = rng.normal(size=(40, MODELS, LABELS)), rng.integers(0, LABELS, 40)
    features, order = rng.normal(size=(40, MODELS, WIDTH)), rng.permutation(MODELS)
    epsilon, schedule = rng.normal(size=MODELS), Schedule(epochs=20, batch=16, rate=0.05)

    def betas(at: np.ndarray) -> np.ndarray:
        examples = Examples(features[:, at].reshape(40, -1), labels, logits[:, at])
        start = zeros(MODELS, MODELS * WIDTH)
        return train(start, [examples], neulig_loss("supervised", epsilon[at]), schedule).betas(examples.features)

    found = betas(np.arange(MODELS))
    assert found.std() > 0.05
    np.testing.assert_allclose(betas(order), found[:, order], atol=1e-9)


def test_identical_experts_merge_to_that_expert() -> None:
    expert, betas = _experts()[0], _network().betas(rng.normal(size=(1, MODELS * WIDTH)))[0]
    inputs = rng.normal(size=(3, WIDTH))
    merged = merge([expert] * MODELS, betas)
    for name, values in expert.items():
        np.testing.assert_allclose(merged[name], values, rtol=1e-6)
    made = np.tanh(inputs @ expert["a"].T + expert["b"])
    np.testing.assert_allclose(ensemble(np.stack([made] * MODELS, axis=1), np.tile(betas, (3, 1))), made, rtol=1e-6)


def test_linear_encoders_merge_as_they_ensemble() -> None:
    experts, inputs = _experts(), rng.normal(size=(8, WIDTH))
    betas = _network().betas(rng.normal(size=(8, MODELS * WIDTH)))
    mixed = ensemble(np.stack([inputs @ own["a"].T + own["b"] for own in experts], axis=1), betas)
    for row, beta, expected in zip(inputs, betas, mixed, strict=True):
        merged = merge(experts, beta)
        np.testing.assert_allclose(row @ merged["a"].T + merged["b"], expected, rtol=1e-5, atol=1e-6)


def test_a_saturated_network_gives_the_expert() -> None:
    network = Portland(np.zeros((MODELS, 1)), np.array([0.0, 1e4, 0.0, 0.0]))
    [betas] = network.betas(np.zeros((1, 1)))
    experts = _experts()
    assert all(np.array_equal(values, experts[1][name]) for name, values in merge(experts, betas).items())


def test_integers_are_taken_from_the_first_model() -> None:
    experts = [{"ids": np.arange(3) + number} for number in range(2)]
    assert np.array_equal(merge(experts, np.array([0.0, 1.0]))["ids"], np.arange(3))


@pytest.mark.parametrize("kind", ["supervised", "entropy"])
def test_training_touches_neither_experts_nor_features(kind: str) -> None:
    experts = _experts()
    examples = Examples(
        rng.normal(size=(20, MODELS * WIDTH)), rng.integers(0, LABELS, 20), rng.normal(size=(20, MODELS, LABELS))
    )
    held = [*(values for own in experts for values in own.values()), examples.features, examples.logits]
    before = [hashlib.sha256(values.tobytes()).digest() for values in held]
    start = zeros(MODELS, MODELS * WIDTH)
    trained = train(start, [examples], neulig_loss(kind, np.ones(MODELS)), Schedule(epochs=3))
    merge(experts, trained.betas(examples.features)[0])
    assert [hashlib.sha256(values.tobytes()).digest() for values in held] == before
    assert not start.weight.any()
    assert trained.weight.any()
