"""Files on any filesystem, each written whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar

from pyarrow import ArrowException, fs

from scmmlab.config.file_names import check_file_name
from scmmlab.errors import StoreAwayError, StoreError, first_line
from scmmlab.study.retry import RETRY_S, Retry
from scmmlab.study.storage_location import StorageLocation, find_location

_OBJECT_STORES = ("s3", "gcs", "abfs")

Result = TypeVar("Result")


class UnreadableError(StoreError):
    """A name under which there is something that cannot be read, while the rest of the store can.

    Parameters
    ----------
    name : str
        The name.
    uri : str
        Of the store, for people.
    reason : str
        What it is: a phrase.
    """

    def __init__(self, name: str, uri: str, reason: str):
        super().__init__(f"Cannot read '{name}' in {uri}: {reason}.")
        self.reason = reason


class Files:
    """A folder on a filesystem that pyarrow knows.

    Parameters
    ----------
    uri : str
        A path, or a URI such as `s3://bucket/prefix`.
    filesystem : pyarrow.fs.FileSystem | None
        Where `uri` is a path on a filesystem that has no URI; found from `uri` when None.
    retry_s : float
        Time limit for retries of a filesystem that worked before.

    Raises
    ------
    StoreError
        If pyarrow does not know the URI or it is a file, or a method cannot read or write.
    SpecError
        If its letters are others in UTF-8 than in the locale.
    """

    def __init__(
        self,
        uri: str | os.PathLike[str],
        filesystem: fs.FileSystem | None = None,
        retry_s: float = RETRY_S,
    ):
        text = os.fspath(uri)
        check_file_name(text)
        location = find_location(text) if filesystem is None else StorageLocation(filesystem, text, text)
        self.filesystem, self.root, self.uri = location.filesystem, location.path.rstrip("/"), location.shown
        self._retry = Retry(retry_s)
        if self.local is not None and self.local.exists() and not self.local.is_dir():
            raise StoreError(f"Cannot use '{self.uri}' as a result store: it must be a folder, and is a file.")

    def hurried(self) -> Files:
        """The same folder without retries: a failure is raised at once."""
        other = Files(self.root, self.filesystem, retry_s=0.0)
        other.uri = self.uri
        return other

    @property
    def local(self) -> Path | None:
        """The folder on this machine; None where it is elsewhere."""
        return Path(self.root) if isinstance(self.filesystem, fs.LocalFileSystem) else None

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all, in place of one that is there."""
        path = self._path(name)

        def action() -> None:
            if self.filesystem.type_name in _OBJECT_STORES:
                with self.filesystem.open_output_stream(path) as stream:  # one put, seen when it is closed
                    stream.write(data)
            else:
                self._write_and_rename(path, data)

        self._access("write", f"write '{name}' in {self.uri}", action)

    @property
    def one_clock(self) -> bool:
        """Whether one clock tells when a file was written; on a shared folder each machine may use its own."""
        return self.filesystem.type_name in _OBJECT_STORES

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None where there is none.

        Raises
        ------
        UnreadableError
            If a folder has that name, or a file of our own that we may not read.
        """

        def action() -> bytes | None:
            try:
                with self.filesystem.open_input_stream(self._path(name), compression=None) as stream:
                    return bytes(stream.readall())
            except FileNotFoundError:
                return None
            except OSError as error:
                reason = self._why_unreadable(name, error)
                if reason is None:
                    raise
                raise UnreadableError(name, self.uri, reason) from error

        return self._access("read", f"read '{name}' in {self.uri}", action)

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""

        def action() -> bool:
            return bool(self.filesystem.get_file_info(self._path(name)).type == fs.FileType.File)

        return self._access("read", f"look for '{name}' in {self.uri}", action)

    def names(self, folder: str) -> list[str]:
        """Names in a folder, sorted, by one listing; those of folders too, which are in the way of files."""
        return sorted(info.base_name for info in self._listed(folder))

    def written(self, folder: str) -> dict[str, float]:
        """The files in a folder, by one listing: name → when it was written, in s by the filesystem's own clock."""
        found = self._listed(folder)
        return {info.base_name: (info.mtime_ns or 0) / 1e9 for info in found if info.type == fs.FileType.File}

    def set_aside(self, name: str) -> str:
        """Give a file or folder the name `….damaged`, or the next one that is free, and return it."""
        aside, number = f"{name}.damaged", 1
        while self._is_taken(aside):
            number += 1
            aside = f"{name}.damaged-{number}"
        self._move(name, aside)
        return aside

    def _move(self, name: str, new_name: str) -> None:
        """Give a file another name; nothing happens where it is gone."""

        def action() -> None:
            try:
                self.filesystem.move(self._path(name), self._path(new_name))
            except (ArrowException, OSError):
                # an object store copies first, and does not call a missing object a missing file
                if self.filesystem.get_file_info(self._path(name)).type != fs.FileType.NotFound:
                    raise

        self._access("write", f"rename '{name}' in {self.uri}", action)

    def delete(self, name: str) -> None:
        """Delete a file; nothing happens where it is gone."""

        def action() -> None:
            with suppress(FileNotFoundError):
                self.filesystem.delete_file(self._path(name))

        self._access("write", f"delete '{name}' in {self.uri}", action)

    def _listed(self, folder: str) -> list[fs.FileInfo]:
        selector = fs.FileSelector(self._path(folder), allow_not_found=True)
        return self._access("read", f"list '{folder}' in {self.uri}", lambda: self.filesystem.get_file_info(selector))

    def _is_taken(self, name: str) -> bool:
        def action() -> bool:
            return bool(self.filesystem.get_file_info(self._path(name)).type != fs.FileType.NotFound)

        return self._access("read", f"look for '{name}' in {self.uri}", action)

    def _why_unreadable(self, name: str, error: OSError) -> str | None:
        """What makes `name` unreadable for good; None where it may be the filesystem, or another user's affair."""
        kind = self.filesystem.get_file_info(self._path(name)).type
        if kind == fs.FileType.Directory:
            return "it is a folder"
        if isinstance(error, PermissionError) and kind == fs.FileType.File and self.local is not None:
            ours = os.stat(self._path(name)).st_uid == os.geteuid()
            return "its owner may not read it" if ours else None
        return None

    def _access(self, kind: Literal["read", "write"], what: str, action: Callable[[], Result]) -> Result:
        try:
            return self._retry.access(kind, what, action)
        except (ArrowException, OSError) as error:
            away = self._retry.has_succeeded(kind)
            raise (StoreAwayError if away else StoreError)(f"Cannot {what}: {first_line(error)}.") from error

    def _write_and_rename(self, path: str, data: bytes) -> None:
        temporary = self._path(f"tmp/{uuid.uuid4().hex}")
        for folder in (path, temporary):
            self.filesystem.create_dir(folder.rpartition("/")[0], recursive=True)
        try:
            if self.local is not None:
                _write_durably(temporary, data)
            else:
                with self.filesystem.open_output_stream(temporary) as stream:
                    stream.write(data)
            self.filesystem.move(temporary, path)
        except (ArrowException, OSError):
            # on a full disk half a file would be in the way of the next attempt
            with suppress(ArrowException, OSError):
                self.filesystem.delete_file(temporary)
            raise

    def _path(self, name: str) -> str:
        parts = name.split("/")
        assert all(part and part not in (".", "..") for part in parts), f"not a name in a store: {name!r}"
        return "/".join([self.root, *parts])


def _write_durably(path: str, data: bytes) -> None:
    """Write and wait for the disk: a rename may otherwise outlive the content when the machine loses power."""
    with open(path, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
