"""The Portland network: one linear layer and a softmax, from an input's features to a weight a model (section 3).

network = zeros(models=8, features=8 * 384)
betas = network.betas(features)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Portland:
    """`weight`, float64 (models, features), and `bias`, float64 (models,)."""

    weight: Floats
    bias: Floats

    def betas(self, features: Floats) -> Floats:
        """Weights of the models, (n, models), for `features`, (n, features): positive, and of sum 1 in each row.

        Row by row, so that a row's weights do not depend on its company, down to the last bit.
        """
        rows = [self.weight @ np.ascontiguousarray(row) + self.bias for row in features]
        return softmax(np.array(rows).reshape(len(features), len(self.bias)))


def zeros(models: int, features: int) -> Portland:
    """A network of zeros: whatever the input, every model weighs alike, so what is merged is the plain average."""
    return Portland(np.zeros((models, features)), np.zeros(models))


def softmax(scores: Floats) -> Floats:
    """Along the last axis."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))
