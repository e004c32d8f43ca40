"""The function of Tune's trials: light, as there are as many processes of it as settings are trained at a time."""

from __future__ import annotations

from typing import Any

import ray
import ray.tune

from scmmlab.execution.ray.messages import BrokerHandle, get
from scmmlab.training import StageFailure

METRIC, TIME = "probe", "epoch"
WAIT_S = 10.0
"""A trial waits so long for progress before it asks again."""
GATHER_S = 60.0
"""The first trials wait so long for each other's processes."""


def tune_trial(config: dict[str, Any], broker: BrokerHandle, processes: int) -> None:
    """Follow a setting's training, once there is one to follow, and report its probes to Tune.

    Tune starts a process for a new trial, and kills it if another becomes free before it has started. Short trainings
    would have it do nothing else, so the first trials hold their reports back until all processes are there.

    Parameters
    ----------
    config : dict
        ``name`` of the trial.
    broker : BrokerHandle
        The broker, which has the settings' tasks.
    processes : int
        How many of them there will be.
    """
    get(broker.gather.remote(ray.get_runtime_context().get_actor_id(), processes, GATHER_S))
    key = None
    while key is None:
        key = get(broker.follow.remote(config["name"], WAIT_S))
    seen = 0
    while True:
        update = get(broker.update.remote(key, seen, WAIT_S))
        for probe in update.epochs:
            seen += 1
            ray.tune.report({TIME: probe.epoch, "epochs": probe.epochs, METRIC: probe.metrics[METRIC]})
        if isinstance(update.outcome, StageFailure):
            ray.tune.report({TIME: seen, METRIC: float("nan"), "error": update.outcome.error})
        if update.ended:
            break
    get(broker.unfollow.remote(key))
