"""Which files below a root are recordings, and of which subject, session and run each is."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path, PurePosixPath

from scmmlab.corpora.lab.formats import ENDINGS, started
from scmmlab.corpora.lab.layout import BIDS_FIELDS, FIELD, BidsSpec, RecordingsSpec
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import corpus_folder
from scmmlab.errors import CorpusError

_LARGEST = 2**31 - 1
"""Numbers of subjects and sessions have 32 bits in a table."""


@dataclass(frozen=True)
class LabRecording:
    """A recording of a lab's corpus.

    Parameters
    ----------
    file : str
        Path relative to the root, with `/`.
    fields : dict of str to str
        What its name says: subject, session, run, …
    subject, session : int
        Whose it is, and from which day.
    run : int
        Which of the session's recordings it is, from 0.
    """

    file: str
    fields: dict[str, str]
    subject: int
    session: int
    run: int


def find_recordings(spec: RecordingsSpec, root: Path) -> tuple[LabRecording, ...]:
    """All recordings, by subject, session and run.

    Names of subjects that are whole numbers keep them; other names are numbered in their order. The same holds for
    sessions; by date, those of each subject are numbered in the order of their first recordings, and are days where
    names say nothing of sessions.

    Raises
    ------
    CorpusError
        If there are none, or their order is not known.
    """
    corpus_folder(root)
    found = dict(_bids_files(spec.bids, root) if spec.bids else _files(spec, root))
    if not found:
        what = spec.files or f"sub-*/…/{spec.bids and spec.bids.datatype}/*{' '.join(ENDINGS)}"
        raise CorpusError(
            f"There are no recordings in '{root}': expected {what}, found no file of such a name.",
            "fields stand for any text without '/'; everything else in 'files' stands for itself.",
        )
    subjects = _numbers((fields["subject"] for fields in found.values()), "subject", root)
    by_subject: dict[str, list[str]] = defaultdict(list)
    for file in sorted(found, key=_natural):
        by_subject[found[file]["subject"]].append(file)
    recordings = []
    for subject, files in by_subject.items():
        if spec.order == "date":
            placed = _by_date(root, found, {file: started(root, file, spec.bids is not None) for file in files})
        else:
            placed = _by_name(root, found, files)
        recordings += [LabRecording(file, found[file], subjects[subject], *place) for file, *place in placed]
    return tuple(sorted(recordings, key=lambda each: (each.subject, each.session, each.run)))


def subject_names(recordings: Iterable[LabRecording]) -> dict[int, str]:
    """What each subject is called in the names of its recordings."""
    return {recording.subject: recording.fields["subject"] for recording in recordings}


# --- which files ------------------------------------------------------------------------------------------------------


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
        extensions=list(ENDINGS),
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


# --- whose they are, and in which order -------------------------------------------------------------------------------


def _by_name(root: Path, found: dict[str, dict[str, str]], files: list[str]) -> Iterator[tuple[str, int, int]]:
    """One subject's files with session and run, as their names say."""
    sessions = _numbers((fields["session"] for fields in found.values() if "session" in fields), "session", root)
    in_session: dict[int, list[str]] = defaultdict(list)
    for file in files:
        in_session[sessions.get(found[file].get("session", ""), 1)].append(file)
    for session, members in in_session.items():
        members.sort(key=lambda file: (_natural(found[file].get("run", "")), _natural(file)))
        for run, file in enumerate(members):
            yield file, session, run


def _by_date(
    root: Path, found: dict[str, dict[str, str]], times: dict[str, datetime]
) -> Iterator[tuple[str, int, int]]:
    """One subject's files with session and run, as the times say at which they were recorded."""
    by_time = sorted(times, key=lambda file: times[file])
    for earlier, later in pairwise(by_time):
        if times[earlier] == times[later]:
            raise CorpusError(
                f"'{root / later}' states the same time as '{root / earlier}': expected recordings of one subject to "
                f"follow each other, found {times[later]} in both.",
                "dates may have been taken out of the recordings; with order: name their names say the order.",
            )
    in_session: dict[str, list[str]] = defaultdict(list)
    for file in by_time:
        in_session[found[file].get("session", f"{times[file]:%Y-%m-%d}")].append(file)
    for session, members in enumerate(in_session.values(), start=1):
        for run, file in enumerate(members):
            yield file, session, run


def _numbers(names: Iterable[str], what: str, root: Path) -> dict[str, int]:
    """A number for each name: its own where all are whole numbers, else its place in their order."""
    ordered = sorted(set(names), key=_natural)
    if not all(name.isdecimal() for name in ordered):
        return {name: number for number, name in enumerate(ordered, start=1)}
    numbers = {name: int(name) for name in ordered}
    if len(set(numbers.values())) < len(numbers) or max(numbers.values(), default=0) > _LARGEST:
        raise CorpusError(
            f"The names of files in '{root}' do not tell each {what}: expected different numbers up to {_LARGEST}, "
            f"found {', '.join(ordered)}."
        )
    return numbers


def _natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers in texts as numbers: `run2` before `run10`."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]
