"""Which files below a root are recordings: those that fit a pattern, or those of a BIDS folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from scmmlab.corpora.lab.formats import ENDINGS
from scmmlab.corpora.lab.layout import BIDS_FIELDS, KINDS, BidsSpec, RecordingsSpec
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
    first, last = _regex(spec.files, shortest=True), _regex(spec.files, shortest=False)
    wildcard = "*".join(re.sub(r"([*?[])", r"[\1]", part) for part in _FIELD.split(spec.files)[::3])
    # of fields that stand side by side one star is enough, and two would be another wildcard
    for path in root.glob(re.sub(r"\*{2,}", "*", wildcard)):
        file = path.relative_to(root).as_posix()
        match, other = first.fullmatch(file), last.fullmatch(file)
        # names with a dot in front are what some systems leave beside each file that they copy
        if match is None or other is None or any(part.startswith(".") for part in PurePosixPath(file).parts):
            continue
        open_below(root, file)
        _check_ending(path)
        if match.groups() != other.groups():
            raise CorpusError(
                f"The name of '{path}' can be read in more than one way: expected one that fits '{spec.files}', found "
                f"{_shown(match)}, or {_shown(other)}.",
                "text that is the same in all names can stand in 'recordings.files' itself; {session:d} stands for "
                "digits alone, {subject:w} for letters and digits alone.",
            )
        yield file, match.groupdict()


_FIELD = re.compile(rf"\{{([a-z_]+)(?::([{''.join(KINDS)}]))?\}}")
"""A field of the pattern of recordings: its name, and what it stands for."""


def _regex(pattern: str, shortest: bool) -> re.Pattern[str]:
    """A field stands for any text without `/`, and for the same text wherever it stands.

    Of all ways in which a name fits, one expression finds the way in which the first field is the shortest, and of
    these the second, and so on, the other the way in which they are the longest: where both are equal, it is the only
    one.
    """
    literals, names, kinds = (_FIELD.split(pattern)[start::3] for start in range(3))
    parts, seen = [re.escape(literals[0])], set[str]()
    for name, kind, literal in zip(names, kinds, literals[1:], strict=True):
        text = KINDS.get(kind, "[^/]+") + "?" * shortest
        parts += [f"(?P={name})" if name in seen else f"(?P<{name}>{text})", re.escape(literal)]
        seen.add(name)
    return re.compile("".join(parts))


def _shown(match: re.Match[str]) -> str:
    return ", ".join(f"{name} '{text}'" for name, text in match.groupdict().items())


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
