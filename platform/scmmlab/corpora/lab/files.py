"""Which files below a root are recordings: those that fit a pattern, or those of a BIDS folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from scmmlab.corpora.lab.formats import ENDINGS
from scmmlab.corpora.lab.layout import BIDS_FIELDS, FIELD, BidsSpec, RecordingsSpec
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import corpus_folder
from scmmlab.errors import CorpusError

_UPPER = (".EDF",)
"""Endings in capitals that mne-bids reads as well."""


def find_files(spec: RecordingsSpec, root: Path) -> dict[str, dict[str, str]]:
    """The recordings' files, relative to the root with `/`, and what the fields of their names are.

    Raises
    ------
    CorpusError
        If there are none, or one cannot be read or lies outside `root`.
    """
    corpus_folder(root)
    found = dict(_bids_files(spec.bids, root) if spec.bids else _files(spec, root))
    if not found:
        what = spec.files or f"sub-*/…/{spec.bids and spec.bids.datatype}/*{' '.join(ENDINGS)}"
        raise CorpusError(
            f"There are no recordings in '{root}': expected {what}, found no file of such a name.",
            "fields stand for any text without '/'; everything else in 'files' stands for itself.",
        )
    return found


def _files(spec: RecordingsSpec, root: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The files that fit the pattern, with the texts of its fields."""
    assert spec.files is not None
    pattern = _regex(spec.files)
    wildcard = "*".join(re.sub(r"([*?[])", r"[\1]", part) for part in FIELD.split(spec.files)[::2])
    for path in root.glob(wildcard):
        file = path.relative_to(root).as_posix()
        match = pattern.fullmatch(file)
        # names with a dot in front are what some systems leave beside each file that they copy
        if match is None or any(part.startswith(".") for part in PurePosixPath(file).parts):
            continue
        open_below(root, file)
        _check_ending(path)
        yield file, match.groupdict()


def _regex(pattern: str) -> re.Pattern[str]:
    """A field stands for any text without `/`, and for the same text wherever it stands."""
    parts, seen = [], set()
    for index, part in enumerate(FIELD.split(pattern)):
        if index % 2 == 0:
            parts.append(re.escape(part))
        else:
            parts.append(f"(?P={part})" if part in seen else f"(?P<{part}>[^/]+?)")
            seen.add(part)
    return re.compile("".join(parts))


def _bids_files(spec: BidsSpec, root: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The recordings of a BIDS folder, with the entities of their names."""
    # mne-bids takes a second to import
    import mne_bids

    if not any(root.glob("sub-*")):
        hint = next((path.parent for path in sorted(root.glob("*/sub-*"))), None)
        raise CorpusError(
            f"'{root}' is no BIDS folder: expected folders sub-*, found no such.",
            f"--root {hint} has some." if hint else None,
        )
    paths = mne_bids.find_matching_paths(
        root,
        tasks=spec.task,
        datatypes=spec.datatype,
        suffixes=spec.suffix or spec.datatype,
        extensions=[*ENDINGS, *_UPPER],
        ignore_nosub=True,
    )
    for path in paths:
        # the parts of a split recording are read with its first
        if path.split not in (None, "01") or path.fpath.name.startswith("."):
            continue
        file = path.fpath.relative_to(root).as_posix()
        open_below(root, file)
        yield file, {name: path.entities[name] for name in BIDS_FIELDS if path.entities[name] is not None}


def _check_ending(path: Path) -> None:
    if path.suffix.lower() not in ENDINGS:
        raise CorpusError(
            f"'{path}' is no recording that can be read: expected a name that ends in {', '.join(ENDINGS)}, found "
            f"{path.suffix or 'no ending'}.",
            "put the ending of the recordings into 'recordings.files'; BrainVision's is .vhdr.",
        )
