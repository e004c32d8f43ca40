"""Build a feature table from a corpus on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from scmmlab.config import fingerprint
from scmmlab.config.code_digest import installed_code
from scmmlab.corpora import Reader, open_below
from scmmlab.errors import CorpusError
from scmmlab.features import EXTRACTION_VERSION, FORM, LOG_BASE, UNIT, FeatureSpec
from scmmlab.tables.amplitudes import check_amplitudes
from scmmlab.tables.claim import claimed
from scmmlab.tables.extraction import FileExtraction, check_alike
from scmmlab.tables.feature_table import FeatureTable
from scmmlab.tables.file_rows import FileRows
from scmmlab.tables.locations import locate
from scmmlab.tables.manifest import Manifest
from scmmlab.tables.partial import PartialBuild
from scmmlab.tables.renewal import Outcome, provide_table
from scmmlab.tables.shared_signals import refuse_repeated_signals

FileMapper = Callable[[Callable[[str], FileRows], Sequence[str]], Iterator[FileRows]]
"""Applies a function to each file and yields what it returns, in any order; it may do so elsewhere."""
Progress = Callable[[int, int], None]
"""Told how many files are done, of how many."""


def map_here(extract: Callable[[str], FileRows], files: Sequence[str]) -> Iterator[FileRows]:
    """One file after the other, in this process."""
    return map(extract, files)


def build_table(
    reader: Reader,
    root: str | os.PathLike[str],
    location: str | os.PathLike[str],
    features: FeatureSpec | None = None,
    *,
    force: bool = False,
    mapper: FileMapper = map_here,
    progress: Progress = lambda done, total: None,
) -> Outcome:
    """Build the feature table of a corpus, unless it is there already.

    One file at a time is in a worker's memory. The rows of files that are done are kept in a hidden folder beside the
    table until it is whole: a build that is stopped, by whatever but a mistake in the corpus, goes on file by file.

    Parameters
    ----------
    reader : Reader
        Which corpus, and what to take of it.
    root : path
        The corpus's folder.
    location : str or path
        Folder or URI of the table; see `provide_table` for what happens to a table that is there.
    features : FeatureSpec | None
        How features are computed from signals; the defaults when None. Not for a corpus that ships its features.
    force : bool
        Replace a table that is there, whatever it is.
    mapper : FileMapper
        What applies a function to files. The table does not depend on it.
    progress : Progress
        Told after each file.

    Returns
    -------
    Outcome
        What was done, and the manifest.

    Raises
    ------
    CorpusError
        If the corpus, a file or the location is not what it should be. Nothing half-written is left.
    """
    # absolute, because workers may run in other folders
    root = Path(root).expanduser().absolute()
    if features is not None and reader.feature_origin is not None:
        raise CorpusError(f"The features of '{reader.name}' are not computed here: expected no settings for them.")
    features = features or FeatureSpec()
    files = reader.files(root)
    hashes = _hash_files(root, files)
    _refuse_copies(root, hashes)
    companions = _hash_files(root, reader.companions(root))
    build = _build_identity(reader, features, hashes, companions)
    place = locate(location)
    partial = PartialBuild(place, build)

    def make() -> FeatureTable:
        by_file = partial.finished(files)
        progress(len(by_file), len(files))
        missing = [file for file in files if file not in by_file]
        for rows in mapper(FileExtraction(reader, root, features), missing) if missing else ():
            by_file[rows.file] = rows
            partial.keep(rows)
            progress(len(by_file), len(files))
        # in the order of the files, so that the table does not depend on who was ready first
        return _table([by_file[file] for file in files], reader, features, hashes, companions, build, root)

    def is_ours(manifest: Manifest) -> bool:
        return manifest.corpus == reader.corpus_name and manifest.provenance.get("reader") == reader.name

    with claimed(place):
        try:
            outcome = provide_table(location, build, is_ours, make, force, is_whole=lambda found: bool(found.signals))
        except CorpusError:
            # it would fail again; what was stopped in any other way goes on where it was
            partial.remove()
            raise
        except OSError as error:
            raise CorpusError(
                f"The feature table '{place.shown}' cannot be written: expected a disk with room for it, found "
                f"'{error.strerror or error}'{f' at {error.filename!r}' if error.filename else ''}.",
                "what is done is kept where it can be; the same command goes on from there.",
            ) from error
        partial.remove()
    return outcome


def _build_identity(reader: Reader, features: FeatureSpec, hashes: dict[str, str], companions: dict[str, str]) -> str:
    code = installed_code("tables")
    return fingerprint(
        {
            "reader": reader.name,
            "reader_version": reader.version,
            "reader_settings": reader.model_dump(mode="json"),
            "extraction_version": EXTRACTION_VERSION,
            # as a list, because the order of the bands is that of the features
            "bands": list(features.bands.items()),
            "features": features.model_dump(mode="json"),
            "raw_files": hashes,
            "companions": companions,
            **({} if code.known else {"code": code.digest}),
        },
        length=64,
    )


def _table(
    parts: Sequence[FileRows],
    reader: Reader,
    features: FeatureSpec,
    hashes: dict[str, str],
    companions: dict[str, str],
    build: str,
    root: Path,
) -> FeatureTable:
    # what is left out of every file is said once
    left_out = tuple(dict.fromkeys((*(each for part in parts for each in part.left_out), *reader.left_out(root))))
    parts = [part for part in parts if len(part.label)]
    if not parts:
        raise CorpusError(f"There is no trial in '{root}': expected at least one, found all left out: {left_out[0]}.")
    first, names = parts[0], reader.subject_names(root)
    for part in parts:
        check_alike(part.file, part, first)
    signals = {part.file: part.signals for part in parts}
    refuse_repeated_signals(f"'{root}'", signals)
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("subject", "session", "trial", "window", "label", "features")
    }
    origin = reader.feature_origin
    notes = [note for part in parts for note in part.notes]
    absent = [name for label, name in enumerate(reader.classes) if label not in columns["label"]]
    if absent:
        notes.append(f"there is no trial of {' and '.join(absent)}")
    if origin is None:
        notes += check_amplitudes(parts, root)
    manifest = Manifest(
        corpus=reader.corpus_name,
        channels=first.channels,
        bands=first.bands,
        window_s=first.window_s,
        classes=reader.classes,
        feature=origin.feature if origin else "differential_entropy",
        unit=origin.unit if origin else UNIT,
        # what is said of every file is said once
        provenance=_provenance(reader, features, list(dict.fromkeys(notes))),
        raw_files=hashes,
        companions=companions,
        left_out=left_out,
        signals=signals,
        subjects={
            number: names.get(number) or reader.subject_name(number)
            for number in np.unique(columns["subject"]).tolist()
        },
        attribution=reader.attribution,
        licence=reader.licence,
        build=build,
    )
    return FeatureTable.assemble(manifest, **columns, where=f"'{root}'")


def _provenance(reader: Reader, features: FeatureSpec, notes: list[str]) -> dict[str, Any]:
    common = {
        "reader": reader.name,
        "reader_version": reader.version,
        "reader_settings": reader.model_dump(mode="json"),
        "notes": notes,
    }
    origin = reader.feature_origin
    if origin is not None:
        return {"origin": origin.origin, "log_base": origin.log_base, "form": origin.form, **common, **origin.facts}
    return {
        "origin": "computed",
        "log_base": LOG_BASE,
        "form": FORM,
        **common,
        "extraction_version": EXTRACTION_VERSION,
        "filter": "Butterworth, second-order sections, forwards and backwards (zero phase), odd padding",
        "variance": "divided by n",
        "feature_settings": features.model_dump(mode="json", exclude={"bands", "window_s"}),
    }


def _hash_files(root: Path, files: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each file."""
    # hashing leaves the interpreter lock, so that threads are enough to keep a disk busy
    with ThreadPoolExecutor() as pool:
        return dict(zip(files, pool.map(lambda file: _sha256(open_below(root, file)), files), strict=True))


def _refuse_copies(root: Path, hashes: dict[str, str]) -> None:
    """Raise a `CorpusError` where two raw files are the same, as after a copy to the wrong name."""
    seen: dict[str, str] = {}
    for file, digest in hashes.items():
        if digest in seen:
            raise CorpusError(
                f"'{root / file}' is a copy of '{root / seen[digest]}': expected different recordings, found the same "
                f"bytes (SHA-256 {digest[:16]})."
            )
        seen[digest] = file


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorpusError(f"'{path}' cannot be read: expected a file, found {error.strerror}.") from error
