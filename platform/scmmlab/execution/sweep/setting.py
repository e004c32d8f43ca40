"""A sampled setting, from the sampler to its task and to its record."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from scmmlab.config import Choices, SweepSpec
from scmmlab.errors import FailureCause, ScmmlabError
from scmmlab.execution.sweep.optuna_distributions import Value
from scmmlab.execution.sweep.optuna_study import plain_params
from scmmlab.execution.task import Task
from scmmlab.methods.registry import method_of
from scmmlab.study import Plan, sweep_request
from scmmlab.tracking import TuneTrialRecord
from scmmlab.training import SweepRequest


@dataclass
class SampledSetting:
    """A setting that is being tried."""

    number: int
    """Of the tune_trial."""
    params: dict[str, Value]
    """Dotted path → value."""
    key: str
    """Identity of its training; two tune_trials that try the same setting have the same."""
    task: Task | None
    """What trains it; None where its values are invalid together."""
    known: TuneTrialRecord | None = None
    """How it ended in an earlier run."""
    error: str | None = None
    """Why it failed."""
    cause: FailureCause | None = None
    """Why its training failed."""
    probes: list[tuple[int, float]] = field(default_factory=list)
    """(epoch, value) as they were reported."""
    over: bool = False
    """Whether its training has ended."""
    stopped: bool = False
    """Whether it was pruned."""
    concluded: bool = False
    """Whether it has its record; later probes do not count."""
    _taken: int = 0

    @property
    def trains(self) -> bool:
        """Whether there is pre-training."""
        return self._request.experiment.pretrains

    @property
    def reports(self) -> list[int]:
        """Epochs after which it reports a probe, if it is not stopped."""
        epochs, every = self._request.experiment.epochs("pretrain"), self._request.report_every
        return [*range(every, epochs, every), epochs] if self.trains else [epochs]

    @property
    def _request(self) -> SweepRequest:
        assert self.task is not None, "only what can be trained reports"
        (request,) = self.task.requests
        assert isinstance(request, SweepRequest)
        return request

    def add_probe(self, epoch: int, value: float) -> None:
        """Add a probe, unless it is known, as after a resume."""
        if self.error is not None:
            return
        if not math.isfinite(value):
            self.error, self.over = f"the probe after epoch {epoch} is not finite", True
        elif self.probe(epoch) is None:
            self.probes.append((epoch, value))

    def probe(self, epoch: int) -> float | None:
        """The probe after an epoch, where there is one."""
        return next((value for known, value in self.probes if known == epoch), None)

    def take_probes(self, epoch: int) -> list[tuple[int, float]]:
        """Probes up to an epoch that were not taken before."""
        taken = [probe for probe in self.probes[self._taken :] if probe[0] <= epoch]
        self._taken += len(taken)
        return taken

    def stop(self, epoch: int) -> None:
        """Prune it: whatever it did after that epoch does not count."""
        self.probes = [probe for probe in self.probes if probe[0] <= epoch]
        self.stopped, self.error, self.cause = True, None, None

    def replay(self, record: TuneTrialRecord) -> None:
        """Restore it from the record of an earlier run."""
        self.known, self.over = record, True
        self.probes, self.error, self.cause = list(record.intermediate), record.error, record.cause

    def was_stopped(self, epoch: int) -> bool:
        """Whether an earlier run stopped it by then."""
        return self.known is not None and self.known.state == "pruned" and self.probes[-1][0] <= epoch

    def record(self) -> TuneTrialRecord:
        """The setting as it ended."""
        if self.known is not None:
            return self.known
        state: Literal["complete", "pruned", "failed"] = "pruned" if self.stopped else "complete"
        if self.error is not None:
            state = "failed"
        return TuneTrialRecord(
            number=self.number,
            key=self.key,
            params=plain_params(self.params),
            intermediate=tuple(self.probes),
            value=self.probes[-1][1] if state == "complete" else None,
            state=state,
            error=self.error,
            cause=self.cause,
        )


def make_setting(plan: Plan, number: int, params: dict[str, Value]) -> SampledSetting:
    """The setting of tune_trial `number`, with the task that tries it."""
    assert isinstance(plan.study, SweepSpec)
    try:
        cell = plan.sampled(f"tune_trial {number}", params)
    except ScmmlabError as error:
        return SampledSetting(number, params, key=f"invalid-{number}", task=None, error=error.message)
    # the same setting may be tried twice at the same time: a training's key has the number too
    request = replace(sweep_request(cell, plan.study), key=f"{cell.key}-{number}")
    task = Task(f"sweep-{request.key}", [request], runs_on=method_of(cell.experiment).runs_on)
    return SampledSetting(number, params, key=cell.key, task=task)


def longest(study: SweepSpec) -> int:
    """Epochs of the longest setting."""
    budget = study.base.budget
    base, domain = study.base.epochs("pretrain"), study.space.get(budget) if budget else None
    if domain is None:
        return base
    sampled = domain.choices if isinstance(domain, Choices) else (domain.high,)
    # under a condition, some settings have the base's
    values = (*sampled, base) if domain.when else sampled
    return max(value for value in values if isinstance(value, int))
