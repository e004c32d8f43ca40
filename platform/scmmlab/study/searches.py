"""The identity of a sweep's search, and the records in the store that belong to it."""

from __future__ import annotations

from typing import Any

from scmmlab.config import SweepSpec, fingerprint
from scmmlab.errors import StoreError
from scmmlab.study.plan import Plan
from scmmlab.study.store import ResultStore
from scmmlab.study.tune_trials import TuneTrialRecord

_NOT_OF_THE_SEARCH = {"name", "description", "resources", "transfers", "tune_trials", "concurrency"}


def search_key(plan: Plan) -> str:
    """Identity of a search: its space, sampler and pruner, and the cell that it varies.

    How many settings are tried is no part of it, so that a sweep can go on to more.
    """
    assert isinstance(plan.study, SweepSpec)
    search = _without_idle_settings(plan.study)
    # the base's key stands for its data
    return fingerprint({"search": search, "base": plan.sampled("base", {}).key})


def _without_idle_settings(study: SweepSpec) -> dict[str, Any]:
    """Without settings that are not made use of: a search has the identity that it had before there were any."""
    search = study.model_dump(mode="json", exclude=_NOT_OF_THE_SEARCH)
    search["space"] = {
        path: {name: value for name, value in domain.items() if name != "when" or value}
        for path, domain in search["space"].items()
    }
    if search["objectives"] == ["probe"]:
        del search["objectives"]
    if search["sampler"] != "nsga2":
        del search["population"]
    if study.repeatable:
        del search["synchronous"]
    return search


def search_records(plan: Plan, store: ResultStore) -> list[TuneTrialRecord]:
    """Records of the tune_trials that have ended, by their numbers.

    Raises
    ------
    StoreError
        When the study's folder holds records of another search, which would be mixed up with this one's.
    """
    folder, key = store.study_folder(plan.study.name), search_key(plan)
    found = folder.trials().values()
    others = sum(record.get("search") != key for record in found)
    if others:
        raise StoreError(
            f"The folder {folder.uri} holds {others} tune_trials of another search: the space, sampler, pruner, "
            f"base or data have changed.",
            hint="give the changed sweep another name, or remove the folder's trials",
        )
    return sorted(map(TuneTrialRecord.parse, found), key=lambda record: record.number)


def settled_records(plan: Plan, store: ResultStore) -> list[TuneTrialRecord]:
    """Those of :func:`search_records` whose settings are not tried again."""
    return [record for record in search_records(plan, store) if record.settled]


def is_complete(plan: Plan, store: ResultStore) -> bool:
    """Whether everything of a study has ended: each cell with its record, each setting of a sweep."""
    if isinstance(plan.study, SweepSpec):
        return len(settled_records(plan, store)) >= plan.study.tune_trials
    return all(store.get_cell(key) is not None for key in plan.distinct)
