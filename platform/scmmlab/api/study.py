"""A study as one works with it: opened, planned, run, and read."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from scmmlab.api.opening import AnyStudy, as_overrides, read_study
from scmmlab.config.loading import Override
from scmmlab.config.resolved_settings import DEFAULT_STORE, Site, load_site
from scmmlab.errors import SpecError, StoreError
from scmmlab.study import (
    Plan,
    ResultRow,
    ResultStore,
    Shard,
    check_splits,
    is_complete,
    make_plan,
    plan_of_shard,
    result_rows,
    search_records,
    study_lease,
    trial_rows,
)
from scmmlab.study.find_cell import find_cell
from scmmlab.study.storage_location import without_password
from scmmlab.tables import read_manifest, read_table

if TYPE_CHECKING:  # each method imports what it needs: pandas, Ray and matplotlib take a while
    import pandas as pd

    from scmmlab.api.encoder import Encoder
    from scmmlab.api.recording import Notify
    from scmmlab.api.reports import Report
    from scmmlab.api.views import PlanView, Rerun, Run, StatusView, Synced
    from scmmlab.config import AblationSpec, SweepSpec
    from scmmlab.execution.engines import EngineName
    from scmmlab.execution.progress import RunProgress
    from scmmlab.execution.summary import RunSummary
    from scmmlab.report import StudyResults
    from scmmlab.study import TuneTrialRecord

_log = logging.getLogger(__name__)

Rows = list[ResultRow] | list[dict[str, Any]]


class Study:
    """An ablation or a sweep, with the store of its results; made by `Study.open`.

    Examples
    --------
    >>> study = scmmlab.Study.open("ablations/demo.yaml", set={"seeds": [0]})
    >>> study.run(engine="local", progress=False).complete
    True
    >>> scores = study.results(by="subject").query("metric == 'balanced_accuracy'")
    >>> list(scores.groupby("variant").value.mean().index) == sorted(study.spec.variants)
    True
    """

    def __init__(self, plan: Plan, store: ResultStore, site: Site, path: Path | None, store_name: str):
        self.resolved = plan
        """The plan with everything that it says, as `scmmlab.study` has it."""
        self.store = store
        """The store of its results."""
        self.path = path
        """The study's file, if it has one."""
        self._site = site
        self._store_name = store_name
        self._folds_checked = False

    @classmethod
    def open(
        cls,
        study: AnyStudy,
        store: str | os.PathLike[str] | None = None,
        *,
        set: Mapping[str, Any] | Sequence[Override] = (),
        site: Site | str | os.PathLike[str] | None = None,
        check_folds: bool = False,
        notify: Notify | None = None,
    ) -> Study:
        """Read and check a study; nothing is written.

        Parameters
        ----------
        study : path, mapping or spec
            A study's YAML file, or what would be in one.
        store : path or str | None
            Where results live: a folder, ``s3://…``, ``gs://…``. By default as for the command line: ``SCMMLAB_STORE``,
            else the site's, else ``runs``.
        set : mapping of str to value, or sequence of str
            Changes of the study by dotted path, ``{"seeds": [0]}``, or as on the command line, ``["seeds=[0]"]``.
        site : Site or path | None
            Description of the site (cluster/site.example.yaml); ``SCMMLAB_SITE``, else none.
        check_folds : bool
            Whether every fold of every cell is made now, to see that none leaks or lacks a class; `plan` and
            `run` do it.
        notify : callable | None
            Is given a sentence on why results may be under other keys than expected; a warning is logged when None.

        Raises
        ------
        SpecError, CorpusError
            Whatever is wrong with the study, the site or a table.
        """
        resolved = site if isinstance(site, Site) else load_site(site, os.environ)
        spec, path = read_study(study, [*resolved.overrides(), *as_overrides(set)])
        name = os.fspath(resolved.spec.store or DEFAULT_STORE if store is None else store)
        plan = make_plan(spec, read_manifest)
        if check_folds:
            check_splits(plan, read_table)
        opened = cls(plan, ResultStore(name), resolved, path, name)
        opened._folds_checked = check_folds
        for note in opened._notes():
            (notify or _log.warning)(note)
        return opened

    def __repr__(self) -> str:
        return f"<Study '{self.name}' ({self.kind}) in {self.store.uri}>"

    def _repr_html_(self) -> str:
        from scmmlab.api.frames import preformatted
        from scmmlab.report.summary import summary_table

        return preformatted(summary_table(self._collect()))

    @property
    def spec(self) -> AblationSpec | SweepSpec:
        """The study with everything that was set."""
        return self.resolved.study

    @property
    def name(self) -> str:
        """Its folder in the store, its experiment in MLflow."""
        return self.spec.name

    @property
    def kind(self) -> Literal["ablation", "sweep"]:
        """Whether it is a grid or a search."""
        return self.spec.kind

    @property
    def complete(self) -> bool:
        """Whether everything of it has a result."""
        return is_complete(self.resolved, self.store)

    # --- what is to be done, and doing it

    def plan(self) -> PlanView:
        """Its cells, the stages that they share, and what of them is finished; every fold is made, so that none leaks.

        Raises
        ------
        SplitError
            If a fold would leak, or lacks a class.
        """
        from scmmlab.api.views import PlanView

        self._check_folds()
        return PlanView(self.resolved, self.store)

    def status(self, part: Shard | str | None = None) -> StatusView:
        """Where each cell (or setting) stands, as the store has it.

        Parameters
        ----------
        part : Shard or str | None
            Look at one part of it alone, such as ``1/8``.
        """
        from scmmlab.api.views import status_of

        part = _part(part)
        return status_of(self.resolved if part is None else plan_of_shard(self.resolved, part), self.store)

    def read_through(
        self, part: Shard | str | None = None, progress: Callable[[int, int], None] | None = None
    ) -> tuple[int, int]:
        """Read the encoders and fine-tunings of an ablation; damaged ones are set aside and made again when needed.

        Parameters
        ----------
        part : Shard or str | None
            Of one part alone.
        progress : callable | None
            Is told how many were read, of how many.

        Returns
        -------
        tuple of int
            How many are whole, and how many are damaged.
        """
        from scmmlab.study.integrity import read_through

        part = _part(part)
        plan = self.resolved if part is None else plan_of_shard(self.resolved, part)
        return read_through(plan, self.store, progress or _unshown)

    def run(
        self,
        engine: EngineName = "ray",
        *,
        progress: bool | Callable[[RunProgress], None] = True,
        tracking_uri: str | None = None,
        report: bool = True,
        part: Shard | str | None = None,
        part_ended: Callable[[RunSummary], None] | None = None,
        notify: Notify | None = None,
    ) -> Run:
        """Run what is missing, record it in MLflow and write the report. What is finished is never run again.

        Parameters
        ----------
        engine : {"ray", "local"}
            ``ray``: workers on this machine or on the cluster of RAY_ADDRESS; ``local``: in this process.
        progress : bool or callable
            True: a line on standard error; False: nothing is shown; a function is given a `RunProgress` now and then,
            by the thread that runs the study.
        tracking_uri : str | None
            MLflow server or database, or ``none``. By default as for the command line: ``SCMMLAB_TRACKING_URI``,
            ``MLFLOW_TRACKING_URI``, the site's, else SQLite in the study's folder.
        report : bool
            Whether the report is written.
        part : Shard or str | None
            Run one part of it only, such as ``1/8``, beside drivers of the others; whichever is the last to end records
            the study and writes the report.
        part_ended : callable | None
            Is given what the part has come to, before the study is finished where that is to be done.
        notify : callable | None
            Is given a sentence on where it is recorded; that is logged when None.

        Raises
        ------
        KeyboardInterrupt
            After SIGINT or SIGTERM, in the main thread; everything is in order then, and the next run goes on.
        BusyError
            If another driver is at the study.
        ScmmlabError
            If the input is wrong, or the store or the engine fails. A cell that fails is told of by the outcome.
        """
        from scmmlab.api.recording import check_tracking_uri
        from scmmlab.api.running import Running
        from scmmlab.execution.engines import EngineName
        from scmmlab.execution.progress import progress_maker

        part = _part(part)
        if engine not in get_args(EngineName):
            raise SpecError(f"Invalid value for 'engine': it must be 'ray' or 'local', got {engine!r}.")
        if engine == "ray":
            self._find_ray()
        self._check_folds()
        if self.kind == "sweep":
            search_records(self.resolved, self.store)  # refuses another search's folder, before anything is written
        uri = self._tracking_uri(tracking_uri)
        check_tracking_uri(uri)
        running = Running(
            plan=self.resolved,
            store=self.store,
            folder=self.path.parent if self.path else None,
            engine=engine,
            make_progress=progress_maker(progress),
            tracking_uri=uri,
            with_report=report,
            busy_hint=self._busy_hint(),
            notify=notify or _log.info,
        )
        return running.whole() if part is None else running.part(part, part_ended or _unshown)

    def rerun(self, cell: str, engine: EngineName = "local") -> Rerun:
        """Compute a finished cell once more, pre-training included, and compare it with its record.

        Parameters
        ----------
        cell : str
            A key, the beginning of one, or ``variant/transfer/seed``.
        engine : {"local", "ray"}
            What computes it.

        Raises
        ------
        SpecError
            If the study is a sweep, or has no such cell.
        StoreError
            If the cell is not finished.
        """
        from scmmlab.api.views import Rerun
        from scmmlab.execution.rerun import rerun_cell
        from scmmlab.study.record_diff import record_diff

        if self.kind == "sweep":
            raise SpecError(
                f"Study '{self.name}' is a sweep: it has settings, not cells that could be recomputed.",
                "scmmlab rerun is for ablations; put the setting into one as a variant",
            )
        found = find_cell(self.resolved, cell)
        record = self.store.get_cell(found.key)
        if record is None:
            raise StoreError(
                f"There is no record of cell {found.name} ({found.key}) in {self.store.uri}: it is not finished.",
                f"scmmlab status {self.path}" if self.path else "Study.status() shows its state",
            )
        return Rerun(found, tuple(record_diff(record, rerun_cell(self.resolved, found, record, engine))))

    def sync(
        self,
        tracking_uri: str | None = None,
        progress: Callable[[int, int], None] | None = None,
        notify: Notify | None = None,
    ) -> Synced:
        """Write what the store holds of the study to MLflow; what is there already is not written twice.

        Parameters
        ----------
        tracking_uri, notify
            As for `run`.
        progress : callable | None
            Is told how many cells (or settings) were written, of how many.

        Raises
        ------
        BusyError
            If the study is being run, which writes to MLflow itself.
        SpecError
            If there is no MLflow to write to.
        StoreError
            If MLflow does not take it.
        """
        from scmmlab.api.recording import open_tracker
        from scmmlab.api.reports import write_study_report
        from scmmlab.api.views import Synced
        from scmmlab.execution.mlflow_sync import backfill

        plan, store, uri = self.resolved, self.store, self._tracking_uri(tracking_uri)
        # a run writes to MLflow itself, and would find its runs ended
        hint = "wait until it has ended: it writes to MLflow itself"
        with study_lease(store.study_folder(self.name), self.name, hint):
            tracker, tracked_at = open_tracker(uri, store, self.name, notify or _log.info, direct=True)
            if tracked_at is None:
                raise SpecError("There is no MLflow server or database to write to.", hint="give --tracking-uri")
            with tracker:
                counts = backfill(
                    plan,
                    store,
                    tracker,
                    lambda: write_study_report(plan, store).paths.html.parent,
                    progress or _unshown,
                )
        return Synced(tracked_at, counts)

    # --- what has come of it

    def rows(self, by: Literal["fold", "subject"] = "fold") -> Rows:
        """The rows of `results`, as `scmmlab.study.rows_csv` and `rows_json` take them."""
        if by not in ("fold", "subject"):
            raise SpecError(f"Invalid value for 'by': it must be 'fold' or 'subject', got {by!r}.")
        if self.kind == "sweep":
            return trial_rows(self.name, search_records(self.resolved, self.store))
        return result_rows(self.name, self.resolved.cells, self.store.get_cell, by=by)

    def results(self, by: Literal["fold", "subject"] = "fold") -> pd.DataFrame:
        """One row for each cell, fold and metric: what ``scmmlab results`` prints.

        Of a sweep, one for each setting and each time that it was judged.

        Parameters
        ----------
        by : {"fold", "subject"}
            Rows of folds, or of tested subjects.
        """
        from scmmlab.api.frames import results_frame

        return results_frame(self.rows(by))

    def summary(self, metric: str | None = None) -> pd.DataFrame:
        """The report's main table: mean and standard deviation over subjects of each variant and transfer.

        Parameters
        ----------
        metric : str | None
            Such as ``balanced_accuracy``; the one that the study names when None.
        """
        from scmmlab.api.analyses import summary

        return summary(self._results(), metric)

    def comparisons(self, metric: str | None = None) -> pd.DataFrame:
        """The report's paired comparisons with the reference, corrected by Holm over all of them.

        Parameters
        ----------
        metric : str | None
            As for `summary`.
        """
        from scmmlab.api.analyses import comparisons

        return comparisons(self._results(), metric)

    def curves(self, stage: Literal["pretrain", "finetune"] = "finetune") -> pd.DataFrame:
        """Learning curves: one row for each finished cell and epoch.

        Parameters
        ----------
        stage : {"pretrain", "finetune"}
            Of which training.
        """
        from scmmlab.api.analyses import curves

        return curves(self._results(), stage)

    def trials_dataframe(self) -> pd.DataFrame:
        """One row for each setting of a sweep that has ended, what was sampled as `params_…`, as Optuna has it."""
        from scmmlab.api.analyses import trials

        return trials(self._search())

    @property
    def best_trial(self) -> TuneTrialRecord | None:
        """The setting of a sweep with the best probe of those that were tried to the end; None before there is one."""
        from scmmlab.report.sweeps import best_trial

        return best_trial(self._search())

    def encoder(self, cell: str) -> Encoder:
        """The encoder that a finished pre-training has made.

        Parameters
        ----------
        cell : str
            A cell that starts from it: a key, the beginning of one, or ``variant/transfer/seed``.

        Raises
        ------
        SpecError
            If the study is a sweep, has no such cell, or the cell has no pre-training.
        StoreError
            If the pre-training is not finished.
        """
        from scmmlab.api.encoder import Encoder

        if self.kind == "sweep":
            raise SpecError(
                f"Study '{self.name}' is a sweep, which keeps no encoders.",
                "put the setting into an ablation as a variant",
            )
        found = find_cell(self.resolved, cell)
        if found.pretrain_key is None:
            raise SpecError(f"Cell {found.name} has no pre-training, and so no encoder.")
        stored = self.store.get_pretrain(found.pretrain_key)
        if stored is None:
            raise StoreError(
                f"There is no encoder of cell {found.name} ({found.pretrain_key}) in {self.store.uri}: its "
                "pre-training is not finished.",
                self._command("run"),
            )
        return Encoder.of_cell(found, stored)

    def report(self, out: str | os.PathLike[str] | None = None) -> Report:
        """Write the report from what has finished so far: HTML, Markdown with its figures, and tables in LaTeX.

        Parameters
        ----------
        out : path | None
            The folder; ``report`` in the study's own when None.

        Raises
        ------
        StoreError
            If there is nothing to report, or the folder cannot be written.
        """
        from scmmlab.api.reports import is_begun, write_study_report

        if not is_begun(self.resolved, self.store):
            raise StoreError(
                f"There is nothing to report: no results of study '{self.name}' in {self.store.uri} yet.",
                hint=self._command("run"),
            )
        return write_study_report(self.resolved, self.store, Path(out) if out else None)

    # --- how

    def _notes(self) -> list[str]:
        """Why results may be under other keys than the user expects."""
        from scmmlab.config.code_digest import edited_code
        from scmmlab.study.attempts import earlier_keys

        notes = (edited_code("cells"), earlier_keys(self.store.study_folder(self.name)))
        return [note for note in notes if note]

    def _check_folds(self) -> None:
        if not self._folds_checked:
            check_splits(self.resolved, read_table)
            self._folds_checked = True

    def _find_ray(self) -> None:
        """As the command line finds a cluster, or sees that Ray can be started on this machine."""
        from scmmlab.config.loopback import reach_loopback_directly
        from scmmlab.execution.ray.requirements import check_ray
        from scmmlab.execution.ray.session_folder import check_ray_folder

        reach_loopback_directly()
        if self._site.spec.ray.cluster:
            os.environ.setdefault("RAY_ADDRESS", self._site.spec.ray.cluster)
        check_ray(os.environ)
        check_ray_folder(os.environ)

    def _tracking_uri(self, given: str | None) -> str | None:
        return self._site.spec.tracking_uri if given is None else given

    def _collect(self) -> StudyResults:
        from scmmlab.report.collect import collect_results

        return collect_results(self.resolved, self.store, {})

    def _results(self) -> StudyResults:
        if self.kind == "sweep":
            raise SpecError(
                f"Study '{self.name}' is a sweep: it has settings, not variants.", hint="Study.trials_dataframe()"
            )
        return self._collect()

    def _search(self) -> StudyResults:
        if self.kind != "sweep":
            raise SpecError(f"Study '{self.name}' is an ablation: it has variants, not settings.", "Study.summary()")
        return self._collect()

    def _command(self, name: Literal["run", "status"]) -> str:
        """The next step: a command where the study is a file, else a method."""
        if self.path is None:
            return f"Study.{name}()"
        return f"scmmlab {name} {self.path} --store {shlex.quote(without_password(self._store_name))}"

    def _busy_hint(self) -> str:
        """What to do where another driver has the study."""
        from scmmlab.study.claims import LEASE_S

        return (
            f"{self._command('status')} shows how far it is. When it has ended, or {LEASE_S:.0f} s after it was "
            "killed, the same command continues with what is missing"
        )


open_study = Study.open


def _part(given: Shard | str | None) -> Shard | None:
    return Shard.parse(given) if isinstance(given, str) else given


def _unshown(*_: object) -> None:
    """Where nobody listens."""
