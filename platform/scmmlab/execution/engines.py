"""Entry point of execution: run what is missing of a study, on an engine. Another engine is added in `make_engine`."""

from __future__ import annotations

import os
from functools import cache
from typing import Literal

from scmmlab.config import AblationSpec
from scmmlab.execution.engine import Engine
from scmmlab.execution.grid.run import GridRun
from scmmlab.execution.local_engine import LocalEngine
from scmmlab.execution.progress import MakeProgress, Progress
from scmmlab.execution.ray.requirements import check_ray
from scmmlab.execution.summary import RunSummary
from scmmlab.study import Plan, ResultStore
from scmmlab.tables import read_table
from scmmlab.tracking import Tracker

EngineName = Literal["ray", "local"]


def run_study(
    plan: Plan,
    store: ResultStore,
    engine: EngineName = "ray",
    tracker: Tracker | None = None,
    make_progress: MakeProgress = Progress,
) -> RunSummary:
    """Run what is missing of a study.

    Parameters
    ----------
    plan : Plan
        The study.
    store : ResultStore
        Finished results, and where new ones go.
    engine : {"ray", "local"}
        ``ray``: on the workers of a cluster, or of a Ray of its own on this machine; ``local``: in this process.
    tracker : Tracker | None
        Is notified of what happens.
    make_progress : callable
        Makes what shows the progress of the run; by default a line on standard error.

    Returns
    -------
    RunSummary
        The state of the study.

    Raises
    ------
    KeyboardInterrupt
        After SIGINT or SIGTERM; everything is stored then, and the next run resumes.
    ScmmlabError
        When the store or the engine fails.
    """
    chosen = make_engine(engine, plan)
    if isinstance(plan.study, AblationSpec):
        return GridRun(plan, store, chosen, cache(read_table), tracker or Tracker(), make_progress=make_progress).run()
    from scmmlab.execution.sweep.run import SweepRun  # Optuna takes a while to import

    return SweepRun(plan, store, chosen, tracker or Tracker(), make_progress=make_progress).run()


def make_engine(name: EngineName, plan: Plan) -> Engine:
    """The engine of that name, with the resources of `plan`. Ray is imported for `ray` alone."""
    if name == "local":
        return LocalEngine(plan.study.resources, cache(read_table))
    check_ray(os.environ)
    from scmmlab.execution.ray.engine import RayEngine

    sources = [(transfer.source, plan.channels[transfer.name]) for transfer in plan.study.transfers]
    return RayEngine(plan.study.resources, plan.manifests, sources)
