"""The experiment of a study in MLflow: found by whose it is, made, or brought back; a stranger's is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from scmmlab.errors import StoreError
from scmmlab.tracking.owner import STUDY, Owner

if TYPE_CHECKING:  # MLflow is imported by those who open it
    from mlflow.entities import Experiment, Run
    from mlflow.tracking import MlflowClient

ROLE = "scmmlab.role"
"""Tag of a run: `study`, `cell` or `tune_trial`."""
CELL_KEY = "scmmlab.cell_key"
"""Tag of a child run: key of the cell or tune_trial."""
CELL_NAME = "scmmlab.cell"
"""Tag of a child run: its name."""
DELETED = "scmmlab.deleted"
"""Tag of an experiment: beginnings of the ids of runs that people deleted. MLflow itself forgets which they were when
the whole experiment is deleted."""

RUNS_A_PAGE = 100
"""A run is a hundred kilobytes of objects, and a study may have ten thousand."""
_TRIES = 5
_ID_DIGITS = 12
_MOST_DELETED = 1000
"""Runs in that tag, which may be 20,000 characters long."""


class Experiments:
    """Finds the experiment of a study.

    Parameters
    ----------
    client : MlflowClient
        MLflow.
    owner : Owner
        Whose it is to be.
    artifact_root : str | None
        URI of a folder for artifacts of a new one; MLflow's own when None.
    """

    def __init__(self, client: MlflowClient, owner: Owner, artifact_root: str | None):
        self._client, self._owner, self._artifact_root = client, owner, artifact_root

    def mine(self, description: str) -> Experiment:
        """The study's experiment, made where there is none, and active."""
        for _ in range(_TRIES):  # others may make one of the same name at the same time
            experiment = _tagged(self._client, self._owner) or self._taken(description)
            if experiment is None:
                continue
            if experiment.lifecycle_stage == "active" and self._owner.marks.items() <= experiment.tags.items():
                return experiment
            if experiment.lifecycle_stage == "deleted":
                self._restore(experiment)
            for name, value in self._owner.marks.items() - experiment.tags.items():
                self._client.set_experiment_tag(experiment.experiment_id, name, value)
            experiment = self._client.get_experiment(experiment.experiment_id)
            if self._owner.marks.items() <= experiment.tags.items():
                return experiment
        raise StoreError(f"others take every experiment for study '{self._owner.study}' as it is made")

    def has_namesake(self, experiment: Experiment) -> bool:
        """Whether another experiment than the study's has the study's name."""
        found = self._client.get_experiment_by_name(self._owner.study)
        return found is not None and found.experiment_id != experiment.experiment_id

    def note_deleted(self, experiment_id: str) -> None:
        """Have the experiment say which runs people have deleted, as long as that can be told."""
        runs = runs_of(self._client, experiment_id, "deleted_only")
        now = {run.info.run_id[:_ID_DIGITS] for _, run in zip(range(_MOST_DELETED), runs, strict=False)}
        before = self._client.get_experiment(experiment_id).tags.get(DELETED, "").split()
        if now != set(before):
            self._client.set_experiment_tag(experiment_id, DELETED, " ".join(sorted(now)))

    # --- how

    def _taken(self, description: str) -> Experiment | None:
        """A new experiment, or one that is the study's and does not say so yet; None where others were faster."""
        from mlflow.exceptions import MlflowException

        for name in self._owner.names():
            found = self._client.get_experiment_by_name(name)
            if found is None:
                tags = {
                    **self._owner.marks,
                    "mlflow.note.content": description,
                    # without its kind the UI opens an experiment on pages for language models
                    "mlflow.experimentKind": "custom_model_development",
                }
                try:
                    made = self._client.create_experiment(name, artifact_location=self._artifact_root, tags=tags)
                except MlflowException as error:
                    if error.error_code == "RESOURCE_ALREADY_EXISTS":
                        return None
                    raise
                return self._client.get_experiment(made)
            if STUDY not in found.tags and self._may_take(found):
                return found
        return None

    def _may_take(self, experiment: Experiment) -> bool:
        """Whether an experiment that does not say whose it is can be the study's, and no other's."""
        if self._owner.alone:
            return True
        ended, others, empty = set(), False, True
        for run in runs_of(self._client, experiment.experiment_id, "all"):
            tags = run.data.tags
            empty = empty and ROLE not in tags
            others = others or not self._owner.owns(tags)
            if run.info.status == "FINISHED" and CELL_KEY in tags:
                ended.add(tags[CELL_KEY])
        if empty:  # somebody has made it for the study
            return bool(experiment.lifecycle_stage == "active")
        return self._owner.older and not others and ended <= self._owner.ended()

    def _restore(self, experiment: Experiment) -> None:
        """Bring an experiment back with the study's runs; MLflow brings back all, so the others are deleted again."""
        deleted = set(experiment.tags.get(DELETED, "").split())
        again, seen = [], set()
        for run in runs_of(self._client, experiment.experiment_id, "all"):  # the latest one first
            tags, run_id = run.data.tags, run.info.run_id
            what = tags.get(ROLE), tags.get(CELL_KEY), tags.get(CELL_NAME)
            if what[0] is None or not self._owner.owns(tags) or what in seen or run_id[:_ID_DIGITS] in deleted:
                again.append(run_id)
            else:
                seen.add(what)
        self._client.restore_experiment(experiment.experiment_id)
        for run_id in again:
            self._client.delete_run(run_id)


def experiment_of(client: MlflowClient, study: str, owner: Owner | None) -> Experiment | None:
    """The experiment in which a study is recorded; of several, where `owner` does not say whose, none.

    Parameters
    ----------
    client : MlflowClient
        MLflow.
    study : str
        Name of the study.
    owner : Owner | None
        Whose study.
    """
    if owner is not None and (found := _tagged(client, owner)) is not None:
        return found if found.lifecycle_stage == "active" else None
    named = client.get_experiment_by_name(study)
    if named is None or named.lifecycle_stage != "active":
        return None
    if owner is not None:
        return named if STUDY not in named.tags else None
    others = client.search_experiments(filter_string=f"name LIKE '{study} (%'")
    return None if any(STUDY in other.tags for other in others) else named


def _tagged(client: MlflowClient, owner: Owner) -> Experiment | None:
    """The experiment that says that it is the study's, an active one rather than a deleted one."""
    from mlflow.entities import ViewType

    for tag in owner.tags:
        found = client.search_experiments(
            view_type=ViewType.ALL, filter_string=f"tags.`{STUDY}` = '{tag}'", order_by=["experiment_id"]
        )
        if found:
            return min(found, key=lambda experiment: experiment.lifecycle_stage == "deleted")
    return None


def runs_of(
    client: MlflowClient, experiment_id: str, which: Literal["active_only", "deleted_only", "all"] = "active_only"
) -> Iterator[Run]:
    """Runs of an experiment, the one that began last first."""
    from mlflow.entities import ViewType

    token = None
    while True:
        page = client.search_runs(
            [experiment_id], "", ViewType.from_string(which), RUNS_A_PAGE, ["attributes.start_time DESC"], token
        )
        yield from page
        token = page.token
        if not token:
            return
