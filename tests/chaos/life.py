"""A life of a driver: the command in a process of its own, what it notes and says, and the processes below it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from processes import end_all

PROGRAM = Path(__file__).with_name("noted_run.py")
LONGEST_S = 600.0
"""A life that is neither over nor where it should be by then hangs: that is a failure, and no moment to choose."""
LOOK_S = 0.02


class Life:
    """One run of the command, from its start to its end.

    Parameters
    ----------
    arguments : sequence of str
        Of ``scmmlab``.
    checkpoint_s : float
        Pace of checkpoints.
    folder : Path
        Where it is given.
    environment : dict | None
        Beside this process's own.
    """

    def __init__(
        self, arguments: Sequence[str], checkpoint_s: float, folder: Path, environment: dict[str, str] | None = None
    ):
        read, write = os.pipe()
        command = [sys.executable, str(PROGRAM), str(write), str(checkpoint_s), *arguments]
        paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env={**os.environ, **paths, **(environment or {})},
            pass_fds=[write],
            # Ctrl-C is for those who count, the signals here are for the driver alone
            start_new_session=True,
        )
        os.close(write)
        self.notes: list[dict[str, Any]] = []
        """What the engine told, in order."""
        self._said: list[str] = []
        self._below: set[psutil.Process] = set()
        self._readers = [
            threading.Thread(target=self._take_notes, args=(read,), daemon=True),
            threading.Thread(target=self._listen, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def said(self) -> str:
        """What it has printed."""
        return "".join(self._said)

    @property
    def over(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def count(self, what: str) -> int:
        """Notes of a kind."""
        return sum(note["what"] == what for note in list(self.notes))

    def until(self, fact: Callable[[], bool]) -> bool:
        """Wait until `fact` holds; False where the driver ended before."""
        deadline = time.monotonic() + LONGEST_S
        while not fact():
            if self.over:
                return False
            assert time.monotonic() < deadline, f"it hangs, and has said:\n{self.said}"
            time.sleep(LOOK_S)
        return True

    def end(self) -> int:
        """Wait for the end; the exit status, or minus the signal that ended it."""
        assert self.until(lambda: self.over), "it is over"
        self.below()
        status = self.process.wait()
        # what Ray leaves running may hold the output open; what the driver itself said is there
        for reader in self._readers:
            reader.join(5.0)
        return status

    def below(self) -> list[psutil.Process]:
        """The processes below the driver that run; they are remembered for `sweep_up`."""
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            found = []
        self._below.update(found)
        return [process for process in found if process.is_running()]

    def sweep_up(self) -> None:
        """End what is left of it: Ray's processes take minutes to notice that their driver was killed."""
        if not self.over:
            self.below()
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        end_all(self._below)

    def _take_notes(self, pipe: int) -> None:
        with open(pipe, encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):  # a kill cuts the last one off
                    self.notes.append(json.loads(line))
                    if len(self.notes) % 50 == 1:
                        self.below()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.append(line)


def named(processes: Sequence[psutil.Process], *names: str) -> list[psutil.Process]:
    """Those whose command line begins with one of `names` (Ray's actors are called by their class), oldest first."""
    found = []
    for process in processes:
        try:
            title = " ".join(process.cmdline())
            if process.status() != psutil.STATUS_ZOMBIE and any(name in title.split(" ")[0] for name in names):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return sorted(found, key=lambda process: process.pid)
