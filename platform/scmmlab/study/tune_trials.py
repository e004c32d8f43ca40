"""A setting that a sweep has tried, as it ended: the one record that the store, trackers and the report share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from scmmlab.errors import FailureCause, is_settled
from scmmlab.study.objects import Record


@dataclass(frozen=True)
class TuneTrialRecord:
    """A setting that a sweep tried, as it ended."""

    number: int
    """In the order of sampling, from 0."""
    key: str
    """Identity of its training."""
    params: Mapping[str, bool | int | float | str | None]
    """Dotted path → value."""
    intermediate: tuple[tuple[int, float], ...]
    """(epoch, objective) of each probe, in the order of epochs."""
    value: float | None
    """The objective at the end, of a complete one."""
    state: Literal["complete", "pruned", "failed"]
    """How it ended."""
    error: str | None = None
    """One line, of a failed one."""
    cause: FailureCause | None = None
    """Why the training of a failed one failed."""

    @property
    def name(self) -> str:
        """Its name in the store: `00012`."""
        return f"{self.number:05d}"

    @property
    def settled(self) -> bool:
        """Whether it is not tried again."""
        return is_settled(self.cause)

    @classmethod
    def parse(cls, stored: Record) -> TuneTrialRecord:
        """The record that `to_json` has made, of this version or an earlier one."""
        return cls(
            number=stored["number"],
            key=stored["key"],
            params=stored["params"],
            intermediate=tuple((epoch, value) for epoch, value in stored["intermediate"]),
            value=stored["value"],
            state=stored["state"],
            error=stored.get("error"),
            cause=stored.get("cause"),
        )

    def to_json(self, search: str) -> Record:
        """Plain values for the store, with the key of the search that it belongs to."""
        return {"search": search, **asdict(self)}
