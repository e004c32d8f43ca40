"""Whether the disks have room, and locks that can be relied on."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from scmmlab.doctor.check_result import CheckResult, bad, ok, warn
from scmmlab.errors import ResourceError
from scmmlab.execution.own_folder import leftovers
from scmmlab.execution.ray.session_folder import check_ray_folder, ray_folder
from scmmlab.tracking.mounts import mount_of, sqlite_file

GIB = 2**30
_SHOWN = 5
"""So many folders are named."""
LEAST_FREE = GIB
LITTLE_FREE = 5 * GIB
RAY_FULL = 0.95
"""Share of its disk from which on Ray takes no more objects that do not fit into memory (its own threshold)."""
LEAST_SHM = 160 * 2**20
"""Ray takes no less than 75 MiB for shared objects, and a run asks for half of what is free."""


def check_folders(store: Path, tracking_uri: str) -> Iterator[CheckResult]:
    """Findings on the file systems of the store and of MLflow's database.

    Parameters
    ----------
    store : Path
        Folder of the result store, which need not be there yet.
    tracking_uri : str
        Of MLflow.
    """
    mount = mount_of(store)
    if mount is not None and mount.over_network:
        found = f"{store} lies on a network file system ({mount.kind} on {mount.point})"
        yield warn("file system of the store", found, "keep the store on a local disk, or in s3://… or gs://…")
    else:
        yield ok("file system of the store", mount.kind if mount else "unknown")
    database = sqlite_file(tracking_uri)
    mount = mount_of(database) if database else None
    if mount is not None and mount.over_network:
        found = f"SQLite on {mount.kind} ({mount.point}), whose locks do not keep it from damage"
        yield bad("MLflow's database", found, "--tracking-uri http://HOST:5000, or sqlite:////local/mlflow.db")
    elif database:
        yield ok("MLflow's database", f"SQLite on {mount.kind if mount else 'an unknown file system'}")


def check_room(store: Path) -> Iterator[CheckResult]:
    """Findings on free disk, for the store and for Ray."""
    there = next(folder for folder in (store, *store.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    found = f"{free / GIB:.1f} GiB free for the store"
    if free < LEAST_FREE:
        yield bad("disk", found, f"make room on the disk of {there}, or name another --store")
    elif free < LITTLE_FREE:
        yield warn("disk", found, f"make room on the disk of {there}, or name another --store")
    else:
        yield ok("disk", found)
    temporary = Path(tempfile.gettempdir())
    disk = shutil.disk_usage(temporary)
    if 1 - disk.free / disk.total > RAY_FULL:
        found = f"the disk of {temporary} is over {RAY_FULL:.0%} full, where Ray takes no more objects"
        yield bad("disk for Ray", found, f"make room on the disk of {temporary}")
    else:
        yield ok("disk for Ray", f"{disk.free / GIB:.1f} GiB free in {temporary}")


def check_leftovers() -> CheckResult:
    """A finding on temporary folders of runs that were killed."""
    found = leftovers()
    if not found:
        return ok("folders of killed runs", f"none in {tempfile.gettempdir()}")
    named = ", ".join(map(str, found[:_SHOWN])) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
    mend = "the next run clears those that it knows; where no study runs, rm -r " + shlex.join(map(str, found[:_SHOWN]))
    return warn("folders of killed runs", f"no run has {named}", mend)


def check_sockets(environment: Mapping[str, str]) -> CheckResult:
    """A finding on the folder in which a Ray of our own has its sockets."""
    try:
        check_ray_folder(environment)
    except ResourceError as error:
        return bad("Ray's folder", error.message.rstrip("."), error.hint or "")
    if environment.get("RAY_ADDRESS"):
        return ok("Ray's folder", "RAY_ADDRESS names a cluster, which has its own")
    return ok("Ray's folder", f"{ray_folder(environment)[0]}, with room for the names of its sockets")


def check_shared_memory(needed: int, folder: Path = Path("/dev/shm")) -> CheckResult:
    """A finding on the memory that Ray shares among processes.

    Parameters
    ----------
    needed : int
        Bytes of the tables that a study shares.
    folder : Path
        Where the kernel shows it.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return warn("shared memory", f"there is no {folder}", "mount a tmpfs there: Ray is slow without")
    found, mend = f"{free / GIB:.2f} GiB free in {folder}", "docker run --shm-size=2g, or mount -o remount,size=2g"
    if free < max(LEAST_SHM, 2 * needed):
        return bad("shared memory", f"{found}, {max(LEAST_SHM, 2 * needed) / GIB:.2f} GiB needed", f"{mend} {folder}")
    return ok("shared memory", found)
