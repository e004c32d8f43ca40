"""Temporary folders of runs: each is locked by its run, and the next run removes those that a killed run left."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from filelock import FileLock

_KINDS = ("train", "tune", "rerun")
_LOCK = ".in-use"


class OwnFolder:
    """A temporary folder that is removed with its process or, if that is killed, by the next run on this machine.

    Parameters
    ----------
    kind : str
        What it is for: `train`, `tune` or `rerun`.
    """

    def __init__(self, kind: str):
        assert kind in _KINDS, f"folders of {kind} would never be cleared"
        clear_leftovers()
        # hidden until it is locked, so that no other run takes it for a leftover
        hidden = Path(tempfile.mkdtemp(prefix=f".scmmlab-{kind}-"))
        self._lock = _lock_of(hidden)
        with suppress(OSError):  # a file system without locks: it is never cleared
            self._lock.acquire()
        self.name = str(hidden.rename(hidden.with_name(hidden.name.removeprefix("."))))
        """Its path."""

    def cleanup(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.name, ignore_errors=True)
        self._lock.release()

    def __enter__(self) -> str:
        """Its path."""
        return self.name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it."""
        self.cleanup()


def clear_leftovers() -> None:
    """Remove the folders of this user's runs on this machine that have ended without doing so.

    A folder without a lock file may belong to a run of another version, and is left for people to judge.
    """
    for folder, lock in _unlocked():
        if lock is not None:
            # while it is locked, so that two runs that start at the same time do not interfere
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()


def leftovers() -> list[Path]:
    """Folders of this user's runs that no run has locked."""
    found = []
    for folder, lock in _unlocked():
        found.append(folder)
        if lock is not None:
            lock.release()
    return found


def _unlocked() -> Iterator[tuple[Path, FileLock | None]]:
    """Each folder that no run has locked, with a lock of ours on it; None where it has no lock file."""
    for kind in _KINDS:
        for folder in sorted(Path(tempfile.gettempdir()).glob(f"scmmlab-{kind}-*")):
            with suppress(OSError):  # it is being removed, or has no locks
                if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.getuid():
                    continue
                if not (folder / _LOCK).exists():
                    yield folder, None
                    continue
                lock = _lock_of(folder)
                lock.acquire()  # a Timeout, an OSError too: its run has it
                yield folder, lock


def _lock_of(folder: Path) -> FileLock:
    return FileLock(folder / _LOCK, blocking=False, thread_local=False, fallback_to_soft=False)
