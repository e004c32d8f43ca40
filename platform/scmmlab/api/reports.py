"""The report of a study: written to its folder, or shown in a notebook."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

from scmmlab.report import ReportPaths, StudyResults, write_report
from scmmlab.report.collect import collect_results
from scmmlab.study import Plan, ResultStore
from scmmlab.study.attempts import latest_versions
from scmmlab.tracking import versions


@dataclass(frozen=True)
class Report:
    """A report that was written."""

    paths: ReportPaths
    """Its files on this machine."""
    results: StudyResults
    """What it shows."""
    stored: str | None
    """Where it is beside the results as well, if the store is no folder."""

    @property
    def html(self) -> str:
        """The whole report as one page."""
        return self.paths.html.read_text(encoding="utf-8")

    def _repr_html_(self) -> str:
        page = html.escape(self.html, quote=True)
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 80vh; border: 0" sandbox></iframe>'


def write_study_report(plan: Plan, store: ResultStore, out: Path | None = None) -> Report:
    """Write the report of a study as far as it got.

    Parameters
    ----------
    plan : Plan
        The study.
    store : ResultStore
        Its results.
    out : path | None
        The folder; the study's own when None.
    """
    folder = store.study_folder(plan.study.name)
    place = out or (folder.local / "report" if folder.local else Path(f"report-{plan.study.name}"))
    results = study_results(plan, store)
    paths = write_report(results, place)
    if out is not None or folder.local is not None:
        return Report(paths, results, None)
    # people read the one here; the one in the store stays with the results
    for path in paths.all:
        folder.write_bytes(f"report/{path.relative_to(place).as_posix()}", path.read_bytes())
    return Report(paths, results, f"{folder.uri}/report/report.html")


def study_results(plan: Plan, store: ResultStore) -> StudyResults:
    """What a report is made from."""
    return collect_results(plan, store, latest_versions(store.study_folder(plan.study.name)) or versions())


def is_begun(plan: Plan, store: ResultStore) -> bool:
    """Whether anything is known of the study: a result, or a failure."""
    if plan.study.kind == "sweep":
        return bool(store.study_folder(plan.study.name).trials())
    known = store.keys("cells") | store.keys("failures")
    return not known.isdisjoint(plan.distinct.keys() | plan.pretraining.keys())
