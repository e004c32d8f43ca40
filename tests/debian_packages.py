"""Debian's packages for a test: as they are installed, or fetched and unpacked to a folder, which takes no rights."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock


def package_root(name: str, packages: Sequence[str], has: Callable[[Path], bool]) -> Path | None:
    """The folder under which packages lie: `/`, or one that they were unpacked to. None where they cannot be had.

    Parameters
    ----------
    name : str
        Of the folder, where they are unpacked.
    packages : sequence of str
        What apt-get is asked for.
    has : callable
        Whether what a test needs of them lies under a folder.
    """
    if has(Path("/")):
        return Path("/")
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return None
    # root's own folder is closed to the users as whom root's tests run servers
    ours = Path("/var/cache") if os.getuid() == 0 else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = ours / "scmmlab" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    # tests run in several processes
    with FileLock(folder.parent / f"{name}.lock"):
        if not has(folder):
            _unpack(packages, folder)
    return folder if has(folder) else None


def library_folders(root: Path) -> list[Path]:
    """Where the libraries of unpacked packages are."""
    return sorted((root / "usr/lib").glob("*-linux-gnu"))


def _unpack(packages: Sequence[str], folder: Path) -> None:
    """Download packages, and those that they need and this machine has not, as any user; install nothing."""
    work = Path(tempfile.mkdtemp(prefix="debian-packages-", dir="/tmp"))
    try:
        for name in ("lists/partial", "archives/partial", "root"):
            (work / name).mkdir(parents=True)
        own = ["Debug::NoLocking=1", f"Dir::State::Lists={work}/lists", f"Dir::Cache={work}"]
        if os.getuid() == 0:
            own.append("APT::Sandbox::User=root")
        options = [argument for setting in own for argument in ("-o", setting)]
        for command in (["update"], ["install", "--download-only", "--no-install-recommends", "--yes", *packages]):
            done = subprocess.run(["apt-get", "-qq", *options, *command], capture_output=True, text=True)
            if done.returncode != 0:
                print(f"apt-get {command[0]}: {done.stderr}")
                return
        for package in (work / "archives").glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, work / "root"], check=True)
        (work / "root").chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(work / "root", folder)
    finally:
        shutil.rmtree(work)
