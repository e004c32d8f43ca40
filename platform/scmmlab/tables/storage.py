"""Feature tables on disk: `manifest.json` and `part-*.parquet` in a folder, whole or not there at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs
from pydantic import ValidationError

from scmmlab.errors import CorpusError
from scmmlab.tables.feature_table import FeatureTable
from scmmlab.tables.locations import Location, locate
from scmmlab.tables.manifest import FORMAT, Manifest
from scmmlab.tables.schema import FINGERPRINT_KEY, from_arrow, table_schema, to_arrow

MANIFEST = "manifest.json"
ROWS_PER_PART = 8192
"""Windows in a Parquet file: 10 MB at 62 channels and 5 bands, so that Ray Data has something to share out."""

_PART = re.compile(r"part-\d{5}\.parquet")


def read_manifest(location: str | os.PathLike[str]) -> Manifest:
    """What a feature table says about itself, without reading the table.

    Parameters
    ----------
    location : str or path
        A folder, a URI, or `shipped:NAME`.

    Raises
    ------
    CorpusError
        If there is no feature table, or its manifest cannot be read.
    """
    return _read_manifest(locate(location))


def read_table(location: str | os.PathLike[str]) -> FeatureTable:
    """Read a feature table and check that it is what was written.

    Parameters
    ----------
    location : str or path
        A folder, a URI, or `shipped:NAME`.

    Raises
    ------
    CorpusError
        If there is no feature table, or it was altered or damaged since it was written.
    """
    place = locate(location)
    manifest = _read_manifest(place)
    table = from_arrow(manifest, pa.concat_tables(_read_parts(place, manifest)))
    found = table.content_fingerprint()
    if found != manifest.fingerprint:
        raise CorpusError(
            f"The feature table '{place.shown}' was altered or damaged: expected {manifest.windows} windows with "
            f"fingerprint {manifest.fingerprint[:16]}, found {len(table)} with {found[:16]}.",
            "build it again.",
        )
    return table


def read_rows(location: str | os.PathLike[str]) -> list[pa.Table]:
    """The rows of a feature table as they are stored, in order: an Arrow table a file. Fingerprints are not checked.

    Parameters
    ----------
    location : str or path
        A folder, a URI, or `shipped:NAME`.

    Raises
    ------
    CorpusError
        If there is no feature table, or one of its files cannot be read.
    """
    place = locate(location)
    return _read_parts(place, _read_manifest(place))


def write_table(table: FeatureTable, location: str | os.PathLike[str], force: bool = False) -> Manifest:
    """Write a feature table, so that at any moment the whole of it is there, or what was there before.

    On this machine it is written to a folder beside its place and renamed. On a filesystem that cannot rename folders
    the manifest, without which nothing is a table, is written last.

    Parameters
    ----------
    table : FeatureTable
        What to write; its fingerprint is computed anew.
    location : str or path
        A folder or URI.
    force : bool
        Whether a table that is there may be replaced. Nothing that is no feature table ever is.

    Returns
    -------
    Manifest
        As written.

    Raises
    ------
    CorpusError
        If there is a table and not `force`, or the folder holds anything else.
    """
    place = locate(location)
    check_writable(place, force)
    manifest = table.manifest.model_copy(update={"windows": len(table), "fingerprint": table.content_fingerprint()})
    rows = to_arrow(replace(table, manifest=manifest))
    with _swapped_in(place) as (filesystem, folder):
        for number, start in enumerate(range(0, len(rows), ROWS_PER_PART)):
            pq.write_table(
                rows.slice(start, ROWS_PER_PART),
                f"{folder}/part-{number:05d}.parquet",
                filesystem=filesystem,
                compression="zstd",
                # floats of one magnitude compress by a third when their bytes are put together by significance
                use_dictionary=["corpus"],
                use_byte_stream_split=["features.list.element"],
            )
        text = json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
        with filesystem.open_output_stream(f"{folder}/{MANIFEST}") as file:
            file.write(text.encode())
    return manifest


def check_writable(place: Location, force: bool) -> None:
    """Raise a `CorpusError` unless a table may be written there; called early, so that no work is done in vain."""
    names = place.names() or []
    strangers = [name for name in names if name != MANIFEST and not _PART.fullmatch(name)]
    if strangers:
        raise CorpusError(
            f"'{place.shown}' holds files that are no part of a feature table: expected an empty folder or none, found "
            f"'{strangers[0]}'{f' and {len(strangers) - 1} more' if len(strangers) > 1 else ''}.",
            "choose another folder.",
        )
    if names and not force:
        raise CorpusError(
            f"'{place.shown}' already holds a feature table: expected an empty folder or none, found '{names[0]}'.",
            "choose another folder, or replace the table with --force.",
        )


def _read_manifest(place: Location) -> Manifest:
    names = place.names()
    if names is None or MANIFEST not in names:
        raise CorpusError(
            f"There is no feature table in '{place.shown}': expected a folder with {MANIFEST} and part-00000.parquet, "
            f"found {'no folder' if names is None else f'no {MANIFEST}'}.",
            "build one with `scmmlab corpus build`, or use 'shipped:eegmat'.",
        )
    with place.filesystem.open_input_stream(place.join(MANIFEST)) as file:
        text = file.read()
    try:
        version = json.loads(text)["format"]
        if version != FORMAT:
            raise CorpusError(
                f"The feature table '{place.shown}' has another layout: expected format {FORMAT}, found {version}.",
                "build it again with this version of scmmlab.",
            )
        return Manifest.model_validate_json(text)
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        else:
            problem = str(error) if isinstance(error, ValueError) else "no format"
        raise CorpusError(
            f"The manifest of '{place.shown}' cannot be read: expected the JSON of a feature table, found {problem}.",
            "build the table again.",
        ) from error


def _read_parts(place: Location, manifest: Manifest) -> list[pa.Table]:
    """All rows; at least one table, which may be empty."""
    expected = table_schema(manifest)
    names = [name for name in place.names() or [] if _PART.fullmatch(name)]
    return [_read_part(place, name, expected, manifest.corpus) for name in names] or [expected.empty_table()]


def _read_part(place: Location, name: str, expected: pa.Schema, corpus: str) -> pa.Table:
    try:
        # one file at a time and by its own reader: as a data set, folders such as `a=1` would become columns
        with place.filesystem.open_input_file(place.join(name)) as file:
            rows = pq.ParquetFile(file).read()
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(
            f"'{place.shown}/{name}' cannot be read: expected a Parquet file, found one that is damaged "
            f"({str(error).splitlines()[0]}).",
            "build the table again.",
        ) from error
    if (
        not rows.schema.equals(expected)
        or (rows.schema.metadata or {}).get(FINGERPRINT_KEY) != (expected.metadata[FINGERPRINT_KEY])
    ):
        raise CorpusError(
            f"'{place.shown}/{name}' is not of the table that the manifest describes: expected columns "
            f"{expected.names} with fingerprint {expected.metadata[FINGERPRINT_KEY].decode()[:16]}, found "
            f"{rows.schema.names} with {(rows.schema.metadata or {}).get(FINGERPRINT_KEY, b'none').decode()[:16]}.",
            "build the table again.",
        )
    strangers = set(rows.column("corpus").unique().to_pylist()) - {corpus}
    if strangers:
        raise CorpusError(
            f"'{place.shown}/{name}' holds rows of another corpus: expected '{corpus}', found {sorted(strangers)}.",
            "build the table again.",
        )
    return rows


@contextmanager
def _swapped_in(place: Location) -> Iterator[tuple[fs.FileSystem, str]]:
    """A folder to write to, which takes its place when the block ends well and vanishes when it does not."""
    if place.local is None:
        with _written_in_place(place) as folder:
            yield place.filesystem, folder
        return
    target = place.local
    target.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex[:8]
    new = target.with_name(f".{target.name}.{mark}.new")
    old = target.with_name(f".{target.name}.{mark}.old")
    try:
        new.mkdir()
        yield place.filesystem, new.as_posix()
        if target.exists():
            target.rename(old)
        try:
            new.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    finally:
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def _written_in_place(place: Location) -> Iterator[str]:
    filesystem = place.filesystem
    # the manifest goes first and comes last
    for name in sorted(place.names() or [], key=lambda name: name != MANIFEST):
        filesystem.delete_file(place.join(name))
    filesystem.create_dir(place.path, recursive=True)
    try:
        yield place.path.rstrip("/")
    except BaseException:
        for name in place.names() or []:
            filesystem.delete_file(place.join(name))
        raise
