"""What a user can do wrong, as exceptions that say how to put it right.

Every error of ours is one sentence (what, where, expected, found) and, where there is one, a hint with the next step.
The command line prints it without a traceback and exits with the error's status; an ``assert`` marks a bug of ours.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from typing import Literal

FailureCause = Literal["error", "out_of_memory", "diverged", "lost"]
"""What a stage that came to nothing died of: an error like any other, memory, numbers that are not finite, or the loss
of its worker."""


def is_settled(cause: str | None) -> bool:
    """Whether a sweep's setting that ended so stays; one that lost its worker is tried again by the next run."""
    return cause != "lost"


LossKind = Literal["crash", "out_of_memory", "machine", "preemption"]
"""What a worker was lost by: of itself, in the first two, or because it was taken away."""


class ScmmlabError(Exception):
    """An error that its reader can mend.

    Parameters
    ----------
    message : str
        One sentence: what, where, what was expected, what was found.
    hint : str | None
        The next step.
    """

    exit_status = 2
    """Of a command that ends with it: the input is wrong, and has to change before the command is given again."""

    def __init__(self, message: str, hint: str | None = None):
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} Hint: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[type[ScmmlabError], tuple[str, str | None]]:
        # the default would pass ``str(self)`` on, and the hint would appear twice after a trip through Ray
        return type(self), (self.message, self.hint)


class SpecError(ScmmlabError):
    """A study, search space or override that cannot be used."""


class CorpusError(ScmmlabError):
    """A raw recording, corpus folder or feature table that is not what it should be."""


class SplitError(ScmmlabError):
    """A split that would leak, or that leaves a part without one of the classes."""


class StoreError(ScmmlabError):
    """A result store that cannot be read or written."""


class StoreAwayError(StoreError):
    """A store that has worked and now refuses: nothing is lost, and the same command goes on when it is back."""

    exit_status = os.EX_TEMPFAIL


class BusyError(StoreError):
    """A study that another driver is running."""


class ResourceError(ScmmlabError):
    """A study that asks for more than the machine or cluster has."""


class TryAgainError(ResourceError):
    """A run whose machines were lost, or are held by others: nothing is lost, and the same command goes on."""

    exit_status = os.EX_TEMPFAIL


class TrainingError(ScmmlabError):
    """A training that cannot go on."""


class DivergedError(TrainingError):
    """A training whose losses or parameters are no longer finite."""


class MemoryShortageError(TrainingError):
    """A training for which there is not enough memory, even alone."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without its full stop; the error's name where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` was most likely meant to be, or None."""
    matches = difflib.get_close_matches(name, sorted(candidates), n=1, cutoff=0.5)
    return matches[0] if matches else None


class MovedSettingWarning(UserWarning):
    """A setting has a new path; the old one still means the same. The command line says it as a note."""
