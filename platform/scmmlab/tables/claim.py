"""One build at a time at a table's place, and what a build that was killed there has left behind."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from scmmlab.errors import CorpusError
from scmmlab.tables.locations import Location


@contextmanager
def claimed(place: Location) -> Iterator[None]:
    """A table's place, for as long as the context lasts.

    The claim is a lock of the operating system on a hidden file beside the place: it ends with its process, however
    that ends. On a filesystem that is reached by URI, or has no locks, nothing is claimed.

    Raises
    ------
    CorpusError
        If another process has claimed it.
    """
    if place.local is None:
        yield
        return
    parent, path = place.local.parent, place.local.with_name(f".{place.local.name}.lock")
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    held = None
    try:
        # where nothing can be written nothing is; whoever writes all the same says so
        with suppress(OSError):
            parent.mkdir(parents=True, exist_ok=True)
            held = _locked(path, place.shown)
        if held is not None:
            _clear_leftovers(place.local)
        yield
    finally:
        if held is not None:
            # while it is locked, so that nobody locks a file that is no longer there
            path.unlink(missing_ok=True)
            held.release()
        for folder in made:
            # only those that are empty
            with suppress(OSError):
                folder.rmdir()


def _locked(path: Path, shown: str) -> FileLock:
    """The lock, with our PID in its file. A holder that is just ending is waited for."""
    lock = FileLock(path, timeout=1, thread_local=False, fallback_to_soft=False, on_acquired=_write_pid)
    try:
        lock.acquire()
    except Timeout as error:
        other = "unknown"
        with suppress(OSError):  # it has just gone
            other = path.read_text(encoding="latin-1").strip() or other
        raise CorpusError(
            f"'{shown}' is being built already: expected to be alone there, found process {other} at work.",
            "wait until it has ended; the same command then finds the table, or goes on where that was stopped.",
        ) from error
    except PermissionError:  # it is another user's
        raise
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return lock


def _write_pid(file: int) -> None:
    os.truncate(file, 0)
    os.write(file, f"{os.getpid()}\n".encode())


def _clear_leftovers(target: Path) -> None:
    """Put back a table that was moved aside for one that never took its place; remove what is half-written."""
    left = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.(new|old)")
    for path in sorted(target.parent.iterdir()):
        match = left.fullmatch(path.name)
        if match is None:
            continue
        if match[1] == "old" and not target.exists():
            path.rename(target)
        else:
            shutil.rmtree(path, ignore_errors=True)
