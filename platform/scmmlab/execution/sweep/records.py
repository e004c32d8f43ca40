"""What a sweep has finished, as the store has it: one record for each tune_trial that has ended."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from scmmlab.study import Plan, ResultStore, search_key, settled_records
from scmmlab.tracking import TuneTrialRecord


class SweepRecords:
    """The records of one search.

    Parameters
    ----------
    plan : Plan
        The sweep.
    store : ResultStore
        Where they are.

    Raises
    ------
    StoreError
        When the study's folder holds records of another search.
    """

    def __init__(self, plan: Plan, store: ResultStore):
        self.key = search_key(plan)
        """Identity of the search."""
        self._folder = store.study_folder(plan.study.name)
        self.ended = {record["number"]: _record(record) for record in settled_records(plan, store)}
        """Records by number; settings that an earlier run lost with their workers have none."""

    def add(self, record: TuneTrialRecord) -> None:
        """A tune_trial has ended."""
        self._folder.put_trial(f"{record.number:05d}", {"search": self.key, **asdict(record)})
        self.ended[record.number] = record

    def missing(self, total: int) -> list[int]:
        """Numbers up to `total` that have no record."""
        return [number for number in range(total) if number not in self.ended]


def _record(stored: dict[str, Any]) -> TuneTrialRecord:
    return TuneTrialRecord(
        number=stored["number"],
        key=stored["key"],
        params=stored["params"],
        intermediate=tuple((epoch, value) for epoch, value in stored["intermediate"]),
        value=stored["value"],
        state=stored["state"],
        error=stored.get("error"),
        cause=stored.get("cause"),
    )
