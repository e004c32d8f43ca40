"""The progress line: cells done, running and failed, and the time left."""

from __future__ import annotations

import io
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TextIO

REDRAW_S = 0.2
"""How often a terminal's line is redrawn, at most."""
PLAIN_S = 10.0
"""How often a line is printed without a terminal, besides one when a cell has ended."""
PLAIN_CHANGE_S = 1.0
"""Least time between such lines."""
LEAST_SHARE = 0.01
"""No time left is shown before this share of the work is done: it would be a guess."""
SAMPLE_S = 1.0
"""How often progress is sampled for the pace, at most."""
PACE_SHARE = 0.5
"""The pace is that of this last share of the run so far, so that a slow start is forgotten."""
JOIN_S = 120.0
"""Expected workers that have not started by then are no longer counted on."""


class _Pace:
    """How far work is that some workers share, and at which pace it goes.

    Parameters
    ----------
    work : mapping of str to float
        What each piece of it counts, by key.
    ends_at : callable
        As for `Progress`.
    clock : callable
        Seconds, from any start.
    """

    def __init__(self, work: Mapping[str, float], ends_at: Callable[[float], float], clock: Callable[[], float]):
        self._work = dict(work)
        self._share: dict[str, float] = dict.fromkeys(work, 0.0)
        self._ends_at, self._clock = ends_at, clock
        self._ended: set[str] = set()
        self._resumed: set[str] = set()
        self._workers: dict[str, float] = {}
        self._samples: deque[tuple[float, float]] = deque()
        self._done = 0.0
        self.expected_workers = 1
        """Workers that are being started."""

    def part(self, keys: Collection[str]) -> _Pace:
        """Some of the pieces as they are, for workers of their own."""
        part = _Pace({key: work for key, work in self._work.items() if key in keys}, self._ends_at, self._clock)
        part._share = {key: self._share[key] for key in part._work}
        part._ended, part._resumed = self._ended & part._work.keys(), self._resumed & part._work.keys()
        part._done = sum(work * part._share[key] for key, work in part._work.items())
        return part

    def begin(self, worker: str) -> None:
        """See `Progress.begin`."""
        self._workers.setdefault(worker, self._clock())
        if not self._samples:
            self._samples.append((self._clock(), self._done))

    def resume(self, key: str) -> None:
        """See `Progress.resume`."""
        if key in self._share:
            self._resumed.add(key)

    def advance(self, key: str, share: float) -> bool:
        """See `Progress.advance`; whether there is such a piece."""
        if key not in self._share:
            return False
        if not self._workers:
            self.begin("")
        gained = self._work[key] * max(0.0, min(share, 1.0) - self._share[key])
        self._share[key] = max(self._share[key], min(share, 1.0))
        self._done += gained
        if key in self._resumed:
            # this was done before, and does not count for the pace
            self._resumed.remove(key)
            self._samples = deque((at, done + gained) for at, done in self._samples)
        if self._clock() - self._samples[-1][0] >= SAMPLE_S:
            self._samples.append((self._clock(), self._done))
        return True

    def end(self, key: str) -> bool:
        """See `Progress.end`; whether there is such a piece."""
        if key in self._share:
            self._ended.add(key)
        return key in self._share

    @property
    def left(self) -> float:
        """Work that is left."""
        shares = ((key, share) for key, share in self._share.items() if key not in self._ended)
        return sum(self._work[key] * max(0.0, self._ends_at(share) - share) for key, share in shares)

    def seconds_left(self) -> float | None:
        """Time that the rest takes at the pace so far; None while that is unknown."""
        if not self._samples:
            return None
        now, done, began = self._clock(), self._done, min(self._workers.values())
        latest = now - PACE_SHARE * (now - began)
        while len(self._samples) > 1 and self._samples[1][0] <= latest:
            self._samples.popleft()
        since, before = self._samples[0]
        left = self.left
        if done <= before or done - before < LEAST_SHARE * (done - before + left):
            return None
        # the pace is that of running workers, and those being started will share the rest
        worker_seconds = sum(now - max(since, start) for start in self._workers.values())
        workers = len(self._workers)
        if now - began < JOIN_S:
            workers = max(workers, self.expected_workers)
        return left * max(worker_seconds, 1e-9) / (done - before) / workers


class Progress:
    """Shows how far a run is, on a line that is redrawn, or in plain lines where there is no terminal.

    Parameters
    ----------
    total : int
        Cells (or tune_trials) of the study.
    work : mapping of str to float
        What each piece of work that is to be done counts, by key.
    done : int
        Cells that were finished before.
    noun : str
        What is counted.
    ends_at : callable
        Share of a piece of work that is done → the share at which it is expected to end; all of it by default.
    stream : TextIO | None
        Where to; standard error when None.
    clock : callable
        Seconds, from any start.
    """

    def __init__(
        self,
        total: int,
        work: Mapping[str, float],
        done: int = 0,
        noun: str = "cells",
        ends_at: Callable[[float], float] = lambda share: 1.0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._stream = stream if stream is not None else sys.stderr
        self._live = self._stream.isatty()
        self._clock = clock
        self._noun = noun
        self._total = total
        self._paces = {"": _Pace(work, ends_at, clock)}
        self._sharing: dict[str, str] = {}
        self._counts = (done, 0, 0)
        self._status = ""
        self._slots: float | None = None
        self._lost = ""
        self._drawn_at = float("-inf")
        self._drawn_counts: tuple[int, int] | None = None
        self._width = 0

    def status(self, text: str) -> None:
        """What is going on beside work on cells, such as starting Ray; empty when it is over."""
        self._status = text
        if text:
            self._draw(now=True)

    def print(self, text: str) -> None:
        """Print a line that stays."""
        if self._live:
            self._stream.write(f"\r{'':<{self._width}}\r")
        self._stream.write(f"{text}\n")
        self._draw(now=self._live)

    def counts(self, done: int, running: int, failed: int) -> None:
        """So many cells of the total."""
        self._counts = (done, running, failed)
        self._draw()

    def slots(self, share: float) -> None:
        """The share of slots in use so far."""
        self._slots = share

    def lost(self, text: str) -> None:
        """Which workers were lost so far."""
        self._lost = text
        self._draw()

    def separate(self, sharing: Mapping[str, str]) -> None:
        """The work is shared by several groups of workers, each at a pace of its own.

        Parameters
        ----------
        sharing : mapping of str to str
            Key of each piece → the group that it is for.
        """
        (whole,) = self._paces.values()
        self._sharing = dict(sharing)
        groups = dict.fromkeys(sharing.values())
        self._paces = {group: whole.part({key for key in sharing if sharing[key] == group}) for group in groups}

    def _pace(self, key: str) -> _Pace:
        return self._paces[self._sharing.get(key, next(iter(self._paces)))]

    def expect(self, workers: int, group: str = "") -> None:
        """So many workers (of a group) are being started."""
        self._paces[group].expected_workers = workers

    def begin(self, worker: str = "", key: str = "") -> None:
        """A worker has started work (on a piece); the time before was start-up, and does not count for its pace."""
        self._pace(key).begin(worker)

    def resume(self, key: str) -> None:
        """A piece of work resumes from where an earlier run left it; its first report says where that was."""
        self._pace(key).resume(key)

    def advance(self, key: str, share: float) -> None:
        """A piece of work is done to this `share` (1: all of it)."""
        if self._pace(key).advance(key, share):
            self._draw()

    def end(self, key: str) -> None:
        """A piece of work has ended, finished or not."""
        if self._pace(key).end(key):
            self._draw()

    def close(self) -> None:
        """Draw the final state, unless it is drawn already, and end the line."""
        self._status = ""
        self._draw(now=self._live or self._ended_counts != self._drawn_counts)
        if self._live:
            self._stream.write("\n")
            self._stream.flush()

    def text(self) -> str:
        """The line as it is now."""
        done, running, failed = self._counts
        parts = [f"{done}/{self._total} {self._noun} done", f"{running} running"]
        if failed:
            parts.append(f"{failed} failed")
        if self._slots is not None:
            parts.append(f"slots {self._slots:.0%} in use")
        if self._lost:
            parts.append(self._lost)
        if self._status:
            parts.append(self._status)
        else:
            left = self.seconds_left()
            if left is not None and done + failed < self._total:
                parts.append(f"about {duration(left)} left")
        return " · ".join(parts)

    def seconds_left(self) -> float | None:
        """Time that the rest takes at the pace of this run so far; None while that is unknown."""
        # groups of workers are at work at the same time; those that have nothing left say nothing
        paces = [pace for pace in self._paces.values() if len(self._paces) == 1 or pace.left]
        seconds = [pace.seconds_left() for pace in paces]
        known = [each for each in seconds if each is not None]
        return max(known) if known and len(known) == len(seconds) else None

    @property
    def _ended_counts(self) -> tuple[int, int]:
        done, _, failed = self._counts
        return done, failed

    def _draw(self, now: bool = False) -> None:
        waited = self._clock() - self._drawn_at
        if self._live:
            due = waited >= REDRAW_S
        else:
            due = waited >= (PLAIN_S if self._ended_counts == self._drawn_counts else PLAIN_CHANGE_S)
        if not (due or now):
            return
        self._drawn_at, self._drawn_counts = self._clock(), self._ended_counts
        self._write()

    def _write(self) -> None:
        line = self.text()
        if self._live:
            self._stream.write(f"\r{line:<{self._width}}")
            self._width = len(line)
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()


@dataclass(frozen=True)
class RunProgress:
    """How far a run is, for a program that shows it in its own way."""

    total: int
    """Cells (or tune_trials) of the study."""
    done: int
    """Of these, with a result."""
    running: int
    """Of these, being trained."""
    failed: int
    """Of these, failed."""
    seconds_left: float | None
    """None while it is unknown."""
    text: str
    """The progress line, or another message, such as that a worker was lost."""


class CallbackProgress(Progress):
    """Calls a function with the progress of a run, in place of printing it.

    Parameters
    ----------
    notify : callable
        Gets a `RunProgress`, from the thread that runs the study.
    *arguments, **settings
        As for `Progress`.
    """

    def __init__(self, notify: Callable[[RunProgress], None], *arguments: Any, **settings: Any):
        super().__init__(*arguments, **{**settings, "stream": io.StringIO()})
        self._live = True  # as often as a terminal's line
        self._notify = notify

    def print(self, text: str) -> None:
        """Pass on a message."""
        self._notify(self._now(text))

    def close(self) -> None:
        """Pass on the final state."""
        self._status = ""
        self._draw(now=True)

    def _write(self) -> None:
        self._notify(self._now(self.text()))

    def _now(self, text: str) -> RunProgress:
        done, running, failed = self._counts
        return RunProgress(self._total, done, running, failed, self.seconds_left(), text)


MakeProgress = Callable[..., Progress]
"""Makes a run's progress, from the arguments of `Progress`."""


def progress_maker(shown: bool | Callable[[RunProgress], None]) -> MakeProgress:
    """What shows a run on a line of standard error (True), not at all (False), or by calling a function."""
    if shown is True:
        return Progress
    return partial(CallbackProgress, shown or _ignore)


def _ignore(progress: RunProgress) -> None:
    """Nothing is shown."""


def duration(seconds: float) -> str:
    """`seconds` as people say it: 40 s, 3 min 20 s, 2 h 5 min, 4 days."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours >= 48:
        return f"{round(hours / 24)} days"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
