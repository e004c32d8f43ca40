"""The domains and the sampler of a sweep as Optuna's."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from scmmlab.config import Choices, Domain, FloatRange, IntRange, SweepSpec

Value = bool | int | float | str | None


class Nsga2(NSGAIISampler):
    """NSGA-II (Deb et al. 2002) whose children do not depend on which of them was sampled first.

    Optuna orders the parents by rank for the first child of a generation, and by number for the others.
    """

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """The parents of a generation, by number."""
        return sorted(super().get_parent_population(study, generation), key=lambda trial: trial.number)


def suggest(trial: optuna.Trial, path: str, domain: Domain) -> Value:
    """Have a trial sample a path."""
    match domain:
        case Choices():
            return trial.suggest_categorical(path, domain.choices)
        case IntRange():
            return trial.suggest_int(path, domain.low, domain.high, log=domain.log, step=domain.step or 1)
        case FloatRange():
            return trial.suggest_float(path, domain.low, domain.high, log=domain.log, step=domain.step)


def make_sampler(study: SweepSpec, seed: int) -> BaseSampler:
    """The sampler that a sweep asks for."""
    match study.sampler:
        case "random":
            return RandomSampler(seed=seed)
        case "nsga2":
            return Nsga2(population_size=study.population, seed=seed)
        case "tpe":
            with experimental():
                # running settings count as bad, so that several workers do not try the same region
                return TPESampler(seed=seed, constant_liar=True)


@contextmanager
def experimental() -> Iterator[None]:
    """Without the warning that a feature may change in another version of Optuna."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
