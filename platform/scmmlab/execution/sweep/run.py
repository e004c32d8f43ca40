"""A run of a sweep: tries the settings that are missing, and records what became of them."""

from __future__ import annotations

from scmmlab.config import SweepSpec
from scmmlab.execution.engine import STEP_S, Engine
from scmmlab.execution.events import (
    CheckpointSaved,
    EngineEvent,
    EpochEnded,
    SlotsUsed,
    TaskStarted,
)
from scmmlab.execution.local_engine import LocalEngine
from scmmlab.execution.progress import MakeProgress, Progress
from scmmlab.execution.run import StudyRun
from scmmlab.execution.summary import RunSummary
from scmmlab.execution.sweep.optuna_study import OptunaStudyAdapter
from scmmlab.execution.sweep.records import SweepRecords
from scmmlab.execution.sweep.rungs import Rungs
from scmmlab.execution.sweep.search import Search
from scmmlab.execution.sweep.setting import longest
from scmmlab.methods.registry import method_of
from scmmlab.study import Plan, ResultStore
from scmmlab.tracking import Tracker, TuneTrialRecord


class SweepRun(StudyRun):
    """One run of what is missing of a sweep.

    Parameters
    ----------
    plan : Plan
        The sweep.
    store : ResultStore
        Finished results, and where records go.
    engine : Engine
        Trains; not entered yet, and not entered at all where nothing is missing.
    tracker : Tracker
        Is notified of what happens.
    progress : Progress | None
        Shows it; one that `make_progress` makes when None.
    make_progress : callable
        By default the line on standard error.
    """

    def __init__(
        self,
        plan: Plan,
        store: ResultStore,
        engine: Engine,
        tracker: Tracker,
        progress: Progress | None = None,
        make_progress: MakeProgress = Progress,
    ):
        assert isinstance(plan.study, SweepSpec)
        self._plan, self._tracker = plan, tracker
        self._study = plan.study
        self._records = SweepRecords(plan, store)
        self._missing = self._records.missing(self._study.tune_trials)
        self._ran = 0
        progress = progress or make_progress(
            self._study.tune_trials,
            {str(number): 1.0 for number in self._missing},
            done=len(self._records.ended),
            noun="settings",
            ends_at=Rungs(self._study.asha, longest(self._study)).expected_end,
        )
        super().__init__(plan, store, engine, progress)
        self._used_slots = self._slots = 0

    @property
    def slots_used(self) -> float | None:
        """Share of slot-epochs in use so far; None where there were none."""
        return self._used_slots / self._slots if self._slots else None

    def run(self) -> RunSummary:
        """Try what is missing.

        Raises
        ------
        KeyboardInterrupt
            After SIGINT or SIGTERM; everything is stored then, and the next run resumes.
        ScmmlabError
            When the store or the engine fails.
        """
        for record in self._records.ended.values():
            self._tracker.finish_tune_trial(record)
        with self._interruptible():
            if self._missing:
                self._search()
        ended = [record for number, record in sorted(self._records.ended.items())]
        return RunSummary(
            total=max(self._study.tune_trials, len(ended)),
            finished=sum(record.settled for record in ended),
            ran=self._ran,
            failures=tuple(
                f"tune_trial {record.number}: {record.error}" for record in ended if record.state == "failed"
            ),
        )

    def _search(self) -> None:
        adapter = OptunaStudyAdapter(self._study, self._records.key, self._folder.local)
        useful = min(self._study.concurrency, len(self._missing))
        with self._entered_engine(useful, {method_of(self._study.base).runs_on: useful}):
            search = self._make_search(adapter)
            try:
                while not search.done:
                    self._check_interruption()
                    for record in search.step(self._on_event, STEP_S):
                        self._ended(record)
                    self._show(search.running)
            finally:
                search.stop()

    def _make_search(self, adapter: OptunaStudyAdapter) -> Search:
        ended = dict(self._records.ended)
        if isinstance(self._engine, LocalEngine):
            return Search(self._engine, self._plan, ended, adapter, self._checkpoints)
        from scmmlab.execution.ray.engine import RayEngine
        from scmmlab.execution.sweep.tune_search import TuneSearch

        assert isinstance(self._engine, RayEngine)
        return TuneSearch(self._engine, self._plan, ended, adapter, self._checkpoints)

    def _checkpoints(self, key: str) -> dict[tuple[str, str], bytes]:
        data = self._store.load_checkpoint(key, "probe")
        if data is None:
            return {}
        self._progress.resume(_number(key))
        return {(key, "probe"): data}

    def _on_task_event(self, event: EngineEvent) -> None:
        match event:
            case TaskStarted():
                self._progress.begin(event.worker)
            case EpochEnded():
                self._progress.advance(_number(event.key), event.epoch / event.epochs)
            case SlotsUsed():
                self._used_slots += event.used
                self._slots += event.there
                self._progress.slots(self._used_slots / self._slots)
            case CheckpointSaved() if int(_number(event.key)) not in self._records.ended:
                self._store.save_checkpoint(event.key, event.stage, event.data)

    def _ended(self, record: TuneTrialRecord) -> None:
        self._ran += 1
        self._records.add(record)
        if record.settled:
            self._store.delete_checkpoints(f"{record.key}-{record.number}")
        self._tracker.finish_tune_trial(record)
        self._progress.end(str(record.number))

    def _show(self, running: int) -> None:
        states = [record.state for record in self._records.ended.values()]
        failed = states.count("failed")
        self._progress.counts(len(states) - failed, running, failed)
        self._tracker.progress(len(states) - failed, failed, self._study.tune_trials, self.slots_used)


def _number(key: str) -> str:
    """The number in the key of a setting's training."""
    return key.rpartition("-")[2]
