"""What the files beside a recording in a BIDS folder say of its channels and events; others are not read."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from scmmlab.corpora.lab.tables import is_missing, read_rows
from scmmlab.corpora.opening import open_below
from scmmlab.errors import CorpusError

_KEPT = re.compile(r"BAD_ACQ_SKIP|boundary|New Segment/.*", re.IGNORECASE)
"""Annotations of a recording that hold beside its events.tsv: gaps, which the table of the events does not know."""


def entities_of(name: str) -> dict[str, str]:
    """The entities of a BIDS name: `sub-01_task-rest_eeg.edf` has sub and task."""
    parts = name.split(".")[0].split("_")
    return dict(part.split("-", 1) for part in parts if "-" in part)


def find_sidecars(root: Path, file: str, suffix: str, ending: str) -> Iterator[str]:
    """The files that say something of a recording, the one that holds first, relative to the root.

    They lie beside it or in a folder above, and have no entity that it has not: the nearest holds, and of those in one
    folder the one with the most entities.

    Parameters
    ----------
    root : Path
        The BIDS folder.
    file : str
        The recording, relative to it.
    suffix, ending : str
        How their names end: `events` and `.tsv`.

    Raises
    ------
    CorpusError
        If two in one folder have equal claims.
    """
    own = entities_of(PurePosixPath(file).name)
    for folder in PurePosixPath(file).parents:
        found: dict[int, list[str]] = {}
        for name in os.listdir(root / folder):
            if name != f"{suffix}{ending}" and not name.endswith(f"_{suffix}{ending}"):
                continue
            entities = entities_of(name)
            if entities.items() <= own.items() and not name.startswith("."):
                found.setdefault(len(entities), []).append((folder / name).as_posix())
        for count in sorted(found, reverse=True):
            first, *others = sorted(found[count])
            if others:
                raise CorpusError(
                    f"Two files say the {suffix} of '{root / file}': expected one, found {first} and {others[0]}."
                )
            yield first


def find_sidecar(root: Path, file: str, suffix: str, ending: str) -> str | None:
    """The first of `find_sidecars`; None where there is none."""
    return next(find_sidecars(root, file, suffix, ending), None)


def apply_events(root: Path, file: str, raw: Any) -> None:
    """Put the events of a recording in the place of its own annotations, which are often the same ones.

    Parameters
    ----------
    root : Path
        The BIDS folder.
    file : str
        The recording, relative to it.
    raw : mne.io.Raw
        The recording; where it has no `events.tsv` its annotations stay.
    """
    import mne

    sidecar = find_sidecar(root, file, "events", ".tsv")
    if sidecar is None:
        return
    events = read_events(root, sidecar)
    kept = raw.annotations[[index for index, name in enumerate(raw.annotations.description) if _KEPT.fullmatch(name)]]
    onsets, lengths, names = zip(*events, strict=True) if events else ((), (), ())
    raw.set_annotations(mne.Annotations(onsets, lengths, names), verbose="ERROR")
    if len(kept):
        raw.set_annotations(raw.annotations + kept, verbose="ERROR")


def refuse_epochs(root: Path, file: str) -> None:
    """Raise a `CorpusError` where a recording is said to be epochs, or the file that may say so is not JSON."""
    datatype = PurePosixPath(file).parent.name
    for sidecar in find_sidecars(root, file, datatype, ".json"):
        try:
            content = json.loads(open_below(root, sidecar).read_bytes().decode("utf-8-sig"))
        except OSError as error:
            raise CorpusError(f"'{root / sidecar}' cannot be read: expected JSON, found {error.strerror}.") from error
        except ValueError as error:
            found = "bytes that are no text in UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            raise CorpusError(f"'{root / sidecar}' is not JSON: expected an object, found {found}.") from None
        if not isinstance(content, dict):
            raise CorpusError(f"'{root / sidecar}' is wrong: expected an object, found {type(content).__name__}.")
        if "RecordingType" in content:
            if content["RecordingType"] == "epoched":
                raise CorpusError(
                    f"'{root / file}' has no continuous signal: expected RecordingType continuous in '{sidecar}', "
                    "found epoched."
                )
            return


def read_events(root: Path, file: str) -> list[tuple[float, float, str]]:
    """Onset and length in s, and what it is, of each event that has all of it; those of no length have 0.

    Parameters
    ----------
    root : Path
        The BIDS folder.
    file : str
        An `events.tsv`, relative to it.

    Raises
    ------
    CorpusError
        If it cannot be read, or an onset or length is not a number.
    """
    if not open_below(root, file).read_bytes().strip():
        # whoever needs events says that there are none
        return []
    rows = read_rows(root, file, ("onset",))
    columns = [name for name in ("trial_type", "stim_type", "value") if rows and name in rows[0]]
    # a column in which nothing stands says nothing
    column = next((name for name in columns if not all(is_missing(row[name]) for row in rows)), None)
    events = []
    for row in rows:
        onset = row.number("onset", "seconds")
        length = row.number("duration", "seconds") if "duration" in row else math.nan
        if not math.isnan(onset) and not (column and is_missing(row[column])):
            events.append((onset, 0.0 if math.isnan(length) else length, row.text(column) if column else "n/a"))
    return events


def sidecars_of(root: Path, file: str, dated: bool) -> tuple[str, ...]:
    """All files beside a recording that are read for it, relative to the root.

    Parameters
    ----------
    root : Path
        The BIDS folder.
    file : str
        The recording, relative to it.
    dated : bool
        Whether its date bears on anything.
    """
    tables = [find_sidecar(root, file, suffix, ".tsv") for suffix in ("channels", "events")]
    found = [name for name in tables if name is not None]
    found += find_sidecars(root, file, PurePosixPath(file).parent.name, ".json")
    return (*found, *(_scans(root, file) if dated else ()))


def stated_date(root: Path, file: str) -> datetime | None:
    """When a recording was started, as `scans.tsv` says; None where it does not."""
    for scans in _scans(root, file):
        for row in read_rows(root, scans, ("filename",)):
            # BrainVision's may be there under the name of any of its files
            named = (PurePosixPath(scans).parent / row["filename"]).with_suffix("")
            text = row.get("acq_time", "")
            if named == PurePosixPath(file).with_suffix("") and not is_missing(text):
                return _date(text, row.where("acq_time"))
    return None


def _scans(root: Path, file: str) -> list[str]:
    folders = PurePosixPath(file).parents
    found = (path for folder in folders for path in sorted((root / folder).glob("sub-*_scans.tsv")))
    return [path.relative_to(root).as_posix() for path in found]


def _date(text: str, where: str) -> datetime:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise CorpusError(f"{where} is not a date: expected one such as 2024-05-31T09:30:00, found {text!r}.") from None
    # a time of no zone is taken as it stands, so that the day is the same on every machine
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
