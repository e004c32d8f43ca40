"""A study as a job of a cluster: its command, its environment, its name."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from scmmlab.config import AblationSpec, SweepSpec, fingerprint
from scmmlab.config.resolved_settings import has_password
from scmmlab.execution.jobs.past_jobs import STORE, STUDY, SUBMITTER, VERSION, store_mark, this_submitter
from scmmlab.execution.jobs.working_directory import WorkingDirectory
from scmmlab.execution.ray.token import MODE
from scmmlab.tracking.versions import COMMIT_VARIABLE

if TYPE_CHECKING:
    from ray.job_submission import JobDetails


@dataclass(frozen=True)
class StudyJob:
    """A job to be submitted."""

    study: AblationSpec | SweepSpec
    """The study, what was changed on the command line applied."""
    file: PurePosixPath
    """Its file, from the working directory."""
    directory: WorkingDirectory
    """What the job gets."""
    store: str = field(repr=False)
    """URI of the result store, as the cluster sees it."""
    tracking_uri: str | None = field(default=None, repr=False)
    """Of MLflow, as the cluster sees it; None: what the cluster's own environment says, or the default."""
    engine: str = "ray"
    """`--engine` of the command line."""
    overrides: Sequence[str] = ()
    """`--set` of the command line, and the site's."""
    program: str = "scmmlab"
    """The command that runs scmmlab on the head."""
    asks_for_token: bool = True
    """Whether the cluster does."""
    stop_wait_s: int = 20
    """Seconds between a stop and a kill."""
    commit: str | None = None
    """Commit of the working directory, where it has one."""
    passed_on: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variables that go along."""

    @property
    def metadata(self) -> dict[str, str]:
        """Tells this job from those of other studies, stores, versions of the study and users."""
        return {
            STUDY: self.study.name,
            STORE: store_mark(self.store),
            SUBMITTER: this_submitter(),
            VERSION: fingerprint(self.study.model_dump(mode="json", exclude={"resources", "description"})),
        }

    @property
    def entrypoint(self) -> str:
        """The command, which everybody who sees the cluster's jobs can read: without passwords."""
        command = [*shlex.split(self.program), "run", str(self.file)]
        if not has_password(self.store):
            command += ["--store", self.store]
        if self.tracking_uri and not has_password(self.tracking_uri):
            command += ["--tracking-uri", self.tracking_uri]
        if self.engine != "ray":
            command += ["--engine", self.engine]
        for override in self.overrides:
            command += ["--set", override]
        return shlex.join(command)

    @property
    def runtime_env(self) -> dict[str, Any]:
        """The working directory, and the environment: signal and time of a stop, and what contains a password."""
        variables = dict(self.passed_on)
        # the run ends in order at the first signal, for which Ray's 3 s are short with a remote store
        variables |= {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": str(self.stop_wait_s)}
        if self.asks_for_token:
            variables[MODE] = "token"
        if has_password(self.store):
            variables["SCMMLAB_STORE"] = self.store
        if self.tracking_uri and has_password(self.tracking_uri):
            variables["SCMMLAB_TRACKING_URI"] = self.tracking_uri
        if self.commit:
            variables[COMMIT_VARIABLE] = self.commit
        if (code := self.directory.python_path) is not None:
            variables["PYTHONPATH"] = os.pathsep.join(filter(None, (code, variables.get("PYTHONPATH"))))
        return {
            "working_dir": str(self.directory.folder),
            "excludes": list(self.directory.excludes),
            "env_vars": variables,
        }

    def next_id(self, jobs: Iterable[JobDetails]) -> str:
        """A job id that none of `jobs` has: study, store and a number that counts its runs."""
        stem = f"{self.study.name}-{self.metadata[STORE]}-"
        taken = [job.submission_id.removeprefix(stem) for job in jobs if job.submission_id.startswith(stem)]
        return f"{stem}{max((int(number) for number in taken if number.isdecimal()), default=0) + 1}"

    def is_of_this_study(self, job: JobDetails) -> bool:
        """Whether `job` runs the same study in the same store."""
        metadata = job.metadata or {}
        return (metadata.get(STUDY), metadata.get(STORE)) == (self.metadata[STUDY], self.metadata[STORE])

    def is_same_version(self, job: JobDetails) -> bool:
        """Whether `job` is of the study as it is now."""
        return (job.metadata or {}).get(VERSION) == self.metadata[VERSION]
