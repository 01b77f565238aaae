"""The losses of the Portland network, each with its gradient at the network's weights (section 3).

A head is linear, head(sum_i beta_i z_i) = sum_i beta_i head(z_i) as the betas sum to 1: so all that a loss needs of the
models is what every one of them makes of an input, through the head of the input's task.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from merge_builder.tuning.neulig.portland import Floats, softmax

ALPHA = 1 / 100  # of the alignment term


@dataclass(frozen=True)
class Examples:
    """Inputs of one task: `features` (n, features) for the network; their `labels` (n,), where a loss looks at them.

    `logits` (n, models, labels) is what the task's head makes of each model's features of an input.
    """

    features: Floats
    labels: NDArray[np.int64]
    logits: Floats | None = None

    def take(self, rows: NDArray[np.int64]) -> "Examples":
        """Some of them."""
        return Examples(self.features[rows], self.labels[rows], None if self.logits is None else self.logits[rows])


# Of betas (n, models) and their examples, the mean loss and its gradient at the betas, (n, models).
Loss = Callable[[Floats, Examples], tuple[float, Floats]]


def neulig_loss(kind: str, epsilon: Floats, alpha: float = ALPHA) -> Loss:
    """alpha L_a + L_b. L_b is the cross-entropy of the mixture's answer ("supervised"), or its entropy ("entropy"),
    which looks at no labels. L_a is the mean of (sum_i beta_i epsilon_i)^2 (`merging.alignment_scores`).

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in ("supervised", "entropy"):
        raise ValueError(f"no such loss: {kind}")
    answer_loss = _cross_entropy if kind == "supervised" else _entropy

    def loss(betas: Floats, examples: Examples) -> tuple[float, Floats]:
        assert examples.logits is not None, "what is mixed has answers"
        mixed = np.einsum("nm,nmc->nc", betas, examples.logits)
        value, at_logits = answer_loss(mixed, examples.labels)
        aligned = betas @ epsilon
        at_betas = np.einsum("nc,nmc->nm", at_logits, examples.logits)
        at_betas += alpha * 2 / len(betas) * aligned[:, None] * epsilon
        return value + alpha * float(np.mean(aligned**2)), at_betas

    return loss


def routing_loss(betas: Floats, examples: Examples) -> tuple[float, Floats]:
    """The mean of -log beta_t, where the labels t are the numbers of the inputs' own models: which model, and not what
    it answers. Of a mixture whose models each answer with their own number for sure, it is the cross-entropy."""
    rows = np.arange(len(betas))
    own = np.maximum(betas[rows, examples.labels], 1e-300)
    at_betas = np.zeros_like(betas)
    at_betas[rows, examples.labels] = -1 / own / len(betas)
    return float(-np.log(own).mean()), at_betas


def at_weights(betas: Floats, at_betas: Floats, features: Floats) -> tuple[Floats, Floats]:
    """The gradient at a network's `weight` and `bias`, from that at the betas it gave."""
    at_scores = betas * (at_betas - (betas * at_betas).sum(axis=1, keepdims=True))
    return at_scores.T @ features, at_scores.sum(axis=0)


def _cross_entropy(logits: Floats, labels: NDArray[np.int64]) -> tuple[float, Floats]:
    shares, rows = softmax(logits), np.arange(len(labels))
    value = -np.log(np.maximum(shares[rows, labels], 1e-300)).mean()
    shares[rows, labels] -= 1
    return float(value), shares / len(labels)


def _entropy(logits: Floats, _labels: NDArray[np.int64]) -> tuple[float, Floats]:
    shares = softmax(logits)
    logs = np.log(np.maximum(shares, 1e-300))
    entropies = -(shares * logs).sum(axis=1, keepdims=True)
    return float(entropies.mean()), -shares * (logs + entropies) / len(logits)
