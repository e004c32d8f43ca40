"""Where a feature table lies: a folder, a URI, or among those that come with scmmlab."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pyarrow import ArrowInvalid, fs

from scmmlab.config.file_names import check_file_name
from scmmlab.errors import CorpusError, nearest

SHIPPED_PREFIX = "shipped:"


@dataclass(frozen=True)
class Location:
    """A folder on some filesystem.

    Parameters
    ----------
    shown : str
        How the user named it.
    filesystem : pyarrow.fs.FileSystem
        The filesystem.
    path : str
        The folder's path there.
    local : Path | None
        The same on this machine, where folders can be renamed; None for a filesystem that is reached by URI.
    """

    shown: str
    filesystem: fs.FileSystem
    path: str
    local: Path | None

    def join(self, name: str) -> str:
        """The path of a file in the folder."""
        return f"{self.path.rstrip('/')}/{name}"

    def names(self) -> list[str] | None:
        """Names of what is in the folder, sorted; None where there is no such folder."""
        kind = self.filesystem.get_file_info(self.path).type
        if kind == fs.FileType.NotFound:
            return None
        if kind != fs.FileType.Directory:
            raise CorpusError(f"'{self.shown}' is no folder: expected a folder for a feature table, found a file.")
        return sorted(info.base_name for info in self.filesystem.get_file_info(fs.FileSelector(self.path)))


def shipped_tables() -> list[str]:
    """Names of the feature tables that come with scmmlab."""
    return sorted(entry.name for entry in _shipped_folder().iterdir() if (entry / "manifest.json").is_file())


def locate(location: str | os.PathLike[str]) -> Location:
    """The folder that a location names.

    Parameters
    ----------
    location : str or path
        `shipped:NAME`, a URI of a filesystem that pyarrow knows (s3://, gs://, file://), or a path.

    Raises
    ------
    CorpusError
        If no table of that name comes with scmmlab, or pyarrow does not know the filesystem.
    SpecError
        If its letters are others in UTF-8 than in the locale.
    """
    shown = os.fspath(location)
    if shown.startswith(SHIPPED_PREFIX):
        name = shown.removeprefix(SHIPPED_PREFIX)
        tables = shipped_tables()
        if name not in tables:
            guess = nearest(name, tables)
            raise CorpusError(
                f"Unknown table '{shown}': expected one of {[SHIPPED_PREFIX + table for table in tables]}.",
                f"did you mean '{SHIPPED_PREFIX}{guess}'?" if guess else None,
            )
        return _local(shown, _shipped_folder() / name)
    if "://" not in shown:
        return _local(shown, Path(shown))
    try:
        filesystem, path = fs.FileSystem.from_uri(shown)
    except (ArrowInvalid, OSError) as error:
        raise CorpusError(f"'{shown}' cannot be opened: expected a URI that pyarrow knows, found {error}.") from error
    if isinstance(filesystem, fs.LocalFileSystem):
        return _local(shown, Path(path))
    return Location(shown, filesystem, path, None)


def _shipped_folder() -> Path:
    return Path(str(resources.files("scmmlab"))) / "shipped"


def _local(shown: str, path: Path) -> Location:
    check_file_name(shown)
    absolute = path.expanduser().absolute()
    return Location(shown, fs.LocalFileSystem(), absolute.as_posix(), absolute)
