"""Folders of SEED and SEED-IV: which file belongs to which subject and session, told by the dates in their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scmmlab.corpora.finding import Finding
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import corpus_folder
from scmmlab.errors import CorpusError

_NAME = re.compile(r"(\d{1,2})_(\d{8})\.mat")
Dates = Mapping[int, tuple[int, ...]]


@dataclass(frozen=True)
class SessionFile:
    """A file, relative to the root, and the session that it holds."""

    path: str
    subject: int
    session: int


def require(root: Path, findings: Iterable[Finding]) -> None:
    """Raise the first finding that does not hold as a `CorpusError`."""
    for finding in findings:
        if not finding.ok:
            raise CorpusError(
                f"In '{root / finding.where}', {finding.fact}: expected {finding.expected}, found {finding.found}.",
                finding.remedy or None,
            )


def find_folder(root: Path, candidates: Iterable[str], needs: str, hint: str | None = None) -> str:
    """The one of the folders that is there, relative to the root.

    Parameters
    ----------
    root : Path
        The corpus's folder.
    candidates : iterable of str
        Folders that it may have.
    needs : str
        What it must hold, in a line.
    hint : str | None
        What to do where none is there.

    Raises
    ------
    CorpusError
        If none is, or more than one.
    """
    corpus_folder(root)
    there = [name for name in candidates if open_below(root, name).is_dir()]
    if len(there) > 1:
        raise CorpusError(
            f"There are two copies of the same in '{root}': expected one folder, found {' and '.join(there)}.",
            "name with --root the one to read.",
        )
    if not there:
        raise CorpusError(f"There is no such corpus in '{root}': expected {needs}, found no such folder.", hint)
    return there[0]


def session_files(
    root: Path, folders: Mapping[str, int | None], dates: Dates
) -> tuple[tuple[SessionFile, ...], list[Finding]]:
    """What some folders hold.

    Parameters
    ----------
    root : Path
        The corpus's folder.
    folders : dict of str to int or None
        Folders below it, and the session that each is of; None where it has all.
    dates : dict of int to tuple of int
        The days of each subject's sessions.

    Returns
    -------
    files : tuple of SessionFile
        Those whose names are right, by subject and session (as numbers, never as text).
    findings : list of Finding
        Whether each name is right, and whether each subject has the same sessions.
    """
    files, findings = [], []
    for folder, session in folders.items():
        for path in sorted(open_below(root, folder).iterdir()):
            # names with a dot in front are what some systems leave beside each file that they copy
            if path.suffix.lower() != ".mat" or path.name.startswith(".") or path.name.lower() == "label.mat":
                continue
            where = f"{folder}/{path.name}" if folder != "." else path.name
            finding, file = identify(where, session, dates)
            findings.append(finding)
            if file is not None:
                files.append(file)
    files.sort(key=lambda file: (file.subject, file.session))
    if not files and all(finding.ok for finding in findings):
        where = min(folders)
        deeper = folders_of_files(open_below(root, where)) if folders[where] is None else []
        found = f"no .mat file, but some in its folders {', '.join(deeper)}" if deeper else "no .mat file"
        remedy = side_by_side(deeper, where) or ""
        findings.append(Finding(False, where, "recordings", "files {subject}_{date}.mat", found, remedy))
    return tuple(files), findings + _completeness(files, next(iter(folders)), dates)


def folders_of_files(folder: Path) -> list[str]:
    """Folders in a folder that have files {subject}_{date}.mat."""
    return sorted({path.parent.name for path in folder.glob("*/*.mat") if _NAME.fullmatch(path.name)})


def side_by_side(folders: list[str], where: str) -> str | None:
    """What to do about files that somebody sorted into folders, where one has all sessions."""
    if not folders:
        return None
    target = "this folder" if where == "." else where
    return f"move the files of {', '.join(folders)} into {target}, side by side; the day in a name tells its session"


def identify(where: str, folder_session: int | None, dates: Dates) -> tuple[Finding, SessionFile | None]:
    """Whether a file's name is that of a session, and of which; `folder_session` is what its folder stands for."""
    name = where.rsplit("/", 1)[-1]
    remedy = "give the file its name as it was received, or take it out of the folder"
    match = _NAME.fullmatch(name)
    if match is None:
        return Finding(False, where, "name", "{subject}_{date}.mat", name, remedy), None
    subject, date = int(match[1]), int(match[2])
    if subject not in dates or name != f"{subject}_{date}.mat":
        return Finding(False, where, "subject", f"1 to {max(dates)}, without zeros in front", match[1], remedy), None
    known = dates[subject]
    if date not in known:
        others = [str(other) for other, days in dates.items() if date in days]
        found = f"{date}, {'a day of subject ' + ' and '.join(others) if others else 'a day of no subject'}"
        expected = f"one of {', '.join(map(str, known))} for subject {subject}"
        return Finding(False, where, "date", expected, found, remedy), None
    session = known.index(date) + 1
    if folder_session not in (None, session):
        expected = f"{known[folder_session - 1]}, the day of session {folder_session} of subject {subject}"
        return Finding(False, where, "date", expected, f"{date}, the day of session {session}", remedy), None
    return (
        Finding(True, where, "subject and date", f"session {session} of subject {subject}", str(date)),
        SessionFile(where, subject, session),
    )


def _completeness(files: list[SessionFile], folder: str, dates: Dates) -> list[Finding]:
    """Whole subjects and whole sessions may be left out; a file that the others have may not."""
    if not files:
        return []
    subjects = sorted({file.subject for file in files})
    sessions = sorted({file.session for file in files})
    there = {(file.subject, file.session) for file in files}
    missing = [(a, b) for a in subjects for b in sessions if (a, b) not in there]
    findings = [
        Finding(
            True,
            ".",
            "subjects and sessions",
            f"subjects 1 to {max(dates)} in 3 sessions, or some of them",
            f"subjects {', '.join(map(str, subjects))} in sessions {', '.join(map(str, sessions))}",
        )
    ]
    for subject, session in missing:
        name = f"{subject}_{dates[subject][session - 1]}.mat"
        expected = f"session {session} of subject {subject} as {name}, for other subjects have that session"
        findings.append(Finding(False, folder, "files", expected, "no such file", "copy the missing file as well"))
    return findings
