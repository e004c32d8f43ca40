"""The sweep's Optuna study: which setting comes next, and what became of the others.

The result store holds what has ended; each run asks for and tells it again, so that the Optuna study is rebuilt: the
two cannot disagree, and no tune_trial stays running forever. The study has the sweep's name and the first digits of the
search's identity, and a storage of its own, so that two sweeps never share one. `optuna-dashboard` opens the storage.
On a network file system there is none: the search runs in memory.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState

from scmmlab.config import SweepSpec, is_searched, sampling_order
from scmmlab.execution.sweep.optuna_distributions import Value, experimental, make_sampler, suggest
from scmmlab.tracking import TuneTrialRecord
from scmmlab.tracking.mounts import sqlite_uri, why_no_sqlite

_log = logging.getLogger(__name__)

DATABASE = "optuna.db"
DIRECTIONS = {"probe": "maximize", "epochs": "minimize"}
"""Objective → which way it is better."""
_METRIC_NAMES = {"probe": "validation balanced accuracy", "epochs": "epochs"}
KEY_DIGITS = 8
"""Of the search's identity, in the study's name."""
_NUMBER = "number"

_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


class OptunaStudyAdapter:
    """Asks Optuna for settings, and tells it how they ended.

    Parameters
    ----------
    study : SweepSpec
        The sweep.
    search_key : str
        Identity of the search.
    folder : Path | None
        Where the storage is; in memory when None, or where SQLite must not be.
    """

    def __init__(self, study: SweepSpec, search_key: str, folder: Path | None):
        self._spec = study
        self._order = sampling_order(study.space)
        self._multi_objective = len(study.objectives) > 1
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(
            storage=_new_storage(folder),
            study_name=f"{study.name}-{search_key[:KEY_DIGITS]}",
            directions=[DIRECTIONS[objective] for objective in study.objectives],
            load_if_exists=False,
        )
        with experimental():
            self.study.set_metric_names([_METRIC_NAMES[objective] for objective in study.objectives])
        self._asked: dict[int, optuna.Trial] = {}

    def ask(self, number: int, known: Mapping[str, Value] | None = None) -> dict[str, Value]:
        """The setting of tune_trial `number`: one of the points that come first, or sampled.

        Paths whose conditions do not hold are not in it. `known` is what an earlier run sampled, which is returned
        again.
        """
        # a sampler of its own for each number: a resumed run samples as one that was never stopped
        self.study.sampler = make_sampler(self._spec, _seed(self._spec.seeds[0], number))
        point = self._spec.points[number] if number < len(self._spec.points) else {}
        fixed = point if known is None else known
        if fixed:
            self.study.enqueue_trial(dict(fixed), user_attrs={_NUMBER: number})
        trial = self.study.ask()
        params: dict[str, Value] = {}
        for path in self._order:
            if is_searched(path, params, self._spec.space, self._spec.base):
                params[path] = suggest(trial, path, self._spec.space[path])
        if known is not None and not params.keys() <= point.keys():
            # NSGA-II counts generations by what it has sampled, and has not been asked
            trial.relative_params  # noqa: B018
        trial.set_user_attr(_NUMBER, number)
        self._asked[number] = trial
        return params

    def report(self, number: int, epoch: int, value: float) -> None:
        """A probe of a tune_trial that is running."""
        # with several objectives Optuna accepts no intermediate values: they are told at the end
        if not self._multi_objective:
            self._asked[number].report(value, epoch)

    def tell(self, record: TuneTrialRecord) -> None:
        """A tune_trial has ended; a pruned one keeps the probes that were reported."""
        trial = self._asked.pop(record.number)
        for name, value in self._attributes(record).items():
            trial.set_user_attr(name, value)
        self.study.tell(trial, self._values(record), state=_STATES[record.state])

    def _values(self, record: TuneTrialRecord) -> list[float] | None:
        """The objectives of a setting that was trained to the end."""
        if record.state != "complete":
            return None
        epoch, probe = record.intermediate[-1]
        found = {"probe": probe, "epochs": float(epoch)}
        return [found[objective] for objective in self._spec.objectives]

    def _attributes(self, record: TuneTrialRecord) -> dict[str, Any]:
        """What Optuna has no field for, where `optuna-dashboard` shows it."""
        attributes: dict[str, Any] = {_NUMBER: record.number}
        if record.error is not None:
            attributes["error"] = record.error
        if self._multi_objective and record.intermediate:
            epoch, probe = record.intermediate[-1]
            probes = {str(epoch): value for epoch, value in record.intermediate}
            attributes |= {"last probe": probe, "last epoch": epoch, "probes by epoch": probes}
        return attributes


def _seed(seed: int, number: int) -> int:
    """From the study's seed alone: what a sweep samples does not depend on keys, data or edits of the code."""
    return int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:4], "little")


def _new_storage(folder: Path | None) -> BaseStorage | None:
    if folder is None:
        return None
    database = folder / DATABASE
    reason = why_no_sqlite(database)
    if reason is not None:
        _log.warning(
            "There is no %s for optuna-dashboard: %s. The search runs in memory; the store has all settings that have "
            "ended.",
            database,
            reason,
        )
        return None
    database.unlink(missing_ok=True)
    return RDBStorage(sqlite_uri(database))


def plain_params(params: Mapping[str, Value]) -> dict[str, Value]:
    """Params as they are recorded: sorted by path."""
    return {path: params[path] for path in sorted(params)}
