"""Whether the folder for sockets and logs of a Ray of our own is suitable, which Ray itself finds out late."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from scmmlab.errors import ResourceError

LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107
"""Bytes of the path of a Unix socket, at most."""
_LONGEST_NAME = f"/ray/session_2026-01-01_00-00-00_000000_{2**22}/sockets/plasma_store"
"""Of the sockets in that folder, with a process's number of seven digits."""
LONGEST_FOLDER = LONGEST_SOCKET - len(_LONGEST_NAME)
"""Bytes of the folder's own path, at most."""


def ray_folder(environment: Mapping[str, str]) -> tuple[Path, str]:
    """The folder that Ray will take, and the variable that names it (empty: none does)."""
    for name in ("RAY_TMPDIR", "TMPDIR"):
        if name in environment:
            return Path(environment[name]), name
    return Path("/tmp"), ""


def check_ray_folder(environment: Mapping[str, str]) -> None:
    """Check that Ray can start on this machine; nothing is checked where RAY_ADDRESS names a cluster.

    Raises
    ------
    ResourceError
        If the paths of its sockets would be too long, or it could not write in its folder.
    """
    if environment.get("RAY_ADDRESS"):
        return
    folder, variable = ray_folder(environment)
    shown = f"{variable}={folder}" if variable else str(folder)
    hint = "export RAY_TMPDIR=/tmp, or another folder of this machine with a short path"
    if not folder.is_absolute():
        raise ResourceError(f"Ray cannot start with {shown}: an absolute path is expected.", hint=hint)
    length = len(os.fsencode(folder))
    if length > LONGEST_FOLDER:
        raise ResourceError(
            f"Ray cannot start with {shown}: this path has {length} bytes, and at most {LONGEST_FOLDER} leave "
            f"room for the names of Ray's sockets ({LONGEST_SOCKET} in all).",
            hint=hint,
        )
    own = folder / "ray"
    there = next(above for above in (own, *own.parents) if above.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ResourceError(
            f"Ray cannot start with {shown}: {there} is not a folder that this user can write to.", hint=hint
        )
