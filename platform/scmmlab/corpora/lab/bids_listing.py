"""Which files of a BIDS folder are the recordings that a layout asks for, and why others are not."""

from __future__ import annotations

from pathlib import PurePosixPath

from scmmlab.corpora.lab.bids import entities_of
from scmmlab.corpora.lab.file_kinds import why_not_read
from scmmlab.corpora.lab.layout import BIDS_FIELDS, BidsSpec
from scmmlab.errors import CorpusError

SET_APART = ("derivatives", "sourcedata", "code", "stimuli", "phenotype")
"""Folders in which BIDS has no recordings of its own."""
_KEYS = {
    "subject": "sub",
    "session": "ses",
    "acquisition": "acq",
    "processing": "proc",
}
"""How names have those fields that they abbreviate."""


def fields_of(file: str) -> dict[str, str]:
    """What the name of a recording says."""
    entities = entities_of(PurePosixPath(file).name)
    keys = {field: _KEYS.get(field, field) for field in BIDS_FIELDS}
    return {field: entities[key] for field, key in keys.items() if key in entities}


def why_left_out(spec: BidsSpec, file: str) -> str | None:
    """Why a recording in a BIDS folder is not taken; empty where it is, None where the file is no recording.

    Raises
    ------
    CorpusError
        If it is not taken for letters that are small or capital alone, or its name contradicts its folder's.
    """
    why = why_not_read(file)
    if why is None:
        return None
    *folders, name = PurePosixPath(file).parts
    entities = entities_of(name)
    for folder, key in zip(folders, ("sub-", "ses-"), strict=False):
        if _differs_in_case(folder[:4], key):
            raise _letters(file, "folder", key + folder[4:], folder)
    if not folders or not folders[0].startswith("sub-"):
        return why or "not in a folder of a subject (sub-*)"
    if _differs_in_case(folders[-1], spec.datatype):
        raise _letters(file, "folder", spec.datatype, folders[-1])
    if folders[-1] != spec.datatype:
        return why or f"in a folder {folders[-1]} and not in {spec.datatype}"
    between = folders[1:-1]
    if len(between) > 1 or (between and not between[0].startswith("ses-")):
        return why or "deeper in folders than BIDS has recordings"
    suffix, wanted = name.split(".")[0].split("_")[-1], spec.suffix or spec.datatype
    if _differs_in_case(suffix, wanted):
        raise _letters(file, "suffix", wanted, suffix)
    if suffix != wanted:
        return why or f"of the suffix {suffix} and not {wanted}"
    task = entities.get("task")
    if spec.task is not None and task is not None and _differs_in_case(task, spec.task):
        raise _letters(file, "task", spec.task, task, f"did you mean recordings.bids.task: {task}? Else rename it.")
    if spec.task is not None and task != spec.task:
        return why or (f"of task {task} and not {spec.task}" if task else "of no task")
    if why:
        return why
    for folder, key in zip([folders[0], *between], ("sub", "ses"), strict=False):
        if folder != f"{key}-{entities.get(key)}":
            raise CorpusError(
                f"The name of '{file}' contradicts its folder: expected {folder}, found "
                f"{f'{key}-{entities[key]}' if key in entities else f'no {key}-'}.",
                "rename the file, or move it to where it belongs.",
            )
    if entities.get("split", "1").lstrip("0") != "1":
        return "a further part of a split recording, whose first part does not name it"
    return ""


def _differs_in_case(found: str, wanted: str) -> bool:
    return found != wanted and found.lower() == wanted.lower()


def _letters(file: str, what: str, expected: str, found: str, hint: str | None = None) -> CorpusError:
    return CorpusError(
        f"'{file}' differs in small and capital letters from what is read: expected the {what} {expected}, found "
        f"{found}.",
        hint or f"rename the {what}.",
    )
