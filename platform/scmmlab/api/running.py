"""Running a study, as a whole or in parts: who drives it, what records it, and who writes its report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scmmlab.api.active_cells import ActiveCells
from scmmlab.api.recording import Notify, open_tracker, owner_of
from scmmlab.api.reports import write_study_report
from scmmlab.api.views import Run
from scmmlab.config import study_yaml
from scmmlab.errors import BusyError
from scmmlab.execution.engines import EngineName, run_study
from scmmlab.execution.progress import MakeProgress
from scmmlab.execution.summary import RunSummary
from scmmlab.study import (
    Plan,
    ResultStore,
    Shard,
    describe,
    is_complete,
    known_identity,
    plan_of_shard,
    study_identity,
    study_lease,
    study_status,
)
from scmmlab.study.attempts import note_attempt
from scmmlab.tracking import Tracker, versions
from scmmlab.tracking.links import parent_run_page

OTHERS_UNFINISHED = "Other parts are not finished yet; the last one to finish writes the report."
OTHER_WRITES = "All other parts are finished too; another driver writes the report."


@dataclass(frozen=True)
class Running:
    """How a study is to be run."""

    plan: Plan
    """The study."""
    store: ResultStore
    """Where results go."""
    folder: Path | None
    """Whose commit is noted; the current one when None."""
    engine: EngineName
    """What runs it."""
    make_progress: MakeProgress
    """Makes what shows it."""
    tracking_uri: str | None
    """As for `open_tracker`."""
    with_report: bool
    """Whether the report is written."""
    busy_hint: str
    """The next step where another driver has the study."""
    notify: Notify
    """Is given a sentence on where it is recorded."""

    def whole(self) -> Run:
        """Run what is missing, record it and write the report."""
        plan, store, name = self.plan, self.store, self.plan.study.name
        folder = store.study_folder(name)
        found = versions(self.folder)
        with study_lease(folder, name, self.busy_hint) as lease:
            opened, tracked_at = open_tracker(self.tracking_uri, store, name, self.notify)
            with ActiveCells(lease, opened) as tracker:
                write_plan(plan, store, found)
                text = describe(plan, study_status(plan, store).done)
                tracker.start_study(name, plan.study.model_dump(mode="json"), text, found)
                summary = self._run(plan, tracker)
                report = write_study_report(plan, store) if self.with_report else None
                tracker.finish_study(report.paths.html.parent if report else None, complete=summary.complete)
        return Run(summary, report, tracked_at, self._page if tracked_at else None)

    def part(self, part: Shard, ended: Callable[[RunSummary], None]) -> Run:
        """Run a part, and finish the study where no other part has anything left to do."""
        plan, store = self.plan, self.store
        mine = plan_of_shard(plan, part)
        with study_lease(store.study_folder(plan.study.name), plan.study.name, self.busy_hint, part) as lease:
            write_plan(plan, store, versions(self.folder))
            # no MLflow: parts at work at the same time would write its parent run over each other
            summary = self._run(mine, ActiveCells(lease, Tracker()))
        ended(summary)
        if not summary.complete:
            return Run(summary, part=part)
        if not is_complete(plan, store):
            return Run(summary, part=part, left=OTHERS_UNFINISHED)
        try:
            return self.whole()
        except BusyError:
            # by a part that is just letting go, which looks at the store after this one, or by one that writes it
            return Run(summary, part=part, left=OTHER_WRITES)

    def _page(self) -> str | None:
        """The study's page on the MLflow server, asked for when somebody wants to know."""
        name = self.plan.study.name
        owner = owner_of(self.store, name, known_identity(self.store.study_folder(name)))
        return parent_run_page(self.tracking_uri or "", name, owner)

    def _run(self, plan: Plan, tracker: Tracker) -> RunSummary:
        return run_study(plan, self.store, self.engine, tracker, self.make_progress)


def write_plan(plan: Plan, store: ResultStore, versions: Mapping[str, str]) -> None:
    """Leave word in the study's folder of what is run, and with which versions."""
    folder = store.study_folder(plan.study.name)
    study_identity(folder)  # a study that has a plan and no identity was begun before there were any
    folder.write_text("spec.yaml", study_yaml(plan.study))
    folder.write_text("plan.json", json.dumps(plan.to_json(), indent=1) + "\n")
    note_attempt(plan, store, versions)
