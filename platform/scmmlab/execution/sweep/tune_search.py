"""The search of a sweep shown in Ray Tune, for people who watch it there.

Each of Tune's trials is a light function that follows one setting's training at the broker and reports its probes to
Tune. It holds no CPU: those are the workers'. The search alone decides what is sampled and stopped; when Tune loses a
trial's process, or ends, the sweep continues.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import Any

import ray
import ray.tune
from ray.tune.search import Searcher

from scmmlab.execution.engine import OnEvent
from scmmlab.execution.own_folder import OwnFolder
from scmmlab.execution.ray.engine import RayEngine
from scmmlab.execution.ray.messages import BrokerHandle
from scmmlab.execution.ray.trainers import NODE_LABEL
from scmmlab.execution.sweep.optuna_study import OptunaStudyAdapter
from scmmlab.execution.sweep.search import Checkpoints, Search
from scmmlab.execution.sweep.tune_trial import METRIC, tune_trial
from scmmlab.execution.task import Task
from scmmlab.study import Plan
from scmmlab.tracking import TuneTrialRecord

ACTOR_FAILURES = 2
"""Times that a trial's own light process may be lost."""
STOP_TIMEOUT_S = 20.0

TUNE_ENVIRONMENT = {
    # no result files and TensorBoard: the store and the tracker have what is worth keeping
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Tune's own state is never restored
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "600",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}

_log = logging.getLogger(__name__)


class TuneSearch(Search):
    """The search on Ray, with a trial of Tune's for each setting that is trained.

    Parameters
    ----------
    engine : RayEngine
        Trains; entered.
    plan, ended, adapter, checkpoints
        As of :class:`Search`.
    """

    def __init__(
        self,
        engine: RayEngine,
        plan: Plan,
        ended: Mapping[int, TuneTrialRecord],
        adapter: OptunaStudyAdapter,
        checkpoints: Checkpoints,
    ):
        super().__init__(engine, plan, ended, adapter, checkpoints)
        self._ray_engine = engine
        self._submitted = 0
        self._stopping = threading.Event()
        self._ended_early = False
        self._folder = OwnFolder("tune")
        # as many trials may be waiting for a process as there are processes, else Tune ends processes
        environment = TUNE_ENVIRONMENT | {"TUNE_MAX_PENDING_TRIALS_PG": str(self._concurrency)}
        for name, value in environment.items():
            os.environ.setdefault(name, value)
        self._tuner = self._make_tuner(engine.broker(), adapter.study.study_name)
        self._thread = threading.Thread(target=self._fit, name="scmmlab-tune", daemon=True)
        self._thread.start()

    @property
    def trained(self) -> int:
        """Settings of this run that are trained in all, at most: of those not sampled yet, some may be invalid."""
        return self._submitted + len(self._ready) + self._unsampled

    @property
    def concurrency(self) -> int:
        """Settings that are trained at a time."""
        return self._concurrency

    @property
    def stopping(self) -> bool:
        """Whether Tune is to end."""
        return self._stopping.is_set()

    def step(self, on_event: OnEvent, timeout_s: float) -> list[TuneTrialRecord]:
        """As of :class:`Search`."""
        tune_runs = self._thread.is_alive()
        records = super().step(on_event, timeout_s)
        if not (tune_runs or self.done or self._ended_early):
            self._ended_early = True
            _log.warning("Ray Tune has ended and no longer shows the sweep, which continues; Ray's logs may say why.")
        return records

    def stop(self) -> None:
        """Have Tune end its trials."""
        self._stopping.set()
        self._thread.join(STOP_TIMEOUT_S)
        self._folder.cleanup()

    def _submit(self, task: Task) -> None:
        self._submitted += 1
        self._ray_engine.submit_followed(task)

    def _fit(self) -> None:
        try:
            self._tuner.fit()
        except BaseException as error:  # in a thread of its own, where nobody would see it
            _log.warning("Ray Tune failed: %s", error)

    def _make_tuner(self, broker: BrokerHandle, name: str) -> ray.tune.Tuner:
        processes = min(self._concurrency, self.trained)
        trial = ray.tune.with_parameters(tune_trial, broker=broker, processes=processes)
        return ray.tune.Tuner(
            ray.tune.with_resources(trial, _this_machine()),
            tune_config=ray.tune.TuneConfig(
                metric=METRIC, mode="max", search_alg=AdapterSearcher(self), num_samples=self._left, reuse_actors=True
            ),
            run_config=ray.tune.RunConfig(
                name=name,
                storage_path=self._folder.name,
                stop=StopAll(self),
                failure_config=ray.tune.FailureConfig(max_failures=ACTOR_FAILURES),
                verbose=0,
            ),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles what it is given, for a restore that is never made."""
        return {}


class AdapterSearcher(Searcher):
    """Has Tune start a trial for each setting that the search trains.

    A trial is there before its setting is sampled, as that may have to wait for others, and Tune would end its process
    meanwhile.

    Parameters
    ----------
    search : TuneSearch
        What is shown.
    """

    def __init__(self, search: TuneSearch):
        super().__init__(metric=METRIC, mode="max")
        self._search = search
        self._started = self._ended = 0

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """A trial that will follow the next training; None where enough are there."""
        if self._started >= self._search.trained:
            finished: str = Searcher.FINISHED
            return finished
        if self._started - self._ended >= self._search.concurrency:
            return None
        self._started += 1
        return {"name": trial_id}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial has ended."""
        self._ended += 1

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a sweep is resumed from the store."""


class StopAll(ray.tune.Stopper):
    """Ends Tune's run when the search is stopped.

    Parameters
    ----------
    search : TuneSearch
        Which knows.
    """

    def __init__(self, search: TuneSearch):
        self._search = search

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single trial is stopped here."""
        return False

    def stop_all(self) -> bool:
        """Whether the search is stopped."""
        return self._search.stopping


def _this_machine() -> ray.tune.PlacementGroupFactory:
    """A sliver of this machine's own resource, no CPU; selected by label, as several nodes may share an address."""
    here = ray.get_runtime_context().get_node_id()
    resources = next(node["Resources"] for node in ray.nodes() if node["NodeID"] == here)
    own = next(name for name in resources if name.startswith("node:") and "__" not in name)
    return ray.tune.PlacementGroupFactory([{own: 0.001}], bundle_label_selector=[{NODE_LABEL: here}])
