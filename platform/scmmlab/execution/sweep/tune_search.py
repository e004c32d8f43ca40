"""The search with Ray Tune: OptunaSearch samples, ASHA prunes, and the gang's workers train.

A tune_trial of Tune's is a light function that follows a setting's training at the broker, passes its probes on to
Tune, and has the training cancelled when Tune stops it. It holds no CPU: all of them are the gang's. It is there before
its setting is sampled, as that may have to wait for others, and Tune would end its process meanwhile.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
import ray.tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from scmmlab.errors import TryAgainError
from scmmlab.execution.engine import Emit
from scmmlab.execution.own_folder import OwnFolder
from scmmlab.execution.ray.engine import RayEngine
from scmmlab.execution.ray.trainers import NODE_LABEL
from scmmlab.execution.sweep.optuna_study import DIRECTIONS, OptunaBook
from scmmlab.execution.sweep.search import Checkpoints, Search
from scmmlab.execution.sweep.tune_trial import CAUSE, ERROR, METRIC, TIME, tune_trial
from scmmlab.study import Plan
from scmmlab.tracking import TuneTrialRecord

METRICS = {"probe": METRIC, "epochs": TIME}
"""Objective → what a tune_trial's reports call it."""
ACTOR_FAILURES = 2
"""Times that a tune_trial's own light process may be lost."""
STOP_TIMEOUT_S = 20.0

TUNE_ENVIRONMENT = {
    # result files, TensorBoard: the store and the tracker have what is worth keeping
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Tune's own state is not gone on with
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "600",
    # a tune_trial's own trouble is told by the driver
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}


class TuneSearch(Search):
    """Tries several settings at a time.

    Parameters
    ----------
    engine : RayEngine
        Entered; its gang trains.
    plan, ended, book, checkpoints
        As of :class:`Search`.
    """

    def __init__(
        self,
        engine: RayEngine,
        plan: Plan,
        ended: Mapping[int, TuneTrialRecord],
        book: OptunaBook,
        checkpoints: Checkpoints,
    ):
        super().__init__(plan, ended, book, checkpoints)
        self._engine = engine
        self._waiting: deque[str] = deque()
        """Tune_trials that have no setting yet."""
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._trouble = "it gave no reason"
        self._folder = OwnFolder("tune")
        # as many tune_trials may be on their way into a process as there are processes, else Tune lets processes go
        environment = TUNE_ENVIRONMENT | {"TUNE_MAX_PENDING_TRIALS_PG": str(self._concurrency)}
        for name, value in environment.items():
            os.environ.setdefault(name, value)
        self._tuner = self._make_tuner(engine.broker())
        self._thread = threading.Thread(target=self._fit, name="scmmlab-tune", daemon=True)
        self._thread.start()

    def step(self, heard: Emit, timeout_s: float) -> list[TuneTrialRecord]:
        """Fetch the engine's events and the records that Tune's thread has made."""
        self._engine.step(heard, timeout_s)
        records = self._take_records()
        if self._left and not records and not self._thread.is_alive() and self._records.empty():
            raise TryAgainError(
                f"Ray Tune has ended with {self._left} settings left to try: {self._error or self._trouble}",
                hint=f"what is finished is kept, and the same command goes on; Ray's logs are in {self._engine.logs}",
            ) from self._error
        return records

    def stop(self) -> None:
        """Have Tune stop its trials, which cancel their trainings."""
        self._stopping.set()
        self._thread.join(STOP_TIMEOUT_S)
        self._folder.cleanup()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles what it is given, for a restore that is never made."""
        return {}

    # --- in Tune's thread

    def _fit(self) -> None:
        try:
            self._tuner.fit()
        except BaseException as error:  # for the driver's thread, which decides
            self._error = error

    def _make_tuner(self, broker: Any) -> ray.tune.Tuner:
        trial = ray.tune.with_parameters(tune_trial, broker=broker, processes=min(self._concurrency, self._left))
        return ray.tune.Tuner(
            ray.tune.with_resources(trial, _this_machine()),
            tune_config=ray.tune.TuneConfig(
                metric=METRIC,
                mode="max",
                search_alg=BookSearch(self),
                scheduler=RungScheduler(self),
                num_samples=self._left,
                reuse_actors=True,
            ),
            run_config=ray.tune.RunConfig(
                name=self._book.study.study_name,
                storage_path=self._folder.name,
                stop=StopAll(self),
                failure_config=ray.tune.FailureConfig(max_failures=ACTOR_FAILURES),
                verbose=0,
            ),
        )

    def seat(self, trial_id: str) -> dict[str, Any] | None:
        """Take in a new tune_trial of Tune's; None where enough are there."""
        seated = len(self._waiting)
        if seated + len(self._settings) >= self._concurrency or seated >= len(self._ready) + self._unsampled:
            return None
        self._waiting.append(trial_id)
        self._offer()
        return {"name": trial_id}

    def _offer(self) -> None:
        """Give what is ready to the tune_trials that wait."""
        while self._waiting and self._ready:
            trial_id, setting = self._waiting.popleft(), self._ready.popleft()
            assert setting.task is not None, "what cannot be trained is concluded when it is sampled"
            self._settings[trial_id] = setting
            self._engine.offer(trial_id, setting.task)

    @property
    def stopping(self) -> bool:
        """Whether what is being tried is to be abandoned."""
        return self._stopping.is_set()

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left to try for a new tune_trial."""
        return not self._unsampled and not self._ready

    def probed(self, trial_id: str, result: dict[str, Any]) -> bool:
        """A tune_trial has reported; False where it is to be stopped."""
        setting = self._settings.get(trial_id)
        if setting is None:
            return True
        if result.get(ERROR):
            if not setting.concluded:
                setting.error, setting.cause = result[ERROR], result.get(CAUSE)
            return True
        goes_on = self._probed(setting, result[TIME], result[METRIC])
        self._offer()
        # where the probe itself is at fault the error says so
        return goes_on and setting.error is None

    def ended(self, trial_id: str, error: bool) -> None:
        """A tune_trial is over."""
        setting = self._settings.pop(trial_id, None)
        if setting is None or self._stopping.is_set():
            # one that has no setting yet is to get none
            self._waiting = deque(waiting for waiting in self._waiting if waiting != trial_id)
            return
        if error and setting.error is None and not setting.concluded:
            # that is nothing about the setting: it has no record, and what depends on it waits for the next run
            self._stopping.set()
            return
        self._over(setting)
        self._offer()

    def troubled(self, error: str) -> None:
        """A tune_trial's own process, not its training, came to nothing, by the last line of `error`."""
        self._trouble = error.strip().rpartition("\n")[2]


class BookSearch(OptunaSearch):
    """OptunaSearch on the sweep's own study: pruned is told as pruned, failed as failed, and points come once.

    Parameters
    ----------
    search : TuneSearch
        Whose book is asked and told.
    """

    def __init__(self, search: TuneSearch):
        book = search._book
        super().__init__(
            space=book.distributions,
            metric=[METRICS[objective] for objective in book.objectives],
            mode=[DIRECTIONS[objective][:3] for objective in book.objectives],
            study_name=book.study.study_name,
            storage=book.study._storage,
            sampler=book.study.sampler,
        )
        self._search = search

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """A tune_trial that will have the next setting; None where enough are there."""
        if self._search.exhausted:
            finished: str = Searcher.FINISHED
            return finished
        return self._search.seat(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """The scheduler has passed the report on already."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A tune_trial is over, by itself, by the scheduler or by an error."""
        self._search.ended(trial_id, error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store is what a sweep goes on from."""


class RungScheduler(FIFOScheduler):
    """ASHA by our rungs, in the sweep's order, which can be made again from the store.

    Parameters
    ----------
    search : TuneSearch
        Whose order decides.
    """

    def __init__(self, search: TuneSearch):
        super().__init__()
        self._search = search

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Whether the tune_trial goes on."""
        if result.get("done"):
            return str(TrialScheduler.CONTINUE)
        go_on = self._search.probed(trial.trial_id, result)
        return str(TrialScheduler.CONTINUE if go_on else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Note why, for the case that it is not tried again."""
        if trial.error_file is not None:
            self._search.troubled(Path(trial.error_file).read_text(encoding="utf-8"))


class StopAll(ray.tune.Stopper):
    """Ends the search when it is asked to.

    Parameters
    ----------
    search : TuneSearch
        Which knows.
    """

    def __init__(self, search: TuneSearch):
        self._search = search

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single tune_trial is stopped here."""
        return False

    def stop_all(self) -> bool:
        """Whether it was asked."""
        return self._search.stopping


def _this_machine() -> ray.tune.PlacementGroupFactory:
    """A sliver of this machine itself, which is nobody's CPU; told by its label, as several may share an address."""
    here = ray.get_runtime_context().get_node_id()
    resources = next(node["Resources"] for node in ray.nodes() if node["NodeID"] == here)
    own = next(name for name in resources if name.startswith("node:") and "__" not in name)
    return ray.tune.PlacementGroupFactory([{own: 0.001}], bundle_label_selector=[{NODE_LABEL: here}])
