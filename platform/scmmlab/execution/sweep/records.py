"""What a sweep has finished, as the store has it: one record for each tune_trial that has ended."""

from __future__ import annotations

from scmmlab.study import Plan, ResultStore, TuneTrialRecord, search_key, settled_records


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
        self.ended = {record.number: record for record in settled_records(plan, store)}
        """Records by number; settings that an earlier run lost with their workers have none."""

    def add(self, record: TuneTrialRecord) -> None:
        """A tune_trial has ended."""
        self._folder.put_trial(record.name, record.to_json(self.key))
        self.ended[record.number] = record

    def missing(self, total: int) -> list[int]:
        """Numbers up to `total` that have no record."""
        return [number for number in range(total) if number not in self.ended]
