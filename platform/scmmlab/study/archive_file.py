"""An archive as a file, .tar or .zip: equal contents give equal bytes, and what is read is checked before it is used.

Nothing of an archive is a path until its name has been found to be a plain one: no folder above, no link, no device.
"""

from __future__ import annotations

import io
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from scmmlab.errors import StoreError, first_line

MOST_BYTES = 1 << 30
"""Of all contents together: an archive of records and tables is far below."""

SUFFIXES = (".tar", ".zip")

Reader = Callable[[], bytes]

_PART = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_.\-]*")
_FIRST_DAY_OF_ZIP = (1980, 1, 1, 0, 0, 0)


def pack(files: Mapping[str, bytes], suffix: str) -> bytes:
    """The archive of `files`, by name, as the bytes of a .tar or a .zip; no time and no user is in it."""
    buffer = io.BytesIO()
    if suffix == ".tar":
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name in sorted(files):
                header = tarfile.TarInfo(name)
                header.size, header.mode = len(files[name]), 0o644
                tar.addfile(header, io.BytesIO(files[name]))
        return buffer.getvalue()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _FIRST_DAY_OF_ZIP)
            # not compressed: one machine's zlib gives other bytes than another's
            entry.compress_type, entry.external_attr = zipfile.ZIP_STORED, (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def unpack(path: Path) -> dict[str, bytes]:
    """The contents of an archive, by name.

    Raises
    ------
    StoreError
        If it cannot be read, holds anything but plain files with plain names, or more than `MOST_BYTES`.
    """
    try:
        read = _read_zip if zipfile.is_zipfile(path) else _read_tar
        found: dict[str, bytes] = {}
        total = 0
        for name, size, data in read(path):
            parts = PurePosixPath(name).parts
            if name.startswith("/") or "/".join(parts) != name or not all(map(_PART.fullmatch, parts)):
                raise _refused(path, f"expected plain names, found {name!r}")
            if name in found:
                raise _refused(path, f"expected each name once, found {name!r} twice")
            total += size
            if total > MOST_BYTES:
                raise _refused(path, f"expected at most {MOST_BYTES >> 20} MiB, found more")
            found[name] = data()
    except (
        OSError,
        tarfile.TarError,
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as e:
        reason = e.strerror if isinstance(e, OSError) and e.strerror else first_line(e) if str(e) else "cut off"
        raise StoreError(
            f"Cannot read the archive '{path}': {reason}.", "expected a file made by scmmlab export"
        ) from e
    return found


def odd_bytes(path: Path, files: Mapping[str, bytes]) -> str | None:
    """Where an archive has other bytes than `pack` makes of its contents; None where it has not.

    Of what is read, headers, padding and what stands behind the end say nothing; still nobody changes them by chance.

    Parameters
    ----------
    path : Path
        The archive.
    files : mapping of str to bytes
        What `unpack` found in it.
    """
    suffix = SUFFIXES[1] if zipfile.is_zipfile(path) else SUFFIXES[0]
    expected = pack(files, suffix)
    with path.open("rb") as stream:
        found = stream.read(len(expected) + 1)
    if found == expected:
        return None
    places = zip(found, expected, strict=False)
    place = next((number for number, (one, other) in enumerate(places) if one != other), min(len(found), len(expected)))
    if place >= len(expected):
        return f"{path.stat().st_size - place} bytes follow its end"
    return f"byte {place}, {_where(expected, suffix, place)}, is not what export writes"


def _where(packed: bytes, suffix: str, place: int) -> str:
    """What a byte of an archive belongs to."""
    buffer = io.BytesIO(packed)
    if suffix == ".tar":
        with tarfile.open(fileobj=buffer) as tar:
            starts = [(member.offset, member.name) for member in tar]
    else:
        with zipfile.ZipFile(buffer) as archive:
            starts = [(entry.header_offset, entry.filename) for entry in archive.infolist()]
            starts.append((archive.start_dir, "the directory"))
    before = [name for start, name in starts if start <= place]
    return f"at {before[-1]}" if before else "at the beginning"


def _read_tar(path: Path) -> Iterator[tuple[str, int, Reader]]:
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            if not member.isreg():
                raise _refused(path, f"expected files only, found {member.name!r}, which is not one")
            yield member.name, member.size, partial(_whole, partial(tar.extractfile, member), member.size)


def _read_zip(path: Path) -> Iterator[tuple[str, int, Reader]]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if entry.is_dir() or kind not in (0, stat.S_IFREG):
                raise _refused(path, f"expected files only, found {entry.filename!r}, which is not one")
            yield entry.filename, entry.file_size, partial(_whole, partial(archive.open, entry), entry.file_size)


def _whole(open_: Callable[[], IO[bytes] | None], size: int) -> bytes:
    """As many bytes as were announced: no more are made of what was packed."""
    stream = open_()
    assert stream is not None
    with stream:
        data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data


def _refused(path: Path, reason: str) -> StoreError:
    return StoreError(f"The archive '{path}' is refused: {reason}.", "expected a file made by scmmlab export")
