"""Training the Portland network: Adam over the tasks in turn, on features that were computed before."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from merge_builder.tuning.neulig.losses import Examples, Loss, at_weights
from merge_builder.tuning.neulig.portland import Floats, Portland, softmax


@dataclass(frozen=True)
class Schedule:
    """`epochs` passes over all tasks' examples in batches of `batch` of one task, with Adam's `rate`.

    With `patience`, training ends after so many epochs in which the loss on the examples to watch did not fall, and the
    best network is what comes out.
    """

    epochs: int = 1000
    batch: int = 128
    rate: float = 1e-3
    patience: int | None = None
    seed: int = 0


def train(
    start: Portland, tasks: Sequence[Examples], loss: Loss, schedule: Schedule, watched: Sequence[Examples] = ()
) -> Portland:
    """The network after training on `tasks`, whose batches take turns in an order drawn by the seed: the same inputs
    give the same network.

    Without `watched` examples (of each task) it is the last one.
    """
    weights = [start.weight.copy(), start.bias.copy()]
    adam, draw = [_Adam(own.shape) for own in weights], np.random.default_rng(schedule.seed)
    best, least, waited = start, _mean_loss(start, watched, loss), 0
    for _ in range(schedule.epochs):
        for examples in _batches(tasks, schedule.batch, draw):
            betas = softmax(examples.features @ weights[0].T + weights[1])
            _, at_betas = loss(betas, examples)
            for own, state, gradient in zip(weights, adam, at_weights(betas, at_betas, examples.features), strict=True):
                own -= state.step(gradient, schedule.rate)
        if watched:
            now = Portland(weights[0].copy(), weights[1].copy())
            found = _mean_loss(now, watched, loss)
            best, least, waited = (now, found, 0) if found < least else (best, least, waited + 1)
            if schedule.patience is not None and waited >= schedule.patience:
                break
    return best if watched else Portland(*weights)


def _batches(tasks: Sequence[Examples], size: int, draw: np.random.Generator) -> list[Examples]:
    """All examples in batches of one task each, the tasks in turn."""
    turns: list[tuple[int, int, Examples]] = []
    for number, own in enumerate(tasks):
        order = draw.permutation(len(own.features))
        turns += [
            (place, number, own.take(order[at : at + size])) for place, at in enumerate(range(0, len(order), size))
        ]
    return [examples for _, _, examples in sorted(turns, key=lambda turn: turn[:2])]


def _mean_loss(network: Portland, tasks: Sequence[Examples], loss: Loss) -> float:
    losses = [loss(softmax(own.features @ network.weight.T + network.bias), own)[0] for own in tasks]
    return float(np.mean(losses)) if losses else np.inf


@dataclass
class _Adam:
    """Adam (Kingma and Ba 2015) for one array."""

    shape: tuple[int, ...]
    steps: int = 0
    mean: Floats = field(init=False)
    square: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.mean, self.square = np.zeros(self.shape), np.zeros(self.shape)

    def step(self, gradient: Floats, rate: float) -> Floats:
        """What is to be subtracted."""
        self.steps += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        mean, square = self.mean / (1 - 0.9**self.steps), self.square / (1 - 0.999**self.steps)
        return np.asarray(rate * mean / (np.sqrt(square) + 1e-8))
