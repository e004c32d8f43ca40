"""What a cluster's list of jobs says of studies: whose jobs they are, where they are shown, what they ended with.

Neither torch nor the result store is needed for it, which take seconds to import.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scmmlab.execution.jobs.client import JobDetails

STUDY, STORE, VERSION = "scmmlab.study", "scmmlab.store", "scmmlab.study_version"
"""Metadata of a job: name of the study, its store (a hash), and which version of the study it is (a hash)."""
SUBMITTER = "scmmlab.submitter"
"""Metadata of a job: who submitted it, and on which machine."""


def this_submitter() -> str:
    """Who submits a job from here, `user@machine`, for people of one cluster to tell their jobs apart."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def store_mark(store: str) -> str:
    """What a job's metadata have of its store: the same for the same store, and telling nothing else of it."""
    from scmmlab.study.storage_location import without_password

    return hashlib.sha256(without_password(store).encode()).hexdigest()[:8]


def why_not_ours(job: JobDetails, store: str | None) -> str | None:
    """Why a job of `submit` may be somebody else's, as the rest of a sentence; None where it is ours.

    Parameters
    ----------
    job : JobDetails
        The job.
    store : str | None
        The store that is configured here; None where none is.
    """
    metadata = job.metadata or {}
    submitter, here = metadata.get(SUBMITTER), this_submitter()
    if submitter is None:
        return "does not say who submitted it"
    if submitter != here:
        return f"was submitted by {submitter}, and this is {here}"
    if store is not None and metadata.get(STORE) != store_mark(store):
        return "uses another store than the one configured here"
    return None


def jobs_of_study(jobs: Iterable[JobDetails], name: str) -> list[JobDetails]:
    """Those of `jobs` that `submit` made of a study of that name, in any store."""
    return [job for job in jobs if (job.metadata or {}).get(STUDY) == name]


def dashboard_page(address: str, job_id: str) -> str:
    """The job's page in Ray's dashboard."""
    return f"{address}/#/jobs/{job_id}"


def exit_status(job: JobDetails) -> int | None:
    """What the study ended with; 130 where it was stopped, 1 where Ray could not run it, None while it goes on.

    A program that a signal ended has 128 and the signal's number, as a shell has it.
    """
    if not job.status.is_terminal():
        return None
    if job.status == "SUCCEEDED":
        return 0
    if job.status == "STOPPED":
        return 130
    code = job.driver_exit_code
    if code is None:
        return 1
    return int(code) if code >= 0 else 128 - int(code)
