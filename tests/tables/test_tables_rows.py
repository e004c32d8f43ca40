"""Rows that cannot be are refused, by a sentence that says which."""

import numpy as np
import pytest
from table_strategies import columns, manifest

from scmmlab.corpora import FeatureRecording, TrialFeatures
from scmmlab.errors import CorpusError
from scmmlab.tables import FeatureTable, Manifest
from scmmlab.tables.extraction import rows_of


def assemble(**changes):
    rows = columns()
    for name, change in changes.items():
        rows[name] = change(np.array(rows[name]))
    return FeatureTable.assemble(manifest(), **rows, where="'mine'")


def put(index, value):
    def change(column):
        column[index] = value
        return column

    return change


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"window": put(1, 0)},
            "A window is duplicated in 'mine': .*once, found subject 1, session 1, trial 1, window 0 twice",
        ),
        (
            {"label": put(7, 3)},
            r"A label is outside the classes in 'mine': expected 0 to 2 .*'positive'.*, found 3 at .*trial 2, window 3",
        ),
        ({"label": put(7, -1)}, "A label is outside the classes in 'mine': .* found -1"),
        (
            {"features": put((6, 2, 1), np.nan)},
            "A feature is not finite in 'mine': .*found nan in channel Pz, band alpha, at subject 1, .*window 2",
        ),
        ({"features": put((6, 0, 0), np.inf)}, "found inf in channel Fz, band theta"),
        ({"subject": put(slice(0, 24), 9)}, "A subject is not in the manifest of 'mine': expected 1-2, found 9"),
        ({"label": put(1, 1)}, "A trial has two labels in 'mine': expected one, found 0 and then 1"),
    ],
)
def test_a_row_that_cannot_be_is_refused(changes, complaint):
    with pytest.raises(CorpusError, match=complaint):
        assemble(**changes)


def test_a_table_without_windows_is_refused():
    with pytest.raises(CorpusError, match="There is no window in 'mine'"):
        assemble(**dict.fromkeys(columns(), lambda column: column[:0]))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"channels": ("Fz", "FZ")}, "channels must differ"),
        ({"classes": ("a", "a")}, "classes must differ"),
        ({"bands": {"x": (8, 4)}}, "band 'x' must have 0 <= low < high, got 8 to 4 Hz"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        Manifest(**{**manifest().model_dump(), **change})


def test_channels_of_a_reader_that_differ_in_capitals_alone_are_refused_in_a_sentence():
    trial = TrialFeatures(1, 0, np.zeros((2, 2, 1), np.float32))
    bands = {"alpha": (8.0, 14.0)}
    for names in (("Fz", "FZ"), ("Fz", "Fz")):
        recording = FeatureRecording("'mine'", 1, 1, names, bands, 1.0, [trial])
        with pytest.raises(CorpusError, match=r"'mine' has channels .*: expected .*, found " + ", ".join(names)):
            rows_of("mine", iter([recording]), 2)
