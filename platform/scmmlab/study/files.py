"""Files on any filesystem, each written whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from pyarrow import ArrowException, fs

from scmmlab.errors import StoreError

_OBJECT_STORES = ("s3", "gcs", "abfs")


class Files:
    """A folder on a filesystem that pyarrow knows.

    Parameters
    ----------
    uri : str
        A path, or a URI such as `s3://bucket/prefix`.
    filesystem : pyarrow.fs.FileSystem | None
        Where `uri` is a path on a filesystem that has no URI; found from `uri` when None.

    Raises
    ------
    StoreError
        If pyarrow does not know the URI or it is a file, or a method cannot read or write.
    """

    def __init__(self, uri: str | os.PathLike[str], filesystem: fs.FileSystem | None = None):
        self.uri = os.fspath(uri)
        path = self.uri
        if filesystem is None:
            try:
                if "://" in self.uri:
                    filesystem, path = fs.FileSystem.from_uri(self.uri)
                else:
                    filesystem, path = fs.LocalFileSystem(), str(Path(self.uri).expanduser().absolute())
            except (ArrowException, OSError, ValueError) as error:
                raise StoreError(f"Cannot use '{self.uri}' as a result store: {_first_line(error)}.") from error
        self.filesystem = filesystem
        self.root = path.rstrip("/")
        if self.local is not None and self.local.exists() and not self.local.is_dir():
            raise StoreError(f"Cannot use '{self.uri}' as a result store: it must be a folder, and is a file.")

    @property
    def local(self) -> Path | None:
        """The folder on this machine; None where it is elsewhere."""
        return Path(self.root) if isinstance(self.filesystem, fs.LocalFileSystem) else None

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all, in place of one that is there."""
        path = self._path(name)
        try:
            if self.filesystem.type_name in _OBJECT_STORES:
                with self.filesystem.open_output_stream(path) as stream:  # one put, seen when it is closed
                    stream.write(data)
                return
            temporary = self._path(f"tmp/{uuid.uuid4().hex}")
            for folder in (path, temporary):
                self.filesystem.create_dir(folder.rpartition("/")[0], recursive=True)
            if self.local is not None:
                _write_durably(temporary, data)
            else:
                with self.filesystem.open_output_stream(temporary) as stream:
                    stream.write(data)
            self.filesystem.move(temporary, path)
        except (ArrowException, OSError) as error:
            raise StoreError(f"Cannot write '{name}' in {self.uri}: {_first_line(error)}.") from error

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None where there is none."""
        try:
            with self.filesystem.open_input_stream(self._path(name), compression=None) as stream:
                return stream.readall()
        except FileNotFoundError:
            return None
        except (ArrowException, OSError) as error:
            raise StoreError(f"Cannot read '{name}' in {self.uri}: {_first_line(error)}.") from error

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""
        try:
            return self.filesystem.get_file_info(self._path(name)).type == fs.FileType.File
        except (ArrowException, OSError) as error:
            raise StoreError(f"Cannot look for '{name}' in {self.uri}: {_first_line(error)}.") from error

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, sorted, by one listing."""
        selector = fs.FileSelector(self._path(folder), allow_not_found=True)
        try:
            found = self.filesystem.get_file_info(selector)
        except (ArrowException, OSError) as error:
            raise StoreError(f"Cannot list '{folder}' in {self.uri}: {_first_line(error)}.") from error
        return sorted(info.base_name for info in found if info.type == fs.FileType.File)

    def move(self, name: str, new_name: str) -> None:
        """Give a file another name; nothing happens where it is gone."""
        try:
            self.filesystem.move(self._path(name), self._path(new_name))
        except FileNotFoundError:
            pass
        except (ArrowException, OSError) as error:
            raise StoreError(f"Cannot rename '{name}' in {self.uri}: {_first_line(error)}.") from error

    def delete(self, name: str) -> None:
        """Delete a file; nothing happens where it is gone."""
        try:
            self.filesystem.delete_file(self._path(name))
        except FileNotFoundError:
            pass
        except (ArrowException, OSError) as error:
            raise StoreError(f"Cannot delete '{name}' in {self.uri}: {_first_line(error)}.") from error

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


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
