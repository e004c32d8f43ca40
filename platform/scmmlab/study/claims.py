"""Claims on a study, or a part of it: small objects that a driver rewrites with each heartbeat.

Each driver writes an object of its own, which no other ever writes: an object store cannot say which of two writers
came first. Clocks of machines need not agree: on S3 one clock tells when each object was written, and on a folder,
where that may be each writer's own, a claim is watched. `docs/decisions/0008-a-lease-for-a-study.md` says why this is
enough.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from scmmlab.study.files import Files, UnreadableError
from scmmlab.study.objects import DamagedError, from_json, to_json
from scmmlab.study.processes import ProcessName, is_there
from scmmlab.study.shards import Shard, overlap

LEASE_S = 60.0
"""A driver that has missed its heartbeat for so long is taken to be gone."""

HEARTBEAT_S = 10.0
"""Interval of a driver's heartbeats."""

_READS = 5
"""A claim is read so often before it is taken for none: S3 may give a part of one that is being written anew."""
_READ_AGAIN_S = 0.1


@dataclass(frozen=True)
class Claim:
    """What a driver publishes about itself."""

    id: str
    """Its own, random."""
    phase: Literal["asking", "holding"]
    """Whether it holds the lease, or asks for it."""
    since: str
    """When it began, by its machine's clock, in UTC."""
    process: ProcessName | None
    """Which process it is, for others on its machine."""
    part: Shard | None = None
    """Of the study, that it claims; None for the whole."""
    heartbeats: int = 0
    """Number of its heartbeats."""
    replaces: tuple[str, ...] = ()
    """Claims that it took for those of drivers that are gone."""
    active_cells: Mapping[str, str] = field(default_factory=dict)
    """Cells that have started and not ended, by key, with how far each has come."""


@dataclass(frozen=True)
class SeenClaim:
    """A claim as it lies in the store."""

    claim: Claim
    """What it says."""
    written_s: float
    """When it was written last, by the store's clock, or by that of the machine that wrote it."""

    def gone(self, silent_s: float, lease_s: float = LEASE_S) -> bool:
        """Whether its driver is gone: its process has ended, or it has missed its heartbeat for the lease.

        Parameters
        ----------
        silent_s : float
            Time since its last heartbeat.
        lease_s : float
            The lease.
        """
        return is_there(self.claim.process) is False or silent_s > lease_s

    def concerns(self, part: Shard | None) -> bool:
        """Whether its driver runs cells of `part`, too."""
        return overlap(self.claim.part, part)

    def surely_there(self) -> bool:
        """Whether its process is on this machine, and runs."""
        return is_there(self.claim.process) is True


class Watch:
    """How long ago each claim had its last heartbeat, as far as that is certain.

    Parameters
    ----------
    one_clock : bool
        Whether all times of writing are told by one clock; otherwise only those of this machine's claims are, and of
        others what was seen since they were first looked at counts.
    clock : callable
        As `time.monotonic`.
    """

    def __init__(self, one_clock: bool, clock: Callable[[], float] = time.monotonic):
        self._one_clock, self._clock = one_clock, clock
        self._seen: dict[str, tuple[SeenClaim, float]] = {}

    def silent_s(self, found: SeenClaim, now_s: float) -> float:
        """Seconds since the last heartbeat of `found`, which was seen just now; never too many.

        Parameters
        ----------
        found : SeenClaim
            The claim.
        now_s : float
            Now, by the clock that tells when our own claims are written.
        """
        before, since = self._seen.get(found.claim.id, (None, 0.0))
        if found != before:
            since = self._clock()
            self._seen[found.claim.id] = found, since
        watched = self._clock() - since
        if self._one_clock or is_there(found.claim.process) is not None:
            return max(watched, now_s - found.written_s)
        return watched


class Claims:
    """The claims on one study.

    Parameters
    ----------
    files : Files
        The store.
    folder : str
        Theirs.
    """

    def __init__(self, files: Files, folder: str):
        self._files, self._folder = files, folder

    @property
    def one_clock(self) -> bool:
        """Whether one clock tells when each claim was written."""
        return self._files.one_clock

    def write(self, claim: Claim) -> None:
        """Write one's own claim, in place of what it said before."""
        self._files.write(self._name(claim.id), to_json("claim", claim.id, _record(claim)))

    def delete(self, name: str) -> None:
        """Delete a claim; nothing happens where it is gone."""
        self._files.delete(self._name(name))

    def seen(self) -> dict[str, SeenClaim]:
        """All claims, by id. What is no claim is passed over."""
        found: dict[str, SeenClaim] = {}
        for file, written_s in sorted(self._files.written(self._folder).items()):
            if not file.endswith(".json"):
                continue
            name = file.removesuffix(".json")
            claim = self._read(name)
            if claim is not None:
                found[name] = SeenClaim(claim, written_s)
        return found

    def _read(self, name: str) -> Claim | None:
        """A claim; None where it is gone, or what is there is none."""
        for _ in range(_READS):
            with suppress(UnreadableError, DamagedError, KeyError, TypeError):
                data = self._files.read(self._name(name))
                return None if data is None else _claim(from_json("claim", name, data).record)
            time.sleep(_READ_AGAIN_S)
        return None

    def _name(self, name: str) -> str:
        return f"{self._folder}/{name}.json"


_STORED = {"heartbeats": "beats", "active_cells": "at_work"}
"""Fields that are stored under another name, which drivers of earlier versions read."""
_FIELD = {stored: name for name, stored in _STORED.items()}


def _record(claim: Claim) -> dict[str, Any]:
    return {_STORED.get(name, name): value for name, value in asdict(claim).items()}


def _claim(record: dict[str, Any]) -> Claim:
    record = {_FIELD.get(name, name): value for name, value in record.items()}
    process, part = record["process"], record.get("part")
    values = {
        "process": process and ProcessName(**process),
        "part": part and Shard(**part),
        "replaces": tuple(record["replaces"]),
    }
    return Claim(**{**record, **values})
