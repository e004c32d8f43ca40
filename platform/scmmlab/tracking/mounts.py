"""Which file system a path lies on, and whether it comes over a network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import psutil

from scmmlab.errors import StoreError

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "davfs"}
    | {"ocfs2", "gfs2", "pvfs2", "orangefs", "panfs", "wekafs"}
    | {f"fuse.{name}" for name in ("sshfs", "s3fs", "gcsfuse", "glusterfs", "rclone", "juicefs", "davfs2", "ceph")}
    | {f"fuse.{name}" for name in ("mount-s3", "goofys", "blobfuse", "blobfuse2", "ceph-fuse", "mfs", "quobyte")}
)
"""File systems over which locks cannot be relied on."""


@dataclass(frozen=True)
class Mount:
    """A mounted file system."""

    point: str
    """Where it is mounted."""
    kind: str
    """Its type, such as `ext4`."""

    @property
    def over_network(self) -> bool:
        """Whether other machines may write to it too."""
        return self.kind in NETWORK_FILE_SYSTEMS


def mount_of(path: str | os.PathLike[str]) -> Mount | None:
    """The file system that `path` lies on, which need not exist; None where the mounts cannot be listed."""
    place = os.path.realpath(path)  # first: what is mounted on demand is mounted by looking there
    try:
        partitions = psutil.disk_partitions(all=True)
    except OSError:
        return None
    found: Mount | None = None
    for partition in partitions:
        point = partition.mountpoint
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        # of two at one point the later hides the earlier
        if inside and (found is None or len(point) >= len(found.point)):
            found = Mount(point, partition.fstype)
    return found


def sqlite_uri(file: Path) -> str:
    """The `sqlite:///…` URI of a file, whatever is in its name: what follows a `?` would be parameters."""
    return f"sqlite:///{str(file).replace('%', '%25').replace('?', '%3F')}"


def sqlite_file(tracking_uri: str) -> Path | None:
    """The file of a `sqlite:///…` URI; None for every other."""
    scheme, _, path = tracking_uri.partition(":///")
    return Path(unquote(path.partition("?")[0])) if scheme.partition("+")[0] == "sqlite" and path else None


def why_no_sqlite(file: Path) -> str | None:
    """Why a SQLite database must not be at `file`; None where it may."""
    mount = mount_of(file)
    if mount is None or not mount.over_network:
        return None
    return (
        f"SQLite relies on file locks, which {mount.kind} (mounted on {mount.point}) does not keep, and the database "
        "is damaged sooner or later"
    )


def refuse_sqlite_over_network(tracking_uri: str) -> None:
    """Refuse a SQLite database of MLflow's whose locks cannot be relied on.

    Raises
    ------
    StoreError
        If it lies on a network file system.
    """
    file = sqlite_file(tracking_uri)
    reason = why_no_sqlite(file) if file is not None else None
    if reason is not None:
        raise StoreError(
            f"The MLflow database '{file}' must not lie on a network file system: {reason}.",
            hint="name a server (--tracking-uri http://HOST:5000), a database on a local disk "
            "(--tracking-uri sqlite:////local/mlflow.db), or --tracking-uri none",
        )
