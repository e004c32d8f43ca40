"""Of which subject, session and run each recording is."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from scmmlab.corpora.lab.files import find_files
from scmmlab.corpora.lab.formats import started
from scmmlab.corpora.lab.layout import RecordingsSpec
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

    @classmethod
    def below(cls, spec: RecordingsSpec, root: Path) -> _Found:
        """Those below a root."""
        fields = find_files(spec, root)
        by_subject: dict[str, list[str]] = defaultdict(list)
        for file in sorted(fields, key=_natural):
            by_subject[fields[file]["subject"]].append(file)
        names = {each["session"] for each in fields.values() if "session" in each}
        return cls(
            spec, root, fields, by_subject, _numbers(by_subject, "subject", root), _numbers(names, "session", root)
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
            files.sort(key=lambda file: (_natural(self.fields[file].get("run", "")), _natural(file)))
            for run, file in enumerate(files):
                yield file, session, run

    def _by_date(self, subject: str) -> Iterator[tuple[str, int, int]]:
        """Files with session and run, as the times say at which they were recorded."""
        times = {file: started(self.root, file, self.spec) for file in self.by_subject[subject]}
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
