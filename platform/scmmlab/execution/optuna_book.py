"""The sweep's Optuna study: which setting comes next, and what became of the others.

The result store holds what has ended; the Optuna study is made from it anew by each run, so the two cannot disagree,
and no tune_trial is left running for ever. Its name is the search's identity and its storage is the sweep's own, so
that two sweeps never share one. `optuna-dashboard` opens the storage.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from scmmlab.config import Choices, FloatRange, IntRange, SweepSpec
from scmmlab.tracking import TuneTrialRecord

Value = bool | int | float | str | None

DATABASE = "optuna.db"
_NUMBER = "number"

_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


class OptunaBook:
    """Asks Optuna for settings, and tells it what became of them.

    Parameters
    ----------
    study : SweepSpec
        The sweep.
    search_key : str
        Identity of the search.
    folder : Path | None
        Where the storage is; in memory when None.
    ended : iterable of TuneTrialRecord
        What earlier runs have finished.
    """

    def __init__(self, study: SweepSpec, search_key: str, folder: Path | None, ended: Iterable[TuneTrialRecord]):
        self._spec = study
        self._search_key = search_key
        self.distributions = {path: distribution(domain) for path, domain in study.space.items()}
        """Optuna's words for the space."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(
            storage=_new_storage(folder), study_name=search_key, direction="maximize", load_if_exists=False
        )
        for record in sorted(ended, key=lambda record: record.number):
            self.study.add_trial(self._frozen(record))
        self._asked: dict[int, optuna.Trial] = {}

    def ask(self, number: int) -> dict[str, Value]:
        """The setting of tune_trial `number`: one of the points that come first, or sampled."""
        # a sampler of its own for each number: a run that goes on samples as one that was never stopped
        self.study.sampler = _sampler(self._spec.sampler, _seed(self._search_key, number))
        if number < len(self._spec.points):
            self.study.enqueue_trial(dict(self._spec.points[number]), user_attrs={_NUMBER: number})
        trial = self.study.ask(fixed_distributions=self.distributions)
        trial.set_user_attr(_NUMBER, number)
        self._asked[number] = trial
        return dict(trial.params)

    def report(self, number: int, epoch: int, value: float) -> None:
        """A probe of a tune_trial that is running."""
        self._asked[number].report(value, epoch)

    def tell(self, record: TuneTrialRecord) -> None:
        """A tune_trial has ended; a pruned one keeps the probes that were reported."""
        trial = self._asked.pop(record.number)
        state = _STATES[record.state]
        value = record.value if state is TrialState.COMPLETE else None
        self.study.tell(trial, value, state=state)

    def _frozen(self, record: TuneTrialRecord) -> FrozenTrial:
        intermediate = dict(record.intermediate)
        value = record.value
        if record.state == "pruned":
            # as Optuna's own tell does: the last probe stands for it
            value = record.intermediate[-1][1] if record.intermediate else None
        return create_trial(
            state=_STATES[record.state],
            params=dict(record.params),
            distributions=self.distributions,
            value=None if record.state == "failed" else value,
            intermediate_values=intermediate,
            user_attrs={_NUMBER: record.number},
        )


def distribution(domain: FloatRange | IntRange | Choices) -> BaseDistribution:
    """A domain of the search space in Optuna's words."""
    match domain:
        case Choices():
            return CategoricalDistribution(domain.choices)
        case IntRange():
            return IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step or 1)
        case FloatRange():
            return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)


def _sampler(name: str, seed: int) -> BaseSampler:
    if name == "random":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # those that are running count as bad where they are: several workers do not try the same spot
        return TPESampler(seed=seed, constant_liar=True)


def _seed(search_key: str, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{search_key} {number}".encode()).digest()[:4], "little")


def _new_storage(folder: Path | None) -> BaseStorage | None:
    if folder is None:
        return None
    database = folder / DATABASE
    database.unlink(missing_ok=True)
    return RDBStorage(f"sqlite:///{database}")


def plain_params(params: Mapping[str, Value]) -> dict[str, Value]:
    """Params as they are recorded: sorted by path."""
    return {path: params[path] for path in sorted(params)}
