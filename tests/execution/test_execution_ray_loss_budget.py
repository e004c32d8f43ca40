"""Failures and preemptions of workers are counted apart."""

from __future__ import annotations

import pytest

from scmmlab.errors import ResourceError
from scmmlab.execution.events import WorkerLost
from scmmlab.execution.ray.loss_budget import LossBudget


def lost(kind: str) -> WorkerLost:
    return WorkerLost("worker 1", kind, "its process died unexpectedly")


def test_failure_beyond_the_budget_ends_the_run_with_the_last_one_named():
    budget = LossBudget(max_failures=1)
    budget.count(lost("crash"))
    budget.check("/logs")
    budget.count(lost("out_of_memory"))
    budget.count(lost("preemption"))
    with pytest.raises(ResourceError) as caught:
        budget.check("/logs")
    assert caught.value.message == (
        "Workers failed 2 times, and resources.max_failures allows 1; the last time worker 1 was lost: its process "
        "died unexpectedly."
    )
    assert "pack_size" in caught.value.hint


@pytest.mark.parametrize("kind", ["preemption", "machine"])
def test_any_number_of_workers_that_are_taken_away_uses_up_no_failure(kind):
    budget = LossBudget(max_failures=0)
    for _ in range(100):
        budget.count(lost(kind))
    budget.check("/logs")


def test_preemptions_and_lost_machines_can_be_limited():
    budget = LossBudget(max_failures=0, max_preemptions=1)
    budget.count(lost("preemption"))
    budget.check(None)
    budget.count(lost("machine"))
    with pytest.raises(ResourceError, match="taken away 2 times"):
        budget.check(None)
