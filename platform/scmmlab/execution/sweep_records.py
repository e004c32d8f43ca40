"""What a sweep has finished, as the store has it: one record for each tune_trial that has ended."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from scmmlab.config import SweepSpec, fingerprint
from scmmlab.errors import StoreError
from scmmlab.study import Plan, ResultStore
from scmmlab.tracking import TuneTrialRecord

_NOT_OF_THE_SEARCH = {"name", "description", "resources", "transfers", "tune_trials", "concurrency"}


def search_key(plan: Plan) -> str:
    """Identity of a search: its space, sampler and pruner, and the cell that it varies.

    How many settings are tried is no part of it, so that a sweep can go on to more.
    """
    assert isinstance(plan.study, SweepSpec)
    search = _without_idle_settings(plan.study.model_dump(mode="json", exclude=_NOT_OF_THE_SEARCH))
    # the base's key stands for its data
    return fingerprint({"search": search, "base": plan.sampled("base", {}).key})


def _without_idle_settings(search: dict[str, Any]) -> dict[str, Any]:
    """Without settings that are not made use of: a search has the identity that it had before there were any."""
    search["space"] = {
        path: {name: value for name, value in domain.items() if name != "when" or value}
        for path, domain in search["space"].items()
    }
    if search["objectives"] == ["probe"]:
        del search["objectives"]
    if search["sampler"] != "nsga2":
        del search["population"]
    return search


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
        found = self._folder.trials()
        others = [name for name, record in found.items() if record.get("search") != self.key]
        if others:
            raise StoreError(
                f"The folder {self._folder.uri} holds {len(others)} tune_trials of another search than this one: its "
                "space, sampler, pruner, base or data have changed.",
                hint="give the changed sweep another name, or remove the folder's trials",
            )
        self.ended = {record["number"]: _record(record) for record in found.values()}
        """Records by number."""

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
    )
