"""Which study of which store: an id that is written once into the study's folder, and moves with it."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, replace

from scmmlab.study.folder import StudyFolder

_FILE = "identity.json"
_BEGUN = "plan.json"


@dataclass(frozen=True)
class StudyIdentity:
    """What a study is recognised by where studies of several stores meet."""

    id: str
    """Random."""
    place: str
    """Where it was when it was last run."""
    former: tuple[str, ...] = ()
    """Ids of the studies that it was copied from."""
    older: bool = False
    """Whether it was begun when studies had no ids: then records without one may be its own."""


def study_identity(folder: StudyFolder) -> StudyIdentity:
    """The identity of a study, made where it has none yet.

    A study that was moved keeps its identity. One that was copied gets another as long as the study that it was
    copied from can be seen from here: two that go on from one beginning must not record over each other.

    Parameters
    ----------
    folder : StudyFolder
        The study's. The caller drives the study, so nobody else makes an identity at the same time.
    """
    found = known_identity(folder)
    if found is not None and found.place == folder.place:
        return found
    if found is None:
        identity = StudyIdentity(uuid.uuid4().hex, folder.place, older=folder.has(_BEGUN))
    elif _is_copy(folder, found):
        identity = StudyIdentity(uuid.uuid4().hex, folder.place, (*found.former, found.id))
    else:
        identity = replace(found, place=folder.place)
    folder.write_text(_FILE, json.dumps(asdict(identity), indent=1) + "\n")
    return identity


def known_identity(folder: StudyFolder) -> StudyIdentity | None:
    """The identity that a study has; None where it has none yet."""
    return _read(folder.read_text(_FILE))


def _is_copy(folder: StudyFolder, found: StudyIdentity) -> bool:
    """Whether the study is still at the place that it names, too."""
    other = _read(folder.text_elsewhere(found.place, _FILE))
    return other is not None and other.id == found.id


def _read(text: str | None) -> StudyIdentity | None:
    try:
        values = dict(json.loads(text or "{}"))
        return StudyIdentity(**{**values, "former": tuple(values["former"])})
    except (ValueError, TypeError, KeyError):
        return None
