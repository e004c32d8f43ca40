"""Ray's job client, with a time limit on every request and errors that say what to do."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import aiohttp
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobSubmissionClient, JobType

from scmmlab.errors import ResourceError
from scmmlab.execution.jobs.dashboard import Dashboard, token_place
from scmmlab.execution.ray.private import PACKAGING_LOGGER, JobRequests

_CHATTY_LOGGERS = ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk", PACKAGING_LOGGER)
"""They log each package that is uploaded, and each connection that ends."""

_CONNECT_S, _ANSWER_S, _UPLOAD_S = 10.0, 60.0, 900.0


class ConnectionLostError(ResourceError):
    """The dashboard does not answer, or a proxy before it does not reach it: the job continues."""


class NoSuchJobError(ResourceError):
    """The cluster does not know the job."""


class IdTakenError(ResourceError):
    """A job of that name exists."""


class JobClient:
    """The jobs of a cluster.

    Parameters
    ----------
    dashboard : Dashboard
        The cluster's.

    Raises
    ------
    ConnectionLostError
        From every method, if the dashboard does not answer.
    ResourceError
        From every method, if the cluster rejects the token, or the request.
    """

    def __init__(self, dashboard: Dashboard):
        for chatty in _CHATTY_LOGGERS:
            logging.getLogger(chatty).setLevel(logging.ERROR)
        self.dashboard = dashboard
        self._cluster = f"The cluster at {dashboard.address}"
        # Ray prefers this variable, and RAY_ADDRESS, to the argument
        os.environ["RAY_API_SERVER_ADDRESS"] = dashboard.address
        with self._our_errors():
            self._client = _Client(
                dashboard.address, headers=dict(dashboard.headers) or None, verify=dashboard.ca_file or True
            )

    def jobs(self) -> list[JobDetails]:
        """All jobs that were submitted to the cluster, in the order in which they began."""
        with self._our_errors():
            found = [job for job in self._client.list_jobs() if job.type == JobType.SUBMISSION]
        return sorted(found, key=lambda job: job.start_time or 0)

    def job(self, job_id: str) -> JobDetails:
        """What the cluster knows of a job; NoSuchJobError where it knows none of that name."""
        with self._our_errors(job_id):
            return self._client.get_job_info(job_id)

    def submit(self, job_id: str, entrypoint: str, runtime_env: Mapping[str, Any], metadata: Mapping[str, str]) -> None:
        """Upload the working directory, where the cluster does not have it yet, and start the job.

        Raises
        ------
        IdTakenError
            If there is a job of that name.
        """
        with self._our_errors(job_id):
            self._client.submit_job(
                entrypoint=entrypoint,
                submission_id=job_id,
                runtime_env=dict(runtime_env),
                metadata=dict(metadata),
            )

    def stop(self, job_id: str) -> None:
        """Ask a job to stop; it does so a little later."""
        with self._our_errors(job_id):
            self._client.stop_job(job_id)

    def log(self, job_id: str) -> str:
        """What a job has written so far; empty where the machine that had it is lost."""
        with self._our_errors(job_id):
            return str(self._client.get_job_logs(job_id) or "")

    async def tail(self, job_id: str) -> AsyncIterator[str]:
        """The same from the beginning, in pieces as it grows, until the job has ended."""
        with self._our_errors(job_id):
            async for piece in self._client.tail_job_logs(job_id):
                yield piece

    @contextmanager
    def _our_errors(self, job_id: str = "") -> Iterator[None]:
        address = self.dashboard.address
        try:
            yield
        except AuthenticationError as error:
            raise ResourceError(
                f"{self._cluster} rejects the token in {token_place(os.environ)}.",
                hint="copy ~/.ray/auth_token from the cluster's head (mode 0600)",
            ) from error
        except _AnswerError as error:
            if error.status == 404 and job_id:
                raise NoSuchJobError(
                    f"{self._cluster} has no job {job_id!r}.", hint=f"ray job list --address {address}"
                ) from error
            if "already exists" in error.text:
                raise IdTakenError(f"{self._cluster} already has a job {job_id!r}.") from error
            if error.status == 413:
                raise ResourceError(
                    f"{self._cluster}, or a proxy before it, does not accept a working directory of this size.",
                    hint="exclude more of it with a .rayignore",
                ) from error
            if error.status >= 500:
                raise ConnectionLostError(f"{self._cluster} failed: {error}") from error
            raise ResourceError(f"{self._cluster} rejects the request: {error}") from error
        # a web socket that is cut raises a plain RuntimeError of Ray's
        except (requests.RequestException, aiohttp.ClientError, OSError, RuntimeError) as error:
            raise ConnectionLostError(
                f"The connection to {address} was lost.", hint="is the head running, is the tunnel open?"
            ) from error


class _AnswerError(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, text: str):
        # the last line of a trace says what happened
        last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")
        super().__init__(f"{last} (HTTP status {status}).")
        self.status, self.text = status, text


class _Client(JobRequests, JobSubmissionClient):
    """Ray's client, which would wait forever for a machine that is lost, and has one error for all answers."""

    def request_timeout(self, method: str) -> tuple[float, float]:
        """Longer for an upload."""
        return _CONNECT_S, _UPLOAD_S if method == "PUT" else _ANSWER_S

    def refuse(self, status: int, text: str) -> NoReturn:
        """Raise an error with the status."""
        raise _AnswerError(status, text)
