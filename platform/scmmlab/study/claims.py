"""Claims on a study: small objects in its folder, by which a driver says that it is at work, again and again.

Each driver writes an object of its own, which no other ever writes: an object store cannot say which of two writers
came first. Ages are told by the store's clock, from the times at which the objects were written, so that the clocks of
machines need not agree. `docs/decisions/0008-a-lease-for-a-study.md` says why this is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from scmmlab.study.files import Files
from scmmlab.study.objects import DamagedError, from_json, to_json
from scmmlab.study.processes import ProcessName, is_there

LEASE_S = 60.0
"""A driver that has given no sign for so long is taken to be gone."""

BEAT_S = 10.0
"""A driver gives a sign so often."""


@dataclass(frozen=True)
class Claim:
    """What a driver says of itself."""

    id: str
    """Its own, random."""
    phase: Literal["asking", "holding"]
    """Whether it has the study, or is finding out whether it may."""
    since: str
    """When it began, by its machine's clock, in UTC."""
    process: ProcessName | None
    """Which process it is, for others on its machine."""
    beats: int = 0
    """Signs that it has given."""
    replaces: tuple[str, ...] = ()
    """Claims that it took for those of drivers that are gone."""
    at_work: Mapping[str, str] = field(default_factory=dict)
    """Cells that it has begun and not ended, by key, with how far each was."""


@dataclass(frozen=True)
class SeenClaim:
    """A claim as it lies in the store."""

    claim: Claim
    """What it says."""
    written_s: float
    """When it was written last, by the store's clock."""

    def gone(self, now_s: float, lease_s: float = LEASE_S) -> bool:
        """Whether its driver is gone: its process has ended, or it has given no sign for the lease.

        Parameters
        ----------
        now_s : float
            Now, by the store's clock.
        lease_s : float
            The lease.
        """
        return is_there(self.claim.process) is False or now_s - self.written_s > lease_s

    def surely_there(self) -> bool:
        """Whether its process is on this machine, and runs."""
        return is_there(self.claim.process) is True


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

    def write(self, claim: Claim) -> None:
        """Write one's own claim, in place of what it said before."""
        self._files.write(self._name(claim.id), to_json("claim", claim.id, asdict(claim)))

    def delete(self, name: str) -> None:
        """Delete a claim; nothing happens where it is gone."""
        self._files.delete(self._name(name))

    def seen(self) -> dict[str, SeenClaim]:
        """All claims, by id. What is no claim is passed over."""
        found: dict[str, SeenClaim] = {}
        for file, written_s in sorted(self._files.written(self._folder).items()):
            name = file.removesuffix(".json")
            data = self._files.read(f"{self._folder}/{file}") if file.endswith(".json") else None
            if data is None:
                continue
            try:
                found[name] = SeenClaim(_claim(from_json("claim", name, data).record), written_s)
            except (DamagedError, KeyError, TypeError):
                continue
        return found

    def _name(self, name: str) -> str:
        return f"{self._folder}/{name}.json"


def _claim(record: dict[str, Any]) -> Claim:
    process = record["process"]
    return Claim(
        **{**record, "process": process and ProcessName(**process), "replaces": tuple(record["replaces"])},
    )
