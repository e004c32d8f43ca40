"""What every reader must do; the tests of a reader inherit it."""

import pickle
import shutil

import numpy as np
import pytest

from scmmlab.corpora import FeatureRecording, LeftOut, Recording
from scmmlab.corpora.registry import READERS
from scmmlab.errors import CorpusError
from scmmlab.tables import build_table, read_table


class ReaderConformance:
    """A subclass gives `reader()` and fills a folder with a small corpus in `fill(root)`."""

    def reader(self):
        raise AssertionError("a subclass gives its reader")

    def fill(self, root):
        raise AssertionError("a subclass fills the folder")

    def alter(self, companion):
        """Change a companion's bytes so that it can still be read: here by a line's end, which text allows."""
        companion.write_bytes(companion.read_bytes() + b"\n")

    @pytest.fixture
    def root(self, tmp_path):
        root = tmp_path / "corpus"
        root.mkdir()
        self.fill(root)
        return root

    def recordings(self, root):
        reader = self.reader()
        parts = [part for file in reader.files(root) for part in reader.read(root, file)]
        return [part for part in parts if not isinstance(part, LeftOut)]

    def test_it_is_registered_and_says_what_it_needs(self):
        reader = self.reader()
        assert READERS[reader.name] is type(reader)
        assert reader.summary
        assert reader.needs
        assert all(field.description for field in type(reader).model_fields.values())

    def test_its_files_are_there_once_each_and_in_the_same_order_again(self, root):
        files = self.reader().files(root)
        assert len(set(files)) == len(files) > 0
        assert all((root / file).is_file() for file in files)
        assert self.reader().files(root) == files

    def test_its_recordings_are_well_formed(self, root):
        for recording in self.recordings(root):
            assert len(set(recording.channels)) == len(recording.channels)
            numbers = [trial.trial for trial in recording.trials]
            assert numbers == sorted(set(numbers))
            assert all(0 <= trial.label < len(self.reader().classes) for trial in recording.trials)
            if isinstance(recording, Recording):
                edges = [edge for trial in recording.trials for edge in (trial.start, trial.stop)]
                assert edges == sorted(edges)
                assert edges[0] >= 0
                assert edges[-1] <= recording.signal.shape[1]
                assert recording.signal.dtype == np.float64
                assert 0.1 < np.abs(recording.signal).mean() < 1000, "EEG is some µV"
            else:
                assert isinstance(recording, FeatureRecording)

    def test_a_trial_is_read_once(self, root):
        trials = [(r.subject, r.session, trial.trial) for r in self.recordings(root) for trial in r.trials]
        assert len(set(trials)) == len(trials)

    def test_subjects_have_names_of_their_own(self, root):
        subjects = {recording.subject for recording in self.recordings(root)}
        assert len({self.reader().subject_name(subject) for subject in subjects}) == len(subjects)

    def test_it_can_be_sent_to_another_process(self):
        assert pickle.loads(pickle.dumps(self.reader())) == self.reader()

    def test_the_same_files_give_the_same_table_wherever_they_lie(self, root, tmp_path):
        shutil.copytree(root, tmp_path / "copy")
        first = build_table(self.reader(), root, tmp_path / "first").manifest
        assert build_table(self.reader(), tmp_path / "copy", tmp_path / "second").manifest == first
        assert len(read_table(tmp_path / "first")) == first.windows > 0
        assert first.provenance["origin"] in ("computed", "shipped")
        assert set(first.raw_files) == set(self.reader().files(root))
        assert set(first.companions) == set(self.reader().companions(root))

    def test_its_companions_are_files_that_are_not_read_as_raw_ones(self, root):
        companions = self.reader().companions(root)
        assert all((root / file).is_file() for file in companions)
        assert not set(companions) & set(self.reader().files(root))

    def test_a_table_is_stale_once_a_companion_has_changed(self, root, tmp_path):
        out = tmp_path / "out"
        build_table(self.reader(), root, out)
        assert build_table(self.reader(), root, out).status == "up to date"
        for companion in self.reader().companions(root):
            whole = (root / companion).read_bytes()
            self.alter(root / companion)
            assert (root / companion).read_bytes() != whole
            assert build_table(self.reader(), root, out).status == "rebuilt"

    def test_a_file_that_is_a_link_out_of_the_root_is_never_opened(self, root, tmp_path):
        reader = self.reader()
        for file in (*reader.files(root), *reader.companions(root)):
            # what lies outside could be read, and is not
            outside = tmp_path / "outside"
            (root / file).rename(outside)
            (root / file).symlink_to(outside)
            with pytest.raises(CorpusError, match=r"outside"):
                build_table(reader, root, tmp_path / "out")
            with pytest.raises(CorpusError, match=r"outside"):
                [list(reader.read(root, each)) for each in reader.files(root)]
            assert any("outside" in finding.found for finding in reader.check(root) if not finding.ok)
            (root / file).unlink()
            outside.rename(root / file)

    def test_a_root_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(CorpusError, match=r"nowhere.*expected a folder, found nothing"):
            self.reader().files(tmp_path / "nowhere")

    def test_a_root_that_is_a_file_is_named(self, tmp_path):
        (tmp_path / "a_file").write_text("")
        with pytest.raises(CorpusError, match=r"a_file.*expected a folder, found a file"):
            self.reader().files(tmp_path / "a_file")

    def test_a_root_without_recordings_is_named(self, tmp_path):
        with pytest.raises(CorpusError, match=f"{tmp_path}.*expected .* found no"):
            self.reader().files(tmp_path)

    def test_a_truncated_file_is_named_and_leaves_no_table(self, root, tmp_path):
        for number, file in enumerate(self.reader().files(root)):
            whole = (root / file).read_bytes()
            (root / file).write_bytes(whole[: len(whole) * 2 // 3])
            out = tmp_path / f"tables{number}" / "out"
            with pytest.raises(CorpusError, match=rf"{file}.*expected .*found "):
                build_table(self.reader(), root, out)
            assert not out.parent.exists() or not list(out.parent.iterdir())
            (root / file).write_bytes(whole)

    def test_an_empty_file_is_named(self, root, tmp_path):
        file = self.reader().files(root)[-1]
        (root / file).write_bytes(b"")
        with pytest.raises(CorpusError, match=rf"{file}.*expected .*found "):
            build_table(self.reader(), root, tmp_path / "out")

    def test_a_failed_build_leaves_the_table_that_was_there(self, root, tmp_path):
        out = tmp_path / "tables" / "out"
        before = build_table(self.reader(), root, out).manifest
        file = self.reader().files(root)[0]
        whole = (root / file).read_bytes()
        (root / file).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(CorpusError):
            build_table(self.reader(), root, out)
        assert read_table(out).manifest == before
        assert [path.name for path in out.parent.iterdir()] == ["out"]
