"""A folder whose disk is full, or refuses to be written to, for a while: for real, as far as this user may.

Root mounts a small disk, fills it, and mounts it read-only. Anyone else bounds the length of the driver's files, which
it is then told by EFBIG, and takes the right to write from the folders.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

SIZE = 48 * 2**20


class TroubledDisk:
    """A folder on a disk of its own.

    Parameters
    ----------
    folder : Path
        Empty, or not there.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._mounted = os.geteuid() == 0 and _done("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder))

    def close(self) -> None:
        """Let go of the disk; what is on it is gone."""
        if self._mounted:
            _done("umount", "--lazy", str(self.folder))

    @contextmanager
    def full(self, driver: int) -> Iterator[None]:
        """There is no room for another byte that the process `driver` writes."""
        if not self._mounted:
            with _bounded_files(driver):
                yield
            return
        ballast = self.folder / "ballast"
        with ballast.open("wb", buffering=0) as stream:
            for size in (2**16, 1):
                try:
                    while True:
                        stream.write(b"x" * size)
                except OSError:
                    continue
        try:
            yield
        finally:
            ballast.unlink()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Nothing can be written or renamed."""
        if self._mounted:
            self._mount_read_only()
            try:
                yield
            finally:
                subprocess.run(["umount", "--lazy", self.folder], check=True)
            return
        folders = [self.folder, *(path for path in self.folder.rglob("*") if path.is_dir())]
        modes = {path: path.stat().st_mode for path in folders}
        for path in modes:
            path.chmod(0o555)
        try:
            yield
        finally:
            for path, mode in modes.items():
                path.chmod(mode)

    def _mount_read_only(self) -> None:
        """Over itself: what is open stays so, and keeps no one from refusing."""
        place = str(self.folder)
        for _ in range(100):
            subprocess.run(["mount", "--bind", place, place], check=True)
            if _done("mount", "-o", "remount,bind,ro", place):
                return
            # a file was opened for writing between the two
            subprocess.run(["umount", "--lazy", place], check=True)
        raise OSError(f"{place} is written to whenever it is to be mounted read-only")


@contextmanager
def _bounded_files(driver: int) -> Iterator[None]:
    process = psutil.Process(driver)
    before = process.rlimit(resource.RLIMIT_FSIZE)
    process.rlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        if process.is_running():
            process.rlimit(resource.RLIMIT_FSIZE, before)


def _done(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
