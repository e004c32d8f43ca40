"""The feature table that comes with scmmlab."""

from pathlib import Path

import numpy as np
import pytest

import scmmlab
from scmmlab.corpora.eegmat import EegmatReader
from scmmlab.errors import CorpusError
from scmmlab.tables import build_table, check_mixable, read_table, shipped_tables

REAL_PAIR = Path(__file__).parent.parent / "data" / "eegmat"


@pytest.fixture(scope="module")
def table():
    return read_table("shipped:eegmat")


def test_it_holds_all_subjects_of_eegmat(table):
    assert shipped_tables() == ["eegmat"]
    assert len(table) == 4392
    assert table.features.shape == (4392, 19, 5)
    assert sorted(table.manifest.subjects) == list(range(36))
    assert np.bincount(table.label).tolist() == [36 * 60, 36 * 62]
    assert table.manifest.classes == ("rest", "arithmetic")


def test_its_trials_are_blocks_of_ten_windows_and_the_last_takes_the_remainder(table):
    for subject in (0, 17, 35):
        of_subject = table.subject == subject
        counts = np.bincount(table.trial[of_subject])[1:]
        assert counts.tolist() == [10] * 11 + [12]
        assert (table.label[of_subject] == (table.trial[of_subject] > 6)).all()


def test_it_says_whose_it_is_and_what_is_known_of_its_making(table):
    manifest = table.manifest
    assert manifest.licence == "ODC-By 1.0"
    assert "Zyma" in manifest.attribution
    assert manifest.provenance["origin"] == "computed"
    assert "filter" in manifest.provenance["not_stated"]
    assert "Zyma" in (Path(scmmlab.__file__).parent / "shipped" / "README.md").read_text()


def test_it_may_be_mixed_with_a_table_built_from_recordings(table, tmp_path):
    built = build_table(EegmatReader(), REAL_PAIR, tmp_path / "table").manifest
    check_mixable(table.manifest, built)
    assert built.channels == table.manifest.channels


def test_an_unknown_shipped_table_is_refused_with_the_nearest_name():
    with pytest.raises(CorpusError, match="Unknown table 'shipped:eegmatt'") as error:
        read_table("shipped:eegmatt")
    assert error.value.hint == "did you mean 'shipped:eegmat'?"
