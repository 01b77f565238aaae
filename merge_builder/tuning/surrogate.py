"""Optuna's samplers behind plain calls: points of a box by a Gaussian process, of a tree of choices by TPE."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from merge_builder.errors import InputError

if TYPE_CHECKING:
    import optuna

# Each coordinate's least and largest value.
Box = Mapping[str, tuple[float, float]]


def gaussian_process(
    box: Box,
    score: Callable[[Mapping[str, float]], float],
    first: Sequence[Mapping[str, float]],
    *,
    trials: int,
    starts: int,
    seed: int,
    at_once: int = 1,
    prepare: Callable[[Sequence[Mapping[str, float]]], None] = lambda _: None,
) -> None:
    """Score `trials` points of `box`: `first`, random ones up to `starts`, then those of largest expected improvement.

    Points are asked for `at_once` before any of them is scored, and `prepare` is told of them.

    A Gaussian process with a Matern kernel, noise fitted, log expected improvement (Optuna's GPSampler). The same seed
    and the same scores give the same points.

    Raises:
        InputError: Optuna is not installed.
    """
    module = _optuna()
    study = module.create_study(
        direction="maximize",
        sampler=module.samplers.GPSampler(seed=seed, n_startup_trials=starts, deterministic_objective=False),
    )
    for point in first[:trials]:
        study.enqueue_trial(dict(point))
    for begin in range(0, trials, at_once):
        asked = []
        for _ in range(min(at_once, trials - begin)):
            trial = study.ask()
            asked.append((trial, {name: trial.suggest_float(name, *ends) for name, ends in box.items()}))
        prepare([point for _, point in asked])
        for trial, point in asked:
            study.tell(trial, score(point))


@dataclass(frozen=True)
class Known:
    """A point that was asked for earlier: its parameters, Optuna's distributions of them, and how good it is."""

    parameters: Mapping[str, Any]
    distributions: Mapping[str, Any]
    score: float


class Tree:
    """Ask for points of a space with conditional parts, tell how good they are (Optuna's TPE, multivariate).

    It starts from `known`; before `starts` points are known, those asked for are random.
    """

    def __init__(self, seed: int, starts: int, known: Sequence[Known] = ()) -> None:
        module = _optuna()
        with warnings.catch_warnings():  # both options are marked as experimental
            warnings.simplefilter("ignore")
            sampler = module.samplers.TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=starts)
        self._study = module.create_study(direction="maximize", sampler=sampler)
        for one in known:
            trial = module.trial.create_trial(
                params=dict(one.parameters), distributions=dict(one.distributions), value=one.score
            )
            self._study.add_trial(trial)

    def ask(self, first: Mapping[str, Any] | None = None) -> "optuna.Trial":
        """A point, to be read off by `suggest_float` and `suggest_categorical`; `first`, if it is given."""
        if first is not None:
            self._study.enqueue_trial(dict(first))
        trial: optuna.Trial = self._study.ask()
        return trial

    def tell(self, trial: "optuna.Trial", score: float) -> None:
        """How good a point is; larger is better."""
        self._study.tell(trial, score)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise InputError("tuning needs Optuna: pip install 'mergeladder[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
