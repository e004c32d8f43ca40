"""A queue of events on disk, so that what was told is not lost when a view is away and the program is killed."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from scmmlab.tracking.event_lines import from_line, to_line
from scmmlab.tracking.events import CellFailed, CellFinished, CellStarted, Epochs, Event, StudyStarted

_log = logging.getLogger(__name__)

MIB = 2**20
MOST_BYTES = 256 * MIB
"""Of a spool. Epochs may fill half of it, so that there is room for results."""
_SMALL = MIB // 4
"""Bytes up to which lines that are written lie there: to write one twice does no harm, and costs less than to tidy."""
_TAKEN_AT_ONCE = 4 * MIB


class Spool:
    """Events in the order in which they came: on disk where there is a file, else in memory.

    A line is an event. What a view has shown is dropped from time to time; what stays in the file when the program
    ends, or is killed, comes first the next time. The file opens with what later lines build on: the study, and the
    cells that have begun and not ended. To show an event twice does no harm.

    Where the file cannot be written (the disk is full), events wait in memory until it can. A second program on the
    same file has its events in memory only.

    Parameters
    ----------
    path : Path | None
        The file, made if need be; None for memory only.
    most_bytes : int
        How large the file may get; what comes then is left out.
    """

    def __init__(self, path: Path | None, most_bytes: int = MOST_BYTES):
        self.path = path
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._memory: deque[Event] = deque()
        self._taken_from_memory = 0
        self.epochs_in_memory = 0
        """Epochs that wait in memory."""
        self._study: StudyStarted | None = None
        self._begun: dict[tuple[str, str], CellStarted] = {}
        self._end = self._read_to = self._unread = 0
        self._failed = False
        self.in_use = False
        """Whether another program has the file."""
        self._file = None if path is None else self._open(path)

    @property
    def unread(self) -> int:
        """Events that were not taken yet."""
        return self._unread + len(self._memory)

    @property
    def on_disk(self) -> bool:
        """Whether everything that waits outlives the program."""
        return self._file is not None and not self._memory and not self._taken_from_memory

    def append(self, events: Iterable[Event]) -> int:
        """Add events; when it returns they are on the disk. Returns the number of those that are left out."""
        events = list(events)
        with self._lock:
            if self._file is None or self._failed:
                self._keep_in_memory(events)
                return 0
            lines, size = [], self._end
            for event in events:
                line = to_line(event)
                if size + len(line) <= (self._most_bytes // 2 if isinstance(event, Epochs) else self._most_bytes):
                    size += len(line)
                    lines.append(line)
            try:
                self._end = _write(self._file, self._end, lines)
            except OSError as error:
                self._fail(error)
                self._keep_in_memory(events)
                return 0
            self._unread += len(lines)
            return len(events) - len(lines)

    def take(self) -> list[Event]:
        """The next events, some megabytes of them; what is on disk stays there until :meth:`settle`."""
        with self._lock:
            taken = self._read()
            if not taken and not self._unread:
                taken = list(self._memory)
                self._taken_from_memory = len(taken)
                self._memory.clear()
                self.epochs_in_memory = 0
            for event in taken:
                self._remember(event)
            return taken

    def settle(self) -> None:
        """Everything that was taken is shown, and may be forgotten."""
        with self._lock:
            self._taken_from_memory = 0
            if self._file is None or self.unread or (self._end <= _SMALL and not self._failed):
                return
            context = [event for event in (self._study, *self._begun.values()) if event is not None]
            try:
                # all of it is shown: a kill between the two loses nothing
                os.ftruncate(self._file, 0)
                self._end = self._read_to = 0
                self._end = self._read_to = _write(self._file, 0, map(to_line, context))
                self._failed = False
            except OSError as error:
                self._fail(error)

    def close(self, all_shown: bool) -> None:
        """Let go of the file, which is removed where nothing in it waits."""
        with self._lock:
            if self._file is not None:
                if all_shown and self.path is not None:
                    self.path.unlink(missing_ok=True)
                os.close(self._file)
                self._file = None

    # --- how

    def _open(self, path: Path) -> int | None:
        """The file, locked, without what a kill has cut off."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            _log.warning("Tracking cannot use %s (%s): its events wait in memory.", path, error.strerror or error)
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.in_use = True
            _log.warning("Another run of this study has %s: this one's tracking events wait in memory.", path)
            os.close(file)
            return None
        with open(file, "rb", closefd=False) as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    self._end += len(line)
                    self._unread += 1
        os.ftruncate(file, self._end)
        return file

    def _read(self) -> list[Event]:
        """Events on disk that are not read yet; a line that is none of ours is passed over."""
        if self._file is None or not self._unread:
            return []
        size, cut = _TAKEN_AT_ONCE, 0
        while not cut:  # a line may be longer
            data = os.pread(self._file, min(size, self._end - self._read_to), self._read_to)
            cut, size = data.rfind(b"\n") + 1, 2 * size
        self._read_to += cut
        events = []
        for line in data[: cut - 1].split(b"\n"):
            self._unread -= 1
            try:
                events.append(from_line(line))
            except ValueError:
                _log.warning("A line of %s is damaged, and passed over.", self.path)
        return events

    def _keep_in_memory(self, events: list[Event]) -> None:
        self._memory.extend(events)
        self.epochs_in_memory += sum(len(event.points) for event in events if isinstance(event, Epochs))

    def _remember(self, event: Event) -> None:
        if isinstance(event, StudyStarted):
            self._study = event
            self._begun = {}
        elif isinstance(event, CellStarted):
            self._begun[event.cell.place] = event
        elif isinstance(event, CellFinished | CellFailed):
            self._begun.pop(event.cell.place, None)

    def _fail(self, error: OSError) -> None:
        if not self._failed:
            _log.warning("Tracking cannot write %s (%s): its events wait in memory.", self.path, error.strerror)
        self._failed = True


def _write(file: int, end: int, lines: Iterable[bytes]) -> int:
    """Write lines at `end`, wait for the disk, and return the new end; whole or not at all."""
    data = b"".join(lines)
    try:
        written = 0
        while written < len(data):
            written += os.pwrite(file, data[written:], end + written)
        os.fsync(file)
    except OSError:
        os.ftruncate(file, end)
        raise
    return end + len(data)
