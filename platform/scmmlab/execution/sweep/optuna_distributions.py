"""The domains and the sampler of a sweep in Optuna's words."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from scmmlab.config import Choices, Domain, FloatRange, IntRange, SweepSpec

Value = bool | int | float | str | None


class Nsga2(NSGAIISampler):
    """NSGA-II (Deb et al. 2002) whose children do not depend on which of them was sampled first.

    Optuna hands the parents over by rank to the first child of a generation, and by number to the others.
    """

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """The parents of a generation, by number."""
        return sorted(super().get_parent_population(study, generation), key=lambda trial: trial.number)


def distribution(domain: Domain) -> BaseDistribution:
    """A domain of the search space in Optuna's words."""
    match domain:
        case Choices():
            return CategoricalDistribution(domain.choices)
        case IntRange():
            return IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step or 1)
        case FloatRange():
            return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)


def suggest(trial: optuna.Trial, path: str, domain: Domain) -> Value:
    """Have a trial sample a path."""
    match domain:
        case Choices():
            return trial.suggest_categorical(path, domain.choices)
        case IntRange():
            return trial.suggest_int(path, domain.low, domain.high, log=domain.log, step=domain.step or 1)
        case FloatRange():
            return trial.suggest_float(path, domain.low, domain.high, log=domain.log, step=domain.step)


def sampler_of(study: SweepSpec, seed: int) -> BaseSampler:
    """The sampler that a sweep asks for."""
    match study.sampler:
        case "random":
            return RandomSampler(seed=seed)
        case "nsga2":
            return Nsga2(population_size=study.population, seed=seed)
        case "tpe":
            with experimental():
                # those that are running count as bad where they are: several workers do not try the same spot
                return TPESampler(seed=seed, constant_liar=True)


@contextmanager
def experimental() -> Iterator[None]:
    """Without the warning that what is used here may change in another version of Optuna."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
