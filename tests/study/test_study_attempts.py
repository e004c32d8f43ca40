"""Which versions computed which cell is known, however often a study was gone on with."""

import pytest
from study_fakes import plan_of, record, sweep

from scmmlab.study import ResultStore, TuneTrialRecord, search_key
from scmmlab.study.attempts import by_versions, ended_names, latest_versions, note_attempt

OLD, NEW = {"torch": "1", "numerics": "1"}, {"torch": "2", "numerics": "1"}


@pytest.fixture
def plan():
    return plan_of()


@pytest.fixture
def store(tmp_path):
    return ResultStore(tmp_path)


def finish(plan, store, *numbers):
    for number in numbers:
        cell = plan.cells[number]
        store.put_cell(cell.key, record(cell))


def computed(plan, store):
    """Versions of torch and the numbers of cells that they computed."""
    numbers = {cell.key: number for number, cell in enumerate(plan.cells)}
    groups = by_versions(store.study_folder("small"), ended_names(plan, store))
    return [(versions["torch"], sorted(numbers[key] for key in keys)) for versions, keys in groups]


def test_a_cell_is_the_work_of_the_last_attempt_that_did_not_find_it(plan, store):
    note_attempt(plan, store, OLD)
    finish(plan, store, 0, 1)
    note_attempt(plan, store, OLD)
    finish(plan, store, 2)
    note_attempt(plan, store, NEW)
    finish(plan, store, 3)
    note_attempt(plan, store, OLD)
    finish(plan, store, 4, 5, 6, 7)
    assert computed(plan, store) == [("1", [0, 1, 2]), ("2", [3]), ("1", [4, 5, 6, 7])]
    assert latest_versions(store.study_folder("small")) == OLD


def test_an_attempt_with_nothing_to_do_computed_nothing(plan, store):
    note_attempt(plan, store, OLD)
    finish(plan, store, *range(8))
    note_attempt(plan, store, NEW)
    assert computed(plan, store) == [("1", list(range(8)))]
    assert latest_versions(store.study_folder("small")) == OLD


def test_what_was_damaged_is_the_work_of_the_attempt_that_made_it_again(plan, store, tmp_path):
    note_attempt(plan, store, OLD)
    finish(plan, store, 0, 1, 2)
    note_attempt(plan, store, NEW)
    finish(plan, store, 3)
    (tmp_path / "cells" / f"{plan.cells[1].key}.json").write_text("{")
    note_attempt(plan, store, NEW)
    finish(plan, store, 1)
    assert computed(plan, store) == [("1", [0, 2]), ("2", [1, 3])]


def test_what_another_study_had_computed_counts_as_the_first_attempts(plan, store):
    finish(plan, store, 0)
    note_attempt(plan, store, OLD)
    finish(plan, store, 1)
    assert computed(plan, store) == [("1", [0, 1])]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"versions": 1}', '[{"versions": []}]', '"text"', "null"])
def test_notes_that_were_edited_into_something_else_say_nothing(plan, store, text):
    folder = store.study_folder("small")
    finish(plan, store, 0)
    folder.write_text("attempts.json", text)
    folder.write_text("versions.json", text)
    assert latest_versions(folder) == {} or text == '{"versions": 1}'
    assert [keys for _, keys in by_versions(folder, ended_names(plan, store))] == [[plan.cells[0].key]]
    note_attempt(plan, store, NEW)
    assert latest_versions(folder) == NEW


def test_settings_of_a_sweep_are_known_by_their_numbers(store):
    plan = plan_of(sweep(tune_trials=3))
    folder = store.study_folder("search")
    for number, versions in enumerate((OLD, NEW, NEW)):
        note_attempt(plan, store, versions)
        trial = TuneTrialRecord(number, f"t{number}", {}, (), None, "pruned")
        folder.put_trial(trial.name, trial.to_json(search_key(plan)))
    found = by_versions(folder, sorted(ended_names(plan, store)))
    assert found == [(OLD, ["00000"]), (NEW, ["00001", "00002"])]
