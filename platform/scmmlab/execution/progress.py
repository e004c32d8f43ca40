"""The progress line: cells done, running and failed, and the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

REDRAW_S = 0.2
"""A terminal's line is drawn again so often, at most."""
PLAIN_S = 10.0
"""Without a terminal there is a line so often, and one when a cell has ended."""
PLAIN_CHANGE_S = 1.0
"""Such lines stand so far apart, at least."""
LEAST_SHARE = 0.01
"""No time left is given before so much of the work is done: it would be a guess."""


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
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._stream = stream if stream is not None else sys.stderr
        self._live = self._stream.isatty()
        self._clock = clock
        self._noun = noun
        self._total = total
        self._work = dict(work)
        self._share: dict[str, float] = dict.fromkeys(work, 0.0)
        self._before = 0.0
        self._counts = (done, 0, 0)
        self._note = ""
        self._slots: float | None = None
        self._lost = ""
        self._started: float | None = None
        self._drawn_at = float("-inf")
        self._drawn_ended: tuple[int, int] | None = None
        self._width = 0

    def note(self, text: str) -> None:
        """Say what is going on that is no work on a cell, such as starting Ray; empty when it is over."""
        self._note = text
        if text:
            self._draw(now=True)

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._live:
            self._stream.write(f"\r{'':<{self._width}}\r")
        self._stream.write(f"{text}\n")
        self._draw(now=self._live)

    def counts(self, done: int, running: int, failed: int) -> None:
        """So many cells of the total."""
        self._counts = (done, running, failed)
        self._draw()

    def slots(self, share: float) -> None:
        """So much of the slots has been in use so far, from 0 to 1."""
        self._slots = share

    def lost(self, text: str) -> None:
        """Say which workers were lost so far."""
        self._lost = text
        self._draw()

    def advance(self, key: str, share: float) -> None:
        """A piece of work is done to this `share` (1: all of it)."""
        if key not in self._share:
            return
        if self._started is None:
            # what came before the first news is start-up, and says nothing about the pace
            self._started = self._clock()
            self._before = self._work[key] * share
        self._share[key] = max(self._share[key], min(share, 1.0))
        self._draw()

    def close(self) -> None:
        """Draw the last state, where it is not there yet, and leave the line."""
        self._note = ""
        self._draw(now=self._live or self._ended != self._drawn_ended)
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
        if self._note:
            parts.append(self._note)
        else:
            left = self.seconds_left()
            if left is not None and done + failed < self._total:
                parts.append(f"about {duration(left)} left")
        return " · ".join(parts)

    def seconds_left(self) -> float | None:
        """Time that the rest takes at the pace of this run so far; None where that cannot be told yet."""
        total = sum(self._work.values())
        done = sum(self._work[key] * share for key, share in self._share.items())
        if self._started is None or not total or (done - self._before) / total < LEAST_SHARE:
            return None
        pace = (done - self._before) / max(self._clock() - self._started, 1e-9)
        return (total - done) / pace

    @property
    def _ended(self) -> tuple[int, int]:
        done, _, failed = self._counts
        return done, failed

    def _draw(self, now: bool = False) -> None:
        waited = self._clock() - self._drawn_at
        if self._live:
            due = waited >= REDRAW_S
        else:
            due = waited >= (PLAIN_S if self._ended == self._drawn_ended else PLAIN_CHANGE_S)
        if not (due or now):
            return
        self._drawn_at, self._drawn_ended = self._clock(), self._ended
        line = self.text()
        if self._live:
            self._stream.write(f"\r{line:<{self._width}}")
            self._width = len(line)
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """`seconds` as people say it: 40 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
