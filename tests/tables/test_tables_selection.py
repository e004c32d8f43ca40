"""Parts of a table: subjects, sessions, classes, channels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_strategies import columns, manifest, small_table, tables

from scmmlab.config import CorpusSelection
from scmmlab.errors import CorpusError
from scmmlab.tables import FeatureTable, read_table, write_table


def select(table, **selection):
    return table.select(CorpusSelection(table="x", **selection))


def test_classes_are_numbered_in_the_order_in_which_they_are_named():
    table = small_table()
    part = select(table, classes=("positive", "negative"))
    assert part.manifest.classes == ("positive", "negative")
    assert set(part.label) == {0, 1}
    positive = table.features[table.label == 2]
    np.testing.assert_array_equal(part.features[part.label == 0], positive)
    assert len(part) == part.manifest.windows == 32


def test_subjects_and_sessions_are_kept_with_all_that_is_theirs():
    table = FeatureTable.assemble(manifest(), **columns(sessions=(1, 2, 3)))
    part = select(table, subjects="2", sessions=(1, 3))
    assert set(part.subject) == {2}
    assert set(part.session) == {1, 3}
    assert len(part) == 48
    assert part.manifest.subjects == {2: "S02"}


@settings(max_examples=30, deadline=None)
@given(tables(), st.data())
def test_a_selection_keeps_exactly_the_rows_named(table, data):
    subjects = data.draw(st.sets(st.sampled_from(sorted(table.manifest.subjects)), min_size=1))
    part = select(table, subjects=tuple(subjects))
    np.testing.assert_array_equal(part.features, table.features[np.isin(table.subject, list(subjects))])
    np.testing.assert_array_equal(part.label, table.label[np.isin(table.subject, list(subjects))])


def test_everything_is_selected_when_nothing_is_said():
    part = select(small_table())
    np.testing.assert_array_equal(part.features, small_table().features)
    assert part.manifest == small_table().manifest


def test_a_selection_keeps_the_fingerprint_of_its_table_and_gets_its_own_when_written(tmp_path):
    part = select(small_table(), subjects=(1,))
    assert part.manifest.fingerprint == small_table().manifest.fingerprint
    write_table(part, tmp_path / "part")
    assert read_table(tmp_path / "part").manifest.fingerprint != part.manifest.fingerprint


@pytest.mark.parametrize(
    ("selection", "complaint"),
    [
        ({"subjects": (1, 5, 6)}, "Subjects of 'small' must be among 1-2, got 5-6"),
        ({"sessions": (2,)}, "Sessions of 'small' must be among 1, got 2"),
        ({"classes": ("neutral", "positiv")}, "Classes of 'small' must be among .* got 'positiv'"),
    ],
)
def test_what_is_not_there_is_refused(selection, complaint):
    with pytest.raises(CorpusError, match=complaint):
        select(small_table(), **selection)


def test_a_misspelt_class_gets_the_nearest_name_as_a_hint():
    with pytest.raises(CorpusError) as error:
        select(small_table(), classes=("positiv",))
    assert error.value.hint == "did you mean 'positive'?"


def test_a_selection_that_leaves_nothing_is_refused():
    rows = columns()
    rows["label"] = np.where(rows["subject"] == 1, 0, 1)
    table = FeatureTable.assemble(manifest(), **rows)
    with pytest.raises(CorpusError, match="Nothing of 'small' is left"):
        select(table, subjects=(1,), classes=("neutral",))


def test_channels_are_found_without_regard_to_case_and_put_in_the_order_asked_for():
    table = small_table()
    part = table.with_channels(("PZ", "fz"))
    assert part.manifest.channels == ("PZ", "fz")
    np.testing.assert_array_equal(part.features, table.features[:, [2, 0]])


def test_the_channels_that_a_table_has_already_are_not_copied():
    table = small_table()
    assert table.with_channels(("Fz", "Cz", "Pz")) is table


def test_a_channel_that_is_not_there_is_refused():
    with pytest.raises(CorpusError, match="'small' has no channel Oz: expected some of Fz, Cz, Pz"):
        small_table().with_channels(("Fz", "Oz"))


def test_classes_may_be_made_of_others_by_a_map():
    table = small_table()
    part = select(table, classes={"rest": ["neutral"], "moved": ["positive", "negative"]})
    assert part.manifest.classes == ("rest", "moved")
    np.testing.assert_array_equal(part.features[part.label == 0], table.features[table.label == 1])
    np.testing.assert_array_equal(part.features[part.label == 1], table.features[table.label != 1])


def test_what_no_class_is_made_of_is_left_out():
    part = select(small_table(), classes={"bad": ["negative"], "good": ["positive"]})
    assert len(part) == 32
    with pytest.raises(CorpusError, match=r"Classes of 'small' must be among .* got 'positiv'"):
        select(small_table(), classes={"bad": ["negative"], "good": ["positiv"]})
