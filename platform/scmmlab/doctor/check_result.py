"""The outcome of one check, as a line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How much it matters."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class CheckResult:
    """The result of a check."""

    level: Level
    """How much it matters."""
    check: str
    """What was looked at, in a word or two."""
    found: str
    """What was found, in a phrase."""
    fix: str = ""
    """The next step, where there is one."""

    def __str__(self) -> str:
        line = f"{self.level.value:<5} {self.check}: {self.found}"
        return f"{line}. Fix: {self.fix}" if self.fix else line


def ok(check: str, found: str) -> CheckResult:
    """The check passed."""
    return CheckResult(Level.OK, check, found)


def warn(check: str, found: str, fix: str) -> CheckResult:
    """It may do harm."""
    return CheckResult(Level.WARN, check, found, fix)


def bad(check: str, found: str, fix: str) -> CheckResult:
    """It does harm, or lets others do it."""
    return CheckResult(Level.BAD, check, found, fix)
