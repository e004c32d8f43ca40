"""What computed a study: the versions of each attempt at it, and which cells or settings came out of which attempt.

An attempt notes what had ended when it began. So a cell is the work of the last attempt that did not find it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scmmlab.config import SweepSpec
from scmmlab.config.code_digest import KEYS_VERSION
from scmmlab.study.folder import StudyFolder
from scmmlab.study.plan import Plan
from scmmlab.study.searches import settled_records
from scmmlab.study.store import ResultStore

_FILE = "attempts.json"
_FORMER_FILE = "versions.json"
"""Where earlier versions of scmmlab noted the versions of the last attempt too."""


@dataclass(frozen=True)
class Attempt:
    """A run that had something to do, or several with the same versions."""

    versions: Mapping[str, str]
    """What computed."""
    found: frozenset[str]
    """What had ended when it began: keys of cells, or names of tune_trials."""


def note_attempt(plan: Plan, store: ResultStore, versions: Mapping[str, str]) -> None:
    """Note that an attempt begins; nothing is noted where nothing is left to do.

    Parameters
    ----------
    plan : Plan
        The study.
    store : ResultStore
        Where it is noted.
    versions : mapping of str to str
        What will compute.
    """
    ended, folder = ended_names(plan, store), store.study_folder(plan.study.name)
    if len(ended) >= (plan.study.tune_trials if isinstance(plan.study, SweepSpec) else len(plan.distinct)):
        return
    attempts = _read(folder)
    if attempts and dict(attempts[-1].versions) == dict(versions):
        last = attempts.pop()
        attempts.append(Attempt(versions, last.found & ended))  # what was lost since is its work too
    else:
        attempts.append(Attempt(versions, frozenset(ended)))
    rows = [{"versions": dict(attempt.versions), "found": sorted(attempt.found)} for attempt in attempts]
    folder.write_text(_FILE, json.dumps(rows, indent=1) + "\n")


def ended_names(plan: Plan, store: ResultStore) -> frozenset[str]:
    """What has ended of a study: keys of its cells, or names of its tune_trials."""
    if isinstance(plan.study, SweepSpec):
        return frozenset(record.name for record in settled_records(plan, store))
    return frozenset(key for key in plan.distinct if store.get_cell(key) is not None)


def latest_versions(folder: StudyFolder) -> dict[str, str]:
    """Versions of the last attempt; empty where nothing was noted."""
    if attempts := _read(folder):
        return dict(attempts[-1].versions)
    try:
        return _versions(json.loads(folder.read_text(_FORMER_FILE) or "{}"))
    except (ValueError, TypeError):
        return {}


def earlier_keys(folder: StudyFolder) -> str | None:
    """What is to be said of results that an earlier version stored under other keys; None where there are none."""
    try:
        version = json.loads(folder.read_text("plan.json") or "{}").get("keys", 1 if folder.has("plan.json") else None)
    except (ValueError, AttributeError):
        return None
    if version in (None, KEYS_VERSION):
        return None
    versions = latest_versions(folder)
    by = (
        f"scmmlab {versions['scmmlab']} ({versions.get('commit', 'commit unknown')})" if versions else "its own version"
    )
    return (
        f"{folder.uri} has results under keys of version {version}, but this scmmlab uses keys of version "
        f"{KEYS_VERSION}: they are not used here, and remain available to {by}."
    )


def by_versions(folder: StudyFolder, ended: Iterable[str]) -> list[tuple[dict[str, str], list[str]]]:
    """What has ended of a study, by the versions that computed it.

    Parameters
    ----------
    folder : StudyFolder
        The study's.
    ended : iterable of str
        Keys of cells, or names of tune_trials.

    Returns
    -------
    list of (dict, list of str)
        In the order of attempts, without those of which nothing is left. What the first attempt found (another study
        had computed it) counts as its own.
    """
    attempts = _read(folder) or [Attempt(latest_versions(folder), frozenset())]
    groups: list[list[str]] = [[] for _ in attempts]
    for name in ended:
        last = max((number for number, attempt in enumerate(attempts) if name not in attempt.found), default=0)
        groups[last].append(name)
    return [(dict(attempt.versions), group) for attempt, group in zip(attempts, groups, strict=True) if group]


def _read(folder: StudyFolder) -> list[Attempt]:
    """The attempts in their order; none where nothing was noted, or it was edited into something else."""
    try:
        rows = json.loads(folder.read_text(_FILE) or "[]")
        return [Attempt(_versions(row["versions"]), frozenset(map(str, row["found"]))) for row in rows]
    except (ValueError, KeyError, TypeError):
        return []


def _versions(found: Any) -> dict[str, str]:
    return {str(name): str(version) for name, version in dict(found).items()}
