"""Whose a run or an experiment in MLflow is: of this study of this store, or of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

STUDY = "scmmlab.study"
"""Tag of an experiment and of a run: the study's name, and an id that no study of another store has."""
_SHOWN = 6
"""Digits of the id that a name shows."""


def _nothing() -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True)
class Owner:
    """A study of a store, as it recognises its own in an MLflow that others write to."""

    study: str
    """Name of the study."""
    id: str
    """Of the study in its store: digits; empty for a study of no store."""
    former: tuple[str, ...] = ()
    """Ids of the studies that it was copied from, with the records in a database of its own."""
    older: bool = False
    """Whether it may have records that bear no id."""
    ended: Callable[[], frozenset[str]] = _nothing
    """Keys of the cells and tune_trials that have ended in the store, to tell its records by that bear no id."""
    alone: bool = False
    """Whether MLflow's database is its own: then what bears no id in it is, too."""

    @property
    def marks(self) -> dict[str, str]:
        """Tags of all its records; none where it is the study of no store."""
        return {STUDY: f"{self.study}/{self.id}"} if self.id else {}

    @property
    def tags(self) -> tuple[str, ...]:
        """What its records may bear in the tag `STUDY`."""
        # where others record too, the study that this one was copied from does
        ids = (self.id, *(self.former if self.alone else ()))
        return tuple(f"{self.study}/{id}" for id in ids if id)

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether a record in an experiment of its own is its own too; one that bears no id is as the experiment."""
        return STUDY not in tags or tags[STUDY] in self.tags

    def names(self) -> Iterator[str]:
        """Names for its experiment, the best one first: `demo`, else `demo (ab12cd)`."""
        yield self.study
        for digits in (_SHOWN, len(self.id)):
            yield f"{self.study} ({self.id[:digits]})"
