"""Of which subject, session and run each recording is."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath

from scmmlab.corpora.lab.fif import fif_before
from scmmlab.corpora.lab.files import find_files
from scmmlab.corpora.lab.formats import start_time
from scmmlab.corpora.lab.layout import BidsSpec, RecordingsSpec
from scmmlab.corpora.left_out import LeftOut
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
    found = _Found.below(spec, root)
    recordings = [each for subject in found.subjects for each in found.of_subject(subject)]
    return tuple(sorted(recordings, key=lambda each: (each.subject, each.session, each.run)))


def find_recording(spec: RecordingsSpec, root: Path, file: str) -> LabRecording:
    """One of the recordings; by date, those of other subjects are not opened."""
    found = _Found.below(spec, root)
    return next(each for each in found.of_subject(found.fields[file]["subject"]) if each.file == file)


def not_recordings(spec: RecordingsSpec, root: Path) -> tuple[LeftOut, ...]:
    """Files whose names are like those of recordings and that are none: further parts of split ones, and versions that
    the layout does not choose.
    """
    return _Found.below(spec, root).left_out


def subject_names(spec: RecordingsSpec, root: Path) -> dict[int, str]:
    """What each subject is called in the names of its recordings."""
    return {number: name for name, number in _Found.below(spec, root).subjects.items()}


@dataclass(frozen=True)
class _Found:
    """The recordings of a corpus, and the numbers that names of subjects and sessions have in it."""

    spec: RecordingsSpec
    root: Path
    fields: dict[str, dict[str, str]]
    by_subject: dict[str, list[str]]
    subjects: dict[str, int]
    sessions: dict[str, int]
    left_out: tuple[LeftOut, ...]

    @classmethod
    def below(cls, spec: RecordingsSpec, root: Path) -> _Found:
        """Those below a root."""
        fields = find_files(spec, root)
        not_taken: list[LeftOut] = []
        if spec.bids is not None:
            chosen = _chosen(spec.bids, root, fields)
            not_taken = [
                LeftOut(where=file, what="the recording", why="recordings.bids.only")
                for file in sorted(fields.keys() - chosen.keys(), key=_natural)
            ]
            fields = chosen
        left_out = (*not_taken, *_further_parts(root, fields))
        others = {each.where for each in left_out}
        fields = {file: names for file, names in fields.items() if file not in others}
        _refuse_versions(spec, root, fields)
        by_subject: dict[str, list[str]] = defaultdict(list)
        for file in sorted(fields, key=_natural):
            by_subject[fields[file]["subject"]].append(file)
        names = {each["session"] for each in fields.values() if "session" in each}
        subjects, sessions = _numbers(by_subject, "subject", root), _numbers(names, "session", root)
        _refuse_alike(root, "files", fields)
        return cls(
            spec,
            root,
            fields,
            by_subject,
            subjects,
            sessions,
            left_out,
        )

    def of_subject(self, subject: str) -> Iterator[LabRecording]:
        """Those of one subject."""
        for file, session, run in self._by_date(subject) if self.spec.order == "date" else self._by_name(subject):
            yield LabRecording(file, self.fields[file], self.subjects[subject], session, run)

    def _by_name(self, subject: str) -> Iterator[tuple[str, int, int]]:
        """Files with session and run, as their names say."""
        in_session: dict[int, list[str]] = defaultdict(list)
        for file in self.by_subject[subject]:
            in_session[self.sessions.get(self.fields[file].get("session", ""), 1)].append(file)
        for session, files in in_session.items():
            _refuse_alike(
                self.root, f"runs of subject '{subject}'", {self.fields[file].get("run", "") for file in files}
            )
            files.sort(key=lambda file: (_natural(self.fields[file].get("run", "")), _natural(file)))
            for run, file in enumerate(files):
                yield file, session, run

    def _by_date(self, subject: str) -> Iterator[tuple[str, int, int]]:
        """Files with session and run, as the times say at which they were recorded."""
        times = {file: start_time(self.root, file, self.spec) for file in self.by_subject[subject]}
        by_time = sorted(times, key=lambda file: times[file])
        for earlier, later in pairwise(by_time):
            if times[earlier] == times[later]:
                raise CorpusError(
                    f"'{self.root / later}' states the same time as '{self.root / earlier}': expected recordings of "
                    f"one subject to follow each other, found {times[later]} in both.",
                    "dates may have been taken out of the recordings; with order: name their names say the order.",
                )
        in_session: dict[str, list[str]] = defaultdict(list)
        for file in by_time:
            in_session[self.fields[file].get("session", f"{times[file]:%Y-%m-%d}")].append(file)
        for session, files in enumerate(in_session.values(), start=1):
            for run, file in enumerate(files):
                yield file, session, run


def _chosen(spec: BidsSpec, root: Path, fields: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """The recordings whose entities are those that a layout names."""
    entities = {file: _entities(file) for file in fields}
    for name in spec.only:
        if not any(name in each for each in entities.values()):
            raise CorpusError(
                f"No recording in '{root}' has the entity of 'recordings.bids.only': expected '{name}' in some name, "
                f"found {', '.join(sorted({one for each in entities.values() for one in each}))}."
            )
    found = {
        file: each
        for file, each in fields.items()
        if all(entities[file].get(name) == value for name, value in spec.only.items())
    }
    if not found:
        raise CorpusError(
            f"There are no recordings in '{root}' that 'recordings.bids.only' takes: expected some with {spec.only}, "
            f"found none of {len(fields)}."
        )
    return found


def _entities(file: str) -> dict[str, str]:
    """What a BIDS name says, by the short names that stand in it, and its ending."""
    path = PurePosixPath(file)
    pairs = (part.partition("-") for part in path.stem.split("_") if "-" in part)
    return {**{name: value for name, _, value in pairs}, "ending": path.suffix}


def _further_parts(root: Path, files: Iterable[str]) -> Iterator[LeftOut]:
    """The further parts of split FIF recordings; what a recording goes on in is read with its first part."""
    for file in sorted(files, key=_natural):
        before = fif_before(root / file) if file.lower().endswith(".fif") else None
        if before is not None:
            first = (root / file).with_name(Path(before).name)
            why = (
                f"'{first.name}' goes on in it" if first.exists() else f"it follows '{first.name}', which is not there"
            )
            yield LeftOut(where=file, what="a further part of a split recording", why=why)


def _refuse_versions(spec: RecordingsSpec, root: Path, fields: dict[str, dict[str, str]]) -> None:
    """Refuse one recording in two formats, or in two versions that only an entity tells apart which nothing uses."""
    seen: dict[object, str] = {}
    for file in sorted(fields, key=_natural):
        path = PurePosixPath(file)
        other = seen.setdefault(_plain(path.with_suffix("").as_posix()), file)
        if other != file and PurePosixPath(other).suffix != path.suffix:
            raise CorpusError(
                f"'{root / other}' and '{root / file}' differ in their ending alone: expected each recording once, "
                f"found two formats.",
                "put the ending of those to take into 'recordings.files', or with BIDS say "
                f"'recordings.bids.only: {{ending: {path.suffix}}}'.",
            )
    if spec.bids is None:
        return
    for file in sorted(fields, key=_natural):
        told_apart = tuple(fields[file].get(name) for name in ("subject", "session", "task", "acquisition", "run"))
        other = seen.setdefault(told_apart, file)
        if other != file:
            one, two = _entities(other), _entities(file)
            name = next((name for name in (*one, *two) if one.get(name) != two.get(name)), "ending")
            raise CorpusError(
                f"'{root / other}' and '{root / file}' differ only in what no setting tells apart: expected one "
                f"recording of a subject, session, task, acquisition and run, found {name} "
                f"{one.get(name) or 'not given'} and {two.get(name) or 'not given'}.",
                f"they may be versions of one recording: 'recordings.bids.only: {{{name}: {two.get(name) or 'null'}}}' "
                "takes one of them. Different recordings can be told apart by a pattern ('recordings.files').",
            )


def _refuse_alike(root: Path, what: str, names: Iterable[str]) -> None:
    """Refuse names that differ in what people and file systems take no notice of: `s1`, `S1`, `s01`."""
    seen: dict[str, str] = {}
    for name in sorted(names, key=_natural):
        other = seen.setdefault(_plain(name), name)
        if other != name:
            raise CorpusError(
                f"Two names of {what} in '{root}' are nearly the same: expected names that differ in more than case, "
                f"zeros in front, or the encoding of a letter, found {other!a} and {name!a}.",
                "rename the files of one of them, so that what belongs together has one name.",
            )


def _plain(name: str) -> str:
    """A name without what people and file systems take no notice of."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()
    return re.sub(r"\d+", lambda number: str(int(number[0])), folded)


def _numbers(names: Iterable[str], what: str, root: Path) -> dict[str, int]:
    """A number for each name: its own where all are whole numbers, else its place in their order."""
    ordered = sorted(set(names), key=_natural)
    if not all(name.isdecimal() for name in ordered):
        _refuse_alike(root, f"{what}s", ordered)
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
