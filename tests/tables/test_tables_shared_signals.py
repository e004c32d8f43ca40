"""Where one signal stands twice: in a table, and in two tables under whatever names."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from test_tables_build import TextReader

from scmmlab.config import CorpusSelection
from scmmlab.corpora import FeatureRecording, Reader, Recording, TrialFeatures, TrialSpan
from scmmlab.errors import CorpusError
from scmmlab.tables import build_table, read_manifest, read_table, shared_subjects, write_table

CHANGES = {
    "a": lambda x: x,
    "rounded": lambda x: np.round(x, 2),
    "cut": lambda x: x[:, 333:],
    "louder": lambda x: 3 * x,
}


class FormsReader(TextReader):
    """A corpus of text files: subject, name, seed and form of the signal."""

    corpus: ClassVar[str] = "mine"
    seconds: int = 8
    called: str = "mine"

    @property
    def corpus_name(self):
        return self.called

    def read(self, root: Path, file: str) -> Iterator[Recording | FeatureRecording]:
        subject, _, seed, form = (root / file).read_text().split()
        signal = CHANGES[form](np.random.default_rng(int(seed)).normal(0, 20, (2, 8 * 200)))[:, : self.seconds * 200]
        half = signal.shape[1] // 2
        trials = (TrialSpan(1, 0, 0, half), TrialSpan(2, 1, half, 2 * half))
        yield Recording(file, int(subject), 1, ("A", "B"), 200, signal, trials)


class LabReader(FormsReader):
    name: ClassVar[str] = "mne"


def built(folder, name, texts, **settings):
    root = folder / name
    root.mkdir()
    for number, text in enumerate(texts):
        (root / f"{number}.txt").write_text(text)
    build_table(LabReader(called=name, **settings), root, folder / f"{name}.table")
    return read_manifest(folder / f"{name}.table")


@pytest.mark.parametrize("form", ["rounded", "cut", "louder"])
def test_a_table_with_one_signal_twice_is_refused_and_leaves_nothing(tmp_path, form):
    with pytest.raises(CorpusError, match=r"'1.txt' to have the signal of trial 1 of subject 1, session 1, in '0.txt'"):
        built(tmp_path, "twice", ["1 anna 5 a", f"2 ben 5 {form}"])
    assert not list(tmp_path.glob("*.table"))


def test_one_trial_twice_in_a_file_is_refused(tmp_path):
    class Repeating(LabReader):
        def read(self, root, file):
            (recording,) = super().read(root, file)
            yield recording
            yield Recording("x", 1, 2, ("A", "B"), 200, recording.signal, recording.trials[:1])

    (tmp_path / "0.txt").write_text("1 anna 5 a")
    with pytest.raises(
        CorpusError, match=r"trial 1 of subject 1, session 2, .* signal of trial 1 of subject 1, session 1"
    ):
        build_table(Repeating(), tmp_path, tmp_path / "table")


def test_equal_features_that_a_corpus_ships_are_refused(tmp_path):
    class Shipping(Reader):
        name: ClassVar[str] = "shipping"
        corpus: ClassVar[str] = "shipping"

        @property
        def classes(self):
            return ("low", "high")

        def files(self, root):
            return ("0.txt", "1.txt")

        def read(self, root, file):
            values = np.random.default_rng(0).normal(size=(4, 2, 1)).astype(np.float32)
            subject = int(file[0])
            yield FeatureRecording(
                file, subject, 1, ("A", "B"), {"alpha": (8.0, 14.0)}, 1.0, (TrialFeatures(1, 0, values),)
            )

    for name in ("0", "1"):
        (tmp_path / f"{name}.txt").write_text(name)
    with pytest.raises(CorpusError, match=r"The same signal stands twice .* in '1.txt'"):
        build_table(Shipping(), tmp_path, tmp_path / "table")


def test_the_same_files_under_another_name_are_the_same_people(tmp_path):
    texts = ["1 anna 5 a", "2 ben 6 a", "3 carl 7 a"]
    source, target = built(tmp_path, "one", texts), built(tmp_path, "two", texts)
    assert shared_subjects(source, target) == ((1, 1), (2, 2), (3, 3))


def test_people_are_found_whatever_numbers_they_have(tmp_path):
    source = built(tmp_path, "one", ["1 anna 5 a", "2 ben 6 a", "3 carl 7 a"])
    target = built(tmp_path, "two", ["7 carl 7 rounded", "8 anna 5 cut", "2 dora 8 a"])
    assert shared_subjects(source, target) == ((1, 8), (3, 7))
    assert not shared_subjects(source, built(tmp_path, "other", ["1 anna 15 a", "2 ben 16 a"]))


def test_people_are_found_whatever_the_settings(tmp_path):
    source = built(tmp_path, "one", ["1 anna 5 a"])
    target = built(tmp_path, "two", ["4 anna 5 rounded"], seconds=7)
    assert shared_subjects(source, target) == ((1, 4),)


def test_a_selection_shares_the_people_that_are_in_it(tmp_path):
    source = built(tmp_path, "one", ["1 anna 5 a", "2 ben 6 a"])
    built(tmp_path, "two", ["7 anna 5 rounded", "8 ben 6 rounded"])
    table = read_table(tmp_path / "two.table").select(CorpusSelection(table="two", subjects=(8,)))
    assert shared_subjects(source, table.manifest) == ((2, 8),)


def test_without_signals_a_common_file_tells_by_number_and_by_name(tmp_path):
    source = built(tmp_path, "one", ["1 anna 5 a", "2 ben 6 a"]).model_copy(update={"signals": {}})
    target = source.model_copy(update={"corpus": "two", "fingerprint": "other"})
    assert shared_subjects(source, target) == ((1, 1), (2, 2))
    renumbered = target.model_copy(update={"subjects": {8: source.subjects[1], 9: "nobody"}})
    assert shared_subjects(source, renumbered) == ((1, 8),)
    assert not shared_subjects(source, renumbered.model_copy(update={"raw_files": {"a": "0" * 64}}))


def test_two_readings_of_one_public_corpus_have_the_same_people():
    table = read_manifest("shipped:eegmat")
    raw = table.model_copy(
        update={"fingerprint": "other", "raw_files": {}, "provenance": {**table.provenance, "reader": "eegmat"}}
    )
    assert len(shared_subjects(table, raw)) == 36


def test_signals_are_no_part_of_the_fingerprint_and_come_with_a_new_build(tmp_path):
    manifest = built(tmp_path, "one", ["1 anna 5 a", "2 ben 6 a"])
    assert [len(of_file) for of_file in manifest.signals.values()] == [2, 2]
    table = read_table(tmp_path / "one.table")
    old = manifest.model_copy(update={"signals": {}})
    assert write_table(type(table)(old, **{name: getattr(table, name) for name in (
        "subject", "session", "trial", "window", "label", "features")}), tmp_path / "one.table", force=True,
    ).fingerprint == manifest.fingerprint  # fmt: skip
    outcome = build_table(LabReader(called="one"), tmp_path / "one", tmp_path / "one.table")
    assert (outcome.status, outcome.manifest) == ("rebuilt", manifest)
    assert "before signals were recognised" in outcome.reason


def test_signals_that_cannot_be_read_are_said_so(tmp_path):
    source = built(tmp_path, "one", ["1 anna 5 a"])
    target = built(tmp_path, "two", ["1 anna 5 a"]).model_copy(update={"signals": {"0.txt": {"1/1/1": "x:!"}}})
    with pytest.raises(CorpusError, match=r"The signals of a manifest \(two\) cannot be read"):
        shared_subjects(source, target)
