"""A sampled setting on its way from the sampler to a worker and back to a record."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from scmmlab.config import Choices, SweepSpec
from scmmlab.errors import FailureCause, ScmmlabError
from scmmlab.execution.optuna_book import plain_params
from scmmlab.execution.optuna_words import Value
from scmmlab.execution.task import Task
from scmmlab.study import Plan, sweep_request
from scmmlab.tracking import TuneTrialRecord


@dataclass
class Setting:
    """A setting that is being tried."""

    number: int
    """Of the tune_trial."""
    params: dict[str, Value]
    """Dotted path → value."""
    key: str
    """Identity of its training; two tune_trials that try the same setting have the same."""
    task: Task | None
    """What a worker is to do; None where the values do not go together."""
    error: str | None = None
    """Why it came to nothing."""
    cause: FailureCause | None = None
    """What its training died of."""
    probes: list[tuple[int, float]] = field(default_factory=list)
    """(epoch, value) as they were reported."""
    stopped: bool = False
    """Whether it was pruned."""

    def add_probe(self, epoch: int, value: float) -> bool:
        """Note a probe; False where it was known, which happens after a resume."""
        if not math.isfinite(value):
            self.error = f"the probe after epoch {epoch} is not finite"
            return False
        if any(known == epoch for known, _ in self.probes):
            return False
        self.probes.append((epoch, value))
        return True

    def record(self) -> TuneTrialRecord:
        """The setting as it ended."""
        state: Literal["complete", "pruned", "failed"] = "pruned" if self.stopped else "complete"
        error = self.error
        if error is None and not self.probes:
            error = "it ended without a probe"
        if error is not None:
            state = "failed"
        return TuneTrialRecord(
            number=self.number,
            key=self.key,
            params=plain_params(self.params),
            intermediate=tuple(self.probes),
            value=self.probes[-1][1] if state == "complete" else None,
            state=state,
            error=error,
            cause=self.cause,
        )


def make_setting(plan: Plan, number: int, params: dict[str, Value]) -> Setting:
    """The setting of tune_trial `number`, with the task that tries it."""
    assert isinstance(plan.study, SweepSpec)
    try:
        cell = plan.sampled(f"tune_trial {number}", params)
    except ScmmlabError as error:
        return Setting(number, params, key=f"invalid-{number}", task=None, error=error.message)
    # the same setting may be tried twice at a time: a training's key has the number too
    request = replace(sweep_request(cell, plan.study), key=f"{cell.key}-{number}")
    return Setting(number, params, key=cell.key, task=Task(f"sweep-{request.key}", [request]))


def longest(study: SweepSpec) -> int:
    """Epochs of the longest setting."""
    base, domain = study.base.pretrain.epochs, study.space.get("pretrain.epochs")
    if domain is None:
        return base
    sampled = domain.choices if isinstance(domain, Choices) else (domain.high,)
    # under a condition, some settings have the base's
    values = (*sampled, base) if domain.when else sampled
    return max(value for value in values if isinstance(value, int))
