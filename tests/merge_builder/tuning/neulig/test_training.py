import numpy as np

from merge_builder.tuning.neulig import Examples, Schedule, neulig_loss, routing_loss, train, zeros

rng = np.random.default_rng(2)


def _tasks(count: int = 3, rows: int = 60) -> list[Examples]:
    centres = 3 * np.eye(count, 5)
    return [Examples(centres[k] + rng.normal(size=(rows, 5)), np.full(rows, k)) for k in range(count)]


def test_it_learns_which_model_an_input_is_for() -> None:
    network = train(zeros(3, 5), _tasks(), routing_loss, Schedule(epochs=60, batch=16, rate=0.05))
    for number, examples in enumerate(_tasks()):
        assert (network.betas(examples.features).argmax(axis=1) == number).mean() > 0.85


def test_it_learns_which_model_answers_right() -> None:
    """Model k is right on task k alone, and the loss sees only the answers."""
    tasks = []
    for number, examples in enumerate(_tasks()):
        labels = rng.integers(0, 2, len(examples.labels))
        logits = np.stack([np.eye(2)[labels if model == number else 1 - labels] for model in range(3)], axis=1)
        tasks.append(Examples(examples.features, labels, 4 * logits))
    network = train(zeros(3, 5), tasks, neulig_loss("supervised", np.zeros(3)), Schedule(epochs=60, rate=0.05))
    for number, examples in enumerate(tasks):
        assert network.betas(examples.features)[:, number].mean() > 0.7


def test_the_same_seed_gives_the_same_network_and_another_does_not() -> None:
    tasks = _tasks()
    first, again, other = (
        train(zeros(3, 5), tasks, routing_loss, Schedule(epochs=3, batch=16, seed=seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.weight, again.weight)
    assert not np.array_equal(first.weight, other.weight)


def test_the_network_that_does_best_on_watched_examples_is_kept() -> None:
    """Labels to learn from are of chance, so whatever is learned is worse on others than nothing."""
    tasks = [Examples(own.features, rng.integers(0, 3, len(own.labels))) for own in _tasks(rows=8)]
    watched = [Examples(own.features, (own.labels + 1) % 3) for own in _tasks()]
    schedule = Schedule(epochs=200, rate=0.1, patience=3)
    kept = train(zeros(3, 5), tasks, routing_loss, schedule, watched)
    last = train(zeros(3, 5), tasks, routing_loss, schedule)

    def loss(network) -> float:
        return float(np.mean([routing_loss(network.betas(own.features), own)[0] for own in watched]))

    assert loss(kept) <= loss(zeros(3, 5))
    assert loss(kept) < loss(last)
