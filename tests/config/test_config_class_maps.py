"""A selection's classes as a mapping."""

import json

import pytest

from scmmlab.config import CorpusSelection, TransferSpec
from scmmlab.config.problems import validate

MAP = {"negative": ["sad"], "neutral": ["neutral"], "positive": ["happy"]}


def problem(classes):
    _, problems = validate(CorpusSelection, {"table": "x", "classes": classes})
    return "; ".join(found.message for found in problems)


def test_the_order_of_the_classes_outlives_sorted_keys():
    turned = dict(reversed(MAP.items()))
    selection = CorpusSelection(table="x", classes=turned)
    assert selection.classes == ("positive", "neutral", "negative")
    stored = json.dumps(selection.model_dump(mode="json"), sort_keys=True)
    assert CorpusSelection.model_validate_json(stored) == selection
    assert CorpusSelection(table="x", classes=MAP) != selection


def test_a_class_is_its_own_member_without_a_map():
    assert CorpusSelection(table="x", classes=("sad",)).members("sad") == ("sad",)
    assert CorpusSelection(table="x", classes=MAP).members("negative") == ("sad",)


@pytest.mark.parametrize("classes", [{"a": ["x"], "b": ["x"]}, {"a": []}, {"a": ["x", "x"]}])
def test_a_class_of_the_table_goes_to_one_class_alone(classes):
    assert "each class must combine at least one of the table's, and no two may share one" in problem(classes)


def test_a_map_that_is_no_map_of_lists_is_refused():
    assert problem({"a": 3})
    assert problem({})


def test_the_schema_allows_both():
    kinds = {option.get("type") for option in TransferSpec.model_json_schema()["$defs"]["CorpusSelection"]["properties"]
             ["classes"]["anyOf"]}  # fmt: skip
    assert kinds == {"array", "null", "object"}
