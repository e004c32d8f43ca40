"""What all fakes share: a folder that appears whole, and signals that follow the synthetic corpora."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import numpy as np
import pytest

from scmmlab.corpora.fakes import FakeCorpus, write_fake
from scmmlab.corpora.fakes.brain import Brain
from scmmlab.corpora.fakes.spreadsheets import write_column
from scmmlab.errors import CorpusError
from scmmlab.features import FeatureSpec, extract_features


class TextFake(FakeCorpus):
    name: ClassVar[str] = "text"
    summary: ClassVar[str] = "for tests"

    broken: bool = False

    def write(self, out: Path) -> Iterator[Path]:
        for subject in range(self.subjects):
            (out / f"s{subject}").write_text("x")
            yield out / f"s{subject}"
        if self.broken:
            raise OSError("disk full")


def test_a_fake_names_its_files_where_they_will_be(tmp_path):
    assert list(write_fake(TextFake(), tmp_path / "out")) == [tmp_path / "out" / "s0", tmp_path / "out" / "s1"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["s0", "s1"]


def test_a_fake_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="disk full"):
        list(write_fake(TextFake(broken=True), tmp_path / "out"))
    assert not list(tmp_path.iterdir())


def test_a_fake_replaces_nothing(tmp_path):
    (tmp_path / "mine").write_text("data")
    with pytest.raises(CorpusError, match=r"expected an empty folder or none, found files in it"):
        list(write_fake(TextFake(), tmp_path))


def test_a_signal_has_the_entropies_that_are_said_of_its_trial():
    brain = Brain("text", ("Fz", "Cz", "Pz"), subject=1)
    said = brain.entropies(1, 2, "positive", 40)
    (found,) = extract_features(brain.signal(1, 2, "positive", 8000, 200.0), 200.0, [(0, 8000)], FeatureSpec())
    assert np.corrcoef(said.ravel(), found.ravel())[0, 1] > 0.8
    assert abs((said - found).mean()) < 0.2


def test_a_brain_is_the_same_again_and_differs_by_subject_and_trial():
    first = Brain("text", ("Fz", "Cz"), subject=1).entropies(1, 1, "sad", 5)
    assert (first == Brain("text", ("Fz", "Cz"), subject=1).entropies(1, 1, "sad", 5)).all()
    assert (first != Brain("text", ("Fz", "Cz"), subject=2).entropies(1, 1, "sad", 5)).all()
    assert (first != Brain("text", ("Fz", "Cz"), subject=1).entropies(1, 2, "sad", 5)).all()


def test_a_column_of_text_is_a_workbook_that_can_be_read(tmp_path):
    path = write_column(tmp_path / "order.xlsx", ("FP1", "FPZ", "O2"))
    with zipfile.ZipFile(path) as book:
        assert book.testzip() is None
        trees = {name: ElementTree.fromstring(book.read(name)) for name in book.namelist()}
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    cells = [cell.text for cell in trees["xl/worksheets/sheet1.xml"].iter(f"{space}t")]
    assert cells == ["FP1", "FPZ", "O2"]
    assert path.read_bytes() == write_column(tmp_path / "again.xlsx", ("FP1", "FPZ", "O2")).read_bytes()
