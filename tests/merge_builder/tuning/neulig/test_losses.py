import numpy as np
import pytest
import torch

from merge_builder.tuning.neulig import Examples, alignment_scores, neulig_loss, routing_loss
from merge_builder.tuning.neulig.losses import at_weights
from merge_builder.tuning.neulig.portland import softmax

rng = np.random.default_rng(1)
ROWS, MODELS, WIDTH, LABELS = 11, 3, 5, 4


@pytest.mark.parametrize("kind", ["supervised", "entropy", "routing"])
def test_losses_and_gradients_are_those_of_autograd(kind: str) -> None:
    features, votes = rng.normal(size=(ROWS, WIDTH)), rng.normal(size=(ROWS, MODELS, LABELS))
    labels, epsilon = rng.integers(0, MODELS, ROWS), rng.normal(size=MODELS)
    weight, bias = rng.normal(size=(MODELS, WIDTH)), rng.normal(size=MODELS)
    loss = routing_loss if kind == "routing" else neulig_loss(kind, epsilon, alpha=0.3)
    betas = softmax(features @ weight.T + bias)
    value, at_betas = loss(betas, Examples(features, labels, votes))
    found = at_weights(betas, at_betas, features)

    w, b = torch.tensor(weight, requires_grad=True), torch.tensor(bias, requires_grad=True)
    shares = torch.softmax(torch.tensor(features) @ w.T + b, dim=1)
    mixed = (shares.unsqueeze(2) * torch.tensor(votes)).sum(dim=1)
    match kind:
        case "routing":
            expected = torch.nn.functional.nll_loss(shares.log(), torch.tensor(labels))
        case "supervised":
            expected = torch.nn.functional.cross_entropy(mixed, torch.tensor(labels))
        case _:
            expected = torch.distributions.Categorical(logits=mixed).entropy().mean()
    if kind != "routing":
        expected = expected + 0.3 * (shares @ torch.tensor(epsilon)).square().mean()
    expected.backward()
    np.testing.assert_allclose(value, expected.item(), rtol=1e-10)
    np.testing.assert_allclose(found[0], w.grad.numpy(), atol=1e-12)
    np.testing.assert_allclose(found[1], b.grad.numpy(), atol=1e-12)


def test_alignment_is_nothing_where_all_models_are_aligned() -> None:
    examples = Examples(np.zeros((2, 1)), np.array([0, 1]), rng.normal(size=(2, MODELS, LABELS)))
    betas = softmax(rng.normal(size=(2, MODELS)))
    with_term = neulig_loss("supervised", np.zeros(MODELS), alpha=1e6)(betas, examples)
    without = neulig_loss("supervised", rng.normal(size=MODELS), alpha=0.0)(betas, examples)
    assert with_term[0] == without[0]
    assert np.array_equal(with_term[1], without[1])


def test_alignment_scores_are_summed_and_z_scored() -> None:
    experts = [{"a": rng.normal(size=(4, 5)), "b": rng.normal(size=3)} for _ in range(MODELS)]
    mean = {name: np.mean([own[name] for own in experts], axis=0) for name in experts[0]}
    sums = np.array([sum((own[name] - mean[name]).sum() for name in mean) for own in experts])
    np.testing.assert_allclose(alignment_scores(experts), (sums - sums.mean()) / sums.std(), rtol=1e-9)
    assert not alignment_scores([experts[0]] * MODELS).any()


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="no such loss: sum"):
        neulig_loss("sum", np.zeros(2))
