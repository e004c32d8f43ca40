"""A job's log as it grows, until the job ends: a connection that is lost is made again, and no line shows twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing

from scmmlab.errors import ResourceError
from scmmlab.execution.jobs.client import ConnectionLostError, JobClient, JobDetails, NoSuchJobError
from scmmlab.execution.progress import duration

PATIENCE_S = 1800.0
"""A dashboard that does not answer is tried again for so long."""
QUIET_S = 30.0
"""A connection on which nothing comes for so long is made anew: a proxy may have dropped it without a word."""
PENDING_S = 10.0
"""A job that has not begun after so long is said to wait, and for what."""
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
        Is given what the job writes, piece by piece.
    say : callable
        Is told in a sentence what happens to job and connection.
    patience_s, quiet_s, pending_s : float
        See `PATIENCE_S`, `QUIET_S`, `PENDING_S`.
    """

    def __init__(
        self,
        client: JobClient,
        job_id: str,
        show: Callable[[str], None],
        say: Callable[[str], None],
        patience_s: float = PATIENCE_S,
        quiet_s: float = QUIET_S,
        pending_s: float = PENDING_S,
    ):
        self._client, self._job_id, self._show, self._say = client, job_id, show, say
        self._patience_s, self._quiet_s, self._pending_s = patience_s, quiet_s, pending_s
        self._shown = 0  # characters of the log
        self._lost_at: float | None = None

    def follow(self) -> JobDetails:
        """Show the log to its end, and return the job as it ended.

        Raises
        ------
        ResourceError
            If the dashboard did not answer for the whole patience, or no longer knows the job.
        """
        began, waiting = time.monotonic(), False
        pause = _FIRST_PAUSE_S
        while True:
            try:
                job = self._client.job(self._job_id)
                if self._lost_at is not None:
                    self._say(f"Connected again after {duration(time.monotonic() - self._lost_at)}.")
                    self._lost_at, pause = None, _FIRST_PAUSE_S
                if job.status.is_terminal():
                    self._show_rest()
                    return job
                if job.status == "PENDING":
                    if not waiting and time.monotonic() - began > self._pending_s:
                        waiting = True
                        self._say(f"The job waits to begin. {(job.message or '').strip()}".strip())
                    time.sleep(_FIRST_PAUSE_S)
                    continue
                asyncio.run(self._tail())
            except NoSuchJobError as error:
                raise ResourceError(
                    f"The cluster at {self._client.dashboard.address} no longer knows job {self._job_id!r}: it was "
                    "started anew.",
                    hint="submit the study again; what is finished is kept, and it goes on with what is missing",
                ) from error
            except ConnectionLostError as error:
                self._lose(error)
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _lose(self, error: ConnectionLostError) -> None:
        now = time.monotonic()
        if self._lost_at is None:
            self._lost_at = now
            self._say(
                f"{error.message.rstrip('.')}; the job goes on. Trying again for up to {duration(self._patience_s)}."
            )
        elif now - self._lost_at > self._patience_s:
            raise ResourceError(
                f"{self._client.dashboard.address} has not answered for {duration(now - self._lost_at)}; "
                "the job may go on.",
                hint=error.hint,
            ) from error

    async def _tail(self) -> None:
        """Show what is new of the log, until the job has ended or nothing comes."""
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
        """What was written between the last piece and the end."""
        self._show_new(self._client.log(self._job_id)[self._shown :])

    def _show_new(self, text: str) -> None:
        if text:
            self._shown += len(text)
            self._show(text)
