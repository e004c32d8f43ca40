"""A job's log as it grows, until the job ends: a lost connection is made again, and no line is shown twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing

from scmmlab.errors import ResourceError
from scmmlab.execution.jobs.client import ConnectionLostError, JobClient, JobDetails, NoSuchJobError
from scmmlab.execution.progress import duration

RETRY_S = 1800.0
"""For how long a dashboard that does not answer is retried."""
QUIET_S = 30.0
"""A connection without data for so long is made again: a proxy may have dropped it silently."""
PENDING_S = 10.0
"""After so long, a job that has not started is reported to wait, and for what."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0


class Follower:
    """Follows one job.

    Parameters
    ----------
    client : JobClient
        Of its cluster.
    job_id : str
        The job.
    show : callable
        Gets the job's output, piece by piece.
    notify : callable
        Gets messages about the job and the connection.
    retry_s, quiet_s, pending_s : float
        See `RETRY_S`, `QUIET_S`, `PENDING_S`.
    """

    def __init__(
        self,
        client: JobClient,
        job_id: str,
        show: Callable[[str], None],
        notify: Callable[[str], None],
        retry_s: float = RETRY_S,
        quiet_s: float = QUIET_S,
        pending_s: float = PENDING_S,
    ):
        self._client, self._job_id, self._show, self._notify = client, job_id, show, notify
        self._retry_s, self._quiet_s, self._pending_s = retry_s, quiet_s, pending_s
        self._shown = 0  # characters of the log
        self._lost_at: float | None = None

    def follow(self) -> JobDetails:
        """Show the log to its end, and return the job as it ended.

        Raises
        ------
        ResourceError
            If the dashboard did not answer for `retry_s`, or no longer knows the job.
        """
        began, waiting = time.monotonic(), False
        pause = _FIRST_PAUSE_S
        while True:
            try:
                job = self._client.job(self._job_id)
                if self._lost_at is not None:
                    self._notify(f"Reconnected after {duration(time.monotonic() - self._lost_at)}.")
                    self._lost_at, pause = None, _FIRST_PAUSE_S
                if job.status.is_terminal():
                    self._show_rest()
                    return job
                if job.status == "PENDING":
                    if not waiting and time.monotonic() - began > self._pending_s:
                        waiting = True
                        self._notify(f"The job is waiting to start. {(job.message or '').strip()}".strip())
                    time.sleep(_FIRST_PAUSE_S)
                    continue
                asyncio.run(self._tail())
            except NoSuchJobError as error:
                raise ResourceError(
                    f"The cluster at {self._client.dashboard.address} no longer knows job {self._job_id!r}: it was "
                    "restarted.",
                    hint="submit the study again: finished work is kept, and the job resumes it",
                ) from error
            except ConnectionLostError as error:
                self._lose(error)
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _lose(self, error: ConnectionLostError) -> None:
        now = time.monotonic()
        if self._lost_at is None:
            self._lost_at = now
            self._notify(
                f"{error.message.rstrip('.')}; the job continues. Retrying for up to {duration(self._retry_s)}."
            )
        elif now - self._lost_at > self._retry_s:
            raise ResourceError(
                f"{self._client.dashboard.address} has not answered for {duration(now - self._lost_at)}; "
                "the job may continue.",
                hint=error.hint,
            ) from error

    async def _tail(self) -> None:
        """Show new output, until the job has ended or nothing arrives."""
        known = self._shown  # the log comes from its beginning
        async with aclosing(self._client.tail(self._job_id)) as pieces:  # type: ignore[type-var]
            while True:
                try:
                    piece = await asyncio.wait_for(anext(pieces), self._quiet_s)
                except (StopAsyncIteration, TimeoutError):
                    return
                self._show_new(piece[known:])
                known = max(0, known - len(piece))

    def _show_rest(self) -> None:
        """Show what was written between the last piece and the end."""
        self._show_new(self._client.log(self._job_id)[self._shown :])

    def _show_new(self, text: str) -> None:
        if text:
            self._shown += len(text)
            self._show(text)
