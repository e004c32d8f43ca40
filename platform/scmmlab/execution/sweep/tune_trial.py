"""What Tune runs as a tune_trial: light, as there are as many processes of it as settings are tried at a time."""

from __future__ import annotations

from typing import Any

import ray
import ray.tune

from scmmlab.execution.ray.broker import Progress
from scmmlab.training import StageFailure

METRIC, TIME = "probe", "epoch"
ERROR, CAUSE = "error", "cause"
"""In the last report of a tune_trial that came to nothing."""
WAIT_S = 10.0
"""A tune_trial waits so long for news before it asks again."""
GATHER_S = 60.0
"""The first tune_trials wait so long for each other's processes."""


def tune_trial(config: dict[str, Any], broker: Any, processes: int) -> None:
    """Follow a setting's training, once there is one to follow, and pass its probes on to Tune.

    Tune starts a process for a new tune_trial, and kills it if another becomes free before it is up. Short trainings
    would have it do nothing else, so the first tune_trials hold their news back until all processes are there.

    Parameters
    ----------
    config : dict
        ``name`` of the tune_trial.
    broker : ActorHandle
        The broker, which is offered the setting's task.
    processes : int
        How many of them there will be.
    """
    ray.get(broker.gather.remote(ray.get_runtime_context().get_actor_id(), processes, GATHER_S))
    key = None
    while key is None:
        key = ray.get(broker.follow.remote(config["name"], WAIT_S))
    try:
        _pass_on(key, broker)
    finally:
        broker.leave.remote(key)


def _pass_on(key: str, broker: Any) -> None:
    seen = 0
    while True:
        progress: Progress = ray.get(broker.progress.remote(key, seen, WAIT_S))
        for probe in progress.epochs:
            seen += 1
            ray.tune.report({TIME: probe.epoch, "epochs": probe.epochs, METRIC: probe.metrics[METRIC]})
        failure = progress.outcome
        if isinstance(failure, StageFailure):
            ray.tune.report({TIME: seen, METRIC: float("nan"), ERROR: failure.error, CAUSE: failure.cause})
        if progress.outcome is not None:
            return
