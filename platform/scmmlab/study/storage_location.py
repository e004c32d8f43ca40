"""Where a store is: a folder, or a URI with what its filesystem needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

from pyarrow import ArrowException, fs

from scmmlab.errors import StoreError, first_line


@dataclass(frozen=True)
class StorageLocation:
    """A folder on a filesystem."""

    filesystem: fs.FileSystem
    """The filesystem."""
    path: str
    """The folder on it."""
    shown: str
    """For people: without credentials, and without what the filesystem needs to know."""


def find_location(uri: str) -> StorageLocation:
    """The location that `uri` names.

    Parameters
    ----------
    uri : str
        A path, or a URI with pyarrow's parameters: ``s3://bucket/prefix?endpoint_override=host:port&scheme=https``.

    Raises
    ------
    StoreError
        If pyarrow does not know it.
    """
    shown = shown_location(uri)
    try:
        if "://" in uri:
            filesystem, path = fs.FileSystem.from_uri(_with_single_puts(uri))
        else:
            filesystem, path = fs.LocalFileSystem(), str(Path(uri).expanduser().absolute())
    except (ArrowException, OSError, ValueError) as error:
        raise StoreError(f"Cannot use '{shown}' as a result store: {first_line(error)}.") from error
    return StorageLocation(filesystem, path, shown)


def shown_location(uri: str) -> str:
    """`uri` without credentials and parameters; a path as it is."""
    if "://" not in uri:
        return uri
    parts = urlsplit(uri)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def without_password(uri: str) -> str:
    """`uri` with its parameters and without credentials, for a command that people may copy."""
    if "://" not in uri:
        return uri
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _with_single_puts(uri: str) -> str:
    """Have objects of up to 5 MiB written by one request, instead of three for an upload in parts."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or "allow_delayed_open" in parse_qs(parts.query):
        return uri
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, "allow_delayed_open=true")))))
