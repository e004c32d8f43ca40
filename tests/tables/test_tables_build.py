"""Building a table from a corpus, and what becomes of one that is there."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from scmmlab.corpora import FeatureRecording, Reader, Recording, TrialFeatures, TrialSpan
from scmmlab.errors import CorpusError
from scmmlab.features import FeatureSpec
from scmmlab.tables import build_table, read_manifest, read_table, synthetic_table, write_table

RATE = 200


class TextReader(Reader):
    """A corpus of text files: subject, label, seed and name of the first channel."""

    name: ClassVar[str] = "text"
    corpus: ClassVar[str] = "text"
    summary: ClassVar[str] = "for tests"
    needs: ClassVar[str] = "*.txt"

    seconds: int = 4

    @property
    def classes(self):
        return ("low", "high")

    def files(self, root: Path):
        return tuple(sorted(path.name for path in root.glob("*.txt")))

    def read(self, root: Path, file: str) -> Iterator[Recording | FeatureRecording]:
        subject, label, seed, first = (root / file).read_text().split()
        signal = np.random.default_rng(int(seed)).normal(0, 20, (2, self.seconds * RATE))
        span = TrialSpan(1, int(label), 0, signal.shape[1])
        yield Recording(file, int(subject), 1, (first, "B"), RATE, signal, (span,))


class OtherReader(TextReader):
    name: ClassVar[str] = "other"
    corpus: ClassVar[str] = "other"


class NotingReader(TextReader):
    name: ClassVar[str] = "noting"

    def read(self, root: Path, file: str) -> Iterator[Recording | FeatureRecording]:
        for recording in super().read(root, file):
            yield replace(recording, notes=("said of all", f"said of {file}"))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "table"


def backwards(extract, files):
    yield from [extract(file) for file in reversed(files)]


def test_a_table_does_not_depend_on_the_order_in_which_files_are_done(root, tmp_path):
    here = build_table(TextReader(), root, tmp_path / "here").manifest
    there = build_table(TextReader(), root, tmp_path / "there", mapper=backwards).manifest
    assert here == there
    assert read_table(tmp_path / "here").subject.tolist() == [1] * 4 + [2] * 4 + [3] * 4


def test_progress_is_told_file_by_file(root, out):
    told = []
    build_table(TextReader(), root, out, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_the_manifest_says_how_the_features_were_made(root, out):
    manifest = build_table(TextReader(seconds=5), root, out, FeatureSpec(smoothing="lds")).manifest
    assert manifest.provenance["origin"] == "computed"
    assert manifest.provenance["reader_settings"] == {"seconds": 5}
    assert manifest.provenance["feature_settings"]["smoothing"] == "lds"
    assert manifest.provenance["log_base"] == "e"
    assert manifest.provenance["form"] == "0.5*ln(2*pi*e*variance)"
    assert set(manifest.raw_files) == {"s1.txt", "s2.txt", "s3.txt"}
    assert all(len(digest) == 64 for digest in manifest.raw_files.values())


def test_a_table_that_is_up_to_date_is_left_alone(root, out):
    assert build_table(TextReader(), root, out).status == "built"
    before = (out / "part-00000.parquet").stat().st_mtime_ns

    def never(extract, files):
        raise AssertionError("nothing is to be read")

    assert build_table(TextReader(), root, out, mapper=never).status == "up to date"
    assert (out / "part-00000.parquet").stat().st_mtime_ns == before


def test_a_table_is_rebuilt_when_a_raw_file_has_changed(root, out):
    before = build_table(TextReader(), root, out).manifest
    (root / "s2.txt").write_text("2 0 77 A")
    outcome = build_table(TextReader(), root, out)
    assert outcome.status == "rebuilt"
    assert outcome.manifest.fingerprint != before.fingerprint
    assert read_manifest(out) == outcome.manifest


def test_a_table_is_rebuilt_when_a_raw_file_is_new(root, out):
    build_table(TextReader(), root, out)
    (root / "s4.txt").write_text("4 0 4 A")
    assert build_table(TextReader(), root, out).status == "rebuilt"
    assert len(read_table(out)) == 16


@pytest.mark.parametrize(
    ("reader", "features"),
    [
        (TextReader(seconds=3), None),
        (TextReader(), FeatureSpec(window_s=2)),
        (TextReader(), FeatureSpec(filter_order=3)),
        (TextReader(), FeatureSpec(bands={"gamma": (31, 50), "delta": (1, 4)})),
    ],
)
def test_a_table_is_rebuilt_when_a_parameter_has_changed(root, out, reader, features):
    bands = FeatureSpec(bands={"delta": (1, 4), "gamma": (31, 50)}) if features and len(features.bands) == 2 else None
    build_table(TextReader(), root, out, bands)
    outcome = build_table(reader, root, out, features)
    assert outcome.status == "rebuilt"
    assert "have changed" in outcome.reason


def test_a_table_is_rebuilt_when_its_reader_has_a_new_version(root, out, monkeypatch):
    build_table(TextReader(), root, out)
    monkeypatch.setattr(TextReader, "version", 2)
    assert build_table(TextReader(), root, out).status == "rebuilt"


def test_a_damaged_table_is_rebuilt(root, out):
    before = build_table(TextReader(), root, out).manifest
    part = out / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-50])
    outcome = build_table(TextReader(), root, out)
    assert (outcome.status, outcome.reason) == ("rebuilt", "its content did not match its fingerprint")
    assert outcome.manifest == before
    assert len(read_table(out)) == 12


def test_force_rebuilds_what_is_up_to_date(root, out):
    build_table(TextReader(), root, out)
    assert build_table(TextReader(), root, out, force=True).status == "rebuilt"


def test_a_table_of_another_corpus_is_not_overwritten_without_force(root, out):
    build_table(OtherReader(), root, out)
    with pytest.raises(CorpusError, match="already holds a feature table"):
        build_table(TextReader(), root, out)
    assert read_manifest(out).corpus == "other"
    assert build_table(TextReader(), root, out, force=True).status == "rebuilt"


def test_a_synthetic_table_is_not_overwritten_without_force(root, out):
    write_table(synthetic_table(), out)
    with pytest.raises(CorpusError, match="already holds a feature table"):
        build_table(TextReader(), root, out)


def test_a_table_whose_manifest_is_lost_is_not_overwritten_without_force(root, out):
    build_table(TextReader(), root, out)
    (out / "manifest.json").write_text("{")
    with pytest.raises(CorpusError, match="already holds a feature table"):
        build_table(TextReader(), root, out)
    build_table(TextReader(), root, out, force=True)
    assert len(read_table(out)) == 12


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("2 2 2 A", "A label is outside the classes: expected 0 to 1, found 2 at trial 1 of subject 2, .* in s2.txt"),
        ("2 1 2 C", r"s2.txt is unlike the files before it: expected channels \['A', 'B'\], found \['C', 'B'\]"),
        ("1 1 2 A", "A window is duplicated in .*raw'.* found subject 1, session 1, trial 1, window 0 twice"),
        ("3 1 3 A", "s3.txt' is a copy of .*s2.txt'"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(root, out, text, complaint):
    (root / "s2.txt").write_text(text)
    (root / "s3.txt").write_text("3 1 3 A")
    with pytest.raises(CorpusError, match=complaint):
        build_table(TextReader(), root, out)
    assert [path.name for path in out.parent.iterdir()] == ["raw"]


class SpoiltReader(TextReader):
    value: float = 0.0
    """What stands in the middle of the signal."""
    until: int = 401

    def read(self, root: Path, file: str) -> Iterator[Recording]:
        signal = np.random.default_rng(0).normal(0, 20, (2, 800))
        signal[1, 400 : self.until] = {1: np.nan, 2: np.inf, 3: -np.inf}.get(int(self.value), self.value)
        yield Recording(file, 1, 1, ("A", "B"), RATE, signal, (TrialSpan(1, 0, 0, 800),))


@pytest.mark.parametrize(("value", "shown"), [(1, "nan"), (2, "inf"), (3, "-inf")])
def test_a_value_that_is_not_finite_is_refused_with_its_place(root, out, value, shown):
    complaint = f"A value is not finite in s1.txt: expected µV, found {shown} in channel B at 2.000 s"
    with pytest.raises(CorpusError, match=complaint):
        build_table(SpoiltReader(value=value), root, out)
    assert not out.exists()


class ShippedReader(TextReader):
    """Features of which one is not finite, or whose shape is wrong."""

    shape: tuple[int, ...] = (3, 2, 1)

    def read(self, root: Path, file: str) -> Iterator[FeatureRecording]:
        features = np.zeros(self.shape, dtype=np.float32)
        features.flat[-1] = -np.inf
        yield FeatureRecording(file, 1, 1, ("A", "B"), {"x": (1, 4)}, 1.0, [TrialFeatures(4, 0, features)])


@pytest.mark.parametrize(
    ("shape", "complaint"),
    [
        ((3, 2, 1), "found -inf in channel B, band x, window 2 of trial 4 of subject 1, session 1, in s1.txt"),
        ((3, 2, 2), r"expected windows x 2 channels x 1 bands, found \(3, 2, 2\) at trial 4"),
        ((2, 3), r"found \(2, 3\)"),
    ],
)
def test_shipped_features_that_cannot_be_are_refused(root, out, shape, complaint):
    with pytest.raises(CorpusError, match=complaint):
        build_table(ShippedReader(shape=shape), root, out)


class ListedReader(TextReader):
    """Its labels are those of a file beside the recordings, where there is one."""

    def companions(self, root: Path):
        return ("labels.csv",) if (root / "labels.csv").is_file() else ()


def test_a_table_is_rebuilt_when_a_companion_is_new_changed_or_gone(root, out):
    assert build_table(ListedReader(), root, out).manifest.companions == {}
    for text in ("a", "b", None):
        if text:
            (root / "labels.csv").write_text(text)
        else:
            (root / "labels.csv").unlink()
        assert build_table(ListedReader(), root, out).status == "rebuilt"
        assert build_table(ListedReader(), root, out).status == "up to date"
        assert set(read_manifest(out).companions) == ({"labels.csv"} if text else set())
    assert len(read_table(out)) == 12


def test_a_companion_outside_the_root_is_refused(root, out):
    (root.parent / "labels.csv").write_text("a")
    (root / "labels.csv").symlink_to(root.parent / "labels.csv")
    with pytest.raises(CorpusError, match="lies outside the corpus"):
        build_table(ListedReader(), root, out)
    assert not out.exists()


def test_what_is_said_of_every_file_is_said_once(root, out):
    notes = build_table(NotingReader(), root, out).manifest.provenance["notes"]
    assert notes == ["said of all", "said of s1.txt", "said of s2.txt", "said of s3.txt"]
