"""Which files below a root are recordings: those that fit a pattern, or those of a BIDS folder."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from scmmlab.corpora.lab.bids_listing import SET_APART, fields_of, why_left_out
from scmmlab.corpora.lab.file_kinds import PARTS, check_ending, why_not_read
from scmmlab.corpora.lab.formats import ENDINGS
from scmmlab.corpora.lab.layout import KINDS, BidsSpec, RecordingsSpec
from scmmlab.corpora.left_out import LeftOut, shown
from scmmlab.corpora.opening import open_below
from scmmlab.corpora.reader import corpus_folder
from scmmlab.corpora.unused import Entry, count_of, hidden, walk
from scmmlab.errors import CorpusError, nearest

_MOST_ALONE = 3
"""So many recordings that are left out for one reason are named one by one."""


def find_files(spec: RecordingsSpec, root: Path) -> dict[str, dict[str, str]]:
    """The recordings' files, relative to the root with `/`, and what the fields of their names are.

    Raises
    ------
    CorpusError
        If there are none, or one cannot be read, lies outside `root`, or was not fetched.
    """
    corpus_folder(root)
    found = dict(_bids_files(spec.bids, root) if spec.bids else _files(spec, root))
    if not found:
        what = spec.files or f"sub-*/…/{spec.bids and spec.bids.datatype}/*{' '.join(ENDINGS)}"
        others = _missed(spec, walk(root), ())
        hint = "fields stand for any text without '/'; everything else in 'files' stands for itself."
        if others:
            file, why = next(iter(others.items()))
            hint = f"'{file}' is {why}."
        raise CorpusError(f"There are no recordings in '{root}': expected {what}, found no file of such a name.", hint)
    return found


def find_left_out(spec: RecordingsSpec, root: Path, used: Collection[str]) -> tuple[LeftOut, ...]:
    """All that lies below a root and is not read: recordings with the reason, folders and other files by name.

    Parameters
    ----------
    spec : RecordingsSpec
        Which recordings are read.
    root : Path
        The corpus's folder.
    used : collection of str
        All that is read, the files beside the recordings as well, relative to the root.
    """
    entries = list(walk(root))
    missed = _missed(spec, entries, used)
    by_reason: dict[str, list[str]] = {}
    for file, why in missed.items():
        by_reason.setdefault(why, []).append(file)
    found = []
    for why, files in by_reason.items():
        if len(files) > _MOST_ALONE:
            found.append(LeftOut(where=".", what=f"{count_of(len(files), 'recording')}: {shown(files)}", why=why))
        else:
            found += [LeftOut(where=file, what="the recording", why=why) for file in files]
    apart: dict[str, list[str]] = {}
    others = []
    # a recording in several files is named once
    stems = {_stem(file) for file in missed}
    for entry in entries:
        if entry.kind == "folder" or entry.is_hidden or entry.file in used:
            continue
        # a recording may be a folder
        if entry.file in missed or any(parent.as_posix() in missed for parent in PurePosixPath(entry.file).parents):
            continue
        top = _top(entry.file)
        if spec.bids and top in SET_APART:
            apart.setdefault(top, []).append(entry.file)
        elif not (PurePosixPath(entry.file).suffix.lower() in PARTS and _stem(entry.file) in stems):
            others.append(entry.file)
    for folder, files in apart.items():
        count = sum(why_not_read(file) is not None for file in files)
        inside = f", {count_of(count, 'recording')} among them" if count else ""
        found.append(
            LeftOut(
                where=folder,
                what=f"the folder with its {count_of(len(files), 'file')}{inside}",
                why="set apart by BIDS",
            )
        )
    if others:
        what = f"{count_of(len(others), 'other file')}: {shown(others)}"
        found.append(LeftOut(where=".", what=what, why="no recordings, nor anything that bears on them"))
    return (*found, *hidden(entries))


def _missed(spec: RecordingsSpec, entries: Iterator[Entry] | list[Entry], used: Collection[str]) -> dict[str, str]:
    """Files that are recordings by their names and are not read, and why."""
    missed = {}
    headers = {_stem(file) for file in used}
    for entry in entries:
        file = entry.file
        if entry.file in used or entry.is_hidden or (spec.bids and _top(file) in SET_APART):
            continue
        why = why_left_out(spec.bids, file) if spec.bids else _why_no_fit(spec, file)
        # ".eeg" is a format of its own, and what BrainVision has beside its headers
        if why is None or (entry.kind == "folder" and why_not_read(file) in ("", None)):
            continue
        if PurePosixPath(file).suffix.lower() in PARTS and _stem(file) in headers:
            continue
        missed[file] = why or "not read"
    # of a recording in several files the one that is read by others is its header
    heads = {_stem(file) for file in missed if PurePosixPath(file).suffix.lower() not in PARTS}
    return {
        file: why
        for file, why in missed.items()
        if PurePosixPath(file).suffix.lower() not in PARTS or _stem(file) not in heads
    }


def _why_no_fit(spec: RecordingsSpec, file: str) -> str | None:
    assert spec.files is not None
    why = why_not_read(file)
    if why != "":
        return why
    if re.fullmatch(_regex(spec.files, shortest=True).pattern, file, re.IGNORECASE):
        return "like 'recordings.files' but for small and capital letters"
    return "not like 'recordings.files'"


def _files(spec: RecordingsSpec, root: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The files that fit the pattern, with the texts of its fields."""
    assert spec.files is not None
    first, last = _regex(spec.files, shortest=True), _regex(spec.files, shortest=False)
    levels = [_regex(parent.as_posix(), shortest=True) for parent in PurePosixPath(spec.files).parents][-2::-1]
    for entry in walk(root):
        file = entry.file
        depth = file.count("/")
        if entry.kind == "closed" and not entry.is_hidden and depth < len(levels) and levels[depth].fullmatch(file):
            # recordings may lie behind a link
            open_below(root, file)
        match, other = first.fullmatch(file), last.fullmatch(file)
        if match is None or other is None or entry.is_hidden:
            continue
        _check_there(root, file)
        if match.groups() != other.groups():
            raise CorpusError(
                f"The name of '{root / file}' can be read in more than one way: expected one that fits '{spec.files}', "
                f"found {_shown(match)}, or {_shown(other)}.",
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
    if not any(root.glob("sub-*")):
        hint = next((path.parent for path in sorted(root.glob("*/sub-*"))), None)
        raise CorpusError(
            f"'{root}' is not a BIDS folder: expected folders sub-*, found no such.",
            f"--root {hint} has some." if hint else None,
        )
    tasks: set[str] = set()
    found = False
    for entry in walk(root):
        file = entry.file
        if entry.is_hidden or not file.lower().startswith("sub-"):
            continue
        if entry.kind == "closed":
            open_below(root, file)
        fields = fields_of(file)
        tasks.update({fields["task"]} if "task" in fields else ())
        if entry.kind == "folder" or why_left_out(spec, file) != "":
            continue
        _check_there(root, file)
        found = True
        yield file, fields
    if not found and spec.task is not None and tasks:
        guess = nearest(spec.task, tasks)
        raise CorpusError(
            f"There are no recordings of task {spec.task} in '{root}': expected some, found no file of such a name, "
            f"only tasks {', '.join(sorted(tasks))}.",
            f"did you mean '{guess}'?" if guess else "recordings.bids.task of the layout names the task.",
        )


def _check_there(root: Path, file: str) -> None:
    """Whether what is taken for a recording can be one: below the root, fetched, and of a format that is read."""
    path = open_below(root, file)
    check_ending(root / file)
    if not path.exists():
        raise CorpusError(
            f"'{root / file}' is a link to nothing: expected a recording, found no file '{path}'.",
            "copy the file to where the link leads, or take the link away.",
        )


def _top(file: str) -> str:
    return file.split("/", 1)[0]


def _stem(file: str) -> str:
    return PurePosixPath(file).with_suffix("").as_posix()
